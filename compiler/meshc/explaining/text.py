"""Explanations as text, for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshc.explaining.model import EditedLines, ProgramChange, Remedies, RequestChange
from meshc.explaining.origins import NO_ORIGINS, Origins
from meshc.ir import Effect
from meshc.request import Decision
from meshc.semantics.applied import Applied, CountingLimit
from meshc.semantics.explain import (
    DestinationFinding,
    Explanation,
    MirrorFinding,
    RuleFinding,
    StageFinding,
)
from meshc.semantics.misses import Miss, show_address
from meshc.semantics.show import show_destination, show_text
from meshc.source import BUILTIN, Span

_MAX_OPENED = 4
"""How many sets of opened requests are named before the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Terminal codes to put before good, bad, strong and faint text, and `end` after each."""

    good: str = ""
    bad: str = ""
    strong: str = ""
    faint: str = ""
    end: str = ""


PLAIN = Style()
COLOURED = Style(good="\x1b[32m", bad="\x1b[31m", strong="\x1b[1m", faint="\x1b[2m", end="\x1b[0m")

_NOTHING = Remedies()


def render_explanation(
    explanation: Explanation, remedies: Remedies = _NOTHING, style: Style = PLAIN, origins: Origins = NO_ORIGINS
) -> str:
    """An explanation as lines of text, ending in a line end. What users wrote is shown without control characters.

    `origins` are the lines of a program that places in compiled files are from; they stand beside these.
    """
    return "".join(f"{line}\n" for line in _Writer(style, origins).all(explanation, remedies))


@dataclass(frozen=True, slots=True)
class _Writer:
    style: Style
    origins: Origins

    def all(self, explanation: Explanation, remedies: Remedies) -> Iterator[str]:
        yield self._headline(explanation.decision)
        yield from self._request(explanation)
        yield from self._routes(explanation)
        for destination in explanation.destinations:
            yield from self._destination(destination)
        for mirror in explanation.mirrors:
            yield f"  mirror {_mirror_text(mirror)}"
        yield from self._remedies(remedies)

    # ---- the request ------------------------------------------------------------------------------------------------

    def _headline(self, decision: Decision) -> str:
        reason = f": {decision.reason}" if decision.reason else ""
        redirect = "" if decision.redirect is None else f" to {_safe(decision.redirect)}"
        place = "" if decision.rule is None else f" ({self._places(decision.rule)})"
        return f"{self._outcome(decision)}{redirect}{reason}{place}"

    def _outcome(self, decision: Decision) -> str:
        status = "" if decision.status is None else f" {decision.status}"
        if decision.allowed is None:
            return self._in(self.style.strong, f"answered by the caller's proxy{status}")
        word, colour = ("allowed", self.style.good) if decision.allowed else ("denied", self.style.bad)
        return self._in(colour, f"{word}{status}")

    def _request(self, explanation: Explanation) -> Iterator[str]:
        request, facts = explanation.request, explanation.facts
        line = f"{request.method} {_safe(request.path or '')}" if request.method is not None else "connection"
        yield f"  {explanation.caller} -> {request.namespace}.{request.service}:{request.port}  {line}"
        if facts is None:
            return
        host = "" if facts.host is None else f", host {_safe(facts.host)}"
        path = "" if facts.path is None or facts.path == request.path else f", path {_safe(facts.path)}"
        yield f"  judged as: from {show_address(facts.peer)}{host}{path}"
        leaving = explanation.leaving
        if leaving is not None and leaving != facts:
            yield f"  sent on as: path {_safe(leaving.path or '')}, host {_safe(leaving.host or '')}"

    # ---- routes -----------------------------------------------------------------------------------------------------

    def _routes(self, explanation: Explanation) -> Iterator[str]:
        if not explanation.routes and not explanation.settings:
            return
        yield self._heading("travels")
        for route in explanation.routes:
            mark = "=>" if not route.misses else "  "
            yield f"    {mark} route {_safe(route.text)}{self._at(route.route.span)}"
            yield from self._first_miss(route.misses, "         ")
        yield from self._settings(explanation.settings)

    def _settings(self, settings: Sequence[Applied]) -> Iterator[str]:
        for one in settings:
            yield f"       {one.name} {_safe(one.value)}{self._at(one.span)}"

    # ---- access -----------------------------------------------------------------------------------------------------

    def _destination(self, finding: DestinationFinding) -> Iterator[str]:
        reason = f": {finding.decision.reason}" if finding.decision.reason else ""
        name = f"{finding.namespace}.{finding.service}:{finding.port}"
        yield f"{self._heading(f'access to {name}')}: {self._outcome(finding.decision)}{reason}"
        for stage in finding.stages:
            yield from self._stage(stage)
        yield from self._limits(finding.limits)
        yield from self._settings(finding.settings)

    def _stage(self, stage: StageFinding) -> Iterator[str]:
        if not stage.rules:
            yield f"    => no allow rule, and access is denied by default{self._at(stage.span)}"
        for rule in stage.rules:
            yield from self._rule(stage, rule)

    def _rule(self, stage: StageFinding, finding: RuleFinding) -> Iterator[str]:
        colour = (self.style.good if stage.effect is Effect.ALLOW else self.style.bad) if finding.decided else ""
        mark = "=>" if finding.decided else " *" if finding.matched else "  "
        shadow = "shadow " if stage.shadow else ""
        text = self._in(colour, f"{shadow}{stage.effect.value} {_safe(finding.text)}")
        yield f"    {mark} {text}{_notes(stage, finding)}{self._at(finding.rule.span)}"
        yield from self._first_miss(finding.misses, "         ")

    def _first_miss(self, misses: tuple[Miss, ...], indent: str) -> Iterator[str]:
        """The first clause that the request fails, and which others it fails too."""
        if not misses:
            return
        first, others = misses[0], list(dict.fromkeys(one.clause for one in misses[1:]))
        more = f" (and it fails by {_and(others)})" if others else ""
        yield f"{indent}{first.clause}: wants {_safe(first.wanted)}; is {_safe(first.actual)}{more}"

    def _limits(self, limits: tuple[CountingLimit, ...]) -> Iterator[str]:
        for one in limits:
            bucket = f", of the bucket of {_safe(one.bucket)}" if one.bucket else ""
            yield f"       takes a token of rate-limit {_safe(one.text)}{bucket}{self._at(one.limit.span)}"

    # ---- remedies ---------------------------------------------------------------------------------------------------

    def _remedies(self, remedies: Remedies) -> Iterator[str]:
        for note in remedies.notes:
            yield f"{self._heading('note')}: {_safe(note)}"
        if remedies.requests:
            yield self._heading("nearest requests that are allowed")
            for request in remedies.requests:
                yield from self._request_change(request)
        if remedies.programs:
            yield self._heading("smallest changes of the program that would allow it")
            for number, program in enumerate(remedies.programs, 1):
                yield from self._program_change(number, program)

    def _request_change(self, change: RequestChange) -> Iterator[str]:
        yield f"    with {_safe(_and(change.changes))}"
        yield f"       {self._in(self.style.faint, _safe(change.text))}"

    def _program_change(self, number: int, change: ProgramChange) -> Iterator[str]:
        for place, edit in enumerate(change.edits):
            mark = f"{number}." if place == 0 else "  "
            also = "" if place == 0 else "and "
            yield f"    {mark} {also}{_safe(edit.what)}{self._at(edit.place)}"
            yield from self._edited(edit)
        opened = [_safe(one) for one in change.opens[:_MAX_OPENED]]
        for place, one in enumerate(opened):
            yield f"       {'opens' if place == 0 else '  and'} {one}"
        if len(change.opens) > _MAX_OPENED:
            yield f"         and {len(change.opens) - _MAX_OPENED} more"
        for broken in change.breaks:
            yield f"       {self._in(self.style.bad, 'breaks an invariant')}: {_safe(broken)}"
        for warning in change.warnings:
            yield f"       warning {_safe(warning)}"

    def _edited(self, edit: EditedLines) -> Iterator[str]:
        yield from (f"       {self._in(self.style.bad, f'- {_safe(line)}')}" for line in edit.old)
        yield from (f"       {self._in(self.style.good, f'+ {_safe(line)}')}" for line in edit.new)

    # ---- pieces -----------------------------------------------------------------------------------------------------

    def _heading(self, text: str) -> str:
        return f"  {self._in(self.style.strong, text)}"

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{self.style.end}" if colour else text

    def _at(self, span: Span | None) -> str:
        return "" if span is None else f"  {self._in(self.style.faint, self._places(span))}"

    def _places(self, span: Span) -> str:
        """A place, and where it is from."""
        origins = ", ".join(map(str, self.origins.get(span, ())))
        return f"{_place(span)}, from {origins}" if origins else _place(span)


def _notes(stage: StageFinding, finding: RuleFinding) -> str:
    notes = []
    if finding.rule.because is not None:
        notes.append(f" because {show_text(finding.rule.because)}")
    if stage.shadow and finding.matched:
        notes.append(" (logged, not enforced)")
    elif not stage.asked and finding.matched:
        notes.append(" (not asked)")
    return "".join(notes)


def _mirror_text(finding: MirrorFinding) -> str:
    word = "let in" if finding.decision.allowed else "refused there"
    return f"{finding.mirror.percent:g}% to {show_destination(finding.mirror.destination)}: {word}"


def _and(items: Sequence[str]) -> str:
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)


def _place(span: Span) -> str:
    return "default" if span == BUILTIN else str(span)


def _safe(text: str) -> str:
    """Text for a terminal: what is not printable is escaped."""
    return text if text.isprintable() else show_text(text)[1:-1]
