"""Random edits x brute force: `meshc diff` and an enumeration of all requests agree on what changed, and for which requests.

`MESHC_EDITS=5000` tries as many edits, and `MESHC_EDITS_SEED` others than those of every day. What is said of each region is read
back from its words, so the law holds for what people see: a request lies in it exactly if it has changed in that way.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import pytest

from meshc.cli.sides import groups_of
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Scope, SettingChange, Side
from meshc.ir import RateLimit
from meshc.request import Request
from meshc_harness.alphabet import ALPHABET, Answer, Model, Way, kind_of
from meshc_harness.compare import analyze_text
from meshc_harness.edits import EDITS, HARMLESS, Pieces, random_pieces
from meshc_harness.scopes import UnreadableError, lies_in

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("MESHC_EDITS", "200"))
SEED = int(os.environ.get("MESHC_EDITS_SEED", "20260331"))
BATCHES = 10
DECLARED = ("connect-timeout", "load-balance", "circuit-breaker", "mtls")
Key = tuple[str, str, int]
BY_PORT: dict[Key, list[Request]] = {}
for _one in ALPHABET:
    BY_PORT.setdefault((_one.namespace, _one.service, _one.port), []).append(_one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that checks, and what is asked of it."""

    pieces: Pieces
    side: Side
    model: Model


def checked(pieces: Pieces) -> Program | None:
    """A program; None for one with errors."""
    analysis = analyze_text(pieces.text, "edited.mesh")
    if analysis.mesh is None:
        return None
    side = Side(mesh=analysis.mesh, groups=groups_of(analysis.lowered))
    return Program(pieces=pieces, side=side, model=Model(analysis.mesh))


def edited_pairs(rng: Random) -> Iterator[tuple[str, Program, Program]]:
    """Pairs of programs that differ by one edit, endlessly; several edits of each program."""
    while True:
        before = checked(random_pieces(rng))
        if before is None:
            continue
        for name in rng.sample(sorted(EDITS), 6):
            after = checked(EDITS[name](rng, before.pieces))
            if after is not None:
                yield name, before, after


@pytest.mark.parametrize("batch", range(BATCHES))
def test_brute_force_agrees(batch: int) -> None:
    seen: Counter[bool] = Counter()
    unreadable = 0
    for name, before, after in islice(edited_pairs(Random(SEED + batch)), COUNT // BATCHES):
        found = Comparer().compare(before.side, after.side)
        law = _Law(before, after, found, f"{name}\n{before.pieces.text}\n----\n{after.pieces.text}")
        seen[law.check()] += 1
        unreadable += law.unreadable > 0
    assert seen[True] > COUNT // BATCHES // 5
    assert unreadable <= COUNT // BATCHES // 5  # what is told in words that the reader lacks is rare


@pytest.mark.parametrize("edit", HARMLESS)
def test_harmless_edits_change_nothing(edit: Callable[[Random, Pieces], Pieces]) -> None:
    rng = Random(SEED)
    tried = 0
    while tried < max(10, COUNT // 20):
        before = checked(random_pieces(rng))
        after = None if before is None else checked(edit(rng, before.pieces))
        if before is None or after is None:
            continue
        tried += 1
        found = Comparer().compare(before.side, after.side)
        assert found.is_empty, (before.pieces.text, after.pieces.text, found.subjects)


class _Law:
    """One comparison, held against brute force."""

    def __init__(self, before: Program, after: Program, found: Difference, shown: str) -> None:
        self._before = before
        self._after = after
        self._found = found
        self._shown = shown
        self._groups = {
            **_members(before.pieces),
            **({} if _members(before.pieces) == _members(after.pieces) else _both(before.pieces, after.pieces)),
        }
        self.unreadable = 0

    def check(self) -> bool:
        """Raises AssertionError; returns whether anything changed."""
        has_changed = False
        assert not any(one.undecided for one in self._found.subjects), self._shown
        old, new = self._before.model, self._after.model
        for key, port in old.ports.items():
            if port != new.ports[key]:
                has_changed |= self._check_port(key, list(BY_PORT[key]))
            else:
                assert not self._subject(key), self._shown
        assert self._found.is_empty is not has_changed, self._shown
        return has_changed

    def _check_port(self, key: Key, requests: list[Request]) -> bool:
        changed = self._check_access(key, requests)
        changed |= self._check_ways(key, [one for one in requests if one.source_ip == requests[0].source_ip])
        changed |= self._check_shadows(key, requests)
        changed |= self._check_declared(key)
        return changed | self._check_limits(key, requests)

    # ---- access -----------------------------------------------------------------------------------------------------

    def _check_access(self, key: Key, requests: list[Request]) -> bool:
        regions = [one for one in self._regions(key) if one.change is not Change.ROUTING]
        for region in regions:
            request = region.witness.request
            was, now = self._answers(request)
            assert was != now, (self._shown, region)
            assert kind_of(was, now) is region.change
        has_changed = False
        if self._before.model.ports[key].access == self._after.model.ports[key].access and not regions:
            same = self._before.model.ports[key].mtls is self._after.model.ports[key].mtls
            requests = requests[::50] if same else requests
        for request in requests:
            was, now = self._answers(request)
            kinds = {one.change for one in regions if self._lies_in(request, one.scope) is True}
            vague = {one.change for one in regions if self._lies_in(request, one.scope) is None}
            if was != now:
                has_changed = True
                assert kind_of(was, now) in kinds | vague, (self._shown, request, was, now, regions)
            elif _is_heard(was):
                assert not kinds, (self._shown, request, was, regions)
        assert has_changed or not regions or _needs_more(regions), (self._shown, regions)
        return has_changed or bool(regions)

    def _answers(self, request: Request) -> tuple[Answer, Answer]:
        return self._before.model.answer(request), self._after.model.answer(request)

    # ---- routing ----------------------------------------------------------------------------------------------------

    def _check_ways(self, key: Key, requests: list[Request]) -> bool:
        regions = [one for one in self._regions(key) if one.change is Change.ROUTING]
        settings = [one for one in self._settings(key) if one.name in _TRAVEL]
        for region in regions:
            was, now = self._ways(region.witness.request)
            assert was.action != now.action, (self._shown, region)
        for setting in settings:
            assert setting.witness is not None
            was, now = self._ways(setting.witness.request)
            assert was.settings[setting.name] != now.settings[setting.name], (self._shown, setting)
        for request in requests:
            was, now = self._ways(request)
            told = self._told(request, [one.scope for one in regions])
            assert told in {was.action != now.action, None}, (self._shown, request, was, now, regions)
            for name in was.settings.keys() & now.settings.keys():
                told = self._told(request, [one.scope or Scope() for one in settings if one.name == name])
                differs = was.settings[name] != now.settings[name]
                assert told in {differs, None}, (self._shown, name, request, was, now, settings)
        return bool(regions or settings)

    def _ways(self, request: Request) -> tuple[Way, Way]:
        return self._before.model.way(request), self._after.model.way(request)

    # ---- what is declared, limits, shadow rules ---------------------------------------------------------------------

    def _check_declared(self, key: Key) -> bool:
        old, new = self._before.model.ports[key], self._after.model.ports[key]
        values = {
            "connect-timeout": (old.settings.connect_timeout_ms, new.settings.connect_timeout_ms),
            "load-balance": (old.settings.load_balance, new.settings.load_balance),
            "circuit-breaker": (old.settings.circuit_breaker, new.settings.circuit_breaker),
            "mtls": (old.mtls, new.mtls),
        }
        differing = {name for name, (one, other) in values.items() if one != other}
        assert differing == {one.name for one in self._settings(key) if one.name in DECLARED}, self._shown
        return bool(differing)

    def _check_limits(self, key: Key, requests: list[Request]) -> bool:
        buckets = [
            sorted(_bucket(program.model, limit, requests) for limit in program.model.ports[key].limits)
            for program in (self._before, self._after)
        ]
        differs = buckets[0] != buckets[1]
        assert any(one.name == "rate-limit" for one in self._settings(key)) is differs, self._shown
        return differs

    def _check_shadows(self, key: Key, requests: list[Request]) -> bool:
        settings = [one for one in self._settings(key) if one.name.startswith("shadow ")]
        stages = [one for model in (self._before.model, self._after.model) for one in model.ports[key].access]
        for request in requests if settings or any(one.shadow for one in stages) else ():
            was, now = self._before.model.shadow(request), self._after.model.shadow(request)
            heard = all(_is_heard(one) for one in self._answers(request))
            for place, name in enumerate(("shadow deny", "shadow allow")):
                told = self._told(request, [one.scope or Scope() for one in settings if one.name == name])
                if heard:
                    assert told in {was[place] != now[place], None}, (self._shown, request, was, now, settings)
        return bool(settings)

    # ---- findings ---------------------------------------------------------------------------------------------------

    def _subject(self, key: Key) -> list[SettingChange | object]:
        return [*self._regions(key), *self._settings(key)]

    def _regions(self, key: Key):
        return [
            region
            for one in self._found.subjects
            if (one.subject.namespace, one.subject.service, one.subject.port) == key
            for region in one.regions
        ]

    def _settings(self, key: Key):
        return [
            setting
            for one in self._found.subjects
            if (one.subject.namespace, one.subject.service, one.subject.port) == key
            for setting in one.settings
        ]

    def _told(self, request: Request, scopes: list[Scope]) -> bool | None:
        """Whether a request lies in one of some scopes; None where that cannot be read."""
        found = [self._lies_in(request, one) for one in scopes]
        return True if True in found else None if None in found else False

    def _lies_in(self, request: Request, scope: Scope) -> bool | None:
        try:
            return lies_in(request, scope, self._groups)
        except UnreadableError:
            self.unreadable += 1
            return None


_TRAVEL = frozenset(
    ("fault", "fault abort", "headers", "timeout", "idle-timeout", "retry", "mirror", "rewrite path", "rewrite host")
)


def _is_heard(answer: Answer) -> bool:
    """Whether there was a connection."""
    return answer[0] is True or answer[2] or answer[1] is not None


def _needs_more(regions) -> bool:
    """Whether every region is about requests that the alphabet lacks: its witness is one."""
    known = set(ALPHABET)
    return all(one.witness.request not in known for one in regions)


def _bucket(model: Model, limit: RateLimit, requests: list[Request]) -> tuple[object, ...]:
    counted = tuple(number for number, one in enumerate(requests) if model.counts(limit, one))
    return limit.tokens, limit.per_ms, limit.burst, limit.per or "", counted


def _members(pieces: Pieces) -> dict[str, tuple[str, ...]]:
    namespaces = {"front": "a", "back": "a", "data": "b"}
    return {pieces.group: tuple(f"{namespaces[one]}.{one}" for one in pieces.members)}


def _both(old: Pieces, new: Pieces) -> dict[str, tuple[str, ...]]:
    """The groups as they are told apart where both programs call different sets by one name."""
    named = {f"{name} of old": members for name, members in _members(old).items()}
    return {**named, **{f"{name} of new": members for name, members in _members(new).items()}}
