"""What a route does: where it sends a request, with which retries, copies, changes and faults, or what it answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from meshc import ir
from meshc_envoy.read.clusters import Clusters, Upstream
from meshc_envoy.read.messages import Message
from meshc_envoy.read.patterns import literal

_DENOMINATORS: Final = {"": 100, "HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_CODES: Final = {"": 301, "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303}
_CODES_KEPT: Final = {"TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308}
_DEFAULT_BACKOFF: Final = (25, 250)
_DEFAULT_TIMEOUT_MS: Final = 15_000
_STATUSES: Final = "retriable-status-codes"
_GROUP: Final = re.compile(r"/(?:(?P<one>\(\[\^/\]\+\)|\[\^/\]\+)|(?P<text>(?:\\[^0-9A-Za-z]|[^\\.+*?()|\[\]{}^$/])*))")
_REST: Final = r"((?:/\C*)?)"
_REFERENCE: Final = re.compile(r"\\(\\|[0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A route that sends on: its action, the clusters in order with their own filter configurations, and the hashes."""

    action: ir.Forward
    settings: ir.Settings
    upstreams: tuple[tuple[Upstream, Message | None], ...]
    hashes: tuple[tuple[str, str | None], ...]


def percent(fraction: Message) -> float:
    """A `FractionalPercent`."""
    numerator, name = fraction.whole("numerator") or 0, fraction.text("denominator")
    fraction.finish()
    if name not in _DENOMINATORS:
        raise fraction.error(f"the denominator `{name}` is not understood")
    return float(Fraction(numerator * 100, _DENOMINATORS[name]))


# ---- sending on -----------------------------------------------------------------------------------------------------


def forwarded(action: Message, path: ir.PathPattern, clusters: Clusters, idle_ms: int) -> Sent:
    """A `RouteAction`; `idle_ms` is the stream idle timeout of the connection manager."""
    upstreams, weights = _clusters(action, clusters)
    total = sum(weights)
    if not total:
        raise action.error("a route without weights sends nowhere")
    destinations = tuple(
        destination(upstream, float(Fraction(weight * 100, total)))
        for (upstream, _), weight in zip(upstreams, weights, strict=True)
    )
    timeout, idle = action.milliseconds("timeout"), action.milliseconds("idle_timeout")
    budgets = {upstream.budget for upstream, _ in upstreams}
    settings = ir.Settings(
        timeout_ms=(_DEFAULT_TIMEOUT_MS if timeout is None else timeout) or None,
        idle_timeout_ms=(idle_ms if idle is None else idle) or None,
        retry=_retry(action, budgets),
        mirrors=_mirrors(action, clusters),
        rewrite_path=_rewritten(action, path),
        rewrite_host=action.text("host_rewrite_literal") or None,
    )
    hashes = tuple(_hash(one) for one in action.messages("hash_policy"))
    action.finish()
    return Sent(
        action=ir.Forward(destinations=destinations), settings=settings, upstreams=tuple(upstreams), hashes=hashes
    )


def destination(upstream: Upstream, weight: float = 100.0) -> ir.Destination:
    namespace, service, port = upstream.key
    return ir.Destination(namespace=namespace, service=service, port=port, version=upstream.version, weight=weight)


def _clusters(action: Message, clusters: Clusters) -> tuple[list[tuple[Upstream, Message | None]], list[int]]:
    split = action.message("weighted_clusters")
    if split is None:
        if not action.has("cluster"):
            raise action.error("a route that chooses its cluster by the request is not understood")
        return [(clusters.upstream(action.text("cluster"), action), None)], [1]
    split.ignore("total_weight")
    found = split.messages("clusters")
    split.finish()
    upstreams: list[tuple[Upstream, Message | None]] = []
    for one in found:
        upstreams.append((clusters.upstream(one.text("name"), one), one.message("typed_per_filter_config")))
        one.ignore("weight")
        one.finish()
    return upstreams, [one.whole("weight") or 0 for one in found]


def _retry(action: Message, budgets: set[float | None]) -> ir.Retry | None:
    policy = action.message("retry_policy")
    if policy is None:
        return None
    policy.ignore("retry_host_predicate", "host_selection_retry_max_attempts")
    words = [word.strip() for word in policy.text("retry_on").split(",") if word.strip()]
    codes = policy.data.get("retriable_status_codes") or ()
    policy.ignore("retriable_status_codes")
    statuses = tuple(code for code in codes if isinstance(code, int)) if isinstance(codes, list | tuple) else ()
    attempts = policy.whole("num_retries")
    back_off = policy.message("retry_back_off")
    interval = _DEFAULT_BACKOFF
    if back_off is not None:
        least = back_off.milliseconds("base_interval") or 0
        most = back_off.milliseconds("max_interval")
        back_off.finish()
        interval = (least, least * 10 if most is None else most)
    if len(budgets) > 1:
        raise policy.error("one route with different retry budgets is not understood")
    result = ir.Retry(
        attempts=1 if attempts is None else attempts,
        conditions=tuple(word for word in words if word != _STATUSES),
        statuses=statuses if _STATUSES in words else (),
        per_try_ms=policy.milliseconds("per_try_timeout") or None,
        backoff_ms=None if interval == _DEFAULT_BACKOFF else interval,
        budget_percent=next(iter(budgets), None),
        span=policy.span,
    )
    policy.finish()
    return result


def _mirrors(action: Message, clusters: Clusters) -> tuple[ir.Mirror, ...]:
    found: list[ir.Mirror] = []
    for one in action.messages("request_mirror_policies"):
        one.ignore("disable_shadow_host_suffix_append")
        fraction = one.message("runtime_fraction")
        share = 100.0 if fraction is None else percent(fraction.need("default_value"))
        to = destination(clusters.upstream(one.text("cluster"), one))
        found.append(ir.Mirror(percent=share, destination=to, span=one.span))
        one.finish()
    return tuple(found)


def _hash(policy: Message) -> tuple[str, str | None]:
    policy.ignore("terminal")
    for kind, field in (("header", "header_name"), ("cookie", "name")):
        if policy.has(kind):
            inner = policy.need(kind)
            name = inner.text(field)
            for one in (inner, policy):
                one.finish()
            return kind, name
    source = policy.message("connection_properties") or policy.message("source_ip")
    if source is None or (policy.has("connection_properties") and not source.flag("source_ip")):
        raise policy.error("this hash policy is not understood")
    policy.finish()
    return "source-ip", None


def _rewritten(action: Message, path: ir.PathPattern) -> str | None:
    if action.has("prefix_rewrite"):
        raise action.error("`prefix_rewrite` is not understood", "prefix_rewrite")
    rewrite = action.message("regex_rewrite")
    return None if rewrite is None else _target(rewrite, path)


def _target(rewrite: Message, path: ir.PathPattern) -> str:
    """A substitution as a target with captures. Raises NotUnderstoodError if its expression is not that of the route's path."""
    inner = rewrite.need("pattern")
    inner.ignore("google_re2")
    pattern, text = inner.text("regex"), rewrite.text("substitution")
    inner.finish()
    rewrite.finish()
    if not pattern.startswith("^") or not pattern.endswith("$"):
        raise rewrite.error("a rewrite of a part of the path is not understood")
    expression = pattern[1:-1]
    if expression == r"\C*":
        return _substituted(text, [], rewrite)
    if expression.endswith(r"/?(\C*)") and text == "/\\1":
        steps = _steps(expression.removesuffix(r"/?(\C*)"))
        if steps is not None and isinstance(path, ir.TemplatePath) and path.rest and _fits(steps, path):
            return "/**"
    has_rest = expression.endswith(_REST)
    steps = _steps(expression.removesuffix(_REST))
    if steps is None or not _covers(steps, path, has_rest=has_rest):
        raise rewrite.error("a rewrite whose expression is not that of the route's path is not understood")
    names = [f"{{{name}}}" for name in path.names] if isinstance(path, ir.TemplatePath) else []
    captures = [one for one in steps if one is None]
    return _substituted(text, [*names[: len(captures)], *(["/**"] if has_rest else [])], rewrite)


def _steps(expression: str) -> list[str | None] | None:
    found: list[str | None] = []
    at = 0
    while at < len(expression):
        step = _GROUP.match(expression, at)
        if step is None:
            return None
        found.append(None if step["one"] else literal(step["text"]))
        at = step.end()
    return found


def _fits(steps: Sequence[str | None], path: ir.TemplatePath) -> bool:
    return tuple(steps) == path.segments


def _covers(steps: Sequence[str | None], path: ir.PathPattern, *, has_rest: bool) -> bool:
    match path:
        case ir.TemplatePath():
            return _fits(steps, path) and path.rest is has_rest
        case ir.ExactPath(text):
            return not has_rest and None not in steps and "".join(f"/{one}" for one in steps) == text
        case ir.RegexPath():
            return False


def _substituted(text: str, references: Sequence[str], at: Message) -> str:
    def put(found: re.Match[str]) -> str:
        if found[1] == "\\":
            return "\\"
        number = int(found[1])
        if not 1 <= number <= len(references):
            raise at.error("a reference to a group that is not understood")
        return references[number - 1]

    result = _REFERENCE.sub(put, text)
    if "/**" in result.removesuffix("/**") and "/**" in references:
        raise at.error("the rest of a path in the middle of another is not understood")
    return result


# ---- answers --------------------------------------------------------------------------------------------------------


def redirected(redirect: Message, path: ir.PathPattern) -> ir.Redirect:
    """A `RedirectAction`."""
    code = redirect.text("response_code")
    status = {**_CODES, **_CODES_KEPT}.get(code)
    if status is None or redirect.flag("strip_query") or redirect.flag("https_redirect"):
        raise redirect.error("this redirect is not understood")
    target = redirect.text("path_redirect")
    if redirect.has("regex_rewrite"):
        target = _target(redirect.need("regex_rewrite"), path)
    scheme, host, port = (
        redirect.text("scheme_redirect"),
        redirect.text("host_redirect"),
        redirect.whole("port_redirect"),
    )
    redirect.finish()
    if not target or bool(scheme) is not bool(host):
        raise redirect.error("a redirect that keeps a part of the request's url is not understood")
    origin = f"{scheme}://{host}{'' if port is None else f':{port}'}" if host else ""
    return ir.Redirect(target=origin + target, status=status, span=redirect.span)


def answered(response: Message) -> ir.Respond:
    """A `DirectResponseAction`."""
    status = response.whole("status") or 0
    body = response.message("body")
    text = "" if body is None else body.text("inline_string")
    for one in (response, *(() if body is None else (body,))):
        one.finish()
    return ir.Respond(status=status, body=text, span=response.span)


# ---- header changes and faults --------------------------------------------------------------------------------------


def header_changes(route: Message) -> tuple[ir.HeaderChange, ...]:
    """The changes of a route: Envoy removes first, then adds in order."""
    found: list[ir.HeaderChange] = []
    for direction in ("request", "response"):
        plain = ir.HeaderChange(operation="remove", direction=direction, name="", span=route.span)
        found += [replace(plain, name=one.lower()) for one in route.texts(f"{direction}_headers_to_remove")]
        for one in route.messages(f"{direction}_headers_to_add"):
            found.append(_added(one, plain))
    return tuple(found)


def _added(option: Message, plain: ir.HeaderChange) -> ir.HeaderChange:
    header = option.need("header")
    name, value = header.text("key").lower(), header.text("value")
    action = option.text("append_action", "APPEND_IF_EXISTS_OR_ADD")
    keeps_empty = option.flag("keep_empty_value")
    for one in (header, option):
        one.finish()
    operations = {"OVERWRITE_IF_EXISTS_OR_ADD": "set", "APPEND_IF_EXISTS_OR_ADD": "add"}
    if action not in operations or (not value and not keeps_empty) or "%" in value.replace("%%", ""):
        raise option.error("this change of a header is not understood")
    return replace(plain, operation=operations[action], name=name, value=value.replace("%%", "%"), span=option.span)


def faults(config: Message) -> tuple[tuple[ir.FaultDelay, ...], tuple[ir.FaultAbort, ...]]:
    """An `HTTPFault` of a route."""
    delay, abort = config.message("delay"), config.message("abort")
    config.finish()
    delays: tuple[ir.FaultDelay, ...] = ()
    aborts: tuple[ir.FaultAbort, ...] = ()
    if delay is not None:
        time, share = delay.milliseconds("fixed_delay") or 0, percent(delay.need("percentage"))
        delays = (ir.FaultDelay(delay_ms=time, percent=share, condition=ir.ALWAYS, span=delay.span),)
        delay.finish()
    if abort is not None:
        status, share = abort.whole("http_status") or 0, percent(abort.need("percentage"))
        aborts = (ir.FaultAbort(status=status, percent=share, condition=ir.ALWAYS, span=abort.span),)
        abort.finish()
    return delays, aborts
