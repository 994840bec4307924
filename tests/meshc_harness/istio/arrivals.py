"""What arrives at a workload's sidecar, and what its policies see of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from meshc_harness.istio.paths import normalized, split_target
from meshc_harness.istio.world import MeshSettings

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Address = IPv4Address | IPv6Address

SPACE_DELIMITED = ("scope", "permission")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A JWT where the request carries it: a header with what stands before the token there. Signed and unexpired if `valid`."""

    claims: Mapping[str, Json]
    valid: bool = True
    header: str = "authorization"
    prefix: str = "Bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request or connection as it comes over the wire.

    `certificate` is the SPIFFE id of a peer that speaks Istio's mTLS, None for one that does not. `target` and `method` are
    None for a connection to a port that is not HTTP. Header lines are in order; `authority` is `:authority` or Host.
    """

    peer: str = "127.0.0.1"
    certificate: str | None = None
    sni: str | None = None
    method: str | None = None
    target: str | None = None
    authority: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    token: Token | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What RBAC sees. `headers` are the values to compare, by names in lower case; `payload` is that of an accepted token."""

    principal: str | None
    peer: Address
    client: Address
    port: int
    sni: str
    method: str = ""
    path: str = ""
    authority: str = ""
    headers: Mapping[str, tuple[str, ...]] | None = None
    payload: Mapping[str, Json] | None = None


def seen_of(arrival: Arrival, port: int, settings: MeshSettings, payload: Mapping[str, Json] | None) -> Seen:
    """Raises BadTargetError for a request that is answered with 400."""
    peer = ip_address(arrival.peer)
    principal = arrival.certificate
    # Within Istio's own mTLS, the hello that the server sees is that of the caller's sidecar.
    sni = (arrival.sni or "").lower() if principal is None else f"outbound_.{port}_._.mesh"
    if arrival.method is None or arrival.target is None:
        return Seen(principal=principal, peer=peer, client=peer, port=port, sni=sni)
    headers = header_values(arrival.headers, joins_lines=settings.joins_lines)
    forwarded_for = header_values(arrival.headers, joins_lines=True).get("x-forwarded-for", ("",))[0]
    path = normalized(split_target(arrival.target)[0], settings.normalization)
    return Seen(
        principal=principal,
        peer=peer,
        client=_client(peer, forwarded_for, settings.trusted_proxies),
        port=port,
        sni=sni,
        method=arrival.method,
        path=path,
        authority=arrival.authority,
        headers=headers,
        payload=None if payload is None else _split_claims(payload),
    )


def header_values(lines: tuple[tuple[str, str], ...], *, joins_lines: bool) -> dict[str, tuple[str, ...]]:
    """Values by name, blanks around each line's value trimmed; several lines are one value with commas if `joins_lines`."""
    found: dict[str, list[str]] = {}
    for name, value in lines:
        found.setdefault(name.lower(), []).append(value.strip(" \t"))
    if not joins_lines:
        return {name: tuple(values) for name, values in found.items()}
    return {
        name: (",".join(value for value in values if value or name != "x-forwarded-for"),)
        for name, values in found.items()
    }


def _client(peer: Address, forwarded_for: str, trusted: int) -> Address:
    """The client's address: of X-Forwarded-For the entry `trusted` from the right, the last without any trusted proxy."""
    entries = [] if not forwarded_for else forwarded_for.split(",")
    at = max(trusted, 1)
    if len(entries) < at:
        return peer
    try:
        return ip_address(entries[-at].strip())
    except ValueError:
        return peer


def _split_claims(payload: Mapping[str, Json]) -> dict[str, Json]:
    """Claims that are lists written with blanks, as the lists that they are."""
    found = dict(payload)
    for name in SPACE_DELIMITED:
        value = found.get(name)
        if isinstance(value, str):
            found[name] = [part for part in value.split(" ") if part]
    return found
