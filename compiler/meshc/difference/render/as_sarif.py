"""Differences as SARIF 2.1.0, for code scanning: a result at each line of the new program that changes something.

What has no line there any more is placed at its line in the old one. Source: OASIS SARIF 2.1.0.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from meshc._version import __version__
from meshc.diagnostics.render.cells import visible
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

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A kind of result."""

    name: str
    level: str
    text: str


_RULES: Final[Mapping[Change, _Rule]] = {
    Change.OPENED: _Rule(name="access-opened", level="warning", text="Requests are let through that were refused."),
    Change.CLOSED: _Rule(name="access-closed", level="note", text="Requests are refused that were let through."),
    Change.CHANGED: _Rule(
        name="refusal-changed", level="note", text="Requests are refused in another way than before."
    ),
    Change.ROUTING: _Rule(name="routing-changed", level="note", text="Requests go elsewhere than before."),
    Change.SETTINGS: _Rule(name="settings-changed", level="note", text="Calls travel with other settings than before."),
    Change.WEAKENED_MTLS: _Rule(
        name="mtls-weakened", level="warning", text="A port takes plaintext that it did not take."
    ),
}
_PRESENCE: Final = _Rule(name="presence-changed", level="note", text="A service or port was added or removed.")
_UNDECIDED: Final = _Rule(
    name="not-decided", level="warning", text="Two versions are too complex to be compared exactly."
)
_ALL: Final = (*_RULES.values(), _PRESENCE, _UNDECIDED)


def render_sarif(difference: Difference) -> str:
    """The whole difference as one run."""
    results = [result for subject in difference.subjects for result in _results(subject, difference)]
    driver: Json = {
        "name": "meshc diff",
        "version": __version__,
        "informationUri": "https://meshc.dev/",
        "rules": [
            {
                "id": one.name,
                "shortDescription": {"text": one.text},
                "defaultConfiguration": {"level": one.level},
            }
            for one in _ALL
        ],
    }
    run: Json = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


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
    rule: _Rule
    text: str
    new: Place | None
    old: Place | None

    def as_json(self, where: str) -> Json:
        """The result; without a place on either side it has no location."""
        text = visible(f"{self.text} ({where})" if where else self.text)
        primary = self.new or self.old
        related = self.old if self.new is not None else None
        result: dict[str, Json] = {
            "ruleId": self.rule.name,
            "ruleIndex": _ALL.index(self.rule),
            "level": self.rule.level,
            "message": {"text": text},
            "partialFingerprints": {"meaning/v1": hashlib.sha256(f"{self.rule.name} {text}".encode()).hexdigest()[:32]},
        }
        if primary is not None:
            result["locations"] = [_location(primary)]
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
    region: Json = {"startLine": place.line, "startColumn": place.column}
    artifact: Json = {"uri": quote(place.path, errors="surrogatepass")}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
