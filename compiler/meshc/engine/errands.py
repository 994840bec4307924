"""Errands: the requests that a scene is asked to send, and what it must have ready for them."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from meshc.engine.translate import EngineError
from meshc.request import DEFAULT_SOURCE_IP, Request


class Way(Enum):
    """How a request is sent: straight to the server's sidecar, or through the caller's, which routes it."""

    DIRECT = "direct"
    ROUTED = "routed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One request to send, and how."""

    request: Request
    way: Way


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
