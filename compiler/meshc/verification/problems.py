"""Differences between a program and its compiled files -> diagnostics at the program's own lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics import Diagnostic, diagnose
from meshc.difference.model import (
    Answer,
    Change,
    Difference,
    Place,
    Presence,
    Region,
    SettingChange,
    SubjectDifference,
    Witness,
)
from meshc.errors import InternalError
from meshc.ir import External, Mesh, Workload
from meshc.source import Span

_NAME: Final = "not-verified"

_WHAT: Final[Mapping[Change, str]] = {
    Change.OPENED: "the files let through what the program refuses",
    Change.CLOSED: "the files refuse what the program lets through",
    Change.CHANGED: "the files refuse in another way than the program",
    Change.ROUTING: "the files send elsewhere what the program routes",
    Change.SETTINGS: "a setting is another in the files",
    Change.WEAKENED_MTLS: "the files take plaintext that the program does not",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where a program says what: its places as spans, by line and column, and the place of each subject."""

    places: Mapping[tuple[str, int, int], Span]
    subjects: Mapping[tuple[str, str, int | None], Span]
    mesh: Span

    @staticmethod
    def of(mesh: Mesh) -> "Origins":
        """The places of all that decides anything."""
        owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
        subjects: dict[tuple[str, str, int | None], Span] = {}
        places: dict[tuple[str, int, int], Span] = {}
        for owner in owners:
            subjects[owner.namespace, owner.name, None] = owner.span
            for port in owner.ports:
                subjects[owner.namespace, owner.name, port.number] = port.span
                spans = [route.span for route in port.routes]
                spans += (span for _, span in port.settings.spans)
                spans += (rule.span for stage in port.access for rule in stage.rules)
                places |= {(span.path, span.line, span.column): span for span in spans}
        return Origins(places=places, subjects=subjects, mesh=mesh.span)

    def span(self, place: Place | None, found: SubjectDifference) -> Span:
        """The place to blame, or else that of the subject."""
        if place is not None and (known := self.places.get((place.path, place.line, place.column))) is not None:
            return known
        subject = found.subject
        whole = self.subjects.get((subject.namespace, subject.service, None), self.mesh)
        return self.subjects.get((subject.namespace, subject.service, subject.port), whole)


def problems(target: str, difference: Difference, origins: Origins) -> Iterator[Diagnostic]:
    """One diagnostic for each thing that differs; the program is the old side of the difference, the files the new one."""
    for found in difference.subjects:
        if found.presence is not Presence.BOTH:
            yield _presence(target, found, origins)
            continue
        for region in found.regions:
            yield _region(target, found, region, origins)
        for setting in found.settings:
            yield _setting(target, found, setting, origins)
        for one in found.undecided:
            message = f"{target}: `{found.subject}` cannot be proven: {one.reason}"
            yield diagnose(_NAME, origins.span(None, found), message)


def _presence(target: str, found: SubjectDifference, origins: Origins) -> Diagnostic:
    match found.presence:
        case Presence.ADDED:
            where = "" if found.new_place is None else f" ({found.new_place})"
            message = f"{target}: the files declare `{found.subject}`, which the program does not have{where}"
        case Presence.REMOVED:
            message = f"{target}: the files say nothing of `{found.subject}`"
        case Presence.BOTH:
            raise InternalError("a subject that both sides have")
    return diagnose(_NAME, origins.span(found.old_place, found), message)


def _region(target: str, found: SubjectDifference, region: Region, origins: Origins) -> Diagnostic:
    message = f"{target}: {_WHAT[region.change]}, at `{found.subject}`: {region.scope.text}"
    advice = (
        *_example(region.witness),
        f"the program: {_answer(region.old)}",
        f"the files: {_answer(region.new)}",
    )
    return diagnose(_NAME, origins.span(region.old.place, found), message, advice=advice)


def _setting(target: str, found: SubjectDifference, setting: SettingChange, origins: Origins) -> Diagnostic:
    scope = "" if setting.scope is None else f" for {setting.scope.text}"
    message = (
        f"{target}: `{setting.name}` of `{found.subject}` is {setting.old} in the program"
        f" and {setting.new} in the files{scope}"
    )
    where = () if setting.new_place is None else (f"the files: {setting.new_place}",)
    advice = (*_example(setting.witness), *where)
    return diagnose(_NAME, origins.span(setting.old_place, found), message, advice=advice)


def _example(witness: Witness | None) -> tuple[str, ...]:
    return () if witness is None else (f"for example {witness.caller}: `{witness.command}`", *witness.notes)


def _answer(answer: Answer) -> str:
    blame = "; ".join(f"`{one.text}`" + (f" ({one.place})" if one.place is not None else "") for one in answer.blame)
    return f"{answer.text}, by {blame}" if blame else answer.text
