"""Near: requests just outside of a clause, made from one inside of it by the least that might matter.

`/charge/` for `/charge`, one method over, the address next to a block, a header left out. Whether such a request really shows
the clause from outside is for the caller to check: these are guesses that people would make.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from meshc.ir import (
    AddressIn,
    AddressOf,
    ClaimIs,
    Condition,
    HeaderIs,
    IpBlock,
    Mesh,
    MethodIs,
    PathIs,
    Protocol,
    QueryIs,
)
from meshc.request import Claim, Request

METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")
"""The methods that people know best, the best known first."""


def just_outside(test: Condition | None, inside: Request, mesh: Mesh, protocol: Protocol) -> Iterator[Request]:
    """Requests like one that a clause holds for, for which its test might not; the nearest first. None is a test of the caller."""
    match test:
        case None:
            # A service that calls itself is a poor example where there is another.
            own = (inside.namespace, inside.service)
            others = sorted(mesh.workloads, key=lambda one: (one.namespace, one.name) == own)
            yield from (replace(inside, identity=one.identity) for one in others)
        case PathIs():
            for path in _paths(inside.path or "/", protocol):
                yield replace(inside, path=path)
        case MethodIs():
            for method in METHODS:
                yield replace(inside, method=method)
        case AddressIn(address=AddressOf.PEER, blocks=blocks):
            for block in blocks:
                yield from (replace(inside, source_ip=address) for address in _beside(block))
        case HeaderIs(name=name):
            yield replace(inside, headers=tuple(one for one in inside.headers if one[0] != name))
            yield replace(
                inside, headers=tuple((key, f"{value}x" if key == name else value) for key, value in inside.headers)
            )
        case QueryIs(name=name):
            yield replace(inside, query=tuple(one for one in inside.query if one[0] != name))
            yield replace(
                inside, query=tuple((key, f"{value}x" if key == name else value) for key, value in inside.query)
            )
        case ClaimIs(path=path):
            yield replace(inside, claims=_without(inside.claims, path))
        case _:
            return


def _paths(path: str, protocol: Protocol) -> Iterator[str]:
    path = path.partition("?")[0]
    if protocol is not Protocol.GRPC and not path.endswith("/"):
        yield f"{path}/"
    yield f"{path}x"
    yield f"{path.removesuffix('/')}/x"
    yield path.removesuffix("/").rpartition("/")[0] or "/"


def _beside(block: IpBlock) -> Iterator[str]:
    """The addresses right after and right before a block."""
    first, last = int(block.network_address), int(block.broadcast_address)
    size = block.max_prefixlen // 8
    for number in (last + 1, first - 1):
        if 0 <= number < 1 << block.max_prefixlen:
            yield str(ip_address(number.to_bytes(size, "big")))


def _without(claims: object, path: tuple[str, ...]) -> dict[str, Claim] | None:
    """The claims but one; where none is left, no token."""
    if not isinstance(claims, dict):
        return None
    name, *inner = path
    kept: dict[str, Claim] = {key: value for key, value in claims.items() if key != name}
    if inner and isinstance(claims.get(name), dict):
        rest = _without(claims[name], tuple(inner))
        kept |= {} if rest is None else {name: rest}
    return kept or None
