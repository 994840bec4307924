"""Assemble: settings chosen by key, put together as `ir.Settings` and a route's action, and checked against each other."""

import re
from collections.abc import Mapping
from typing import TypeVar

from meshc import ir
from meshc.diagnostics import Label
from meshc.lower.context import Context, either
from meshc.lower.settings import GRPC_WORDS, RetrySetting, Setting
from meshc.resolve import Key
from meshc.source import Span

Chosen = Mapping[str, Setting]
"""The setting that counts for each key."""

Kind = TypeVar("Kind")

_CAPTURE = re.compile(r"\{([^{}]*)\}")
_SAFE_TO_REPEAT = frozenset({"connect-failure", "refused-stream"})
_SCALARS = {
    "timeout": "timeout_ms",
    "idle-timeout": "idle_timeout_ms",
    "connect-timeout": "connect_timeout_ms",
    "rewrite path": "rewrite_path",
    "rewrite host": "rewrite_host",
    "tls": "tls",
}


def _value(chosen: Chosen, key: str, kind: type[Kind]) -> Kind | None:
    setting = chosen.get(key)
    return setting.value if setting is not None and isinstance(setting.value, kind) else None


def _values(chosen: Chosen, kind: type[Kind]) -> tuple[Kind, ...]:
    found = [one for one in chosen.values() if isinstance(one.value, kind)]
    found.sort(key=lambda one: (one.span.path, one.span.start))
    return tuple(one.value for one in found if isinstance(one.value, kind))


def assemble_settings(chosen: Chosen) -> ir.Settings:
    """All settings but those that make the action."""
    retry = _value(chosen, "retry", RetrySetting)
    tls = _value(chosen, "tls", tuple)
    spans: list[tuple[str, Span]] = [
        (field, chosen[key].span) for key, field in sorted(_SCALARS.items()) if key in chosen
    ]
    return ir.Settings(
        timeout_ms=_value(chosen, "timeout", int),
        idle_timeout_ms=_value(chosen, "idle-timeout", int),
        connect_timeout_ms=_value(chosen, "connect-timeout", int),
        retry=None if retry is None else retry.retry,
        load_balance=_value(chosen, "load-balance", ir.LoadBalance),
        circuit_breaker=_value(chosen, "circuit-breaker", ir.CircuitBreaker),
        outlier_detection=_value(chosen, "outlier-detection", ir.OutlierDetection),
        health_check=_value(chosen, "health-check", ir.HealthCheck),
        locality=_locality(chosen),
        delays=_values(chosen, ir.FaultDelay),
        aborts=_values(chosen, ir.FaultAbort),
        mirrors=_values(chosen, ir.Mirror),
        # What is added comes after what replaces or removes, wherever it stands: order in the source means nothing.
        header_changes=tuple(sorted(_values(chosen, ir.HeaderChange), key=lambda one: one.operation == "add")),
        rewrite_path=_value(chosen, "rewrite path", str),
        rewrite_host=_value(chosen, "rewrite host", str),
        tls_ca_file=None if tls is None else tls[0],
        tls_sni=None if tls is None else tls[1],
        spans=tuple(spans),
    )


def _locality(chosen: Chosen) -> ir.Locality | None:
    mine = sorted((one for one in chosen.values() if one.kind == "locality"), key=lambda one: one.span.start)
    if not mine:
        return None
    pairs = tuple(one.value for one in mine if isinstance(one.value, tuple))
    return ir.Locality(prefer=any(one.value is True for one in mine), failover=pairs, span=mine[0].span)


def assemble_action(chosen: Chosen, service: Key, port: int) -> ir.Forward | ir.Redirect | ir.Respond:
    """What a route does: answer, or send on to its destinations, by default to the service itself."""
    answer = chosen.get("answer")
    if answer is not None and isinstance(answer.value, ir.Redirect | ir.Respond):
        return answer.value
    destinations = _value(chosen, "destinations", tuple)
    return ir.Forward(
        destinations=destinations or (ir.Destination(namespace=service[0], service=service[1], port=port),)
    )


def check_route_settings(
    context: Context, chosen: Chosen, *, path: ir.PathPattern, methods: tuple[str, ...], is_grpc: bool
) -> None:
    """Report settings of one route that contradict each other."""
    _check_times(context, chosen)
    _check_captures(context, chosen, path)
    _check_retry(context, chosen, methods, is_grpc=is_grpc)


def refuse_unsent(context: Context, own: Chosen) -> None:
    """Report settings of requests that are sent on, where none is: the caller's proxy answers them.

    Faults strike before the answer, and changes of the response are made to it, so these count.
    """
    answer = own["answer"]
    word = "redirect" if isinstance(answer.value, ir.Redirect) else "respond"
    label = Label(span=answer.span, text="this answers the request")
    for setting in own.values():
        change = setting.value
        counts = setting.kind in _ANSWERED or (isinstance(change, ir.HeaderChange) and change.direction == "response")
        if not counts:
            message = f"`{setting.shown}` does nothing beside `{word}`: the request is never sent on"
            context.report.add(
                "misplaced-setting", setting.span, message, labels=(label,), advice="leave out one of the two"
            )


_ANSWERED = frozenset({"answer", "destinations", "fault delay", "fault abort"})
"""What counts for requests that the caller's proxy answers, and destinations, which are reported apart."""


def _check_times(context: Context, chosen: Chosen) -> None:
    timeout, retry = chosen.get("timeout"), _value(chosen, "retry", RetrySetting)
    if timeout is None or retry is None or not isinstance(timeout.value, int):
        return
    label = Label(span=timeout.span, text="the timeout of all tries together")
    for what, found in (
        ("per-try timeout", retry.retry.per_try_ms),
        ("backoff", retry.retry.backoff_ms[1] if retry.retry.backoff_ms else None),
    ):
        if found is not None and found > timeout.value:
            message = f"the {what} of {found} ms is longer than the timeout of {timeout.value} ms"
            context.report.add("timeout-order", retry.retry.span, message, labels=(label,), advice="make it shorter")


def _check_captures(context: Context, chosen: Chosen, path: ir.PathPattern) -> None:
    names = path.names if isinstance(path, ir.TemplatePath) else ()
    has_rest = isinstance(path, ir.TemplatePath) and path.rest
    redirect = _value(chosen, "answer", ir.Redirect)
    targets = [
        (_value(chosen, "rewrite path", str), chosen.get("rewrite path")),
        (redirect.target if redirect else None, chosen.get("answer")),
    ]
    for target, setting in targets:
        if target is None or setting is None:
            continue
        for name in _CAPTURE.findall(target):
            if name not in names:
                advice = f"it captures {either(f'{{{one}}}' for one in names)}" if names else "it captures nothing"
                message = f"the route's path has no `{{{name}}}`"
                context.report.add("invalid-path", setting.span, message, advice=advice)
        if target.endswith("/**") and not has_rest:
            message = "the route's path does not end in `/**`, so there is no rest to keep"
            context.report.add("invalid-path", setting.span, message)


def _check_retry(context: Context, chosen: Chosen, methods: tuple[str, ...], *, is_grpc: bool) -> None:
    found = _value(chosen, "retry", RetrySetting)
    if found is None:
        return
    retry = found.retry
    if not is_grpc and set(retry.conditions) & GRPC_WORDS:
        words = either(sorted(set(retry.conditions) & GRPC_WORDS))
        context.report.add("protocol-mismatch", retry.span, f"{words} are statuses of gRPC alone")
    repeats = bool(set(retry.conditions) - _SAFE_TO_REPEAT - GRPC_WORDS) or bool(retry.statuses)
    risky = [method for method in ("POST", "PATCH") if not methods or method in methods]
    if repeats and risky and not is_grpc and not found.is_unsafe:
        message = f"{' and '.join(f'`{method}`' for method in risky)} requests are retried, which may do things twice"
        advice = ("add `unsafe` to the retry if that is meant", "or give such routes `retry never`")
        context.report.add("retry-not-idempotent", retry.span, message, advice=advice)
