"""Where requests go: the endpoints of every destination, the choice among them, and their connections."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from meshc.ir import BalancePolicy, Destination, External, LoadBalance, Mesh, MtlsMode, PortPolicy, Protocol, Workload
from meshc.site import Address, Peer, Site
from meshc.target import PortKey
from meshc_proxy.io.pool import CONNECT_S, HTTP1, HTTP2, Endpoint, Pool
from meshc_proxy.io.secrets import Secrets
from meshc_proxy.wire.bridge import value_of
from meshc_proxy.wire.events import RequestHead
from meshc_proxy.wire.spiffe import SpiffeId

_MOST_POOLS: Final = 4096
"""How many endpoints have connections of their own at once: hosts behind a wildcard are of the callers' choosing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """What a balancer may look at besides the endpoints: the request's head, and the caller's address."""

    head: RequestHead | None
    address: str


class Upstreams:
    """The destinations of one sidecar, for one generation of its configuration."""

    def __init__(self, mesh: Mesh, site: Site, secrets: Secrets, *, most_pools: int | None = None) -> None:
        owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
        self._owners = {(one.namespace, one.name, port.number): (one, port) for one in owners for port in one.ports}
        self._site = site
        self._secrets = secrets
        self._most_pools = most_pools
        self._pools: dict[tuple[PortKey, Address, str | None], Pool] = {}
        self._leaving: list[Pool] = []
        self._turns: dict[tuple[PortKey, str | None], int] = {}
        self._applications: dict[int, Pool] = {}

    def choose(
        self, destination: Destination, host: str | None, chooser: Chooser, tried: frozenset[Address]
    ) -> Endpoint | None:
        """An endpoint of the destination, rather one that was not tried; None where it has none."""
        key = (destination.namespace, destination.service, destination.port)
        owner, port = self._owners[key]
        peers = list(self._meant(key, owner, destination.version, host))
        if not peers:
            return None
        fresh = [one for one in peers if one.address not in tried] or peers
        peer = self._pick((key, destination.version), fresh, port.settings.load_balance, chooser)
        return self._endpoint(owner, port, peer, host)

    def pool(self, destination: Destination, endpoint: Endpoint) -> Pool:
        """The connections to an endpoint."""
        line = (destination.namespace, destination.service, destination.port)
        # Names of one address may be sites of different owners: a connection that was verified for one is not the other's.
        key = (line, endpoint.address, endpoint.server_name)
        found = self._pools.pop(key, None)
        if found is None:
            self._make_room()
            found = Pool(endpoint)
        self._pools[key] = found
        return found

    def _make_room(self) -> None:
        """Part with the connections that were used the longest ago; what is under way on them may finish."""
        if len(self._pools) >= (self._most_pools or _MOST_POOLS):
            oldest = self._pools.pop(next(iter(self._pools)))
            oldest.close()
            self._leaving = [one for one in (*self._leaving, oldest) if not one.is_over]

    def application(self, port: PortPolicy, address: Address) -> Pool:
        """The connections to the own application's port."""
        found = self._applications.get(port.number)
        if found is None:
            found = self._applications[port.number] = Pool(Endpoint(address=address, protocols=_spoken(port.protocol)))
        return found

    def close(self) -> None:
        """Keep no connection that is idle; what is under way may finish."""
        for pool in (*self._pools.values(), *self._applications.values()):
            pool.close()

    async def abort(self) -> None:
        """End every connection."""
        for pool in (*self._leaving, *self._pools.values(), *self._applications.values()):
            await pool.abort()

    def _meant(self, key: PortKey, owner: Workload | External, version: str | None, host: str | None) -> Iterator[Peer]:
        peers = self._site.peers.get(key, ())
        if isinstance(owner, External):
            wanted = host if host in owner.hosts else _pattern(owner.hosts, host)
            yield from (one for one in peers if one.host == wanted)
        elif version is not None:
            yield from (one for one in peers if one.version == version)
        else:
            # Names that stand for one version are further ways to endpoints that the service's own name leads to, too.
            unversioned = [one for one in peers if one.version is None]
            yield from unversioned or peers

    def _pick(
        self, line: tuple[PortKey, str | None], fresh: list[Peer], balance: LoadBalance | None, chooser: Chooser
    ) -> Peer:
        hashed = None if balance is None else _hash_key(balance, chooser)
        if hashed is not None:
            return max(fresh, key=lambda one: _score(hashed, one))
        if balance is not None and balance.policy is BalancePolicy.RANDOM:
            return random.choices(fresh, [one.weight for one in fresh])[0]  # noqa: S311  no secret depends on it
        expanded = [one for one in fresh for _ in range(min(one.weight, 1000))] if _uneven(fresh) else fresh
        turn = self._turns.get(line, random.randrange(len(expanded)))  # noqa: S311
        self._turns[line] = turn + 1
        return expanded[turn % len(expanded)]

    def _endpoint(self, owner: Workload | External, port: PortPolicy, peer: Peer, host: str | None) -> Endpoint:
        connect_ms = port.settings.connect_timeout_ms
        plain = Endpoint(
            address=_resolved(peer.address, host, port),
            protocols=_spoken(port.protocol),
            source=self._site.source,
            connect_s=CONNECT_S if connect_ms is None else connect_ms / 1000.0,
        )
        if isinstance(owner, External):
            if port.protocol is not Protocol.HTTPS:
                return plain
            name = port.settings.tls_sni or host or owner.hosts[0]
            ca_file = port.settings.tls_ca_file
            return replace(
                plain,
                secure=lambda: self._secrets.call_out(name, plain.protocols, ca_file),
                server_name=name,
            )
        if port.mtls is MtlsMode.OFF or port.protocol is Protocol.TLS:
            return plain
        return replace(
            plain,
            secure=lambda: self._secrets.call(plain.protocols),
            server=SpiffeId.parse(owner.identity),
        )


def _pattern(hosts: tuple[str, ...], host: str | None) -> str | None:
    """The host of an external that a host is one of; without any, its first."""
    if host is None:
        return hosts[0]
    fitting = [one for one in hosts if one.startswith("*.") and host.endswith(one[1:])]
    return max(fitting, key=len) if fitting else hosts[0]


def _resolved(address: Address, host: str | None, port: PortPolicy) -> Address:
    """Behind a wildcard, the host that was asked for is where to connect."""
    if address.host.startswith("*.") and host is not None:
        return Address(host=host, port=port.number)
    return address


def _spoken(protocol: Protocol) -> tuple[str, ...]:
    match protocol:
        case Protocol.HTTP:
            return (HTTP1,)
        case Protocol.HTTP2 | Protocol.GRPC:
            return (HTTP2,)
        case Protocol.HTTPS:
            return (HTTP2, HTTP1)
        case Protocol.TCP | Protocol.TLS:
            return ()


def _uneven(peers: list[Peer]) -> bool:
    return any(one.weight != peers[0].weight for one in peers)


def _hash_key(balance: LoadBalance, chooser: Chooser) -> bytes | None:
    """What decides where a request goes, if it has it."""
    match balance.hash_kind:
        case "source-ip":
            return chooser.address.encode()
        case "header" if chooser.head is not None and balance.hash_name is not None:
            return value_of(chooser.head.headers, balance.hash_name.lower().encode())
        case "cookie" if chooser.head is not None and balance.hash_name is not None:
            return _cookie(chooser.head, balance.hash_name.encode())
        case _:
            return None


def _cookie(head: RequestHead, name: bytes) -> bytes | None:
    for key, value in head.headers:
        if key == b"cookie":
            for part in value.split(b";"):
                found, equals, content = part.strip().partition(b"=")
                if equals and found == name:
                    return content.strip(b'"')
    return None


def _score(hashed: bytes, peer: Peer) -> float:
    """Rendezvous hashing: each endpoint draws for each key, by its weight, and the highest draw wins."""
    digest = hashlib.blake2b(hashed + b"\0" + str(peer.address).encode(), digest_size=8).digest()
    drawn = (int.from_bytes(digest) + 1) / 2**64
    return float(drawn ** (1.0 / max(peer.weight, 1)))
