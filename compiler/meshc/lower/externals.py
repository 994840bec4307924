"""Externals: services outside the mesh, merged like services."""

from collections.abc import Mapping, Sequence

from meshc import ast
from meshc.ir import Protocol
from meshc.lower.context import Context
from meshc.lower.layers import Layered
from meshc.lower.names import read_host
from meshc.lower.services import PortInfo, ServiceInfo, read_port, refuse_equal_names
from meshc.resolve import Key, Placed

EXTERNAL_PROTOCOLS: Mapping[str, Protocol] = {
    protocol.value: protocol for protocol in (Protocol.HTTPS, Protocol.HTTP, Protocol.TLS, Protocol.TCP)
}


def merge_external(context: Context, key: Key, layers: Sequence[Placed[ast.External]]) -> ServiceInfo:
    """Merge an external's layers: an environment's hosts replace the program's, ports replace those of the same number."""
    ports: Layered[PortInfo] = Layered(context.report)
    hosts: list[tuple[int, str]] = []
    ordered = sorted(layers, key=lambda one: one.layer)
    for placed in ordered:
        inside = context.inside(placed.module)
        for item in placed.node.items:
            match item:
                case ast.ExternalHosts():
                    for literal in item.hosts:
                        host = read_host(inside, literal, "a host", wildcard=True)
                        if host is not None:
                            hosts.append((placed.layer, host))
                case ast.Port():
                    port = read_port(inside, item, EXTERNAL_PROTOCOLS)
                    if port is not None:
                        ports.give(f"port {port.number}", port, placed.layer, item.span)
    node = ordered[0].node
    _check_complete(context, node, has_hosts=bool(hosts), has_ports=bool(ports.given))
    top = max((layer for layer, _ in hosts), default=0)
    listed = tuple(sorted((one.value for one in ports.given.values()), key=lambda port: port.number))
    refuse_equal_names(context, listed)
    return ServiceInfo(
        key=key,
        hosts=tuple(dict.fromkeys(host for layer, host in hosts if layer == top)) or ("invalid",),
        service_account=key[1],
        ports=listed,
        doc=node.doc,
        span=node.name.span,
    )


def _check_complete(context: Context, node: ast.External, *, has_hosts: bool, has_ports: bool) -> None:
    if not any(isinstance(item, ast.ExternalHosts) for item in node.items) and not has_hosts:
        advice = 'add `host "api.example.com"`'
        context.report.add(
            "missing-setting", node.name.span, f"external `{node.name.text}` names no host", advice=advice
        )
    if not any(isinstance(item, ast.Port) for item in node.items) and not has_ports:
        advice = "add `port 443 https`"
        context.report.add("missing-setting", node.name.span, f"external `{node.name.text}` has no port", advice=advice)
