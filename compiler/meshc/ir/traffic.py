"""Routes and settings: how calls to a port travel, applied by the callers' proxies."""

from dataclasses import dataclass, field
from enum import Enum

from meshc.ir.conditions import Condition, PathPattern, Principals
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Retry of a failed request. `attempts` counts the tries after the first, at least 1; the rest is milliseconds.

    `conditions` are the language's words (`5xx`, `connect-failure`, …), `statuses` single codes. `budget_percent` limits
    the share of retries among active requests, or is None.
    """

    attempts: int
    conditions: tuple[str, ...]
    statuses: tuple[int, ...] = ()
    per_try_ms: int | None = None
    backoff_ms: tuple[int, int] | None = None
    budget_percent: float | None = None
    span: Span = field(compare=False)


class BalancePolicy(Enum):
    ROUND_ROBIN = "round-robin"
    LEAST_REQUEST = "least-request"
    RANDOM = "random"
    RING_HASH = "ring-hash"
    MAGLEV = "maglev"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalance:
    """`hash_kind` is `header`, `cookie`, `source-ip` or None; `hash_name` the header's or cookie's name."""

    policy: BalancePolicy
    hash_kind: str | None = None
    hash_name: str | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Upper bounds; None leaves one unbounded."""

    connections: int | None = None
    pending: int | None = None
    requests: int | None = None
    retries: int | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Ejection of failing endpoints; None switches a counter off. Times in milliseconds, `max_ejected` in percent."""

    consecutive_5xx: int | None = None
    consecutive_gateway_errors: int | None = None
    interval_ms: int = 10_000
    ejection_ms: int = 30_000
    max_ejected: float = 10.0
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Active probing of endpoints by the caller's proxy with a GET of `path`."""

    path: str
    interval_ms: int = 10_000
    timeout_ms: int = 1_000
    healthy: int = 2
    unhealthy: int = 3
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """`prefer`: endpoints near the caller first. `failover`: pairs of region, tried in the order written."""

    prefer: bool = False
    failover: tuple[tuple[str, str], ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDelay:
    delay_ms: int
    percent: float
    condition: Condition
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultAbort:
    status: int
    percent: float
    condition: Condition
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A port of a service, perhaps one version of it. `weight` is a percentage; a route's weights sum to 100."""

    namespace: str
    service: str
    port: int
    version: str | None = None
    weight: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    percent: float
    destination: Destination
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChange:
    """`operation` is `set`, `add` or `remove`, `direction` `request` or `response`; `name` is lower-case."""

    operation: str
    direction: str
    name: str
    value: str | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be set for a route; times in milliseconds, None where the language says "none".

    `rewrite_path` may hold `{name}` captures and end in `/**`, the rest that the route's path matched.
    """

    timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    connect_timeout_ms: int | None = None
    retry: Retry | None = None
    load_balance: LoadBalance | None = None
    circuit_breaker: CircuitBreaker | None = None
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    locality: Locality | None = None
    delays: tuple[FaultDelay, ...] = ()
    aborts: tuple[FaultAbort, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    header_changes: tuple[HeaderChange, ...] = ()
    rewrite_path: str | None = None
    rewrite_host: str | None = None
    tls_ca_file: str | None = None
    tls_sni: str | None = None
    spans: tuple[tuple[str, Span], ...] = field(default=(), compare=False)
    """Where each setting that is not a class of its own was written: pairs of field name and place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send the request on; never empty. Several destinations split by weight."""

    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Answer with a redirect to `target`, a path or URL that may hold `{name}` captures or end in `/**`."""

    target: str
    status: int
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    status: int
    body: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of a port's first-match list.

    It matches if the method is one of `methods` (empty: any), the path matches, `condition` holds, and the caller is among
    `callers` (None: any). A caller is known by its own sidecar, so this is the workload's identity, verified or not.
    """

    methods: tuple[str, ...]
    path: PathPattern
    condition: Condition
    callers: Principals | None
    action: Forward | Redirect | Respond
    settings: Settings
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)
