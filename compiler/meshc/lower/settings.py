"""Traffic settings: from syntax to typed values, one key for each thing that can be set once.

Keys say what replaces what: a route's `timeout` replaces the block's, a block's that of its profiles, an environment's all
of them. Retries are one setting as a whole; header changes are one for each header.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from meshc import ast, ir
from meshc.lower import values
from meshc.lower.conditions import CONTROL, lower_condition, read_path, refuse_server_name
from meshc.lower.context import Context
from meshc.lower.destinations import lower_destination, lower_destinations
from meshc.lower.names import is_dropped, read_header, read_host, read_zone
from meshc.lower.options import Options
from meshc.lower.world import World
from meshc.path_patterns import PatternError, read_path_pattern
from meshc.source import Span

BALANCERS: Mapping[str, ir.BalancePolicy] = {policy.value: policy for policy in ir.BalancePolicy}
RETRY_WORDS = {
    word: word
    for word in (
        "gateway-error",
        "connect-failure",
        "reset",
        "refused-stream",
        "retriable-4xx",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    )
}
GRPC_WORDS = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
ENDPOINT_KEYS = frozenset(
    {"connect-timeout", "load-balance", "circuit-breaker", "outlier-detection", "health-check", "locality", "tls"}
)
"""Settings of a port's connections and endpoints; a route cannot have its own."""
TCP_KEYS = ENDPOINT_KEYS - {"health-check"} | {"idle-timeout", "destinations"}
"""Settings that make sense without requests, perhaps not all of their options (`needing_requests`)."""
_NOT_IN_URL = re.compile(r"[^\x21-\x7e]|[\"<>\\^`|]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `key` says what it replaces; `kind` is the word that starts it, without the key's details."""

    key: str
    kind: str
    value: object
    span: Span = field(compare=False)

    @property
    def shown(self) -> str:
        """How messages name it, between backticks: the key, unless it holds more than a user wrote."""
        if self.key == "answer":
            return "redirect` or `respond"
        return self.kind if self.kind in {"mirror", "fault delay", "fault abort"} else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNever:
    """`retry never`: as a value, so that it can replace a retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySetting:
    """A retry and whether it is `unsafe`."""

    retry: ir.Retry
    is_unsafe: bool


def needing_requests(setting: Setting) -> str | None:
    """What of a setting makes no sense where there are only connections; None if all of it does."""
    match setting.value:
        case ir.LoadBalance(hash_kind="header" | "cookie" as kind):
            return f"`load-balance … by {kind}`"
        case ir.CircuitBreaker(requests=requests, retries=retries) if (requests, retries) != (None, None):
            return f"`circuit-breaker {{ {'retries' if requests is None else 'requests'} … }}`"
        case _:
            return None if setting.kind in TCP_KEYS else f"`{setting.kind}`"


def lower_setting(context: Context, world: World, node: ast.Setting, near: ast.Ref | None) -> Setting | None:
    """One setting; None after a report. `near` is the service of the block, whose port destinations take by default."""
    return _Lowering(context, world, near).lower(node)


@dataclass(frozen=True, slots=True)
class _Lowering:
    context: Context
    world: World
    near: ast.Ref | None

    def lower(self, node: ast.Setting) -> Setting | None:
        match node:
            case ast.Timeout():
                duration = values.duration_ms(self.context, node.duration, node.kind)
                return _setting(node.kind, duration, node.span)
            case ast.Retry():
                return _setting("retry", self._retry(node), node.span)
            case ast.RetryNever():
                return _setting("retry", RetryNever(), node.span)
            case ast.LoadBalance():
                return _setting("load-balance", self._load_balance(node), node.span)
            case ast.CircuitBreaker():
                return _setting("circuit-breaker", self._circuit_breaker(node), node.span)
            case ast.OutlierDetection():
                return _setting("outlier-detection", self._outlier_detection(node), node.span)
            case ast.HealthCheck():
                return _setting("health-check", self._health_check(node), node.span)
            case ast.LocalityPrefer():
                return Setting(key="locality prefer", kind="locality", value=True, span=node.span)
            case ast.LocalityFailover():
                return self._failover(node)
            case ast.FaultDelay() | ast.FaultAbort():
                return self._fault(node)
            case _:
                return self._lower_rest(node)

    def _lower_rest(
        self,
        node: ast.Mirror
        | ast.Split
        | ast.HeaderChange
        | ast.RewritePath
        | ast.RewriteHost
        | ast.Redirect
        | ast.Respond
        | ast.Tls,
    ) -> Setting | None:
        match node:
            case ast.Mirror():
                return self._mirror(node)
            case ast.Split():
                found = lower_destinations(self.context, self.world, node.destinations, self.near, node.span)
                return _setting("destinations", found, node.span)
            case ast.HeaderChange():
                return self._header_change(node)
            case ast.RewritePath():
                return _setting("rewrite path", self._target(node.path, "the new path"), node.span)
            case ast.RewriteHost():
                return _setting("rewrite host", read_host(self.context, node.host, "the new host"), node.span)
            case ast.Redirect():
                return _setting("answer", self._redirect(node), node.span)
            case ast.Respond():
                return _setting("answer", self._respond(node), node.span)
            case ast.Tls():
                return self._tls(node)

    def _retry(self, node: ast.Retry) -> RetrySetting | None:
        context = self.context
        attempts = values.integer(context, node.attempts, "the number of retries", least=1, most=100)
        words: dict[str, None] = {}
        statuses: dict[int, None] = {}
        for condition in node.conditions:
            self._retry_condition(condition, words, statuses)
        options = Options(context, node.options, "retry", ("per-try", "backoff", "budget", "unsafe"))
        per_try = options.duration("per-try")
        backoff = options.duration_range("backoff")
        budget = options.percent("budget")
        is_unsafe = options.flag("unsafe")
        if attempts is None:
            return None
        retry = ir.Retry(
            attempts=attempts,
            conditions=tuple(sorted(words)),
            statuses=tuple(sorted(statuses)),
            per_try_ms=per_try,
            backoff_ms=backoff,
            budget_percent=None if budget is None else float(budget),
            span=node.span,
        )
        return RetrySetting(retry=retry, is_unsafe=is_unsafe)

    def _retry_condition(
        self, condition: ast.Name | ast.Value, words: dict[str, None], statuses: dict[int, None]
    ) -> None:
        if isinstance(condition, ast.Name):
            known = self.context.word(condition, {"5xx": "5xx", **RETRY_WORDS}, "condition for a retry")
            if known is not None:
                words[known] = None
        elif isinstance(condition, ast.Quantity) and condition.text == "5xx":
            words["5xx"] = None
        else:
            status = values.status(self.context, condition, "a status to retry on", least=400)
            if status is not None:
                statuses[status] = None

    def _load_balance(self, node: ast.LoadBalance) -> ir.LoadBalance | None:
        policy = self.context.word(node.policy, BALANCERS, "load-balancing policy")
        if policy is None:
            return None
        hashes = policy in {ir.BalancePolicy.RING_HASH, ir.BalancePolicy.MAGLEV}
        if hashes != (node.by is not None):
            advice = f'write `load-balance {policy.value} by header "x-user"`' if hashes else "leave out `by …`"
            message = f"`{policy.value}` {'needs' if hashes else 'does not use'} something to hash"
            self.context.report.add("missing-setting", node.span, message, advice=advice)
            return None
        name: str | None = None
        if node.by is not None and node.by.name is not None:
            if node.by.kind == "header":
                name = read_header(self.context, node.by.name, for_rules=False)
            else:
                name = values.text(self.context, node.by.name, "the name of a cookie")
        kind = None if node.by is None else node.by.kind
        return ir.LoadBalance(policy=policy, hash_kind=kind, hash_name=name, span=node.span)

    def _circuit_breaker(self, node: ast.CircuitBreaker) -> ir.CircuitBreaker:
        names = ("connections", "pending", "requests", "retries")
        options = Options(self.context, node.options, "circuit-breaker", names)
        found = [options.integer(name, least=0 if name == "retries" else 1) for name in names]
        options.require_some(node.span)
        return ir.CircuitBreaker(
            connections=found[0], pending=found[1], requests=found[2], retries=found[3], span=node.span
        )

    def _outlier_detection(self, node: ast.OutlierDetection) -> ir.OutlierDetection:
        names = ("consecutive-5xx", "consecutive-gateway-errors", "interval", "ejection", "max-ejected")
        options = Options(self.context, node.options, "outlier-detection", names)
        most = options.percent("max-ejected")
        found = ir.OutlierDetection(
            consecutive_5xx=options.integer("consecutive-5xx", least=1),
            consecutive_gateway_errors=options.integer("consecutive-gateway-errors", least=1),
            interval_ms=options.duration("interval") or 10_000,
            ejection_ms=options.duration("ejection") or 30_000,
            max_ejected=10.0 if most is None else float(most),
            span=node.span,
        )
        if not options.names_any("consecutive-5xx", "consecutive-gateway-errors"):
            advice = "add `consecutive-5xx 5` or `consecutive-gateway-errors 5`"
            self.context.report.add("missing-setting", node.span, "this detection counts nothing", advice=advice)
        return found

    def _health_check(self, node: ast.HealthCheck) -> ir.HealthCheck | None:
        options = Options(self.context, node.options, "health-check", ("interval", "timeout", "healthy", "unhealthy"))
        pattern = read_path(self.context, node.path)
        if node.method.text != "GET":
            self.context.report.add("invalid-method", node.method.span, "health checks use `GET`")
        if pattern is not None and not isinstance(pattern, ir.ExactPath):
            self.context.report.add("invalid-path", node.path.span, "a health check asks one exact path")
        if not isinstance(pattern, ir.ExactPath):
            return None
        return ir.HealthCheck(
            path=pattern.path,
            interval_ms=options.duration("interval") or 10_000,
            timeout_ms=options.duration("timeout") or 1_000,
            healthy=options.integer("healthy", least=1) or 2,
            unhealthy=options.integer("unhealthy", least=1) or 3,
            span=node.span,
        )

    def _failover(self, node: ast.LocalityFailover) -> Setting | None:
        source, target = read_zone(self.context, node.source), read_zone(self.context, node.target)
        if source is None or target is None:
            return None
        key = f"locality failover {source}"
        return Setting(key=key, kind="locality", value=(source, target), span=node.span)

    def _fault(self, node: ast.FaultDelay | ast.FaultAbort) -> Setting | None:
        share = values.percent(self.context, node.share, "the share of a fault")
        refuse_server_name(self.context, node.condition, "a fault strikes requests")
        condition = lower_condition(self.context, node.condition)
        fault: ir.FaultDelay | ir.FaultAbort
        if isinstance(node, ast.FaultDelay):
            delay = values.duration_ms(self.context, node.duration, "a delay")
            if delay is None or share is None:
                return None
            fault = ir.FaultDelay(delay_ms=delay, percent=float(share), condition=condition, span=node.span)
        else:
            status = values.status(self.context, node.status, "the status of a fault")
            if status is None or share is None:
                return None
            fault = ir.FaultAbort(status=status, percent=float(share), condition=condition, span=node.span)
        kind = "fault delay" if isinstance(node, ast.FaultDelay) else "fault abort"
        return Setting(key=f"{kind} {condition!r}", kind=kind, value=fault, span=node.span)

    def _mirror(self, node: ast.Mirror) -> Setting | None:
        share = values.percent(self.context, node.share, "the share of a mirror")
        target = lower_destination(self.context, self.world, node.target, self.near)
        if share is None or target is None:
            return None
        mirror = ir.Mirror(percent=float(share), destination=target, span=node.span)
        return Setting(key=f"mirror {target!r}", kind="mirror", value=mirror, span=node.span)

    def _header_change(self, node: ast.HeaderChange) -> Setting | None:
        name = read_header(self.context, node.name, for_rules=False)
        value = None if node.value is None else values.text(self.context, node.value, "the value of a header")
        if name is None or (value is None and node.value is not None):
            return None
        if node.direction == "request" and is_dropped(name):
            message = f"`{name}` is dropped by the server's sidecar, so that nobody can spoof it"
            self.context.report.add("invalid-header", node.name.span, message, advice="choose another name")
            return None
        if node.direction == "request" and name == "x-forwarded-for":
            # `remote ip` reads it, and would judge an address that the route made up.
            message = f"`{name}` says where a request comes from, which no route changes"
            self.context.report.add("invalid-header", node.name.span, message, advice="choose another name")
            return None
        if value is not None and node.value is not None and CONTROL.search(value):
            message = "the value of a header holds no control characters"
            self.context.report.add("invalid-header", node.value.span, message)
            return None
        change = ir.HeaderChange(
            operation=node.operation, direction=node.direction, name=name, value=value, span=node.span
        )
        key = f"{node.direction} header {name}" + (f" {value}" if node.operation == "add" else "")
        return Setting(key=key, kind="header", value=change, span=node.span)

    def _target(self, path: ast.Path | ast.Text, what: str) -> str | None:
        text = path.text if isinstance(path, ast.Path) else values.text(self.context, path, what)
        if text is None:
            return None
        try:
            read_path_pattern(text)
        except PatternError as error:
            self.context.report.add("invalid-path", path.span, error.message, advice=error.advice)
            return None
        return text

    def _redirect(self, node: ast.Redirect) -> ir.Redirect | None:
        target = node.target.text if isinstance(node.target, ast.Path) else None
        if target is None and not isinstance(node.target, ast.Path):
            target = values.text(self.context, node.target, "the target of a redirect")
        status = 302
        if node.status is not None:
            status = values.status(self.context, node.status, "the status of a redirect", least=300, most=399) or 302
        if target is None:
            return None
        if status not in {301, 302, 303, 307, 308}:
            advice = "use 301, 302, 303, 307 or 308"
            self.context.report.add("value-out-of-range", node.span, f"{status} does not redirect", advice=advice)
        if not target.startswith(("/", "http://", "https://")):
            advice = 'write a path such as `"/new"` or a URL such as `"https://shop.example/new"`'
            self.context.report.add("invalid-path", node.target.span, f"`{target}` is no place to go", advice=advice)
            return None
        if "@" in target.partition("://")[2].partition("/")[0]:
            message = "the target of a redirect names no user"
            self.context.report.add(
                "invalid-path", node.target.span, message, advice="leave out what stands before `@`"
            )
            return None
        if _NOT_IN_URL.search(target) or "**" in target.removesuffix("/**"):
            message = "the target of a redirect is a URL in ASCII, without blanks, and with `/**` at its end alone"
            advice = "percent-encode other characters: `%20` is a blank"
            self.context.report.add("invalid-path", node.target.span, message, advice=advice)
            return None
        if not target.startswith("/") and not _names_host(target):
            advice = 'write it like `"https://shop.example:8443/new"`'
            self.context.report.add(
                "invalid-path", node.target.span, f"`{target}` names no host and port", advice=advice
            )
            return None
        return ir.Redirect(target=target, status=status, span=node.span)

    def _respond(self, node: ast.Respond) -> ir.Respond | None:
        status = values.status(self.context, node.status, "the status of a response")
        body = "" if node.body is None else values.text(self.context, node.body, "the body of a response")
        if status is None or body is None:
            return None
        return ir.Respond(status=status, body=body, span=node.span)

    def _tls(self, node: ast.Tls) -> Setting | None:
        ca_file: str | None = None
        sni: str | None = None
        for item in node.items:
            match item:
                case ast.TlsCa():
                    ca_file = values.text(self.context, item.file, "a file")
                case ast.TlsSni():
                    sni = read_host(self.context, item.name, "a server name")
        return _setting("tls", (ca_file, sni), node.span)


def _names_host(url: str) -> bool:
    """Whether a URL has a host, and no port or one that there is."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False


def _setting(key: str, value: object, span: Span) -> Setting | None:
    return None if value is None else Setting(key=key, kind=key, value=value, span=span)
