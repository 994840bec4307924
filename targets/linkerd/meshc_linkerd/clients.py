"""Clients: who may be meant, cut into atoms, so that sets of callers can be united and subtracted.

Linkerd only allows. What denies take away is taken away here, from the identities of the mesh on the one side and from blocks of
addresses on the other. An identity atom is one identity that the program names or declares, everybody else of one namespace,
everybody else of the mesh, or callers without any.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, assert_never

from meshc import ir
from meshc_linkerd.errors import InexpressibleError

NOBODY_KNOWN: Final = "without an identity"
OTHERS: Final = "others"

Atom = str
"""An identity; `ns:NAME` for the rest of a namespace; OTHERS; NOBODY_KNOWN."""

ANYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All atoms of a mesh. `named` are identities, by namespace where they have one; `strange` are all others.

    `identities` is everybody with an identity, `everybody` callers without one as well.
    """

    trust_domain: str
    named: Mapping[str, tuple[str, ...]]
    strange: tuple[str, ...]
    identities: frozenset[Atom]
    everybody: frozenset[Atom]

    @classmethod
    def of(cls, mesh: ir.Mesh) -> "World":
        """The identities that a mesh declares or that its rules name."""
        identities = {one.identity for one in mesh.workloads} | set(_named(mesh))
        by_namespace: dict[str, list[str]] = {one.namespace: [] for one in mesh.workloads}
        strange: list[str] = []
        for identity in sorted(identities):
            namespace = namespace_of(identity, mesh.trust_domain)
            if namespace is None:
                strange.append(identity)
            else:
                by_namespace.setdefault(namespace, []).append(identity)
        named = {namespace: tuple(found) for namespace, found in sorted(by_namespace.items())}
        rests = (f"ns:{namespace}" for namespace in named)
        known = (one for found in named.values() for one in found)
        everybody = frozenset((*known, *rests, *strange, OTHERS))
        return cls(
            trust_domain=mesh.trust_domain,
            named=named,
            strange=tuple(strange),
            identities=everybody,
            everybody=everybody | {NOBODY_KNOWN},
        )

    def namespace(self, name: str) -> frozenset[Atom]:
        """All identities of a namespace."""
        return frozenset((*self.named.get(name, ()), f"ns:{name}"))

    def atoms(self, principals: ir.Principals) -> frozenset[Atom]:
        """Those that a list of sources means. Raises InexpressibleError."""
        include = frozenset(atom for one in principals.include for atom in self._atoms(one))
        return include.difference(*(self._atoms(one) for one in principals.exclude))

    def _atoms(self, principal: ir.Principal) -> frozenset[Atom]:
        match principal:
            case ir.AnyPeer():
                return self.everybody
            case ir.AnyIdentity():
                return self.identities
            case ir.ExactIdentity(identity=identity):
                return frozenset({identity})
            case ir.IdentityPrefix(prefix=prefix):
                return self._prefix(prefix)
            case _:
                assert_never(principal)

    def _prefix(self, prefix: str) -> frozenset[Atom]:
        own = f"spiffe://{self.trust_domain}/"
        if own.startswith(prefix) or prefix == f"{own}ns/":
            return self.identities
        namespace, _, rest = prefix.removeprefix(f"{own}ns/").partition("/")
        if prefix.startswith(f"{own}ns/") and rest in {"", "sa/"} and namespace in self.named:
            return self.namespace(namespace)
        raise InexpressibleError(
            f"Linkerd has no prefixes of identities such as `{prefix}`", "name a namespace, or the services"
        )


def _named(mesh: ir.Mesh) -> Iterable[str]:
    for port in (port for workload in mesh.workloads for port in workload.ports):
        for rule in (rule for stage in port.access for rule in stage.rules):
            for principal in (*rule.principals.include, *rule.principals.exclude):
                if isinstance(principal, ir.ExactIdentity):
                    yield principal.identity


def namespace_of(identity: str, trust_domain: str) -> str | None:
    """The namespace of an identity of the mesh's own form, None for another."""
    parts = identity.removeprefix(f"spiffe://{trust_domain}/").split("/")
    is_own = identity.startswith(f"spiffe://{trust_domain}/")
    return parts[1] if is_own and len(parts) == 4 and parts[::2] == ["ns", "sa"] and all(parts) else None


# ---- addresses ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A block of addresses, but for the blocks in it that are places of their own."""

    block: ir.IpBlock
    inner: tuple[ir.IpBlock, ...]


def places(blocks: Iterable[ir.IpBlock]) -> tuple[Place, ...]:
    """All addresses, cut by some blocks, which lie in each other or apart."""
    listed = sorted({*ANYWHERE, *blocks}, key=lambda one: (one.version, one.prefixlen, int(one.network_address)))
    found = []
    for block in listed:
        inside = [one for one in listed if one != block and _lies_in(one, block)]
        direct = tuple(one for one in inside if not any(one != other and _lies_in(one, other) for other in inside))
        if sum(one.num_addresses for one in direct) < block.num_addresses:
            found.append(Place(block, direct))
    return tuple(found)


def _lies_in(inner: ir.IpBlock, outer: ir.IpBlock) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def is_in(place: Place, blocks: Iterable[ir.IpBlock]) -> bool:
    """Whether a place lies in some of the blocks that cut it out."""
    return any(_lies_in(place.block, block) for block in blocks)


Clients = tuple[tuple[frozenset[Atom], tuple[Place, ...]], ...]
"""Rectangles: identities, each with the places that they may call from; every place stands in one of them at most."""


def rectangles(by_place: Mapping[Place, frozenset[Atom]]) -> Clients:
    """Places with the same identities together, in the order of the places."""
    found: dict[frozenset[Atom], list[Place]] = {}
    for place, atoms in by_place.items():
        if atoms:
            found.setdefault(atoms, []).append(place)
    return tuple((atoms, tuple(listed)) for atoms, listed in found.items())
