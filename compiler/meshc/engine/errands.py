"""Errands: the requests that a scene is asked to send, and what it must have ready for them."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from meshc.engine.translate import EngineError
from meshc.request import DEFAULT_SOURCE_IP, Request
from meshc.semantics.decide import Evaluator, destinations_of, first_route, judged_ports, own_answer
from meshc.semantics.normalize import Malformed
from meshc.semantics.routing import active_faults, leaving_request


class Way(Enum):
    """How a request is sent: straight to the server's sidecar, or through the caller's, which routes it."""

    DIRECT = "direct"
    ROUTED = "routed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One request to send, and how."""

    request: Request
    way: Way


def way_to_judge(evaluator: Evaluator, request: Request) -> Way:
    """How to send a request to learn whether it is allowed.

    Straight to the server's sidecar, so that the server's enforcement is what is judged; but through the caller's where
    another request than was sent would arrive there, or none: routed elsewhere, changed, or answered on the way.
    """
    key = (request.namespace, request.service, request.port)
    port = evaluator.port(key)
    if port is None or all(request.identity != workload.identity for workload in evaluator.mesh.workloads):
        return Way.DIRECT
    facts = evaluator.observe(port, request)
    compiled = None if isinstance(facts, Malformed) else first_route(port, facts)
    if isinstance(facts, Malformed) or compiled is None:
        return Way.DIRECT
    route = compiled.route
    is_answered = own_answer(route, active_faults(compiled.faults, facts), facts) is not None
    is_changed = leaving_request(route.settings, route.path, facts) != facts
    is_elsewhere = any(one != key for one in judged_ports(destinations_of(route, request)))
    return Way.ROUTED if is_answered or is_changed or is_elsewhere else Way.DIRECT


def visits_of(errands: Sequence[Errand]) -> Mapping[str, Sequence[str]]:
    """The source addresses, but for the usual one, of requests that are to pass their callers' sidecars, by identity.

    Raises EngineError for one that this machine cannot send from.
    """
    found: dict[str, dict[str, None]] = {}
    for errand in errands:
        request = errand.request
        if errand.way is Way.ROUTED and request.identity is not None and request.source_ip != DEFAULT_SOURCE_IP:
            found.setdefault(request.identity, {})[request.source_ip] = None
    for address in {address for addresses in found.values() for address in addresses}:
        _check_source(address)
    return {identity: tuple(addresses) for identity, addresses in found.items()}


def _check_source(address: str) -> None:
    if ip_address(address).version == 6:
        raise EngineError(f"sidecars reach each other over IPv4 here, so none can send from {address}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise EngineError(f"cannot send from {address} on this machine: {error.strerror}") from error
