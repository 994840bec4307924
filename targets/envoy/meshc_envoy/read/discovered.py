"""Services that configuration names and nobody has declared.

Each sidecar is one, with a port for each inbound listener; so is each destination that a cluster is called by, as
`<namespace>/<service>:<port>`, of which only callers speak here. With `/<host>` it is an external.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.reading import Aspect
from meshc.semantics.identities import trust_domain_of
from meshc_envoy.read.bootstraps import Destination, Sidecar
from meshc_envoy.read.clusters import destination, speaks_http2
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.roles import owner_of, routed
from meshc_envoy.read.telemetry import caller_in, loggers_of
from meshc_envoy.read.upstream_tls import server_of

_NAMED = "a sidecar's node id is its service's namespace and name"
_CALLED = "a cluster is called by its destination, `<namespace>/<service>:<port>`"


def discovered(known: ir.Mesh, sidecars: Sequence[Sidecar], notes: Notes) -> ir.Mesh:
    """The known mesh with the services of all further sidecars."""
    names = {(one.namespace, one.name) for one in known.workloads}
    found: list[ir.Workload] = []
    identities = _identities(sidecars)
    known = _of_one_domain(known, identities.values(), sidecars, notes)
    for car in sidecars:
        owner = owner_of(car.node)
        if owner is not None and owner not in names:
            namespace, name = owner
            names.add(owner)
            notes.assume(_NAMED, car.message.place("node"))
            try:
                identity = identities.get((namespace, name)) or _own_identity(car)
                if identity is None:
                    identity = f"spiffe://{known.trust_domain}/ns/{namespace}/sa/{name}"
                    notes.assume(f"the identity of `{namespace}/{name}` is `{identity}`", car.message.place("node"))
                found.append(_workload(car, (namespace, name), identity))
            except NotUnderstoodError as error:
                notes.unknown(error, Aspect, None)
    called = _called(known, names, sidecars, notes)
    externals = [_external(key, one) for key, one in called.items() if one.hosts]
    found += [_destination(known, key, one) for key, one in called.items() if not one.hosts]
    return replace(
        known,
        workloads=tuple(sorted((*known.workloads, *found), key=lambda one: (one.namespace, one.name))),
        externals=tuple(sorted((*known.externals, *externals), key=lambda one: (one.namespace, one.name))),
    )


def _of_one_domain(known: ir.Mesh, identities: Iterable[str], sidecars: Sequence[Sidecar], notes: Notes) -> ir.Mesh:
    """The mesh in the trust domain of all servers that callers demand, where nobody has declared a service."""
    domains = {trust_domain_of(identity) for identity in identities}
    domain = next(iter(domains), None)
    if known.workloads or len(domains) != 1 or domain is None or domain in known.trust_domains:
        return known
    notes.assume(f"the trust domain of the mesh is `{domain}`", sidecars[0].message.span)
    return replace(known, trust_domains=(domain,))


def _identities(sidecars: Sequence[Sidecar]) -> dict[tuple[str, str], str]:
    """The identities that callers demand of services; none where they do not agree."""
    asked: dict[tuple[str, str], set[str]] = {}
    for owner, name, cluster in ((car, *item) for car in sidecars for item in car.clusters.items()):
        one = destination(owner, name)
        if one is None:
            continue
        try:
            identity = server_of(cluster)[0]
        except NotUnderstoodError:
            continue  # whoever reads the cluster says so
        if identity is not None:
            asked.setdefault((one.namespace, one.service), set()).add(identity)
    return {key: next(iter(found)) for key, found in asked.items() if len(found) == 1}


def _own_identity(car: Sidecar) -> str | None:
    """The identity that a sidecar's own logs say its calls have, if they agree on one."""
    writers = [writer for listener in car.listeners for writer in loggers_of(listener)]
    found = {source for one in writers if (source := caller_in(one)).startswith("spiffe://")}
    return next(iter(found)) if len(found) == 1 else None


@dataclass(slots=True)
class _Called:
    """What clusters say of one destination that nobody has declared."""

    at: Message
    ports: dict[int, ir.PortPolicy] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    versions: dict[str, None] = field(default_factory=dict)
    identity: str | None = None


def _called(
    known: ir.Mesh, names: set[tuple[str, str]], sidecars: Sequence[Sidecar], notes: Notes
) -> dict[tuple[str, str], _Called]:
    everybody: tuple[ir.Workload | ir.External, ...] = (*known.workloads, *known.externals)
    declared = {(one.namespace, one.name) for one in everybody}
    found: dict[tuple[str, str], _Called] = {}
    for car in sidecars:
        requested = _requested(car)
        for name, cluster in car.clusters.items():
            to = destination(car, name)
            if to is None or "." in to.service or (to.namespace, to.service) in declared:
                continue
            if name not in car.destinations:
                notes.assume(_CALLED, cluster.span)
            if (to.namespace, to.service) in names:
                continue
            one = found.setdefault((to.namespace, to.service), _Called(at=cluster))
            try:
                _note(one, cluster, to, is_http=name in requested)
            except NotUnderstoodError as error:
                notes.unknown(error, Aspect, ((to.namespace, to.service, to.port),))
    return found


def _requested(car: Sidecar) -> frozenset[str]:
    """The clusters without meshc's names that requests of HTTP are sent to."""
    try:
        return frozenset(name for one in car.listeners for name in routed(one)) & car.destinations.keys()
    except NotUnderstoodError:
        return frozenset()  # whoever reads the listener says so


def _note(one: _Called, cluster: Message, to: Destination, *, is_http: bool) -> None:
    number, host, version = to.port, to.host, to.version
    identity, is_encrypted = server_of(cluster)
    one.identity = one.identity or identity
    is_http = is_http or cluster.has("typed_extension_protocol_options")
    protocol = (
        _protocol(cluster, is_outside=host is not None, is_encrypted=is_encrypted) if is_http else ir.Protocol.TCP
    )
    mtls = ir.MtlsMode.STRICT if identity is not None else ir.MtlsMode.OFF
    one.ports.setdefault(number, replace(_port(number, cluster), protocol=protocol, mtls=mtls))
    if host is not None:
        one.hosts[host] = None
    if version is not None:
        one.versions[version] = None


def _protocol(cluster: Message, *, is_outside: bool, is_encrypted: bool) -> ir.Protocol:
    if is_outside and is_encrypted:
        return ir.Protocol.HTTPS
    return ir.Protocol.HTTP2 if speaks_http2(cluster) else ir.Protocol.HTTP


def _destination(known: ir.Mesh, key: tuple[str, str], one: _Called) -> ir.Workload:
    namespace, name = key
    identity = one.identity or f"spiffe://{known.trust_domain}/ns/{namespace}/sa/{name}"
    return ir.Workload(
        namespace=namespace,
        name=name,
        service_account=identity.rpartition("/")[2],
        identity=identity,
        labels={"app": name},
        versions=tuple(ir.Version(name=version, labels={}, span=one.at.span) for version in one.versions),
        discovery=ir.Discovery.KUBERNETES,
        ports=tuple(one.ports[number] for number in sorted(one.ports)),
        span=one.at.span,
    )


def _external(key: tuple[str, str], one: _Called) -> ir.External:
    ports = tuple(one.ports[number] for number in sorted(one.ports))
    return ir.External(namespace=key[0], name=key[1], hosts=tuple(one.hosts), ports=ports, span=one.at.span)


def _workload(car: Sidecar, key: tuple[str, str], identity: str) -> ir.Workload:
    namespace, name = key
    served = {number: car.listeners[place] for place, number in car.served.items()}
    return ir.Workload(
        namespace=namespace,
        name=name,
        service_account=identity.rpartition("/")[2],
        identity=identity,
        labels={"app": name},
        discovery=ir.Discovery.KUBERNETES,
        ports=tuple(replace(_port(one, car.message), protocol=_served(served[one], car)) for one in sorted(served)),
        span=car.message.span,
    )


def _served(listener: Message, car: Sidecar) -> ir.Protocol:
    """What a listener serves, as its filters and the cluster of its application say."""
    clusters: list[str] = []
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            table = one.config()[1].message("route_config")
            hosts = () if table is None else table.messages("virtual_hosts")
            routes = (route for host in hosts for route in host.messages("routes"))
            clusters += [route.need("route").text("cluster") for route in routes if route.has("route")]
    if not clusters:
        return ir.Protocol.TCP
    application = car.clusters.get(clusters[0])
    is_http2 = application is not None and speaks_http2(application)
    return ir.Protocol.HTTP2 if is_http2 else ir.Protocol.HTTP


def _port(number: int, message: Message) -> ir.PortPolicy:
    return ir.PortPolicy(
        number=number,
        protocol=ir.Protocol.HTTP,
        target=number,
        name=None,
        mtls=ir.MtlsMode.PERMISSIVE,
        access=(),
        settings=ir.Settings(),
        span=message.span,
    )
