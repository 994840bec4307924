"""What a route does: destinations, answers, header changes, retries, faults, copies.

Source: Istio's API reference, VirtualService. Where a route says nothing of retries, Istio retries twice all the same; the timeout is none.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from meshc import ir
from meshc.source import BUILTIN, Span
from meshc_istio.read.fields import Fields
from meshc_istio.read.matching import Match
from meshc_istio.read.rewriting import redirected, rewritten

_PERCENT: Final = re.compile(r"%(%|.?)", re.DOTALL)
_WORDS: Final = frozenset(
    {
        "5xx", "gateway-error", "reset", "connect-failure", "retriable-4xx", "refused-stream",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    }
)  # fmt: skip
_DEFAULT_ON: Final = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_ATTEMPTS: Final = 2
_LONGEST: Final = 10
"""The longest wait between tries, in shortest ones, where only that is given. Source: Envoy, RetryBackOff."""

Target = ir.Destination | None
Resolve = Callable[[Fields], Target]
"""A destination's host, subset and port -> the destination; None for one that there is no cluster for. Raises NotReadError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a route's action is read with. `default_retry` is that of routes that say nothing of retries."""

    resolve: Resolve
    default_retry: ir.Retry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What is done with the requests of one match: `path` is its pattern, with names for what the action captures."""

    path: ir.PathPattern
    action: ir.Forward | ir.Redirect | ir.Respond
    settings: ir.Settings


DEFAULT_RETRY: Final = ir.Retry(
    attempts=_DEFAULT_ATTEMPTS,
    conditions=tuple(one for one in _DEFAULT_ON.split(",") if one in _WORDS),
    span=BUILTIN,
)
"""Istio's own. It names no codes for `retriable-status-codes` since 1.24, so that adds nothing."""


def read_actions(route: Fields, matches: tuple[Match, ...], around: Around) -> Iterator[Action]:
    """The action for each of the matches. Raises NotReadError."""
    kinds = [one for one in ("route", "redirect", "directResponse", "delegate") if one in route]
    if len(kinds) != 1 or kinds == ["delegate"]:
        raise route.error("a route that is not one of `route`, `redirect`, `directResponse`")
    changes = _all_changes(route)
    if kinds != ["route"]:
        # Envoy knows these of routes that go somewhere alone.
        route.ignore("timeout", "retries", "mirror", "mirrors", "mirrorPercentage", "mirror_percent", "mirrorPercent")
        redirect, answer = route.fields("redirect"), route.fields("directResponse")
        settings = ir.Settings(header_changes=changes)
        response = None if answer is None else _response(answer)
        for one in matches:
            if redirect is not None:
                yield Action(path=one.path, action=redirected(one, _again(redirect)), settings=settings)
            elif response is not None:
                yield Action(path=one.path, action=response, settings=settings)
        return
    forward = ir.Forward(destinations=_destinations(route, around))
    settings = _settings(route, around, changes)
    rewrite = route.fields("rewrite")
    for one in matches:
        path, host = rewritten(one, None if rewrite is None else _again(rewrite))
        made = replace(settings, rewrite_path=path.target, rewrite_host=host)
        if forward.destinations:
            yield Action(path=path.path, action=forward, settings=made)
        else:
            yield Action(path=path.path, action=missing(_span(route)), settings=ir.Settings())


def _again(fields: Fields) -> Fields:
    return Fields(fields.where, fields.steps, fields.data)


def missing(span: Span) -> ir.Respond:
    """What a proxy answers that is to send a request to a cluster that there is not."""
    return ir.Respond(status=503, body="", span=span)


def _span(fields: Fields) -> Span:
    return fields.where.span(*fields.steps)


# ---- destinations ---------------------------------------------------------------------------------------------------


def _destinations(route: Fields, around: Around) -> tuple[ir.Destination, ...]:
    """With shares in percent; none if nothing of them is known to Istio."""
    listed = route.items("route")
    for one in listed:
        if "headers" in one and len(listed) > 1:
            raise one.error("one destination of several, with headers of its own", "headers")
        one.ignore("headers")
    return weighted(listed, around.resolve, route)


def weighted(listed: tuple[Fields, ...], resolve: Resolve, at: Fields) -> tuple[ir.Destination, ...]:
    """Destinations by weight; a single one gets everything, whatever its weight. Raises NotReadError."""
    found: list[tuple[Target, int]] = []
    for one in listed:
        inner = one.fields("destination")
        if inner is None:
            raise one.error("a destination without a host")
        weight = one.whole("weight") or 0
        one.finish()
        found.append((resolve(inner), weight))
    if len(found) > 1:
        found = [one for one in found if one[1]]
    if not found:
        raise at.error("a route without a destination")
    if len(found) == 1:
        return () if found[0][0] is None else (found[0][0],)
    total = sum(weight for _, weight in found)
    known = [
        replace(target, weight=float(Fraction(weight * 100, total))) for target, weight in found if target is not None
    ]
    if known and len(known) != len(found):
        raise at.error("a share of requests for a subset that nothing defines")
    return tuple(known)


def _response(answer: Fields) -> ir.Respond:
    status, body = answer.whole("status"), answer.fields("body")
    answer.finish()
    text = ""
    if body is not None:
        text = body.text("string") or ""
        body.finish()
    if status is None:
        raise answer.error("an answer without a status")
    return ir.Respond(status=status, body=text, span=_span(answer))


# ---- settings -------------------------------------------------------------------------------------------------------


def _settings(route: Fields, around: Around, changes: tuple[ir.HeaderChange, ...]) -> ir.Settings:
    fault = route.fields("fault")
    delays, aborts = ((), ()) if fault is None else _faults(fault)
    timeout = route.milliseconds("timeout")
    return ir.Settings(
        timeout_ms=timeout or None,
        retry=_retry(route, around),
        delays=delays,
        aborts=aborts,
        mirrors=tuple(_mirrors(route, around)),
        header_changes=changes,
        spans=(("timeout_ms", route.where.span(*route.steps, "timeout")),) if timeout else (),
    )


def _retry(route: Fields, around: Around) -> ir.Retry | None:
    retries = route.fields("retries")
    return around.default_retry if retries is None else read_retry(retries)


def read_retry(retries: Fields) -> ir.Retry | None:
    """Retries as written; without conditions they are Istio's own. Raises NotReadError."""
    attempts = retries.whole("attempts") or 0
    words = (retries.text("retryOn") or _DEFAULT_ON).split(",")
    per_try, backoff = retries.milliseconds("perTryTimeout"), retries.milliseconds("backoff")
    if retries.flag("retryRemoteLocalities") or retries.data.get("retryIgnorePreviousHosts") is False:
        raise retries.error("which endpoints retries go to")
    retries.ignore("retryIgnorePreviousHosts")
    retries.finish()
    if not attempts:
        return None
    statuses = tuple(int(one) for one in words if one.isdecimal())
    conditions = tuple(one for one in words if one in _WORDS)
    strange = [one for one in words if one not in _WORDS and not one.isdecimal() and one != "retriable-status-codes"]
    if strange:
        raise retries.error(f"retries on `{strange[0]}`")
    return ir.Retry(
        attempts=attempts,
        conditions=conditions,
        statuses=statuses,
        per_try_ms=per_try or None,
        backoff_ms=(backoff, _LONGEST * backoff) if backoff else None,
        span=_span(retries),
    )


def _percent(fields: Fields, usual: float) -> float:
    """A share of requests in percent, or the usual one if it is not said."""
    share = fields.fields("percentage")
    whole = fields.whole("percent")
    if share is None:
        return usual if whole is None else float(whole)
    found = share.number("value") or 0.0
    share.finish()
    return float(found)


def _faults(fault: Fields) -> tuple[tuple[ir.FaultDelay, ...], tuple[ir.FaultAbort, ...]]:
    """Delays and aborts; those that name no share are for no request."""
    delay, abort = fault.fields("delay"), fault.fields("abort")
    fault.finish()
    delays: tuple[ir.FaultDelay, ...] = ()
    aborts: tuple[ir.FaultAbort, ...] = ()
    if delay is not None:
        share, waited = _percent(delay, 0.0), delay.milliseconds("fixedDelay")
        delay.finish()
        if waited is None:
            raise delay.error("a delay without `fixedDelay`")
        delays = (ir.FaultDelay(delay_ms=waited, percent=share, condition=ir.ALWAYS, span=_span(delay)),)
    if abort is not None:
        share, status = _percent(abort, 0.0), abort.whole("httpStatus")
        abort.finish()
        if status is None:
            raise abort.error("an abort without `httpStatus`")
        aborts = (ir.FaultAbort(status=status, percent=share, condition=ir.ALWAYS, span=_span(abort)),)
    return tuple(one for one in delays if one.percent), tuple(one for one in aborts if one.percent)


def _mirrors(route: Fields, around: Around) -> Iterator[ir.Mirror]:
    single, share = route.fields("mirror"), route.fields("mirrorPercentage")
    whole = route.whole("mirrorPercent")
    if single is not None:
        percent = 100.0 if whole is None else float(whole)
        if share is not None:
            percent = float(share.number("value") or 0.0)
            share.finish()
        yield from _mirror(single, percent, around)
    for one in route.items("mirrors"):
        target = one.fields("destination")
        percent = _percent(one, 100.0)
        one.finish()
        if target is None:
            raise one.error("a copy without a destination")
        yield from _mirror(target, percent, around)


def _mirror(target: Fields, percent: float, around: Around) -> Iterator[ir.Mirror]:
    found = around.resolve(target)
    if found is not None and percent:
        yield ir.Mirror(percent=percent, destination=found, span=_span(target))


# ---- header changes -------------------------------------------------------------------------------------------------


def _all_changes(route: Fields) -> tuple[ir.HeaderChange, ...]:
    """The changes of a route, and of its destination if that is the only one. Raises NotReadError."""
    changes = tuple(_changes(route.fields("headers")))
    listed = route.items("route")
    own = tuple(_changes(listed[0].fields("headers"))) if len(listed) == 1 else ()
    twice = {(one.direction, one.name) for one in changes} & {(one.direction, one.name) for one in own}
    if twice:
        raise route.error(f"the header `{min(twice)[1]}`, which a route and its destination both change,", "headers")
    return (*changes, *own)


def _changes(headers: Fields | None) -> Iterator[ir.HeaderChange]:
    """Removals come first, then `set`, then `add`."""
    if headers is None:
        return
    parts = [(one, headers.fields(one)) for one in ("request", "response")]
    headers.finish()
    for direction, part in parts:
        if part is None:
            continue
        span = _span(part)
        _check_names(part)
        for name in part.texts("remove"):
            yield ir.HeaderChange(operation="remove", direction=direction, name=name.lower(), span=span)
        for operation in ("set", "add"):
            for name, value in part.text_map(operation).items():
                if not value:
                    continue  # Envoy leaves empty values out
                plain = _plain(value, part)
                yield ir.HeaderChange(
                    operation=operation, direction=direction, name=name.lower(), value=plain, span=span
                )
        part.finish()


def _check_names(part: Fields) -> None:
    """The host is rewritten where it is changed, and other parts of a head that are no headers are refused."""
    for name in (*part.texts("remove"), *part.text_map("set"), *part.text_map("add")):
        if name.startswith(":") or name.lower() == "host":
            raise part.error(f"a change of `{name}`")


def _plain(value: str, at: Fields) -> str:
    if any(found != "%" for found in _PERCENT.findall(value)):
        raise at.error(f"the value `{value}`, which Envoy makes of other things,")
    return value.replace("%%", "%").strip(" \t")
