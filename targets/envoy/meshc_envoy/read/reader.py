"""Read Envoy's configuration: the sidecars of a mesh, each with its own view, put together to one mesh."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.addresses import inbound_ports, ordered_ports, peer_addresses, service_host
from meshc.reading import Aspect, ConfigObject, Reading
from meshc.source import Span
from meshc.target import PortKey, TargetOptions
from meshc_envoy.read.bootstraps import Sidecar, other_places, sidecar
from meshc_envoy.read.clusters import Addressed, Clusters, Upstream
from meshc_envoy.read.destinations import give_destinations
from meshc_envoy.read.discovered import discovered
from meshc_envoy.read.entering import fold_all
from meshc_envoy.read.folding import fold_access, fold_routes
from meshc_envoy.read.inbound import Inbound, inbound_port
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.names import Names
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.outbound import read_outbound
from meshc_envoy.read.places import check_places
from meshc_envoy.read.roles import bound_port, give_roles, is_inbound, leads_home
from meshc_envoy.read.routes import View
from meshc_envoy.read.settings import settings_of
from meshc_envoy.read.telemetry import check_logger, loggers_of, metrics_at, shows_metrics, trace

_CLOSED = ir.Effect.ALLOW
_LOGS_DIFFER = "the logs of two listeners of one sidecar differ"


@dataclass(slots=True)
class _Found:
    """What was read so far: ports by key, views of callers, and what sidecars report."""

    ports: dict[PortKey, Inbound] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    telemetry: dict[tuple[str, str], ir.Telemetry] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What every sidecar is read with."""

    addressed: Addressed
    names: Names
    workloads: Mapping[tuple[str, str], ir.Workload]


def read(objects: Sequence[ConfigObject], known: ir.Mesh, options: TargetOptions) -> Reading:
    """The mesh that these sidecars make; `Reader` says what of it can be relied on."""
    notes = Notes()
    sidecars: list[Sidecar] = []
    for one in objects:
        try:
            sidecars.append(sidecar(one, notes))
        except NotUnderstoodError as error:
            notes.unknown(error, Aspect, None)
    give_roles(sidecars, known, notes)
    give_destinations(sidecars, known, notes)
    mesh = discovered(known, sidecars, notes)
    addressed = _addressed(mesh, _undeclared(mesh, known))
    around = _Around(
        addressed=addressed,
        names=Names(addressed),
        workloads={(one.namespace, one.name): one for one in mesh.workloads},
    )
    found = _Found()
    for car in sidecars:
        try:
            _sidecar(car, around, found, notes)
            _surroundings(car, around, options, notes)
        except NotUnderstoodError as error:
            notes.unknown(error, Aspect, None)
    result = _mesh(mesh, found, notes)
    return Reading(mesh=result, unknown=notes.unknowns, assumptions=notes.assumptions)


def _undeclared(mesh: ir.Mesh, known: ir.Mesh) -> frozenset[tuple[str, str]]:
    """Services that nobody has declared, so that nothing but clusters tells where they are."""
    declared = {(one.namespace, one.name) for one in known.workloads}
    return frozenset({(one.namespace, one.name) for one in mesh.workloads} - declared)


def _addressed(mesh: ir.Mesh, called: frozenset[tuple[str, str]]) -> Addressed:
    owners: dict[PortKey, tuple[ir.Workload | ir.External, ir.PortPolicy, int]] = {}
    by_address: dict[tuple[str, int], PortKey] = {}
    everybody: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for owner in everybody:
        for place, port in enumerate(ordered_ports(owner.ports)):
            key = (owner.namespace, owner.name, port.number)
            owners[key] = (owner, port, place)
            if isinstance(owner, ir.Workload):
                by_address |= {(endpoint.host, number): key for endpoint, number in peer_addresses(owner, port)}
                by_address[service_host(mesh, owner), 15010 + place] = key
            else:
                by_address |= {(host, port.number): key for host in owner.hosts}
    return Addressed(mesh=mesh, owners=owners, by_address=by_address, called=called)


def _sidecar(car: Sidecar, around: _Around, found: _Found, notes: Notes) -> None:
    namespace, _, name = car.node.partition("/")
    workload = around.workloads.get((namespace, name))
    if workload is None:
        raise _nobody_s(car)
    found.seen.add((namespace, name))
    clusters = _clusters(car, around)
    ports = _bound(car, workload, is_declared=(namespace, name) not in around.addressed.called)
    outbound: list[Message] = []
    logs: list[tuple[ir.AccessLog, ...]] = []
    metrics: Span | None = None
    for place, listener in enumerate(car.listeners):
        port = ports.get(place)
        _check_further(listener, port, workload, notes)
        if shows_metrics(listener):
            metrics = metrics_at(listener, car, notes)
        elif port is None and is_inbound(listener, car):
            notes.unknown(_without_a_port(listener, car), Aspect, None)
        elif port is None:
            outbound.append(listener)
        else:
            key = (namespace, name, port.number)
            one = inbound_port(listener, port, key, replace(clusters, others=other_places(car, listener)), notes)
            if key in found.ports and found.ports[key].port != one.port:
                notes.unknown(listener.error("two sidecars of one service decide differently"), Aspect, (key,))
            found.ports[key] = one
            logs += [] if one.logs is None else [one.logs]
    view = found.views.setdefault(workload.identity, View(identity=workload.identity))
    before = dict(view.routes)
    own = View(identity=workload.identity)
    said = read_outbound(outbound, own, clusters, around.names, notes)
    _merge(view, own, before, car, notes)
    if said is not None and any(one != said for one in logs):
        notes.unknown(car.message.error(_LOGS_DIFFER), (Aspect.SETTINGS,), _keys(workload))
    traces = _traces(car, notes)
    found.telemetry[namespace, name] = ir.Telemetry(
        access_logs=said if said is not None else next(iter(logs), ()),
        trace=traces[0] if traces else None,
        metrics=metrics is not None,
        metrics_span=metrics,
    )


def _check_further(listener: Message, port: ir.PortPolicy | None, workload: ir.Workload, notes: Notes) -> None:
    """What else a listener is bound to must be its port's own, else it may take the calls of another."""
    own = {bound_port(listener), *(inbound_ports(workload, port) if port is not None else ())}
    for one in listener.messages("additional_addresses"):
        if bound_port(one) not in own:
            error = listener.error("a listener that takes the calls of several ports is not understood")
            notes.unknown(error, Aspect, _keys(workload))


def _keys(workload: ir.Workload) -> tuple[PortKey, ...]:
    return tuple((workload.namespace, workload.name, port.number) for port in workload.ports)


def _without_a_port(listener: Message, car: Sidecar) -> NotUnderstoodError:
    """An inbound listener that serves no port that is known."""
    what = "which port of the service a listener serves" if leads_home(listener, car) else "whom a listener calls"
    return listener.error(f"{what} is not known")


def _nobody_s(car: Sidecar) -> NotUnderstoodError:
    """A sidecar of no service."""
    hint = "write its service's namespace and name as the node id, `<namespace>/<service>`"
    whose = f"whose sidecar `{car.node}` is," if car.node else "whose sidecar this is, without a node id,"
    return car.message.error(f"{whose} is not known: {hint}", "node")


def _clusters(car: Sidecar, around: _Around) -> Clusters:
    namespace = car.node.partition("/")[0]
    return Clusters(
        car.clusters,
        around.addressed,
        car.endpoints,
        car.zone,
        namespace=namespace,
        destinations=car.destinations,
    )


def _bound(car: Sidecar, workload: ir.Workload, *, is_declared: bool) -> dict[int, ir.PortPolicy]:
    """The service ports by the places of listeners: by their addresses, where the service is declared, else by their roles."""
    found = {place: port for place, number in car.served.items() for port in workload.ports if port.number == number}
    if is_declared:
        numbers = {number: port for port in workload.ports for number in inbound_ports(workload, port)}
        for place, listener in enumerate(car.listeners):
            number = bound_port(listener)
            if number in numbers:
                found[place] = numbers[number]
    return found


def _traces(car: Sidecar, notes: Notes) -> list[ir.Trace]:
    """The traces of a sidecar: its connection managers must agree on them, but for the one that shows metrics."""
    listeners = [one for one in car.listeners if not shows_metrics(one)]
    chains = [chain for one in listeners for chain in one.messages("filter_chains")]
    configs = [one.config()[1] for chain in chains for one in chain.messages("filters")]
    found: list[ir.Trace | None] = []
    for manager in configs:
        if manager.has("http_filters"):
            try:
                found.append(trace(manager, car, notes))
            except NotUnderstoodError as error:
                notes.unknown(error, (Aspect.SETTINGS,), None)
    if len(set(found)) > 1:
        differs = car.message.error("the traces of two listeners of one sidecar differ")
        notes.unknown(differs, (Aspect.SETTINGS,), None)
    return [one for one in found if one is not None]


def _surroundings(car: Sidecar, around: _Around, options: TargetOptions, notes: Notes) -> None:
    """What no rule says, and what is relied on."""
    namespace, _, name = car.node.partition("/")
    workload = around.workloads[namespace, name]
    check_places(car, workload.identity, frozenset(one.host for one in workload.endpoints), options, notes)
    for logger in (logger for listener in car.listeners for logger in loggers_of(listener)):
        try:
            check_logger(logger, notes)
        except NotUnderstoodError as error:
            notes.unknown(error, (Aspect.SETTINGS,), None)


def _merge(view: View, own: View, before: Mapping[PortKey, object], car: Sidecar, notes: Notes) -> None:
    """One identity, several sidecars: they must agree on what they hold."""
    for key, routes in own.routes.items():
        if before.get(key, routes) != routes:
            notes.unknown(car.message.error("sidecars of one identity route differently"), (Aspect.ROUTING,), (key,))
        view.routes[key] = routes
    view.stages |= own.stages
    view.upstreams |= own.upstreams
    for key, hashes in own.hashes.items():
        view.hashes.setdefault(key, set()).update(hashes)


# ---- the mesh -------------------------------------------------------------------------------------------------------


def _mesh(mesh: ir.Mesh, found: _Found, notes: Notes) -> ir.Mesh:
    lists: dict[PortKey, dict[str, tuple[ir.Route, ...]]] = {}
    holders: dict[PortKey, dict[str, dict[str, ir.Stage]]] = {}
    upstreams: dict[PortKey, list[Upstream]] = {}
    hashes: dict[PortKey, set[tuple[tuple[str, str | None], ...]]] = {}
    for identity, view in found.views.items():
        for key, routes in view.routes.items():
            lists.setdefault(key, {})[identity] = routes
        for key, stages in view.stages.items():
            holders.setdefault(key, {})[identity] = stages
        for upstream in view.upstreams.values():
            upstreams.setdefault(upstream.key, []).append(upstream)
        for key, some in view.hashes.items():
            hashes.setdefault(key, set()).update(some)
    settings = {key: settings_of(some, hashes.get(key, set()), key, notes) for key, some in upstreams.items()}
    plain = ir.Settings()
    workloads: list[ir.Workload] = []
    for workload in mesh.workloads:
        ports = []
        for port in workload.ports:
            key = (workload.namespace, workload.name, port.number)
            served = _served(port, key, found, workload, notes)
            _check_servers(served, workload, upstreams.get(key, ()), key, notes)
            routes = fold_all(served, key, lists.get(key, {}), found.views.keys())
            ports.append(replace(served, routes=routes, settings=settings.get(key, plain)))
        telemetry = found.telemetry.get((workload.namespace, workload.name), ir.Telemetry())
        workloads.append(replace(workload, ports=tuple(ports), telemetry=telemetry))
    externals: list[ir.External] = []
    for external in mesh.externals:
        ports = []
        for port in external.ports:
            key = (external.namespace, external.name, port.number)
            access = fold_access(holders.get(key, {}), port.span)
            routes = fold_routes(lists.get(key, {}))
            ports.append(replace(port, access=access, routes=routes, settings=settings.get(key, plain)))
        externals.append(replace(external, ports=tuple(ports)))
    result = replace(mesh, workloads=tuple(workloads), externals=tuple(externals))
    return _of_the_mesh(result, found, notes)


def _served(port: ir.PortPolicy, key: PortKey, found: _Found, workload: ir.Workload, notes: Notes) -> ir.PortPolicy:
    """The port as its sidecar has it. One without a listener lets nobody in; one without a sidecar is unknown."""
    one = found.ports.get(key)
    if one is not None:
        return one.port
    if (workload.namespace, workload.name) not in found.seen:
        # What it decides is its own to say; how calls get there, its callers say.
        error = NotUnderstoodError("there is no configuration of this service's sidecar", workload.span)
        notes.unknown(error, (Aspect.ACCESS,), (key,))
    return replace(port, access=(ir.Stage(effect=_CLOSED, rules=(), span=port.span),))


def _check_servers(
    port: ir.PortPolicy, workload: ir.Workload, upstreams: Iterable[Upstream], key: PortKey, notes: Notes
) -> None:
    """Callers must speak as the server does: mutual TLS with its identity, or plaintext."""
    is_plain = port.protocol is ir.Protocol.TLS or port.mtls is ir.MtlsMode.OFF
    for one in upstreams:
        wanted = None if is_plain else workload.identity
        if one.server is None and wanted is not None and port.mtls is ir.MtlsMode.PERMISSIVE:
            error = NotUnderstoodError("a caller does not say who it is, and is let in as anybody", one.span)
            notes.unknown(error, (Aspect.ACCESS, Aspect.ROUTING), (key,))
        elif one.server != wanted:
            error = NotUnderstoodError("a caller does not expect the server that there is", one.span)
            notes.unknown(error, (Aspect.ROUTING,), (key,))


def _of_the_mesh(mesh: ir.Mesh, found: _Found, notes: Notes) -> ir.Mesh:
    """What all inbound listeners must agree on: trust domains, and how deep X-Forwarded-For is believed."""
    hops = {one.hops for one in found.ports.values() if one.hops is not None}
    domains = {one.domains for one in found.ports.values() if one.domains is not None}
    if len(hops) > 1 or len({frozenset(one) for one in domains}) > 1:
        error = NotUnderstoodError("sidecars differ in whom they trust", mesh.span)
        notes.unknown(error, (Aspect.ACCESS,), None)
    trusted = next(iter(domains), mesh.trust_domains)
    if frozenset(trusted) == frozenset(mesh.trust_domains):
        trusted = mesh.trust_domains
    elif mesh.trust_domain in trusted:
        trusted = (mesh.trust_domain, *(one for one in trusted if one != mesh.trust_domain))
    return replace(mesh, trust_domains=trusted, trusted_hops=next(iter(hops), mesh.trusted_hops))
