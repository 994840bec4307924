"""Clusters of a sidecar: which port each leads to, and the settings of connections that it has.

A cluster called `<namespace>/<service>:<port>` claims to lead there; its addresses must agree, else it is not understood. Any
other leads where its addresses do.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeVar

from meshc import ir
from meshc.addresses import peer_addresses, service_host
from meshc.source import Span
from meshc.target import PortKey
from meshc_envoy.balancing import Address
from meshc_envoy.read.bootstraps import Destination, Sidecar
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.process import is_taken
from meshc_envoy.read.resilience import breaker, check_panic, ejection, health_check
from meshc_envoy.read.upstream_tls import server_wanted

CLUSTER_NAME: Final = re.compile(r"([^/]+)/([^/:]+):([0-9]+)(?:/([^@#]+))?(?:@([^#]+))?(?:#.*)?")
_HTTP: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DNS: Final = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
_CA_FILE: Final = "/etc/ssl/certs/ca-certificates.crt"
_CONNECT_MS: Final = 5000
_OVERPROVISIONING: Final = 140
"""Envoy's own, which dumps write out."""
_POLICIES: Final = {
    "": ir.BalancePolicy.ROUND_ROBIN,
    "ROUND_ROBIN": ir.BalancePolicy.ROUND_ROBIN,
    "LEAST_REQUEST": ir.BalancePolicy.LEAST_REQUEST,
    "RANDOM": ir.BalancePolicy.RANDOM,
    "RING_HASH": ir.BalancePolicy.RING_HASH,
    "MAGLEV": ir.BalancePolicy.MAGLEV,
    "CLUSTER_PROVIDED": ir.BalancePolicy.ROUND_ROBIN,
}

_Read = TypeVar("_Read")
Owners = Mapping[PortKey, tuple[ir.Workload | ir.External, ir.PortPolicy, int]]
"""Every port that is known, with its owner and its place among the owner's ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """The ports of a mesh by what leads to them: an address is a host and a port number.

    `called` are services whose addresses nothing but clusters tells.
    """

    mesh: ir.Mesh
    owners: Owners
    by_address: Mapping[tuple[str, int], PortKey]
    called: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where a cluster leads, and what it has of the port's settings. `server` is the identity that it demands, None for plaintext.

    `budget` is the share of retries in percent; `groups` are the zones of endpoints by priority, empty where all
    are alike, and `zone` is the caller's. `unsaid` is what it does to calls that no program can say.
    """

    key: PortKey
    version: str | None
    host: str | None
    settings: ir.Settings
    budget: float | None
    server: str | None
    balance: ir.BalancePolicy
    groups: tuple[tuple[str, ...], ...]
    zone: str
    unsaid: tuple[NotUnderstoodError, ...]
    span: Span


@dataclass(slots=True)
class Clusters:
    """The clusters of one sidecar, by name; each is read when it is asked for.

    `namespace` is the sidecar's own, `others` are what it is bound to beside the listener that is read.
    """

    messages: Mapping[str, Message]
    addressed: Addressed
    endpoints: Mapping[str, Message]
    zone: str
    namespace: str
    destinations: Mapping[str, Destination]
    others: tuple[Message, ...] = ()
    _read: dict[str, Upstream] = field(default_factory=dict)

    def application(self, name: str, at: Message, unsaid: list[NotUnderstoodError]) -> tuple[int, bool]:
        """The port of the application behind a listener, and whether it speaks HTTP/2; bounds of its connections are `unsaid`."""
        cluster = self._named(name, at)
        addresses = addresses_of(cluster, self.endpoints)
        if len(addresses) != 1:
            raise cluster.error("an application at several addresses is not understood")
        if not _is_loopback(addresses[0].host) or cluster.text("type", "STATIC") != "STATIC":
            raise cluster.error("an application that is not on the sidecar's own machine is not understood")
        if is_taken(addresses[0].host, addresses[0].port, self.others):
            # What a listener decides would hold for those that others let in, or lend them the sidecar's identity.
            raise cluster.error("a listener that leads to another place of the sidecar is not understood")
        if breaker(cluster) != (None, None):
            unsaid.append(cluster.error("bounds of the application's own connections cannot be said"))
        cluster.ignore("name", "alt_stat_name", "connect_timeout", "lb_policy", "typed_extension_protocol_options")
        cluster.ignore("http2_protocol_options", "per_connection_buffer_limit_bytes", "upstream_connection_options")
        cluster.finish()
        _check_options(cluster)
        return addresses[0].port, speaks_http2(cluster)

    def upstream(self, name: str, at: Message) -> Upstream:
        """Where a cluster leads. Raises NotUnderstoodError if that is no port that is known."""
        if name not in self._read:
            self._read[name] = self._upstream(self._named(name, at), name)
        return self._read[name]

    def _named(self, name: str, at: Message) -> Message:
        found = self.messages.get(name)
        if found is None:
            raise at.error(f"there is no cluster `{name}`")
        return found

    def _upstream(self, cluster: Message, name: str) -> Upstream:
        key, host, version = self._place(cluster, name)
        owner, port, _ = self.addressed.owners[key]
        cluster.ignore(
            "name", "dns_lookup_family", "alt_stat_name", "common_lb_config", "respect_dns_ttl", "dns_refresh_rate"
        )
        kind = cluster.text("type", "STATIC")
        if not cluster.has("cluster_type") and kind not in {"STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS"}:
            raise cluster.error(f"clusters of type `{kind}` are not understood", "type")
        _check_type(cluster, owner, host)
        cluster.ignore("load_assignment", "eds_cluster_config", "cluster_type", "typed_extension_protocol_options")
        _check_options(cluster)
        unsaid: list[NotUnderstoodError] = []
        _unless(unsaid, check_panic, cluster)
        bounds, budget = _unless(unsaid, breaker, cluster) or (None, None)
        connect = cluster.milliseconds("connect_timeout")
        balance = cluster.text("lb_policy")
        if balance not in _POLICIES:
            raise cluster.error(f"load balancing by `{balance}` is not understood", "lb_policy")
        server, sni, ca_file = server_wanted(cluster, owner)
        if ca_file is not None and sni is None and not _verifies_names(cluster):
            raise cluster.error("the server's certificate is not verified for the host that is asked for")
        settings = ir.Settings(
            connect_timeout_ms=None if connect in {None, _CONNECT_MS} else connect,
            circuit_breaker=bounds,
            outlier_detection=_unless(unsaid, ejection, cluster),
            health_check=_unless(unsaid, health_check, cluster),
            tls_ca_file=None if ca_file == _CA_FILE else ca_file,
            tls_sni=None if sni == host or isinstance(owner, ir.Workload) else sni,
        )
        cluster.finish()
        if isinstance(owner, ir.External) and (port.protocol is ir.Protocol.HTTPS) is not (ca_file is not None):
            raise cluster.error("tls towards this external is not as its port says")
        if port.protocol.is_http and port.protocol is not ir.Protocol.HTTPS:
            is_http2 = port.protocol in {ir.Protocol.HTTP2, ir.Protocol.GRPC}
            if speaks_http2(cluster) is not is_http2:
                raise cluster.error("the version of http is not that of the port")
        return Upstream(
            key=key,
            version=version,
            host=host,
            settings=settings,
            budget=budget,
            server=server,
            balance=_POLICIES[balance],
            groups=_groups(cluster),
            zone=self.zone,
            unsaid=tuple(unsaid),
            span=cluster.span,
        )

    def _place(self, cluster: Message, name: str) -> tuple[PortKey, str | None, str | None]:
        named = CLUSTER_NAME.fullmatch(name)
        if named is not None:
            key = (named[1], named[2], int(named[3]))
            if key in self.addressed.owners:
                self._check(cluster, key, named[4], named[5])
                return key, named[4], named[5]
        told = self.destinations.get(name)
        if told is not None and (told.namespace, told.service, told.port) in self.addressed.owners:
            return (told.namespace, told.service, told.port), told.host, told.version
        keys = {self.addressed.by_address.get((one.host, one.port)) for one in addresses_of(cluster, self.endpoints)}
        found = next(iter(keys)) if len(keys) == 1 else None
        if found is None:
            raise cluster.error(f"where the cluster `{name}` leads is not known")
        owner, _, _ = self.addressed.owners[found]
        return found, owner.hosts[0] if isinstance(owner, ir.External) else None, None

    def _check(self, cluster: Message, key: PortKey, host: str | None, version: str | None) -> None:
        """The addresses must be those of the port that the name claims."""
        owner, port, place = self.addressed.owners[key]
        if key[:2] in self.addressed.called:
            return
        if isinstance(owner, ir.External):
            if host is None or host not in owner.hosts:
                raise cluster.error(f"the external has no host `{host}`")
            expected = {(host, port.number, 1)}
            if cluster.has("cluster_type"):
                return
        elif owner.discovery is ir.Discovery.EDS:
            asked = cluster.message("eds_cluster_config")
            service = f"{key[0]}/{key[1]}:{key[2]}" + (f"@{version}" if version else "")
            known = asked is not None and asked.text("service_name").partition("#")[0] == service
            if cluster.text("type") != "EDS" or not known:
                raise cluster.error("the service asked for is not that of the cluster's name")
            return
        else:
            expected = self._expected(owner, port, place, version)
        found = {(one.host, one.port, one.weight) for one in addresses_of(cluster, self.endpoints)}
        if found != expected:
            raise cluster.error("the addresses are not those of the port that the cluster's name says")

    def _expected(
        self, owner: ir.Workload, port: ir.PortPolicy, place: int, version: str | None
    ) -> set[tuple[str, int, int]]:
        if owner.endpoints or owner.discovery is ir.Discovery.STATIC:
            return {
                (endpoint.host, number, endpoint.weight)
                for endpoint, number in peer_addresses(owner, port)
                if version in {None, endpoint.version}
            }
        host = (
            owner.dns_name if version is None and owner.dns_name else service_host(self.addressed.mesh, owner, version)
        )
        return {(host, 15010 + place, 1)}


def destination(car: Sidecar, name: str) -> Destination | None:
    """Where a cluster leads by its name, else by what was told of it."""
    named = CLUSTER_NAME.fullmatch(name)
    if named is None:
        return car.destinations.get(name)
    return Destination(namespace=named[1], service=named[2], port=int(named[3]), host=named[4], version=named[5])


def addresses_of(cluster: Message, endpoints: Mapping[str, Message]) -> list[Address]:
    """Where the endpoints of a cluster are."""
    written = cluster.message("load_assignment")
    assignment = written or endpoints.get(cluster.text("name"))
    if assignment is not None:
        _check_policy(assignment)
    found: list[Address] = []
    for group in assignment.messages("endpoints") if assignment is not None else ():
        for one in group.messages("lb_endpoints"):
            endpoint = one.need("endpoint")
            address = endpoint.need("address").need("socket_address")
            weight = one.whole("load_balancing_weight")
            number = address.whole("port_value")
            if number is None:
                raise address.error("an address without a port")
            if address.text("protocol", "TCP") != "TCP":
                raise address.error("an address that is not asked by tcp")
            endpoint.ignore("hostname", "health_check_config")
            endpoint.finish()
            if written is not None and one.text("health_status", "UNKNOWN") not in {"UNKNOWN", "HEALTHY"}:
                # What a dump says of endpoints that a server delivers is of the moment.
                raise one.error("an endpoint that is not asked is not understood", "health_status")
            one.ignore("health_status", "metadata")
            one.finish()
            found.append(Address(host=address.text("address"), port=number, weight=1 if weight is None else weight))
    return found


def _check_policy(assignment: Message) -> None:
    """Raises NotUnderstoodError for a share of requests that is dropped."""
    policy = assignment.message("policy")
    if policy is not None:
        if policy.whole("overprovisioning_factor") not in {None, _OVERPROVISIONING}:
            raise policy.error("how much of a priority may fail is not understood", "overprovisioning_factor")
        policy.finish()


def _check_options(cluster: Message) -> None:
    """Raises NotUnderstoodError for what may refuse or change requests on their way to an endpoint."""
    for name, options in cluster.entries("typed_extension_protocol_options"):
        if name != _HTTP:
            raise options.error(f"the options `{name}` are not understood")
        options.ignore("explicit_http_config", "auto_config", "use_downstream_protocol_config")
        asked = options.message("upstream_http_protocol_options")
        if asked is not None:
            asked.ignore("auto_sni", "auto_san_validation")
            asked.finish()
        if options.has("http_filters"):
            raise options.error("filters of requests that leave are not understood", "http_filters")
        options.finish()


def _unless(unsaid: list[NotUnderstoodError], read: Callable[[Message], _Read], cluster: Message) -> _Read | None:
    """What is read of a cluster, unless no program can say it."""
    try:
        return read(cluster)
    except NotUnderstoodError as error:
        unsaid.append(error)
        return None


def _check_type(cluster: Message, owner: ir.Workload | ir.External, host: str | None) -> None:
    """Raises NotUnderstoodError for endpoints that are found by an extension, but for those of many hosts outside."""
    if cluster.has("cluster_type"):
        kind, config = cluster.need("cluster_type").config()
        if kind != _DNS or not isinstance(owner, ir.External) or host is None or not host.startswith("*."):
            raise config.error(f"the cluster type `{kind}` is not understood")
    elif cluster.text("lb_policy") == "CLUSTER_PROVIDED":
        raise cluster.error("endpoints that the cluster itself chooses are not understood", "lb_policy")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _groups(cluster: Message) -> tuple[tuple[str, ...], ...]:
    assignment = cluster.message("load_assignment")
    groups: dict[int, list[str]] = {}
    for group in assignment.messages("endpoints") if assignment is not None else ():
        if group.has("priority") or group.has("locality"):
            place = group.message("locality")
            zone = (
                "" if place is None else place.text("region") + (f"/{place.text('zone')}" if place.has("zone") else "")
            )
            groups.setdefault(group.whole("priority") or 0, []).append(zone)
    return tuple(tuple(sorted(groups[one])) for one in sorted(groups))


def speaks_http2(cluster: Message) -> bool:
    """Whether requests are sent in HTTP/2 and nothing else."""
    for name, options in cluster.entries("typed_extension_protocol_options"):
        if name == _HTTP and options.has("explicit_http_config"):
            return options.need("explicit_http_config").has("http2_protocol_options")
    return cluster.has("http2_protocol_options")


def _verifies_names(cluster: Message) -> bool:
    """Whether each request's host is the name that the server must prove."""
    for name, options in cluster.entries("typed_extension_protocol_options"):
        asked = options.message("upstream_http_protocol_options")
        if name == _HTTP and asked is not None:
            return asked.flag("auto_sni") and asked.flag("auto_san_validation")
    return False


__all__ = ["Addressed", "Clusters", "Upstream"]
