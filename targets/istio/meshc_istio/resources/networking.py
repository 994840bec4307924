"""networking.istio.io/v1: VirtualService, DestinationRule, ServiceEntry, Sidecar."""

from collections.abc import Mapping

from pydantic import Field

from meshc.kubernetes import ApiModel, Resource
from meshc_istio.resources.telemetry import WorkloadSelector

Texts = tuple[str, ...]


class StringMatch(ApiModel):
    """One of three; none of them is a test for presence."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class RequestMatch(ApiModel):
    """All that is given must hold."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] | None = None
    without_headers: Mapping[str, StringMatch] | None = None
    query_params: Mapping[str, StringMatch] | None = None
    port: int | None = None
    source_labels: Mapping[str, str] | None = None
    source_namespace: str | None = None


class ConnectionMatch(ApiModel):
    port: int | None = None
    source_labels: Mapping[str, str] | None = None
    source_namespace: str | None = None


class TlsMatch(ApiModel):
    port: int | None = None
    sni_hosts: Texts
    source_labels: Mapping[str, str] | None = None
    source_namespace: str | None = None


class PortSelector(ApiModel):
    number: int


class Destination(ApiModel):
    host: str
    subset: str | None = None
    port: PortSelector | None = None


class WeightedDestination(ApiModel):
    destination: Destination
    weight: int | None = None


class Percent(ApiModel):
    value: float


class Retries(ApiModel):
    attempts: int
    per_try_timeout: str | None = None
    retry_on: str | None = None
    backoff: str | None = None


class Delay(ApiModel):
    fixed_delay: str
    percentage: Percent


class Abort(ApiModel):
    http_status: int
    percentage: Percent


class Fault(ApiModel):
    delay: Delay | None = None
    abort: Abort | None = None


class Mirror(ApiModel):
    destination: Destination
    percentage: Percent


class HeaderOperations(ApiModel):
    set: Mapping[str, str] | None = None
    add: Mapping[str, str] | None = None
    remove: Texts | None = None


class Headers(ApiModel):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class RegexRewrite(ApiModel):
    match: str
    rewrite: str


class Rewrite(ApiModel):
    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


class Redirect(ApiModel):
    uri: str | None = None
    authority: str | None = None
    scheme: str | None = None
    port: int | None = None
    redirect_code: int


class Body(ApiModel):
    string: str


class DirectResponse(ApiModel):
    status: int
    body: Body | None = None


class HttpRoute(ApiModel):
    name: str | None = None
    match: tuple[RequestMatch, ...] | None = None
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    fault: Fault | None = None
    timeout: str | None = None
    retries: Retries | None = None
    mirrors: tuple[Mirror, ...] | None = None
    headers: Headers | None = None
    route: tuple[WeightedDestination, ...] | None = None


class TcpRoute(ApiModel):
    match: tuple[ConnectionMatch, ...] | None = None
    route: tuple[WeightedDestination, ...]


class TlsRoute(ApiModel):
    match: tuple[TlsMatch, ...]
    route: tuple[WeightedDestination, ...]


class VirtualServiceSpec(ApiModel):
    hosts: Texts
    http: tuple[HttpRoute, ...] | None = None
    tls: tuple[TlsRoute, ...] | None = None
    tcp: tuple[TcpRoute, ...] | None = None


class VirtualService(Resource):
    api_version: str = "networking.istio.io/v1"
    kind: str = "VirtualService"
    spec: VirtualServiceSpec


class Cookie(ApiModel):
    name: str
    ttl: str = "0s"


class ConsistentHash(ApiModel):
    http_header_name: str | None = None
    http_cookie: Cookie | None = None
    use_source_ip: bool | None = None
    ring_hash: Mapping[str, int] | None = None
    maglev: Mapping[str, int] | None = None


class Failover(ApiModel):
    from_: str
    to: str


class LocalitySetting(ApiModel):
    enabled: bool
    failover: tuple[Failover, ...] | None = None


class LoadBalancer(ApiModel):
    simple: str | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalitySetting | None = None


class TcpPool(ApiModel):
    max_connections: int | None = None
    connect_timeout: str | None = None
    idle_timeout: str | None = None


class HttpPool(ApiModel):
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_retries: int | None = None
    idle_timeout: str | None = None


class ConnectionPool(ApiModel):
    tcp: TcpPool | None = None
    http: HttpPool | None = None


class OutlierDetection(ApiModel):
    consecutive_5xx_errors: int = Field(
        validation_alias="consecutive5xxErrors", serialization_alias="consecutive5xxErrors"
    )
    consecutive_gateway_errors: int
    interval: str
    base_ejection_time: str
    max_ejection_percent: int


class Tls(ApiModel):
    mode: str
    sni: str | None = None
    ca_certificates: str | None = None
    subject_alt_names: Texts | None = None


class PortPolicy(ApiModel):
    """All settings of one port: what is left out is Istio's default, whatever stands above."""

    port: PortSelector
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: Tls | None = None


class TrafficPolicy(ApiModel):
    port_level_settings: tuple[PortPolicy, ...]


class Subset(ApiModel):
    name: str
    labels: Mapping[str, str]


class DestinationRuleSpec(ApiModel):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] | None = None


class DestinationRule(Resource):
    api_version: str = "networking.istio.io/v1"
    kind: str = "DestinationRule"
    spec: DestinationRuleSpec


class EntryPort(ApiModel):
    number: int
    name: str
    protocol: str


class ServiceEntrySpec(ApiModel):
    hosts: Texts
    export_to: Texts | None = None
    location: str = "MESH_EXTERNAL"
    ports: tuple[EntryPort, ...]
    resolution: str


class ServiceEntry(Resource):
    api_version: str = "networking.istio.io/v1"
    kind: str = "ServiceEntry"
    spec: ServiceEntrySpec


class EgressHosts(ApiModel):
    hosts: Texts


class OutboundPolicy(ApiModel):
    mode: str


class SidecarSpec(ApiModel):
    workload_selector: WorkloadSelector
    egress: tuple[EgressHosts, ...]
    outbound_traffic_policy: OutboundPolicy


class Sidecar(Resource):
    api_version: str = "networking.istio.io/v1"
    kind: str = "Sidecar"
    spec: SidecarSpec
