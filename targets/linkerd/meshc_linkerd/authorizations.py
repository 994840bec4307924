"""Authorizations: who may -> AuthorizationPolicies with what they require, for a server or a route.

An AuthorizationPolicy without a requirement would let everybody in; nobody is no policy at all. Identities of the mesh are
named by their service accounts.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from meshc.kubernetes import Metadata, Resource, metadata, object_name
from meshc_linkerd.clients import ANYWHERE, NOBODY_KNOWN, OTHERS, Atom, Clients, Place, World, namespace_of
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.resources.policy import (
    POLICY_GROUP,
    AuthorizationPolicy,
    AuthorizationPolicySpec,
    IdentityReference,
    MeshTLSAuthentication,
    MeshTLSAuthenticationSpec,
    Network,
    NetworkAuthentication,
    NetworkAuthenticationSpec,
    Reference,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where authorizations stand: their namespace, the prefix of their names, and what their metadata says."""

    namespace: str
    prefix: str
    anchors: tuple[str, ...]

    def metadata(self, name: str) -> Metadata:
        """Metadata of one object."""
        return metadata(name, self.namespace, self.anchors)


def digest(clients: Clients) -> str:
    """A short hash of who may, which is the same wherever it stands."""
    said = [(sorted(atoms), [str(place.block) for place in listed]) for atoms, listed in clients]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]


def authorizations(scope: Scope, world: World, clients: Clients, target: Reference) -> Iterator[Resource]:
    """The objects that let some clients in. Raises InexpressibleError."""
    for number, (atoms, listed) in enumerate(clients, 1):
        name = object_name(scope.prefix, str(number))
        requirements: list[Reference] = []
        spec = identities(world, atoms)
        if spec is not None:
            yield MeshTLSAuthentication(metadata=scope.metadata(name), spec=spec)
            requirements.append(Reference(group=POLICY_GROUP, kind="MeshTLSAuthentication", name=name))
        networks = tuple(map(_network, listed))
        if spec is None or not _is_everywhere(listed):
            yield NetworkAuthentication(
                metadata=scope.metadata(name), spec=NetworkAuthenticationSpec(networks=networks)
            )
            requirements.append(Reference(group=POLICY_GROUP, kind="NetworkAuthentication", name=name))
        yield AuthorizationPolicy(
            metadata=scope.metadata(name),
            spec=AuthorizationPolicySpec(target_ref=target, required_authentication_refs=tuple(requirements)),
        )


def _network(place: Place) -> Network:
    return Network(cidr=str(place.block), except_=tuple(map(str, place.inner)) or None)


def _is_everywhere(listed: tuple[Place, ...]) -> bool:
    return {place.block for place in listed} == set(ANYWHERE) and not any(place.inner for place in listed)


def identities(world: World, atoms: frozenset[Atom]) -> MeshTLSAuthenticationSpec | None:
    """Who is meant; None for everybody, with an identity or without. Raises InexpressibleError."""
    everybody = world.everybody
    if atoms == everybody:
        return None
    if NOBODY_KNOWN in atoms:
        reason = "Linkerd lets callers without an identity in together with everybody else, or not at all"
        raise InexpressibleError(reason, "demand mTLS, or leave the exception out")
    if atoms == world.identities:
        return MeshTLSAuthenticationSpec(identities=("*",))
    refs: list[IdentityReference] = []
    for namespace, known in world.named.items():
        if f"ns:{namespace}" in atoms and atoms.issuperset(known):
            refs.append(IdentityReference(kind="Namespace", name=namespace))
        else:
            refs += [
                IdentityReference(kind="ServiceAccount", name=one.rpartition("/")[2], namespace=namespace)
                for one in known
                if one in atoms
            ]
    if refs:
        return MeshTLSAuthenticationSpec(identity_refs=tuple(refs))
    raise InexpressibleError("Linkerd cannot name these identities", "name services or namespaces")


def is_enumerated(world: World, atoms: frozenset[Atom]) -> bool:
    """Whether callers are meant that cannot be listed, such as everybody but one: only those that are declared get in."""
    if atoms in (world.everybody, world.identities) or NOBODY_KNOWN in atoms:
        return False
    rests = [
        namespace
        for namespace, known in world.named.items()
        if f"ns:{namespace}" in atoms and not atoms.issuperset(known)
    ]
    return OTHERS in atoms or bool(rests)


def has_strange(world: World, atoms: frozenset[Atom]) -> str | None:
    """An identity that is none of a service account, if one is meant by itself."""
    if atoms >= world.identities:
        return None
    return next((one for one in world.strange if one in atoms and namespace_of(one, world.trust_domain) is None), None)
