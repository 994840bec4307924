"""Who may, as Linkerd's objects: sets of clients -> AuthorizationPolicies, and the authentications that they refer to."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from meshc import ir
from meshc.kubernetes import Resource, metadata, object_name
from meshc_linkerd.clients import Clients
from meshc_linkerd.identities import Account, Domain, Everyone, Foreign, Group, Namespace
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.resources.policy import (
    GROUP,
    AuthorizationPolicy,
    AuthorizationPolicySpec,
    IdentityRef,
    LocalRef,
    MeshTLSAuthentication,
    MeshTLSAuthenticationSpec,
    Network,
    NetworkAuthentication,
    NetworkAuthenticationSpec,
)

_EVERYWHERE: Final = (Network(cidr="0.0.0.0/0"), Network(cidr="::/0"))


def digest(*said: str) -> str:
    """A short name for what is said."""
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:8]


class Authorizations:
    """The authorizations of one workload; what several of them refer to is made once."""

    def __init__(self, mesh: ir.Mesh, workload: ir.Workload, options: EmitOptions) -> None:
        self._mesh = mesh
        self._workload = workload
        self._options = options
        self._authentications: dict[tuple[str, str], Resource] = {}
        self._policies: list[Resource] = []

    def add(self, target: LocalRef, clients: Iterable[Clients], anchors: Iterable[str]) -> None:
        """Let some clients in at a target."""
        places = tuple(anchors)
        for one in clients:
            for refs in self._refs(one, places):
                name = object_name(target.name, digest(*(ref.name for ref in refs)))
                spec = AuthorizationPolicySpec(target_ref=target, required_authentication_refs=refs)
                meta = metadata(name, self._workload.namespace, places)
                self._policies.append(AuthorizationPolicy(metadata=meta, spec=spec))

    def resources(self) -> Iterator[Resource]:
        """What is referred to comes first, by name, so that nothing is refused for its lack."""
        yield from (self._authentications[key] for key in sorted(self._authentications))
        yield from self._policies

    def _refs(
        self, clients: Clients, anchors: tuple[str, ...]
    ) -> Iterator[tuple[LocalRef] | tuple[LocalRef, LocalRef]]:
        """The authentications of each policy: they are all required, and the lists inside of each are alternatives."""
        if clients.groups is None:
            yield (self._network(clients.networks or _EVERYWHERE, anchors),)
            return
        for spec in self._specs(clients.groups):
            identity = self._identity(spec, anchors)
            if clients.networks is None:
                yield (identity,)
            else:
                yield (identity, self._network(clients.networks, anchors))

    def _specs(self, groups: tuple[Group, ...]) -> Iterator[MeshTLSAuthenticationSpec]:
        """One for accounts and namespaces of this cluster, and one for what only a name can say."""
        refs: list[IdentityRef] = []
        names: list[str] = []
        own = self._mesh.trust_domain
        for group in groups:
            match group:
                case Account(domain, namespace, account) if domain == own:
                    refs.append(IdentityRef(kind="ServiceAccount", name=account, namespace=namespace))
                case Namespace(domain, namespace) if domain == own:
                    refs.append(IdentityRef(kind="Namespace", name=namespace))
                case _:
                    names += self._names(group)
        if refs:
            yield MeshTLSAuthenticationSpec(identity_refs=tuple(refs))
        if names:
            yield MeshTLSAuthenticationSpec(identities=tuple(names))

    def _names(self, group: Group) -> tuple[str, ...]:
        """Identities as Linkerd's certificates have them; an account of another domain may have a SPIFFE id instead."""
        suffix = f"serviceaccount.identity.{self._options.namespace}"
        match group:
            case Everyone():
                return ("*",)
            case Domain(domain):
                return (f"*.{suffix}.{domain}",)
            case Namespace(domain, namespace):
                return (f"*.{namespace}.{suffix}.{domain}",)
            case Account(domain, namespace, account):
                return (f"{account}.{namespace}.{suffix}.{domain}", f"spiffe://{domain}/ns/{namespace}/sa/{account}")
            case Foreign(identity):
                return (identity,)
            case _:
                assert_never(group)

    def _identity(self, spec: MeshTLSAuthenticationSpec, anchors: tuple[str, ...]) -> LocalRef:
        name = object_name(self._workload.name, "callers", digest(spec.model_dump_json()))
        key = (MeshTLSAuthentication.__name__, name)
        if key not in self._authentications:
            meta = metadata(name, self._workload.namespace, anchors)
            self._authentications[key] = MeshTLSAuthentication(metadata=meta, spec=spec)
        return LocalRef(group=GROUP, kind="MeshTLSAuthentication", name=name)

    def _network(self, networks: tuple[Network, ...], anchors: tuple[str, ...]) -> LocalRef:
        name = object_name(self._workload.name, "networks", digest(*(one.model_dump_json() for one in networks)))
        key = (NetworkAuthentication.__name__, name)
        if key not in self._authentications:
            meta = metadata(name, self._workload.namespace, anchors)
            spec = NetworkAuthenticationSpec(networks=networks)
            self._authentications[key] = NetworkAuthentication(metadata=meta, spec=spec)
        return LocalRef(group=GROUP, kind="NetworkAuthentication", name=name)
