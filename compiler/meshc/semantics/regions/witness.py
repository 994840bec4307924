"""Witnesses: an assignment of classes -> a concrete request, as its sender puts it on the wire."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from meshc.ir import Protocol
from meshc.request import DEFAULT_SOURCE_IP, Decision, Request
from meshc.semantics.languages import Universe, as_sent
from meshc.semantics.regions.aspects import FORWARDED, Aspects
from meshc.semantics.regions.ports import Outcome, PortSide
from meshc.semantics.regions.variables import YES, Variable

_SOME_CLIENT: Final = "192.0.2.1"
"""A hop in `x-forwarded-for` that nobody asks for. Source: RFC 5737."""


def request_to(sides: Sequence[PortSide], aspects: Aspects, assignment: Sequence[int]) -> Request:
    """A request to the first of some ports with these classes. What no variable is about is as plain as can be.

    It has a method and a path if any of the ports sees requests.
    """
    side = sides[0]
    namespace, service, port = side.key
    name = _value(aspects.server_name, assignment)
    request = Request(
        identity=_identity(side, aspects, assignment),
        namespace=namespace,
        service=service,
        port=port,
        source_ip=_value(aspects.peer, assignment) or DEFAULT_SOURCE_IP,
        sni=name if name is None or side.is_http else as_sent(name, Universe.SERVER_NAME),
    )
    return _with_http(request, sides, aspects, assignment) if any(one.is_http for one in sides) else request


def _with_http(request: Request, sides: Sequence[PortSide], aspects: Aspects, assignment: Sequence[int]) -> Request:
    host = _value(aspects.host, assignment)
    is_own = all(host == side.default_host for side in sides)
    queries = ((name, _value(variable, assignment)) for name, variable in aspects.queries.items())
    usual = "POST" if sides[0].port.protocol is Protocol.GRPC else "GET"
    return replace(
        request,
        method=_value(aspects.method, assignment) or usual,
        path=as_sent(_value(aspects.path, assignment) or "/", Universe.PATH),
        headers=tuple(_headers(aspects, assignment)),
        host=None if host is None or is_own else as_sent(host, Universe.HOST),
        query=tuple((name, text) for name, text in queries if text is not None),
        claims=None if aspects.token is None else aspects.token.value(assignment),
    )


def _identity(side: PortSide, aspects: Aspects, assignment: Sequence[int]) -> str | None:
    if aspects.caller is not None or not side.is_external:
        return _value(aspects.caller, assignment)
    # Requests to externals leave through sidecars, so they come from some workload.
    return next((one.identity for one in side.mesh.workloads), None)


def _value(variable: Variable | None, assignment: Sequence[int]) -> str | None:
    return None if variable is None else variable.values[assignment[variable.level]]


def _headers(aspects: Aspects, assignment: Sequence[int]) -> Iterator[tuple[str, str]]:
    clients = {hops: variable.values[assignment[variable.level]] for hops, variable in aspects.clients.items()}
    if clients:
        # The entry that is `hops` from the right is the client's.
        yield FORWARDED, ", ".join(clients.get(hops) or _SOME_CLIENT for hops in range(max(clients), 0, -1))
    for name, header in aspects.headers.items():
        if 1 << assignment[header.present.level] == YES:
            passed = sum(1 << place for place, one in enumerate(header.passing) if assignment[one.level])
            yield from ((name, text) for text in header.chosen(passed))


def is_outcome(decision: Decision, outcome: Outcome) -> bool:
    """Whether a decision of `semantics.decide` is this outcome."""
    match outcome:
        case Outcome.ALLOWED:
            return decision.allowed is True
        case Outcome.UNAUTHENTICATED:
            return decision.allowed is False and decision.status == 401
        case Outcome.FORBIDDEN:
            # A connection is closed without a status; that it was a rule or default is seen by its place.
            return decision.allowed is False and decision.status in {403, None} and decision.rule is not None
        case Outcome.NO_CONNECTION:
            return decision.allowed is False and decision.status is None and decision.rule is None
