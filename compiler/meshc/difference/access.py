"""Access to one port, compared exactly: which requests are let through on one side alone, or refused in another way.

Judged is what reaches the port, wherever a caller's routes would have sent it: what routing brings there is routing's to say.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from meshc.difference.examples import Examples
from meshc.difference.model import Answer, Blame, Change, Presence, Region, Side, Undecided
from meshc.difference.naming import Naming
from meshc.difference.phrases import Phrases
from meshc.difference.pieces import Piece, pieces_of
from meshc.difference.ports import Ports
from meshc.errors import InternalError
from meshc.ir import Effect, Rule, Stage
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.alike import is_alike
from meshc.semantics.regions.diagram import Diagram, any_region
from meshc.semantics.regions.diagram import Region as Requests
from meshc.semantics.regions.ports import Cause, Outcome, PortSide
from meshc.semantics.regions.space import Space
from meshc.semantics.show import show_rule_body

ACCESS: Final = (Change.OPENED, Change.CLOSED, Change.CHANGED)

NO_PORT: Final = Answer(text="no such port")

_BEFORE_RULES: Final = (Outcome.NO_CONNECTION, Outcome.UNAUTHENTICATED)

Pair = tuple[Outcome, Outcome]


def access_regions(ports: Ports) -> tuple[tuple[Region, ...], tuple[Undecided, ...]]:
    """The regions on which the two sides differ, of each kind the largest first, and what could not be decided."""
    if is_alike(ports.old, ports.new):
        return (), ()
    try:
        return _Comparison(ports).all()
    except TooComplexError as error:
        return (), (Undecided(changes=ACCESS, reason=error.reason),)


class _Comparison:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._space = Space.of((ports.new, ports.old))
        self._phrases = Phrases(aspects=self._space.aspects, naming=ports.naming)
        self._examples = Examples(self._space, ports.naming, (ports.new, ports.old))

    def all(self) -> tuple[tuple[Region, ...], tuple[Undecided, ...]]:
        space = self._space
        old, new = space.outcomes(self._ports.old), space.outcomes(self._ports.new)
        pairs: Diagram[Pair | None] = old.zip_with(new, _pair, same=None)
        # Callers who get a connection on neither side, and tokens that neither side accepts, are not worth a word.
        unheard = [_refused(old, outcome) & _refused(new, outcome) for outcome in _BEFORE_RULES]
        heard = space.feasible - any_region(space.forest, unheard)
        found: list[tuple[int, Region]] = []
        undecided: list[Undecided] = []
        for pair in sorted(filter(None, pairs.values()), key=_order):
            region = pairs.where(frozenset((pair,)).__contains__)
            try:
                pieces = pieces_of(region, heard, self._examples.preferred)
            except TooComplexError as error:
                undecided.append(Undecided(changes=(_change(pair),), reason=f"it differs, and {error.reason}"))
                continue
            found += ((piece.size, self._region(pair, piece)) for piece in pieces)
        found.sort(key=lambda one: (ACCESS.index(one[1].change), -one[0]))
        return tuple(region for _, region in found), tuple(undecided)

    def _region(self, pair: Pair, piece: Piece) -> Region:
        ports = self._ports
        added, removed = (ports.presence is one for one in (Presence.ADDED, Presence.REMOVED))
        return Region(
            change=_change(pair),
            scope=self._phrases.scope(piece.wanted),
            old=NO_PORT if added else self._answer(pair[0], ports.old, ports.old_side, piece.inside),
            new=NO_PORT if removed else self._answer(pair[1], ports.new, ports.new_side, piece.inside),
            witness=self._examples.access_witness(piece.inside, ports, pair),
        )

    def _answer(self, outcome: Outcome, port: PortSide, side: Side, inside: Requests) -> Answer:
        causes = values_inside(self._space.causes(port), inside)
        found = sorted((one for one in causes if one is not None), key=lambda one: (one.stage or 0, one.rule or 0))
        return Answer(text=_outcome_text(outcome, port), blame=tuple(self._blame(found, port, side)))

    def _blame(self, causes: Iterable[Cause], port: PortSide, side: Side) -> Iterator[Blame]:
        for cause in causes:
            if cause.stage is None:
                if cause.outcome is Outcome.ALLOWED:
                    yield Blame(text="default access allow")
                continue
            stage = port.port.access[cause.stage]
            if cause.rule is not None:
                yield rule_blame(stage, stage.rules[cause.rule], side, self._ports.naming)
            elif stage.rules:
                yield Blame(text="no allow rule fits", place=side.place(stage.span))
            else:
                yield Blame(text="default access deny", place=side.place(stage.span))


def rule_blame(stage: Stage, rule: Rule, side: Side, naming: Naming) -> Blame:
    """A rule as it would be written, with its place."""
    effect = f"{'shadow ' if stage.shadow else ''}{'deny' if stage.effect is Effect.DENY else 'allow'}"
    body = show_rule_body(rule.principals, rule.condition, naming.names)
    return Blame(text=f"{effect} {body}", because=rule.because or "", place=side.place(rule.span))


def values_inside(diagram: Diagram[Cause | None], region: Requests) -> frozenset[Cause | None]:
    """The values that a diagram has on a region."""
    forest = diagram.forest
    outside = forest.terminal(None)
    root = forest.combine(diagram.root, region.root, lambda value, inside: value if inside == forest.true else outside)
    found: Diagram[Cause | None] = Diagram(forest, root)
    return found.values()


def _pair(old: Outcome | None, new: Outcome | None) -> Pair | None:
    if old is None or new is None:
        raise InternalError("the two sides do not agree on which requests there are")
    return old, new


def _refused(outcomes: Diagram[Outcome | None], how: Outcome) -> Requests:
    return outcomes.where(lambda outcome: outcome is how)


def _change(pair: Pair) -> Change:
    if pair[1] is Outcome.ALLOWED:
        return Change.OPENED
    return Change.CLOSED if pair[0] is Outcome.ALLOWED else Change.CHANGED


def _order(pair: Pair) -> tuple[str, str]:
    return pair[0].value, pair[1].value


def _outcome_text(outcome: Outcome, port: PortSide) -> str:
    match outcome:
        case Outcome.ALLOWED:
            return "allowed"
        case Outcome.FORBIDDEN:
            return "403" if port.is_http else "refused"
        case Outcome.NO_CONNECTION | Outcome.UNAUTHENTICATED:
            return str(outcome.value)
