"""`trafficPolicy` of DestinationRules: how callers connect to a host, port by port.

Source: Istio's API reference, DestinationRule; `cluster_traffic_policy.go`. Settings of a port take the place of all that the rule says
besides, and what they leave out is Istio's default. A subset overrides block by block.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from meshc import ir
from meshc.reading.plain import mapping
from meshc.source import BUILTIN, Span
from meshc.target import Json
from meshc_istio.read.fields import Fields, NotReadError

_SIMPLE: Final = {
    "ROUND_ROBIN": None,
    "LEAST_REQUEST": ir.BalancePolicy.LEAST_REQUEST,
    "LEAST_CONN": ir.BalancePolicy.LEAST_REQUEST,
    "UNSPECIFIED": ir.BalancePolicy.LEAST_REQUEST,
    "RANDOM": ir.BalancePolicy.RANDOM,
}
_RING_SIZE: Final = 1024
_TABLE_SIZE: Final = 65_537
_CONNECT_MS: Final = 10_000
_BUDGET_PERCENT: Final = 20.0
_BUDGET_FLOOR: Final = 3
_ASIDE: Final = frozenset(
    {"maxRequestsPerConnection", "maxConnectionDuration", "maxConcurrentStreams", "idleTimeout", "minHealthPercent"}
)
"""How long connections are used, and when ejection ends because too few endpoints are left: each beside all else that is set."""

_SPOKEN: Final = ("tls", "tunnel", "proxyProtocol")
_BLOCKS: Final = ("loadBalancer", "connectionPool", "outlierDetection", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """`mode` as written, and for modes that verify a server: whom they ask, name, and authorities."""

    mode: str
    sni: str | None
    authorities: str | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What callers of one port are told. `settings` are of connections alone; `idle_ms` is for connections without requests."""

    settings: ir.Settings
    idle_ms: int | None = None
    budget: float | None = None
    tls: Tls | None = None
    unsaid: tuple[NotReadError, ...] = field(default=(), compare=False)
    """What cannot be said, and leaves all else as it is."""


DEFAULT: Final = ir.Settings(load_balance=ir.LoadBalance(policy=ir.BalancePolicy.LEAST_REQUEST, span=BUILTIN))
"""What Istio does where no rule says anything."""


def speaks(part: Json) -> bool:
    """Whether a part of a rule says by what protocol callers come: servers may not know them then, or not understand them."""
    if isinstance(part, (list, tuple)):
        return any(map(speaks, part))
    fields = mapping(part)
    return any(fields.get(name) is not None for name in _SPOKEN) or any(map(speaks, fields.values()))


def read_policy(policy: Fields | None, number: int) -> Policy:
    """The policy of the port that is called by a number. Raises NotReadError."""
    if policy is None:
        return Policy(settings=DEFAULT)
    budget = _budget(policy.fields("retryBudget"))
    levels = policy.items("portLevelSettings")
    blocks = policy
    for one in levels:
        port = one.fields("port")
        if port is not None and port.whole("number") == number:
            blocks = one
            blocks.ignore("port")
    found = _blocks(blocks, budget)
    if blocks is policy:
        policy.finish()
    else:
        blocks.finish()
        policy.ignore(*_BLOCKS)
        policy.finish()
    return found


def with_subset(rule: Fields | None, own: Fields, number: int) -> Policy:
    """The policy of a subset at a port: what it does not say, block by block, is as in the rule. Raises NotReadError."""
    if any(_number(one) == number for one in own.items("portLevelSettings")):
        raise own.error("settings of a port of one subset", "portLevelSettings")
    around: dict[str, Json] = {} if rule is None else dict(_at_port(rule, number))
    said = {name: value for name, value in own.data.items() if value is not None and name != "portLevelSettings"}
    return read_policy(Fields(own.where, own.steps, {**around, **said}), number)


def _at_port(rule: Fields, number: int) -> Mapping[str, Json]:
    """What a rule says of a port, without settings of ports: those of this one in the place of everything else."""
    level = next((one for one in rule.items("portLevelSettings") if _number(one) == number), None)
    if level is None:
        return {name: value for name, value in rule.data.items() if name != "portLevelSettings"}
    whole = {name: value for name, value in rule.data.items() if name not in {*_BLOCKS, "portLevelSettings"}}
    return {**whole, **{name: value for name, value in level.data.items() if name != "port"}}


def _number(level: Fields) -> int | None:
    port = level.fields("port")
    return None if port is None else port.whole("number")


def _blocks(policy: Fields, budget: float | None) -> Policy:
    pool, outliers = policy.fields("connectionPool"), policy.fields("outlierDetection")
    unsaid = (*_unsaid(pool), *_unsaid(outliers))
    connect, idle, bounds = (None, None, None) if pool is None else _pool(pool)
    ejection = None if outliers is None else _outliers(outliers)
    balance, locality = _balance(policy, has_ejection=ejection is not None)
    settings = ir.Settings(
        connect_timeout_ms=None if connect == _CONNECT_MS else connect,
        load_balance=balance,
        circuit_breaker=bounds,
        outlier_detection=ejection,
        locality=locality,
    )
    tls = policy.fields("tls")
    return Policy(settings=settings, idle_ms=idle, budget=budget, tls=None if tls is None else _tls(tls), unsaid=unsaid)


def _unsaid(block: Fields | None) -> Iterator[NotReadError]:
    """What of pools and of ejection is known, changes nothing else of them, and has no word in the language."""
    if block is None:
        return
    inner = [each for name in ("tcp", "http") if (each := block.fields(name)) is not None]
    for part in (block, *inner):
        # How long connections without requests may be silent can be said.
        known = {"idleTimeout"} if part.steps[-1] == "tcp" else set()
        for name in sorted(_ASIDE - known):
            if part.data.get(name):
                yield part.error(f"the field `{name}`", name)


def _budget(budget: Fields | None) -> float | None:
    if budget is None:
        return None
    share, floor = budget.number("percent"), budget.whole("minRetryConcurrency")
    budget.finish()
    if floor not in {None, _BUDGET_FLOOR}:
        raise budget.error(f"a retry budget that always lets {floor} retries run")
    return _BUDGET_PERCENT if share is None else float(share)


# ---- load balancing -------------------------------------------------------------------------------------------------


def _balance(policy: Fields, *, has_ejection: bool) -> tuple[ir.LoadBalance | None, ir.Locality | None]:
    balancer = policy.fields("loadBalancer")
    span = policy.where.span(*policy.steps)
    if balancer is None:
        near = ir.Locality(prefer=True, span=span) if has_ejection else None
        return DEFAULT.load_balance, near
    span = balancer.where.span(*balancer.steps)
    word, hashed, local = (
        balancer.text("simple"),
        balancer.fields("consistentHash"),
        balancer.fields("localityLbSetting"),
    )
    balancer.finish()
    near = _locality(local, span)
    near = near if has_ejection else None
    if hashed is not None:
        return _hash(hashed), near
    word = word or "UNSPECIFIED"
    if word not in _SIMPLE:
        raise balancer.error(f"the load balancer `{word}`")
    found = _SIMPLE[word]
    return None if found is None else ir.LoadBalance(policy=found, span=span), near


def _hash(hashed: Fields) -> ir.LoadBalance:
    header, cookie, by_address = (
        hashed.text("httpHeaderName"),
        hashed.fields("httpCookie"),
        hashed.flag("useSourceIp"),
    )
    ring, table = hashed.fields("ringHash"), hashed.fields("maglev")
    size = hashed.whole("minimumRingSize")
    if ring is not None:
        size = ring.whole("minimumRingSize")
        ring.finish()
    if table is not None:
        if table.whole("tableSize") not in {None, _TABLE_SIZE}:
            raise table.error("a hash table of a size of its own")
        table.finish()
    hashed.finish()
    if size not in {None, 0, _RING_SIZE}:
        raise hashed.error("a hash ring of a size of its own")
    name: str | None = None
    if cookie is not None:
        name = cookie.text("name")
        cookie.finish()
    kinds = [("header", header), ("cookie", name), ("source-ip", None)]
    picked = [
        one for one, here in zip(kinds, (header is not None, cookie is not None, by_address), strict=True) if here
    ]
    if len(picked) > 1:
        raise hashed.error("a hash of several things")
    kind, name = picked[0] if picked else (None, None)
    policy = ir.BalancePolicy.RING_HASH if table is None else ir.BalancePolicy.MAGLEV
    lowered = name.lower() if kind == "header" and name is not None else name
    return ir.LoadBalance(policy=policy, hash_kind=kind, hash_name=lowered, span=hashed.where.span(*hashed.steps))


def _locality(local: Fields | None, span: Span) -> ir.Locality | None:
    """Near endpoints come first unless it is said that they do not. It acts where there is ejection alone."""
    if local is None:
        return ir.Locality(prefer=True, span=span)
    is_on = local.data.get("enabled") is not False
    local.ignore("enabled")
    pairs: list[tuple[str, str]] = []
    for one in local.items("failover"):
        pairs.append((one.text("from") or "", one.text("to") or ""))
        one.finish()
    local.finish()
    return ir.Locality(prefer=True, failover=tuple(pairs), span=span) if is_on else None


# ---- pools and ejection ---------------------------------------------------------------------------------------------


def _pool(pool: Fields) -> tuple[int | None, int | None, ir.CircuitBreaker | None]:
    """The connect timeout, the idle timeout of plain connections, and the bounds; 0 is no bound."""
    tcp, http = pool.fields("tcp"), pool.fields("http")
    pool.finish()
    connect = idle = connections = pending = requests = retries = None
    if tcp is not None:
        connections = tcp.whole("maxConnections") or None
        connect, idle = tcp.milliseconds("connectTimeout"), tcp.milliseconds("idleTimeout")
        tcp.ignore("tcpKeepalive", *_ASIDE)
        tcp.finish()
    if http is not None:
        http.ignore(*_ASIDE)
        pending = http.whole("http1MaxPendingRequests") or None
        requests = http.whole("http2MaxRequests") or None
        retries = http.whole("maxRetries") or None
        http.finish()
    bounds = ir.CircuitBreaker(
        connections=connections,
        pending=pending,
        requests=requests,
        retries=retries,
        span=pool.where.span(*pool.steps),
    )
    is_open = (connections, pending, requests, retries) == (None, None, None, None)
    return connect, idle, None if is_open else bounds


def _outliers(outliers: Fields) -> ir.OutlierDetection:
    failures, gateway = outliers.whole("consecutive5xxErrors"), outliers.whole("consecutiveGatewayErrors")
    share = outliers.whole("maxEjectionPercent")
    interval, ejection = outliers.milliseconds("interval"), outliers.milliseconds("baseEjectionTime")
    outliers.ignore(*_ASIDE)
    outliers.finish()
    return ir.OutlierDetection(
        consecutive_5xx=5 if failures is None else failures or None,
        consecutive_gateway_errors=gateway or None,
        interval_ms=10_000 if interval is None else interval,
        ejection_ms=30_000 if ejection is None else ejection,
        max_ejected=10.0 if share is None else float(share),
        span=outliers.where.span(*outliers.steps),
    )


def _tls(tls: Fields) -> Tls:
    found = Tls(
        mode=tls.text("mode") or "DISABLE",
        sni=tls.text("sni"),
        authorities=tls.text("caCertificates"),
        names=tls.texts("subjectAltNames"),
    )
    tls.finish()
    return found
