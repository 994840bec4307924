"""Destinations: where a route, a split or a mirror sends requests."""

from collections.abc import Sequence
from fractions import Fraction

from meshc import ast, ir
from meshc.diagnostics import Label
from meshc.ir import Protocol
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.world import World
from meshc.source import Span

_WHOLE = 100


def lower_destination(
    context: Context, world: World, ref: ast.Ref, near: ast.Ref | None, weight: Fraction = Fraction(_WHOLE)
) -> ir.Destination | None:
    """One destination; None after a report. A service without a port means the port of `near` if it is the same service."""
    service = world.find(context, ref, "destination")
    if service is None:
        return None
    port = _port(context, world, service, ref, near)
    if port is None:
        return None
    start = None if near is None else _near_port(context, world, near)
    if start is not None and not _understands(port.protocol, start.protocol):
        message = (
            f"`{service.shown}:{port.number}` speaks {port.protocol.value}, "
            f"and what arrives here is {start.protocol.value}"
        )
        context.report.add("protocol-mismatch", ref.span, message, advice="send it to a port of the same protocol")
    if ref.version is not None and service.version(ref.version) is None:
        known = ", ".join(f"`{version.name}`" for version in service.versions)
        advice = f"its versions are {known}" if known else f"declare it in the service: `version {ref.version}`"
        context.report.add(
            "unknown-version", ref.span, f"`{service.shown}` has no version `{ref.version}`", advice=advice
        )
        return None
    return ir.Destination(
        namespace=service.key[0],
        service=service.key[1],
        port=port.number,
        version=ref.version,
        weight=float(weight),
    )


def _near_port(context: Context, world: World, near: ast.Ref) -> PortInfo | None:
    service = world.find(context, near)
    return None if service is None else world.find_port(context, service, near)


def _understands(protocol: Protocol, sent: Protocol) -> bool:
    """Whether a port can be sent what was meant for one of another protocol: any requests, or the very same bytes."""
    return protocol is sent or (protocol.is_http and sent.is_http)


def _port(context: Context, world: World, service: ServiceInfo, ref: ast.Ref, near: ast.Ref | None) -> PortInfo | None:
    if ref.port is None and near is not None and near.port is not None and context.service(near) == service.key:
        return world.find_port(context, service, near)
    return world.find_port(context, service, ref)


def lower_destinations(
    context: Context, world: World, nodes: Sequence[ast.Destination], near: ast.Ref | None, span: Span
) -> tuple[ir.Destination, ...] | None:
    """Destinations whose shares add up to 100 %; a single one may leave its share out."""
    shares: list[Fraction | None] = []
    for node in nodes:
        if node.share is None:
            shares.append(Fraction(_WHOLE) if len(nodes) == 1 else None)
            if len(nodes) > 1:
                advice = "write `payments@v1 95%, payments@v2 5%`"
                context.report.add("split-not-100", node.span, "this destination has no share", advice=advice)
        else:
            shares.append(values.percent(context, node.share, "a share"))
    known = [share for share in shares if share is not None]
    if len(known) == len(shares) and sum(known) != _WHOLE:
        total = sum(known, Fraction())
        message = f"the shares add up to {float(total):.12g} %, not to 100 %"
        context.report.add("split-not-100", span, message, advice=_mended(nodes, known, total))
        return None
    found = [
        lower_destination(context, world, node.target, near, share)
        for node, share in zip(nodes, shares, strict=True)
        if share is not None
    ]
    complete = tuple(one for one in found if one is not None)
    _refuse_twice(context, nodes, complete)
    if len(complete) != len(nodes):
        return None
    return _merged(complete)


def _mended(nodes: Sequence[ast.Destination], shares: Sequence[Fraction], total: Fraction) -> str:
    """What is missing or too much; and, where one share can take it, that share."""
    rest = _WHOLE - total
    last = shares[-1] + rest
    name = (
        nodes[-1].target.name
        if nodes[-1].target.version is None
        else f"{nodes[-1].target.name}@{nodes[-1].target.version}"
    )
    found = f"{float(abs(rest)):.12g} % {'are missing' if rest > 0 else 'are too much'}"
    return f"{found}: write `{name} {float(last):.12g}%`, or change another share" if last > 0 else found


def _refuse_twice(context: Context, nodes: Sequence[ast.Destination], destinations: tuple[ir.Destination, ...]) -> None:
    seen: dict[tuple[str, str, int, str | None], Span] = {}
    for node, one in zip(nodes, destinations, strict=False):
        key = (one.namespace, one.service, one.port, one.version)
        if key in seen and len(nodes) == len(destinations):
            labels = (Label(span=seen[key], text="the other one"),)
            context.report.add("duplicate-setting", node.span, "this destination has two shares", labels=labels)
        seen.setdefault(key, node.span)


def _merged(destinations: tuple[ir.Destination, ...]) -> tuple[ir.Destination, ...]:
    return tuple(one for one in destinations if one.weight > 0) or destinations[:1]
