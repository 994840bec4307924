"""Rate limits: each limit with the ports that it counts on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshc import ast, ir
from meshc.lower import values
from meshc.lower.conditions import all_of, lower_condition, lower_operations, refuse_server_name
from meshc.lower.context import Context
from meshc.lower.names import read_header
from meshc.lower.scopes import Target, check_rpc, has_ports, lower_service_scope
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedLimit:
    """A limit, its scope and its layer."""

    target: Target
    layer: int
    limit: ir.RateLimit


def lower_rate_limit(context: Context, world: World, node: ast.RateLimit, layer: int) -> Iterator[ScopedLimit]:
    """The limits of one block; what is wrong with one is reported, and it is left out."""
    target = lower_service_scope(context, world, node.service)
    if target is None or not has_ports(context, target):
        return
    if target.service is not None and target.service.is_external:
        message = f"`{target.shown}` lies outside the mesh, where no sidecar counts"
        context.report.add("protocol-mismatch", target.span, message)
        return
    ports = target.named_ports()
    if ports and not any(port.protocol.is_http for port in ports):
        message = f"there are no requests to count on `{target.shown}`"
        context.report.add("protocol-mismatch", target.span, message)
        return
    for one in node.limits:
        check_rpc(context, target, one.operations)
        limit = _lower_limit(context, one)
        if limit is not None:
            yield ScopedLimit(target=target, layer=layer, limit=limit)


def _lower_limit(context: Context, node: ast.Limit) -> ir.RateLimit | None:
    rate = values.rate(context, node.rate, "a limit")
    burst = None if node.burst is None else values.integer(context, node.burst, "burst", least=1)
    refuse_server_name(context, node.condition, "a limit counts requests")
    condition = all_of(lower_operations(context, node.operations), lower_condition(context, node.condition))
    per: str | None = None
    match node.per:
        case ast.PerSource():
            per = "source"
        case ast.PerHeader(header=header):
            name = read_header(context, header, for_rules=True)
            per = None if name is None else f"header:{name}"
        case None:
            pass
    if rate is None:
        return None
    a_second = max(1, rate.count * 1000 // rate.per_ms)
    return ir.RateLimit(
        tokens=rate.count,
        per_ms=rate.per_ms,
        burst=burst if burst is not None else a_second,
        per=per,
        condition=condition,
        span=node.span,
    )


def limits_of(limits: Sequence[ScopedLimit], service: ServiceInfo, port: PortInfo) -> tuple[ir.RateLimit, ...]:
    """The limits of a port; an environment's limit replaces one of the same kind for the same requests."""
    if not port.protocol.is_http:
        return ()
    found: dict[object, list[ScopedLimit]] = {}
    for one in limits:
        if not one.target.covers(service, port):
            continue
        same = found.setdefault((one.target.nearness, one.limit.per, one.limit.condition), [])
        if same and same[0].layer < one.layer:
            same.clear()
        same.append(one)
    chosen = [one for same in found.values() for one in same]
    ordered = sorted(chosen, key=lambda one: (one.limit.span.path, one.limit.span.start))
    return tuple(one.limit for one in ordered)
