"""Aspects: all variables of a space of requests, in their order, and which of their classes occur together.

The order decides how large diagrams get. Callers come first: a rule names few of them, so that each caller has a small diagram of
his own, and callers with the same rights share one. What only few rules test comes last. `docs/decisions/007-regions.md` has
figures. Headers come after everything else: their tests can hold in any combination, so above other variables they would
multiply them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from meshc.ir import AddressOf, ExactIdentity
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.callers import caller_variable
from meshc.semantics.regions.forest import Forest, Node
from meshc.semantics.regions.literals import Literals
from meshc.semantics.regions.networks import address_variable
from meshc.semantics.regions.ports import PortSide
from meshc.semantics.regions.texts import (
    HeaderVariables,
    header_variables,
    host_variable,
    method_variable,
    path_variable,
    query_variable,
    server_name_variable,
)
from meshc.semantics.regions.tokens import TokenVariables, token_variables
from meshc.semantics.regions.variables import Variable

FORWARDED = "x-forwarded-for"

Part = TypeVar("Part", Variable, HeaderVariables, TokenVariables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspects:
    """The variables by what they are of; None for what no rule and no question looks at.

    `clients` are by the number of trusted hops. `ordered[level]` is the variable of a level.
    """

    caller: Variable | None
    path: Variable | None
    method: Variable | None
    peer: Variable | None
    clients: Mapping[int, Variable]
    host: Variable | None
    server_name: Variable | None
    token: TokenVariables | None
    queries: Mapping[str, Variable]
    headers: Mapping[str, HeaderVariables]
    ordered: tuple[Variable, ...]

    def feasible(self, forest: Forest) -> Node:
        """The assignments that are of some request."""
        return forest.all_of(self._constraints(forest))

    def _constraints(self, forest: Forest) -> Iterator[Node]:
        if self.token is not None:
            yield from self.token.feasible(forest)
        for header in self.headers.values():
            yield header.feasible(forest)


class _Builder:
    """Puts variables one after the other, in the order in which it is asked for them."""

    def __init__(self, sides: Sequence[PortSide], literals: Literals) -> None:
        self._sides = sides
        self._literals = literals
        self.ordered: list[Variable] = []

    def _add(self, part: Part) -> Part:
        self.ordered += (part,) if isinstance(part, Variable) else part.variables
        return part

    @property
    def _level(self) -> int:
        return len(self.ordered)

    def caller(self) -> Variable | None:
        tests = tuple(self._literals.callers)
        named = next((one.identity for one in tests if isinstance(one, ExactIdentity)), None)
        return self._add(caller_variable(self._level, tests, named)) if tests else None

    def method(self) -> Variable | None:
        methods, protocol = tuple(self._literals.methods), self._sides[0].port.protocol
        return self._add(method_variable(self._level, methods, protocol)) if methods else None

    def path(self) -> Variable | None:
        patterns = tuple(self._literals.paths)
        return self._add(path_variable(self._level, patterns)) if patterns else None

    def peer(self) -> Variable | None:
        blocks = tuple(self._literals.peers)
        return self._add(address_variable(self._level, AddressOf.PEER, blocks)) if blocks else None

    def clients(self) -> Mapping[int, Variable]:
        return {
            hops: self._add(address_variable(self._level, AddressOf.CLIENT, tuple(blocks)))
            for hops, blocks in sorted(self._literals.clients.items())
        }

    def host(self) -> Variable | None:
        tests = tuple(self._literals.hosts)
        return self._add(host_variable(self._level, tests, self._sides[0].default_host)) if tests else None

    def server_name(self) -> Variable | None:
        tests = tuple(self._literals.server_names)
        # Callers' proxies always send a server name to externals that they open no requests to.
        may_lack = not any(side.is_external and not side.is_http for side in self._sides)
        return self._add(server_name_variable(self._level, tests, may_lack=may_lack)) if tests else None

    def token(self) -> TokenVariables | None:
        return self._add(token_variables(self._level, self._literals)) if self._literals.issuers else None

    def queries(self) -> Mapping[str, Variable]:
        named = self._literals.queries.items()
        return {name: self._add(query_variable(self._level, name, tuple(tests))) for name, tests in named}

    def headers(self) -> Mapping[str, HeaderVariables]:
        named = self._literals.headers.items()
        return {name: self._add(header_variables(self._level, name, tuple(tests))) for name, tests in named}


def build_aspects(sides: Sequence[PortSide], literals: Literals) -> Aspects:
    """The variables for some ports and all that is looked at. Raises TooComplexError where it cannot be told exactly."""
    _check_separate(sides, literals)
    builder = _Builder(sides, literals)
    # INVARIANT: keyword arguments are evaluated from left to right, so this is the order of the variables.
    return Aspects(
        caller=builder.caller(),
        path=builder.path(),
        method=builder.method(),
        peer=builder.peer(),
        clients=builder.clients(),
        host=builder.host(),
        server_name=builder.server_name(),
        token=builder.token(),
        queries=builder.queries(),
        headers=builder.headers(),
        ordered=tuple(builder.ordered),
    )


def _check_separate(sides: Sequence[PortSide], literals: Literals) -> None:
    """Refuse what is looked at in two ways of which neither leaves the other free."""
    if literals.clients and FORWARDED in literals.headers:
        raise TooComplexError(f"`remote ip` and the header `{FORWARDED}` are tested together")
    if literals.server_names and len({side.is_http for side in sides}) > 1:
        raise TooComplexError("`sni` is tested, and the port is an http port on one side alone")
