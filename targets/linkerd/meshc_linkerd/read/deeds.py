"""What a rule of a caller's route does: backends and filters -> an action and settings, for each path that it is for.

Source: Gateway API, HTTPRoute and GRPCRoute; linkerd2, `policy-controller/k8s/index`. Linkerd ignores the weight of an only backend, and
answers 500 for the share of one that does not exist. A route with a filter that it does not know it ignores whole.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from meshc import ir
from meshc.source import Span
from meshc_linkerd.read.account import UNREAD, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.notes import Said, Timeouts
from meshc_linkerd.read.services import Services

_DURATION: Final = re.compile(r"([0-9]{1,5})(h|m|s|ms)")
_COMPOUND: Final = re.compile(r"(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_FOUND: Final = 302
_MISSING: Final = 500
_MODIFIERS: Final = {
    "RequestHeaderModifier": ("requestHeaderModifier", "request"),
    "ResponseHeaderModifier": ("responseHeaderModifier", "response"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a rule is read with: its object's annotations and those of the service that calls are for, and its namespace."""

    services: Services
    account: Account
    namespace: str
    own: Said
    service: Said
    is_policy_kind: bool = False
    """Whether the route is Linkerd's own kind, which knows fewer filters."""
    is_grpc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What is done with requests. Where `redirect` is set, its target depends on their path."""

    action: ir.Forward | ir.Respond | None
    redirect: Fields | None
    settings: ir.Settings
    span: Span

    def on(self, path: ir.PathPattern) -> ir.Forward | ir.Respond | ir.Redirect:
        """The action for requests of a pattern. Raises NotUnderstoodError for a redirect that the language cannot say."""
        if self.redirect is not None:
            return _redirected(self.redirect, path, self.span)
        if self.action is None:
            raise AssertionError("a rule does one thing or the other")
        return self.action


def read_deed(rule: Fields, around: Around) -> Deed:
    """What a rule does. Raises NotUnderstoodError."""
    span = rule.source.span(*rule.steps)
    rule.ignore("name", "matches")
    changes, redirect = _filters(list(rule.each("filters")), around)
    refs = list(rule.each("backendRefs"))
    if redirect is not None:
        if refs:
            raise rule.error("a rule with a redirect has no backends", "backendRefs")
        rule.ignore("timeouts", "retry")
        rule.finish()
        return Deed(action=None, redirect=redirect, settings=ir.Settings(header_changes=changes), span=span)
    if around.is_grpc and rule.has("timeouts"):
        raise rule.error("rules of a GRPCRoute have no timeouts", "timeouts")
    timeouts = _timeouts(rule, around)
    if rule.has("retry"):
        around.account.taken_for_granted(UNREAD, rule.source, *rule.steps, "retry")
    rule.ignore("retry")
    rule.finish()
    retry = around.own.retry if around.own.has_retry else around.service.retry
    action, abort, inner = _forward(refs, rule, around)
    if abort is not None and retry is not None:
        raise rule.error("retries of what is sent to a Service that does not exist cannot be said", "backendRefs")
    if isinstance(action, ir.Respond):
        return Deed(action=action, redirect=None, settings=ir.Settings(header_changes=changes), span=span)
    settings = ir.Settings(
        timeout_ms=timeouts.request,
        idle_timeout_ms=timeouts.idle,
        retry=retry,
        aborts=() if abort is None else (abort,),
        header_changes=(*changes, *inner),
        spans=(("timeout_ms", rule.source.span(*rule.steps, "timeouts")),) if timeouts.request else (),
    )
    return Deed(action=action, redirect=None, settings=settings, span=span)


# ---- timeouts -------------------------------------------------------------------------------------------------------


def _timeouts(rule: Fields, around: Around) -> Timeouts:
    """Those of the rule; of the annotations of its object first, and the Service's where the rule has none at all."""
    written = rule.fields("timeouts")
    request = _request_timeout(written, around)
    if written.has("backendRequest"):
        around.account.taken_for_granted(UNREAD, written.source, *written.steps)
    written.ignore("backendRequest")
    written.finish()
    own = around.own.timeouts
    found = Timeouts(request=own.request or request, idle=own.idle)
    return around.service.timeouts if found == Timeouts() else found


def _request_timeout(written: Fields, around: Around) -> int | None:
    """The time of a whole request; 0 is none. One of several units Linkerd takes for none as well."""
    text = written.text("request")
    if not text:
        return None
    found = _DURATION.fullmatch(text)
    if found is not None:
        return int(found[1]) * _UNITS[found[2]] or None
    if _COMPOUND.fullmatch(text) is None or around.is_policy_kind:
        raise written.error(f"the duration `{text}` is not understood", "request")
    around.account.taken_for_granted(UNREAD, written.source, *written.steps, "request")
    return None


# ---- backends -------------------------------------------------------------------------------------------------------

_Forwarded = tuple[ir.Forward | ir.Respond, ir.FaultAbort | None, tuple[ir.HeaderChange, ...]]


def _forward(refs: Sequence[Fields], rule: Fields, around: Around) -> _Forwarded:
    """Where requests go, the share of them that goes nowhere, and what an only backend changes."""
    weighted = [(ref, _weight(ref)) for ref in refs]
    if len(weighted) > 1:
        weighted = [(ref, weight) for ref, weight in weighted if weight > 0]
    if not weighted:
        raise rule.error("a rule that sends its requests nowhere is not understood", "backendRefs")
    targets = [(_backend(ref, around), weight) for ref, weight in weighted]
    inner = [_inner_changes(ref, around) for ref, _ in weighted]
    if len(weighted) > 1 and any(inner):
        raise rule.error("header changes for some of the backends cannot be said", "backendRefs")
    span = rule.source.span(*rule.steps, "backendRefs")
    total = 1 if len(weighted) == 1 else sum(weight for _, weight in targets)
    shares = {one: 0 for one, _ in targets}
    for one, weight in targets:
        shares[one] += 1 if len(weighted) == 1 else weight
    lost = shares.pop(None, 0)
    if not shares:
        return ir.Respond(status=_MISSING, body="", span=span), None, ()
    found = tuple(
        replace(one, weight=float(Fraction(share * 100, total - lost)))
        for one, share in shares.items()
        if one is not None
    )
    abort = None
    if lost:
        percent = float(Fraction(lost * 100, total))
        abort = ir.FaultAbort(status=_MISSING, percent=percent, condition=ir.ALWAYS, span=span)
    return ir.Forward(destinations=found), abort, inner[0]


def _weight(ref: Fields) -> int:
    weight = ref.number("weight")
    if weight is not None and not 0 <= weight <= 1_000_000:
        raise ref.error(f"the weight {weight} is not from 0 to 1000000", "weight")
    return 1 if weight is None else weight


def _backend(ref: Fields, around: Around) -> ir.Destination | None:
    found = around.services.destination(ref, around.namespace)
    ref.ignore("filters", "weight")
    ref.finish()
    return found


def _inner_changes(ref: Fields, around: Around) -> tuple[ir.HeaderChange, ...]:
    changes, redirect = _filters(list(ref.each("filters")), around)
    if redirect is not None:
        raise ref.error("a redirect in the place of a backend cannot be said", "filters")
    return changes


# ---- filters --------------------------------------------------------------------------------------------------------


def _filters(listed: Sequence[Fields], around: Around) -> tuple[tuple[ir.HeaderChange, ...], Fields | None]:
    changes: list[ir.HeaderChange] = []
    redirect: Fields | None = None
    seen: set[str] = set()
    for one in listed:
        kind = one.text("type")
        if kind in seen:
            raise one.error(f"a second `{kind}` in one rule is not understood", "type")
        seen.add(kind)
        if kind in _MODIFIERS and not (around.is_policy_kind and kind == "ResponseHeaderModifier"):
            name, direction = _MODIFIERS[kind]
            changes += _changes(one.fields(name), direction)
        elif kind == "RequestRedirect":
            redirect = one.fields("requestRedirect")
        else:
            raise one.error(f"Linkerd ignores a route with the filter `{kind}`", "type")
        one.finish()
    return tuple(changes), redirect


def _changes(modifier: Fields, direction: str) -> Iterator[ir.HeaderChange]:
    """Additions come first, then `set`, then removals."""
    span = modifier.source.span(*modifier.steps)
    for operation in ("add", "set"):
        for one in modifier.each(operation):
            name, value = one.text("name").lower(), one.text("value").strip(" \t")
            one.finish()
            if not name or not value:
                raise one.error("a header without a name or a value is not understood")
            yield ir.HeaderChange(operation=operation, direction=direction, name=name, value=value, span=span)
    for name in modifier.texts("remove"):
        yield ir.HeaderChange(operation="remove", direction=direction, name=name.lower(), span=span)
    modifier.finish()


def _redirected(written: Fields, path: ir.PathPattern, span: Span) -> ir.Redirect:
    """A redirect; what it does not name stays as the request has it."""
    redirect = Fields(written.data, written.source, written.steps)
    scheme, host, port = redirect.text("scheme"), redirect.text("hostname"), redirect.number("port")
    status = redirect.number("statusCode")
    change = redirect.fields("path")
    redirect.finish()
    if status is not None and status not in _STATUSES:
        raise redirect.error(f"a redirect with the status {status} is not understood", "statusCode")
    target = _changed(change, path) if redirect.has("path") else _kept(path, redirect)
    if host:
        number = "" if port is None else f":{port}"
        target = f"{scheme or 'http'}://{host.lower()}{number}{target}"
    elif scheme or port is not None:
        raise redirect.error("a redirect to another scheme or port of the same host cannot be said")
    elif not redirect.has("path"):
        raise redirect.error("a redirect to where the request goes already is not understood")
    return ir.Redirect(target=target, status=status or _FOUND, span=span)


def _changed(change: Fields, path: ir.PathPattern) -> str:
    kind = change.text("type")
    full, prefix = change.text("replaceFullPath"), change.text("replacePrefixMatch")
    change.finish()
    if kind == "ReplaceFullPath" and full.startswith("/") and not set(full) & set("{}") and not full.endswith("/**"):
        return full
    is_prefix = isinstance(path, ir.TemplatePath) and path.rest and None not in path.segments
    if kind == "ReplacePrefixMatch" and is_prefix and not set(prefix) & set("{}") and prefix[:1] in {"", "/"}:
        return f"{prefix.rstrip('/')}/**"
    raise change.error("a redirect to this path is not understood")


def _kept(path: ir.PathPattern, at: Fields) -> str:
    """The path as it is, as a target."""
    if isinstance(path, ir.ExactPath):
        return path.path
    if isinstance(path, ir.RegexPath):
        raise at.error("a redirect that keeps a path which an expression matches cannot be said")
    names = iter(path.names)
    stem = "".join(f"/{{{next(names)}}}" if one is None else f"/{one}" for one in path.segments)
    return f"{stem}/**" if path.rest else stem
