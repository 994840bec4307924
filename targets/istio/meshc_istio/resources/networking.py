"""Models of `networking.istio.io/v1`: VirtualService, DestinationRule and ServiceEntry, as far as we write them.

Durations are texts such as `500ms` and `2s`. Source: istio.io/api networking/v1.
"""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from meshc.kubernetes import ApiModel, Resource

Number = int | float

_5XX: Final = "consecutive5xxErrors"

# ---- VirtualService: matches ----------------------------------------------------------------------------------------


class StringMatch(ApiModel):
    """One of three tests of a text; without any, that there is one. `regex` is RE2's and matches the whole text."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HttpMatch(ApiModel):
    """Tests of a request that must all hold. `source_labels` and `source_namespace` are tests of the caller's pod."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] | None = None
    without_headers: Mapping[str, StringMatch] | None = None
    query_params: Mapping[str, StringMatch] | None = None
    port: int
    source_namespace: str | None = None
    source_labels: Mapping[str, str] | None = None


class TcpMatch(ApiModel):
    port: int
    source_namespace: str | None = None
    source_labels: Mapping[str, str] | None = None


class TlsMatch(ApiModel):
    sni_hosts: tuple[str, ...]
    port: int
    source_namespace: str | None = None
    source_labels: Mapping[str, str] | None = None


# ---- VirtualService: actions ----------------------------------------------------------------------------------------


class PortNumber(ApiModel):
    number: int


class Target(ApiModel):
    """Istio's `Destination`: a host, a port of it, and perhaps a subset that a DestinationRule of the host defines."""

    host: str
    subset: str | None = None
    port: PortNumber


class WeightedTarget(ApiModel):
    destination: Target
    weight: int | None = None


class Percent(ApiModel):
    value: Number


class MirrorTarget(ApiModel):
    destination: Target
    percentage: Percent


class Delay(ApiModel):
    fixed_delay: str
    percentage: Percent


class Abort(ApiModel):
    http_status: int
    percentage: Percent


class FaultInjection(ApiModel):
    delay: Delay | None = None
    abort: Abort | None = None


class HeaderOperations(ApiModel):
    """Envoy removes first, then sets, then adds."""

    remove: tuple[str, ...] | None = None
    set_: Mapping[str, str] | None = None
    add: Mapping[str, str] | None = None


class Headers(ApiModel):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class RegexRewrite(ApiModel):
    match: str
    rewrite: str


class HttpRewrite(ApiModel):
    uri: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None
    authority: str | None = None


class HttpRedirect(ApiModel):
    scheme: str | None = None
    authority: str | None = None
    port: int | None = None
    uri: str | None = None
    prefix_rewrite: str | None = None
    redirect_code: int


class ResponseBody(ApiModel):
    string: str


class DirectResponse(ApiModel):
    status: int
    body: ResponseBody | None = None


class HttpRetry(ApiModel):
    """`attempts` counts the tries after the first; 0 stands alone, and switches Istio's own retries off."""

    attempts: int
    retry_on: str | None = None
    per_try_timeout: str | None = None
    backoff: str | None = None


class HttpRoute(ApiModel):
    """One entry of the first-match list; just one of `route`, `redirect` and `direct_response` is there."""

    name: str | None = None
    match: tuple[HttpMatch, ...]
    route: tuple[WeightedTarget, ...] | None = None
    redirect: HttpRedirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: HttpRewrite | None = None
    timeout: str | None = None
    retries: HttpRetry | None = None
    fault: FaultInjection | None = None
    mirrors: tuple[MirrorTarget, ...] | None = None
    headers: Headers | None = None


class TcpRoute(ApiModel):
    match: tuple[TcpMatch, ...]
    route: tuple[WeightedTarget, ...]


class TlsRoute(ApiModel):
    match: tuple[TlsMatch, ...]
    route: tuple[WeightedTarget, ...]


class VirtualServiceSpec(ApiModel):
    hosts: tuple[str, ...]
    http: tuple[HttpRoute, ...] | None = None
    tls: tuple[TlsRoute, ...] | None = None
    tcp: tuple[TcpRoute, ...] | None = None


class VirtualService(Resource):
    api_version: Literal["networking.istio.io/v1"] = "networking.istio.io/v1"
    kind: Literal["VirtualService"] = "VirtualService"
    spec: VirtualServiceSpec


# ---- DestinationRule ------------------------------------------------------------------------------------------------


class TcpPool(ApiModel):
    max_connections: int | None = None
    connect_timeout: str | None = None
    idle_timeout: str | None = None


class HttpPool(ApiModel):
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_retries: int | None = None


class ConnectionPool(ApiModel):
    tcp: TcpPool | None = None
    http: HttpPool | None = None


class HttpCookie(ApiModel):
    """Without a `ttl` the proxy hashes the cookie and never makes one."""

    name: str


class RingHash(ApiModel):
    minimum_ring_size: int | None = None


class Maglev(ApiModel):
    table_size: int | None = None


class ConsistentHash(ApiModel):
    http_header_name: str | None = None
    http_cookie: HttpCookie | None = None
    use_source_ip: bool | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None


class Failover(ApiModel):
    """From one region to another."""

    from_: str
    to: str


class LocalityBalancing(ApiModel):
    enabled: bool
    failover: tuple[Failover, ...] | None = None


class LoadBalancer(ApiModel):
    simple: Literal["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"] | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityBalancing | None = None


class Outliers(ApiModel):
    """Istio's `OutlierDetection`; a count of 0 switches it off."""

    consecutive5xx_errors: int = Field(validation_alias=_5XX, serialization_alias=_5XX)
    consecutive_gateway_errors: int
    interval: str
    base_ejection_time: str
    max_ejection_percent: int
    min_health_percent: int


class ClientTls(ApiModel):
    """What TLS the caller's proxy originates, instead of the mutual TLS that Istio chooses by itself.

    `SIMPLE` needs all other fields; `ca_certificates` is a path in the proxy, or `system` for its system's own. `DISABLE`
    needs none.
    """

    mode: Literal["SIMPLE", "DISABLE"]
    sni: str | None = None
    ca_certificates: str | None = None
    subject_alt_names: tuple[str, ...] | None = None


class RetryBudget(ApiModel):
    percent: Number
    min_retry_concurrency: int


class PortTraffic(ApiModel):
    """The settings of one port; `port` is None where they are those of every port."""

    port: PortNumber | None = None
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: Outliers | None = None
    tls: ClientTls | None = None


class TrafficPolicy(PortTraffic):
    """The settings of a host. Those in `port_level_settings` replace all of the others but the budget."""

    retry_budget: RetryBudget | None = None
    port_level_settings: tuple[PortTraffic, ...] | None = None


class Subset(ApiModel):
    name: str
    labels: Mapping[str, str]


class DestinationRuleSpec(ApiModel):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] | None = None


class DestinationRule(Resource):
    api_version: Literal["networking.istio.io/v1"] = "networking.istio.io/v1"
    kind: Literal["DestinationRule"] = "DestinationRule"
    spec: DestinationRuleSpec


# ---- ServiceEntry ---------------------------------------------------------------------------------------------------


class ServicePort(ApiModel):
    """`number` is what applications call, `target_port` where the proxy connects to."""

    number: int
    name: str
    protocol: Literal["HTTP", "TLS", "TCP"]
    target_port: int | None = None


class ServiceEntrySpec(ApiModel):
    hosts: tuple[str, ...]
    location: Literal["MESH_EXTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["DNS", "NONE"]
    ports: tuple[ServicePort, ...]


class ServiceEntry(Resource):
    api_version: Literal["networking.istio.io/v1"] = "networking.istio.io/v1"
    kind: Literal["ServiceEntry"] = "ServiceEntry"
    spec: ServiceEntrySpec
