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
    method: Variable | None
    path: Variable | None
    host: Variable | None
    server_name: Variable | None
    peer: Variable | None
    clients: Mapping[int, Variable]
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
    """Puts variables one after the other."""

    def __init__(self) -> None:
        self.ordered: list[Variable] = []

    @property
    def level(self) -> int:
        """The level of the next variable."""
        return len(self.ordered)

    def add(self, part: Part) -> Part:
        if isinstance(part, Variable):
            self.ordered.append(part)
        else:
            self.ordered += part.variables
        return part


def build_aspects(sides: Sequence[PortSide], literals: Literals) -> Aspects:
    """The variables for some ports and all that is looked at. Raises TooComplexError where it cannot be told exactly."""
    _check_separate(sides, literals)
    builder = _Builder()
    host = sides[0].default_host
    named = next((one.identity for one in literals.callers if isinstance(one, ExactIdentity)), None)
    caller = builder.add(caller_variable(builder.level, tuple(literals.callers), named)) if literals.callers else None
    method = None
    if literals.methods:
        method = builder.add(method_variable(builder.level, tuple(literals.methods), sides[0].port.protocol))
    path = builder.add(path_variable(builder.level, tuple(literals.paths))) if literals.paths else None
    peer = None
    if literals.peers:
        peer = builder.add(address_variable(builder.level, AddressOf.PEER, tuple(literals.peers)))
    clients = {
        hops: builder.add(address_variable(builder.level, AddressOf.CLIENT, tuple(blocks)))
        for hops, blocks in sorted(literals.clients.items())
    }
    named_host = builder.add(host_variable(builder.level, tuple(literals.hosts), host)) if literals.hosts else None
    server_name = None
    if literals.server_names:
        may_lack = not any(side.is_external and not side.is_http for side in sides)
        names = tuple(literals.server_names)
        server_name = builder.add(server_name_variable(builder.level, names, may_lack=may_lack))
    token = builder.add(token_variables(builder.level, literals)) if literals.issuers else None
    queries = {
        name: builder.add(query_variable(builder.level, name, tuple(tests))) for name, tests in literals.queries.items()
    }
    headers = {
        name: builder.add(header_variables(builder.level, name, tuple(tests)))
        for name, tests in literals.headers.items()
    }
    return Aspects(
        caller=caller,
        method=method,
        path=path,
        host=named_host,
        server_name=server_name,
        peer=peer,
        clients=clients,
        token=token,
        queries=queries,
        headers=headers,
        ordered=tuple(builder.ordered),
    )


def _check_separate(sides: Sequence[PortSide], literals: Literals) -> None:
    """Refuse what is looked at in two ways of which neither leaves the other free."""
    if literals.clients and FORWARDED in literals.headers:
        raise TooComplexError(f"`remote ip` and the header `{FORWARDED}` are tested together")
    if literals.server_names and len({side.is_http for side in sides}) > 1:
        raise TooComplexError("`sni` is tested, and the port is an http port on one side alone")
