"""Requests and decisions: what every engine is asked, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshc.ir import Destination, FaultAbort, FaultDelay, Mirror
from meshc.source import Span

Claim = str | int | float | bool | None | list["Claim"] | dict[str, "Claim"]
"""A JSON value in a token."""

DEFAULT_SOURCE_IP = "127.0.0.1"
"""The peer's address of a request that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request (on tcp and tls ports: one connection), as the sender puts it on the wire, before normalization.

    `identity` is the verified SPIFFE id of the caller, or None. `method` and `path` are None exactly on tcp and tls ports.
    `path` is the raw target with its query; `query` holds further parameters, which are appended to it. `headers` may
    repeat names. `host` is None for the destination's own name. `claims` are those of a well-signed, unexpired JWT, or
    None for no token; where they lack `iss` or `aud`, those of the port's first provider are meant. `port` is the service's.
    """

    identity: str | None
    namespace: str
    service: str
    port: int
    method: str | None = None
    path: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    host: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    claims: Mapping[str, Claim] | None = None
    source_ip: str = DEFAULT_SOURCE_IP
    sni: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to a request.

    `allowed` is None where the caller's own proxy answers and nobody asks. `status` is the status that a proxy itself
    answers, None where the request is sent on or the connection itself is refused. `rule` is the place of the access rule
    (or default) that decided, `route` that of the route. `shadow` lists the places of shadow rules that matched.
    """

    allowed: bool | None
    status: int | None = None
    rule: Span | None = None
    route: Span | None = None
    destinations: tuple[Destination, ...] = ()
    timeout_ms: int | None = None
    retries: int = 0
    mirrors: tuple[Mirror, ...] = ()
    faults: tuple[FaultDelay | FaultAbort, ...] = ()
    redirect: str | None = None
    shadow: tuple[Span, ...] = field(default=())
    reason: str = ""
    """A few words on what decided, such as `default access deny` or `no verified identity`; empty where a rule did."""
