"""The mesh: workloads, their ports, and what each port allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from meshc.ir.conditions import Condition, Principals
from meshc.ir.traffic import Route, Settings
from meshc.source import Span


class Protocol(Enum):
    """What a port speaks. HTTPS is for externals alone: the caller's proxy originates TLS."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"
    TLS = "tls"
    HTTPS = "https"

    @property
    def is_http(self) -> bool:
        """Whether requests are seen; on the others only connections are."""
        return self in _HTTP


_HTTP = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.HTTPS})


class MtlsMode(Enum):
    """STRICT refuses plaintext, PERMISSIVE serves both, OFF serves plaintext alone."""

    STRICT = "strict"
    PERMISSIVE = "permissive"
    OFF = "off"


class Effect(Enum):
    DENY = "deny"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One access rule: it matches a request from one of `principals` for which `condition` holds.

    `identifier` is stable under unrelated edits and unique on its port. `span` is the rule's place in the source.
    """

    identifier: str
    principals: Principals
    condition: Condition
    because: str | None = None
    until: date | None = None
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a decision. Stages are asked in order; the first that refuses ends it, and passing all of them allows.

    DENY refuses what some rule matches. ALLOW refuses what no rule matches: without rules it refuses everything.
    A shadow stage is evaluated and logged, and never refuses.
    """

    effect: Effect
    rules: tuple[Rule, ...]
    shadow: bool = False
    span: Span = field(compare=False)
    """The place to blame where an ALLOW stage refuses: the default, or the block that closed the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A trusted issuer of tokens. `jwks_kind` is `file`, `url` or `inline`; `from_headers` are pairs (header, prefix).

    Empty `audiences` accept any. A request with an invalid token is refused; without one only if `required`.
    """

    name: str
    issuer: str
    audiences: tuple[str, ...]
    jwks_kind: str
    jwks: str
    from_headers: tuple[tuple[str, str], ...]
    forward: bool
    required: bool
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A token bucket: `tokens` are added every `per_ms`, `burst` fit in. `per` is None, `source`, or `header:<name>`."""

    tokens: int
    per_ms: int
    burst: int
    per: str | None
    condition: Condition
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """`format` is `json` or `text`; requests for which `condition` holds are logged."""

    format: str
    condition: Condition
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    percent: float
    collector: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What a workload's sidecar reports; `metrics_span` is the place that asks for metrics, where `metrics` is set."""

    access_logs: tuple[AccessLog, ...] = ()
    trace: Trace | None = None
    metrics: bool = False
    metrics_span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPolicy:
    """One port of a workload or external, and all that the program says of it.

    `number` is the service's port, `target` the workload's. `access` decides at the server (for externals: in the
    callers' proxies). `routes` are tried in order by the callers, and the last one matches everything. `settings` are
    those of the port's connections and endpoints (load balancing, breakers, health, locality, TLS, connect timeout).
    """

    number: int
    protocol: Protocol
    target: int
    name: str | None
    mtls: MtlsMode
    access: tuple[Stage, ...]
    jwts: tuple[Jwt, ...] = ()
    limits: tuple[RateLimit, ...] = ()
    routes: tuple[Route, ...] = ()
    settings: Settings
    span: Span = field(compare=False)


class Discovery(Enum):
    KUBERNETES = "kubernetes"
    DNS = "dns"
    STATIC = "static"
    EDS = "eds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address of a workload's sidecar (for externals: of the service). `zone` is `region` or `region/zone`."""

    host: str
    port: int
    zone: str | None = None
    version: str | None = None
    weight: int = 1
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    name: str
    labels: Mapping[str, str]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the platform's health checker asks: `port` is a workload (target) port.

    `method` is GET, `GRPC` for the gRPC health protocol, or `TCP` for a mere connection; the last two have no path.
    """

    method: str
    path: str | None
    port: int
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A service of the mesh. Its identity is `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`."""

    namespace: str
    name: str
    service_account: str
    identity: str
    labels: Mapping[str, str]
    versions: tuple[Version, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    discovery: Discovery
    dns_name: str | None = None
    probes: tuple[Probe, ...] = ()
    ports: tuple[PortPolicy, ...] = ()
    telemetry: Telemetry = Telemetry()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A service outside the mesh; a host may start with `*.`."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    ports: tuple[PortPolicy, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A whole program for one environment. Workloads and externals are sorted by namespace and name.

    `trust_domains` are the own one and the federated ones, in that order.
    """

    name: str
    trust_domains: tuple[str, ...]
    cluster_domain: str
    trusted_hops: int
    workloads: tuple[Workload, ...]
    externals: tuple[External, ...] = ()
    span: Span = field(compare=False)

    @property
    def trust_domain(self) -> str:
        """The domain of the mesh's own identities."""
        return self.trust_domains[0]
