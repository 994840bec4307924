"""Differences as SARIF 2.1.0, for code scanning: a result at each line of the new program that changes something.

What has no line there any more is placed at its line in the old one. Source: OASIS SARIF 2.1.0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.diagnostics.render.sarif_log import SarifRule, sarif_location, sarif_log, sarif_result
from meshc.difference.model import (
    Answer,
    Change,
    Difference,
    Place,
    Region,
    SettingChange,
    SubjectDifference,
    Undecided,
)
from meshc.difference.render.summary import HEADINGS, LIMIT, blamed, environments_of, headline
from meshc.target import Json

_RULES: Final[Mapping[Change, SarifRule]] = {
    Change.OPENED: SarifRule(name="access-opened", level="warning", text="Requests are let through that were refused."),
    Change.CLOSED: SarifRule(name="access-closed", level="note", text="Requests are refused that were let through."),
    Change.CHANGED: SarifRule(
        name="refusal-changed", level="note", text="Requests are refused in another way than before."
    ),
    Change.ROUTING: SarifRule(name="routing-changed", level="note", text="Requests go elsewhere than before."),
    Change.SETTINGS: SarifRule(
        name="settings-changed", level="note", text="Calls travel with other settings than before."
    ),
    Change.WEAKENED_MTLS: SarifRule(
        name="mtls-weakened", level="warning", text="A port takes plaintext that it did not take."
    ),
}
_PRESENCE: Final = SarifRule(name="presence-changed", level="note", text="A service or port was added or removed.")
_UNDECIDED: Final = SarifRule(
    name="not-decided", level="warning", text="Two versions are too complex to be compared exactly."
)
_ALL: Final = (*_RULES.values(), _PRESENCE, _UNDECIDED)


def render_sarif(difference: Difference) -> str:
    """The whole difference as one run."""
    results = [result for subject in difference.subjects for result in _results(subject, difference)]
    return sarif_log("meshc diff", _ALL, results)


def _results(subject: SubjectDifference, difference: Difference) -> Iterator[Json]:
    where = environments_of(subject, difference)
    found = [
        *(_region(subject, one) for one in subject.regions),
        *(_setting(subject, one) for one in subject.settings),
        *(_undecided(subject, one) for one in subject.undecided),
    ]
    if not found:
        places = (subject.new_place, subject.old_place)
        found.append(_Result(_PRESENCE, f"{subject.subject}: {headline(subject)}", *places))
    for one in found:
        yield one.as_json(where)


@dataclass(frozen=True, slots=True)
class _Result:
    rule: SarifRule
    text: str
    new: Place | None
    old: Place | None

    def as_json(self, where: str) -> Json:
        """The result; without a place on either side it has no location."""
        text = visible(f"{self.text} ({where})" if where else self.text)
        primary = self.new or self.old
        related = self.old if self.new is not None else None
        locations = [] if primary is None else [_location(primary)]
        result = sarif_result(self.rule, _ALL.index(self.rule), text, locations)
        if related is not None:
            result["relatedLocations"] = [
                {**_location(related), "id": 1, "message": {"text": visible(f"before: {related}")}}
            ]
        return result


def _region(subject: SubjectDifference, region: Region) -> _Result:
    text = (
        f"{subject.subject}: {HEADINGS[region.change]}: {region.scope.text}. "
        f"Was {_answer(region.old)}; now {_answer(region.new)}. "
        f"For example: {region.witness.command} ({'; '.join((f'as {region.witness.caller}', *region.witness.notes))})"
    )
    return _Result(_RULES[region.change], text, region.new.place, region.old.place)


def _answer(answer: Answer) -> str:
    shown = blamed(answer, LIMIT)
    more = f" and {shown.hidden} more" if shown.hidden else ""
    return f"{answer.text}: {', '.join(one.text for one in shown.items)}{more}" if shown.items else answer.text


def _setting(subject: SubjectDifference, setting: SettingChange) -> _Result:
    rule = _RULES[Change.WEAKENED_MTLS if setting.weakens else Change.SETTINGS]
    scope = "" if setting.scope is None else f", for {setting.scope.text}"
    text = f"{subject.subject}: {setting.name}: {setting.old} → {setting.new}{scope}"
    return _Result(rule, text, setting.new_place or subject.new_place, setting.old_place or subject.old_place)


def _undecided(subject: SubjectDifference, one: Undecided) -> _Result:
    kinds = ", ".join(change.value for change in one.changes)
    text = f"{subject.subject}: not decided ({kinds}): {one.reason}"
    return _Result(_UNDECIDED, text, subject.new_place, subject.old_place)


def _location(place: Place) -> dict[str, Json]:
    return sarif_location(place.path, {"startLine": place.line, "startColumn": place.column})
