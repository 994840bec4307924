"""Sidecars: bootstraps and config dumps as listeners, clusters and endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshc.reading import ConfigObject
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.process import check_process


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a cluster leads: a port of a service, or with `host` one of an external."""

    namespace: str
    service: str
    port: int
    host: str | None = None
    version: str | None = None


@dataclass(slots=True)
class Sidecar:
    """One Envoy: `node` says whose it is, `process` is the bootstrap, within a dump too (None: it is not there).

    `served` are service ports by the places of listeners, where no address of the mesh's contract tells them;
    `destinations` is where clusters lead whose names do not say it.
    """

    message: Message
    process: Message | None = None
    node: str = ""
    cluster: str = ""
    zone: str = ""
    listeners: list[Message] = field(default_factory=list)
    clusters: dict[str, Message] = field(default_factory=dict)
    endpoints: dict[str, Message] = field(default_factory=dict)
    served: dict[int, int] = field(default_factory=dict)
    destinations: dict[str, Destination] = field(default_factory=dict)


def other_places(car: Sidecar, listener: Message) -> tuple[Message, ...]:
    """The addresses that a sidecar is bound to beside those of a listener, that of its admin interface too."""
    others = [one for one in car.listeners if one is not listener]
    found = [one.need("address") for one in others]
    found += [one.need("address") for other in others for one in other.messages("additional_addresses")]
    admin = None if car.process is None else car.process.message("admin")
    if admin is not None and admin.has("address"):
        found.append(admin.need("address"))
    return tuple(found)


def sidecar(source: ConfigObject, notes: Notes) -> Sidecar:
    """The sidecar that a bootstrap or config dump describes. Raises NotUnderstoodError if it is neither."""
    message = Message(source.data, source)
    found = Sidecar(message=message)
    if message.has("configs"):
        _dump(message, found, notes)
    elif message.has("static_resources"):
        _bootstrap(message, found, notes)
    else:
        raise message.error("this is neither an envoy bootstrap nor a config dump")
    return found


def _bootstrap(message: Message, found: Sidecar, notes: Notes) -> None:
    check_process(message, notes)
    found.process = message
    _node(message.message("node"), found)
    resources = message.need("static_resources")
    resources.ignore("secrets")
    found.listeners += resources.messages("listeners")
    for one in resources.messages("clusters"):
        found.clusters[one.text("name")] = one
    resources.finish()
    message.ignore("stats_config", "stats_sinks", "overload_manager")
    _check_dynamic(message)
    bind = message.message("cluster_manager")
    if bind is not None:
        bind.ignore("upstream_bind_config", "outlier_detection", "local_cluster_name")
        bind.finish()
    message.finish()


def _check_dynamic(message: Message) -> None:
    dynamic = message.message("dynamic_resources")
    if dynamic is not None and dynamic.data.keys() - {"ads_config"}:
        raise dynamic.error("listeners and clusters that a server delivers are not here: read a config dump")


def _node(node: Message | None, found: Sidecar) -> None:
    if node is None:
        return
    found.node, found.cluster = node.text("id"), node.text("cluster")
    place = node.message("locality")
    if place is not None:
        zone = place.text("zone")
        found.zone = place.text("region") + (f"/{zone}" if zone else "")


def _dump(message: Message, found: Sidecar, notes: Notes) -> None:
    for one in message.messages("configs"):
        if one.has("bootstrap"):
            bootstrap = found.process = one.need("bootstrap")
            check_process(bootstrap, notes)
            _node(bootstrap.message("node"), found)
        found.listeners += _inner(one, (("static_listeners", "listener"),))
        for dynamic in one.messages("dynamic_listeners"):
            found.listeners += _state(dynamic)
        clusters = (("static_clusters", "cluster"), ("dynamic_active_clusters", "cluster"))
        for cluster in _inner(one, clusters):
            found.clusters[cluster.text("name")] = cluster
        endpoints = (("static_endpoint_configs", "endpoint_config"), ("dynamic_endpoint_configs", "endpoint_config"))
        for assignment in _inner(one, endpoints):
            found.endpoints[assignment.text("cluster_name")] = assignment


def _inner(message: Message, fields: Iterable[tuple[str, str]]) -> list[Message]:
    return [one.need(inner) for name, inner in fields for one in message.messages(name)]


def _state(dynamic: Message) -> list[Message]:
    state = dynamic.message("active_state")
    return [] if state is None else [state.need("listener")]
