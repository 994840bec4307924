"""Telemetry blocks: what each workload's sidecar reports; the nearest scope that says something of a kind counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from meshc import ast, ir
from meshc.lower import values
from meshc.lower.conditions import lower_condition
from meshc.lower.context import Context
from meshc.lower.names import read_endpoint
from meshc.lower.scopes import Nearness, Target, lower_scope
from meshc.lower.services import ServiceInfo
from meshc.lower.world import World

_FORMATS = {"json": "json", "text": "text"}
Reported = TypeVar("Reported", ir.AccessLog, ir.Trace, ast.Metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedTelemetry:
    """One setting with its scope and layer."""

    target: Target
    layer: int
    setting: ir.AccessLog | ir.Trace | ast.Metrics


def lower_telemetry(context: Context, world: World, node: ast.Telemetry, layer: int) -> list[ScopedTelemetry]:
    """The settings of one block."""
    target = lower_scope(context, world, node.scope)
    if target is None:
        return []
    if target.nearness is Nearness.PORT:
        advice = "write the service without its port"
        context.report.add("misplaced-setting", target.span, "telemetry is set for whole services", advice=advice)
        return []
    if target.service is not None and target.service.is_external:
        message = f"`{target.shown}` lies outside the mesh, where no sidecar reports"
        context.report.add("protocol-mismatch", target.span, message)
        return []
    found: list[ScopedTelemetry] = []
    for item in node.items:
        setting = _lower_item(context, item)
        if setting is not None:
            found.append(ScopedTelemetry(target=target, layer=layer, setting=setting))
    return found


def _lower_item(
    context: Context, item: ast.AccessLog | ast.Trace | ast.Metrics
) -> ir.AccessLog | ir.Trace | ast.Metrics | None:
    match item:
        case ast.Metrics():
            return item
        case ast.AccessLog():
            chosen = context.word(item.format, _FORMATS, "log format")
            condition = lower_condition(context, item.condition)
            return None if chosen is None else ir.AccessLog(format=chosen, condition=condition, span=item.span)
        case ast.Trace():
            share = values.percent(context, item.sampling, "trace")
            collector = read_endpoint(context, item.collector)
            if share is None or collector is None:
                return None
            return ir.Trace(percent=float(share), collector=f"{collector[0]}:{collector[1]}", span=item.span)


def telemetry_of(context: Context, settings: Sequence[ScopedTelemetry], service: ServiceInfo) -> ir.Telemetry:
    """What a service's sidecar reports."""
    logs = _nearest(settings, service, ir.AccessLog)
    traces = _nearest(settings, service, ir.Trace)
    metrics = _nearest(settings, service, ast.Metrics)
    if len(set(traces)) > 1:
        context.report.add("duplicate-setting", traces[1].span, "`trace` is given two different values in one scope")
    return ir.Telemetry(
        access_logs=tuple(dict.fromkeys(logs)),
        trace=traces[0] if traces else None,
        metrics=bool(metrics),
        metrics_span=metrics[0].span if metrics else None,
    )


def _nearest(settings: Sequence[ScopedTelemetry], service: ServiceInfo, kind: type[Reported]) -> list[Reported]:
    mine = [
        (one.target.nearness, one.layer, one.setting)
        for one in settings
        if isinstance(one.setting, kind) and _covers(one.target, service)
    ]
    best = max(((near, layer) for near, layer, _ in mine), default=None)
    return [setting for near, layer, setting in mine if (near, layer) == best and isinstance(setting, kind)]


def _covers(target: Target, service: ServiceInfo) -> bool:
    if target.nearness is Nearness.MESH:
        return True
    if target.nearness is Nearness.NAMESPACE:
        return target.namespace == service.key[0]
    return target.service is not None and target.service.key == service.key
