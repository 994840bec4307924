"""Differences as text for a terminal. What users wrote is shown without control characters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.difference.model import (
    Answer,
    Blame,
    Change,
    Difference,
    Place,
    Presence,
    Region,
    SettingChange,
    SubjectDifference,
    Witness,
)
from meshc.difference.render.summary import (
    HEADINGS,
    LIMIT,
    Shared,
    blamed,
    environments_of,
    first,
    headline,
    notes,
    regions_in_order,
    share,
    shown_subjects,
    verdict,
)

_RED, _GREEN, _YELLOW, _BLUE, _BOLD, _FAINT, _END = "31", "32", "33", "34", "1", "2", "\x1b[0m"

_MARKS: Final = {Change.OPENED: "+", Change.CLOSED: "-", Change.CHANGED: "~", Change.ROUTING: ">"}
# What opens is what a reader has to look at: it gets the colour of danger, as plus signs in a difference of texts would not.
_COLORS: Final = {Change.OPENED: _RED, Change.CLOSED: _GREEN, Change.CHANGED: _YELLOW, Change.ROUTING: _BLUE}


def render_text(difference: Difference, *, color: bool = False, limit: int | None = LIMIT) -> str:
    """The difference as lines, the verdict last; of each subject at most `limit` regions and settings."""
    lines = _Lines(color=color, limit=limit, difference=difference)
    return "".join(f"{line}\n" for line in lines.all())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    color: bool
    limit: int | None
    difference: Difference

    def all(self) -> Iterator[str]:
        shared, left = share(self.difference, self.limit)
        for one in shared:
            yield from self._shared(one)
        shown = shown_subjects(left, self.limit)
        for subject in shown:
            yield from self._subject(subject)
            yield ""
        yield from self._hidden(len(left.subjects) - len(shown), "changed subject", indent="")
        for note in notes(self.difference):
            yield visible(note)
        yield self._paint(_BOLD, visible(verdict(self.difference)))

    def _shared(self, one: Shared) -> Iterator[str]:
        where = environments_of(one.subjects[0], self.difference)
        yield f"{self._paint(_BOLD, visible(one.names))}{f'  {visible(where)}' if where else ''}"
        yield from self._setting(one.setting)
        yield ""

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_END}" if self.color and text else text

    def _subject(self, subject: SubjectDifference) -> Iterator[str]:
        where = environments_of(subject, self.difference)
        place = subject.old_place if subject.presence is Presence.REMOVED else subject.new_place
        yield (
            f"{self._paint(_BOLD, visible(str(subject.subject)))}  {visible(headline(subject))}"
            f"{f', {visible(where)}' if where else ''}{self._place(place)}"
        )
        regions = first(regions_in_order(subject), self.limit)
        for region in regions.items:
            yield from self._region(region)
        yield from self._hidden(regions.hidden, "region")
        settings = first(subject.settings, self.limit)
        for setting in settings.items:
            yield from self._setting(setting)
        yield from self._hidden(settings.hidden, "setting")
        for one in subject.undecided:
            kinds = ", ".join(change.value for change in one.changes)
            yield f"  {self._paint(_RED, '? not decided')} ({kinds}): {visible(one.reason)}"

    def _hidden(self, count: int, noun: str, indent: str = "  ") -> Iterator[str]:
        if count:
            yield f"{indent}… and {count} more {noun}{'' if count == 1 else 's'} (--all shows them)"

    def _region(self, region: Region) -> Iterator[str]:
        mark = self._paint(_COLORS[region.change], f"{_MARKS[region.change]} {HEADINGS[region.change]}")
        yield f"  {mark}: {visible(region.scope.text)}"
        yield from self._answer("was", region.old)
        yield from self._answer("now", region.new)
        yield from self._witness(region.witness)

    def _answer(self, word: str, answer: Answer) -> Iterator[str]:
        shown = blamed(answer, self.limit)
        lines = [self._blame(one) for one in shown.items]
        lines += [f"… and {shown.hidden} more"] if shown.hidden else []
        head = f"      {word} {visible(answer.text)}"
        if len(lines) == 1:
            yield f"{head}: {lines[0]}"
            return
        yield f"{head}:" if lines else head
        yield from (f"          {line}" for line in lines)

    def _blame(self, one: Blame) -> str:
        because = f' because "{visible(one.because)}"' if one.because else ""
        return f"{visible(one.text)}{because}{self._place(one.place)}"

    def _witness(self, witness: Witness) -> Iterator[str]:
        notes_ = "; ".join((f"as {witness.caller}", *witness.notes))
        yield f"      {self._paint(_FAINT, '$')} {visible(witness.command)}  {self._paint(_FAINT, f'# {visible(notes_)}')}"

    def _setting(self, setting: SettingChange) -> Iterator[str]:
        scope = "" if setting.scope is None else f", for {visible(setting.scope.text)}"
        mark = self._paint(_RED, "! weaker") if setting.weakens else self._paint(_YELLOW, "*")
        yield f"  {mark} {visible(setting.name)}: {visible(setting.old)} → {visible(setting.new)}{scope}{self._places(setting)}"

    def _places(self, setting: SettingChange) -> str:
        places = dict.fromkeys(visible(str(one)) for one in (setting.old_place, setting.new_place) if one is not None)
        return self._paint(_FAINT, f"  {' → '.join(places)}") if places else ""

    def _place(self, place: Place | None) -> str:
        return "" if place is None else self._paint(_FAINT, f"  {visible(str(place))}")
