"""What every sidecar of a mesh looks up, made once for all of them: names, listener ports, and who may reach whom.

Without it each of n sidecars would go through all n services.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from meshc import ir
from meshc.addresses import ordered_ports, tcp_listener_ports
from meshc.target import PortKey
from meshc_envoy.reach import identity_at, may_reach, route_destinations, visible_routes

Peer = tuple[ir.Workload, ir.PortPolicy]
Outside = tuple[ir.External, ir.PortPolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The tables of one mesh.

    `tcp_ports` are the outbound ports of tcp and tls destinations, `namesakes` the workloads of each name. `peers` and
    `externals` are all destinations in order, and `owners` finds each by its key. `named` gives, for an identity, the
    places in them of those that lead to a port whose rules name it, `open_to_many` the places of those that lead to one
    whose rules name nobody in particular: a port leads to itself, or to where its routes send. `places` has the place of each.
    """

    mesh: ir.Mesh
    tcp_ports: Mapping[str, int]
    namesakes: Mapping[str, tuple[ir.Workload, ...]]
    peers: tuple[Peer, ...]
    externals: tuple[Outside, ...]
    owners: Mapping[PortKey, Peer | Outside]
    places: Mapping[PortKey, int]
    named: Mapping[str, tuple[int, ...]]
    open_to_many: tuple[int, ...]

    @classmethod
    def of(cls, mesh: ir.Mesh) -> Self:
        """The directory of a mesh."""
        peers = tuple((workload, port) for workload in mesh.workloads for port in ordered_ports(workload.ports))
        externals = tuple((external, port) for external in mesh.externals for port in ordered_ports(external.ports))
        everything: tuple[Peer | Outside, ...] = (*peers, *externals)
        owners = {(one[0].namespace, one[0].name, one[1].number): one for one in everything}
        named: dict[str, list[int]] = {}
        open_to_many: list[int] = []
        for place, (owner, port) in enumerate(everything):
            identities = _leading_identities(owners, owner, port)
            if identities is None:
                open_to_many.append(place)
            else:
                for identity in identities:
                    named.setdefault(identity, []).append(place)
        return cls(
            mesh=mesh,
            tcp_ports=tcp_listener_ports(mesh),
            namesakes=_namesakes(mesh.workloads),
            peers=peers,
            externals=externals,
            owners=owners,
            places={key: place for place, key in enumerate(owners)},
            named={identity: tuple(places) for identity, places in named.items()},
            open_to_many=tuple(open_to_many),
        )

    def reachable(self, identity: str) -> tuple[tuple[Peer, ...], tuple[Outside, ...]]:
        """The ports of workloads and of externals that lead a caller to one that it may reach, in the order of the mesh."""
        places = sorted({*self.named.get(identity, ()), *self.open_to_many})
        count = len(self.peers)
        peers = (self.peers[place] for place in places if place < count)
        externals = (self.externals[place - count] for place in places if place >= count)
        return (
            tuple(peer for peer in peers if self._leads(identity, *peer)),
            tuple(external for external in externals if self._leads(identity, *external)),
        )

    def _leads(self, identity: str, owner: ir.Workload | ir.External, port: ir.PortPolicy) -> bool:
        keys = {_key(one) for route in visible_routes(owner, port, identity) for one in route_destinations(route)}
        return any(self._may_reach(identity, *self.owners[key]) for key in keys)

    def _may_reach(self, identity: str, owner: ir.Workload | ir.External, port: ir.PortPolicy) -> bool:
        return may_reach(identity_at(identity, port) if isinstance(owner, ir.Workload) else identity, port)


def _key(destination: ir.Destination) -> PortKey:
    return destination.namespace, destination.service, destination.port


def _leading_identities(
    owners: Mapping[PortKey, Peer | Outside], owner: ir.Workload | ir.External, port: ir.PortPolicy
) -> frozenset[str] | None:
    """The only identities that a port leads somewhere, or None if they are not a plain list."""
    keys = {_key(one) for route in port.routes for one in route_destinations(route)}
    keys |= set() if port.routes else {(owner.namespace, owner.name, port.number)}
    found: set[str] = set()
    for key in keys:
        identities = _named_identities(owners[key][1])
        if identities is None:
            return None
        found |= identities
    return frozenset(found)


def _named_identities(port: ir.PortPolicy) -> frozenset[str] | None:
    """The only identities that the port's allow rules let in, or None if they are not a plain list."""
    for stage in port.access:
        if stage.effect is ir.Effect.ALLOW and not stage.shadow:
            principals = [principal for rule in stage.rules for principal in rule.principals.include]
            if all(isinstance(principal, ir.ExactIdentity) for principal in principals):
                return frozenset(one.identity for one in principals if isinstance(one, ir.ExactIdentity))
    return None


def _namesakes(workloads: Iterable[ir.Workload]) -> Mapping[str, tuple[ir.Workload, ...]]:
    found: dict[str, list[ir.Workload]] = {}
    for workload in workloads:
        found.setdefault(workload.name, []).append(workload)
    return {name: tuple(same) for name, same in found.items()}
