"""Ports that several hosts share: Istio serves them by one listener each, which speaks HTTP or forwards connections.

Services of the mesh have an address each for their connections, externals have none: all that an external's tcp port is
known by is its number.
"""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import Span
from meshc_istio.directory import Owner, called_number

_ERROR = "unsupported-by-target"


def listener_obstacles(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Ports of externals that another host has in a way that leaves no room for them."""
    spoken = dict(_spoken(mesh))
    taken: dict[int, Span] = {}
    for external in mesh.externals:
        for port in external.ports:
            if port.protocol.is_http:
                continue
            if port.number in spoken:
                message = f"istio cannot forward connections to port {port.number}, where it expects HTTP"
                label = Label(span=spoken[port.number], text="called by HTTP at this port")
                advice = "let https ports be called at port 80: leave another port 80 out of their external"
                yield diagnose(_ERROR, port.span, message, labels=(label,), advice=advice)
            if port.protocol is ir.Protocol.TCP:
                if len(external.hosts) > 1 or port.number in taken:
                    yield _indistinct(port, taken.get(port.number, external.span))
                taken.setdefault(port.number, port.span)


def _spoken(mesh: ir.Mesh) -> Iterator[tuple[int, Span]]:
    """The numbers at which applications speak HTTP, each with a place that says so."""
    everything: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    for owner in everything:
        for port in owner.ports:
            if port.protocol.is_http:
                yield called_number(owner, port), port.span


def _indistinct(port: ir.PortPolicy, other: Span) -> Diagnostic:
    message = f"istio cannot tell the hosts of tcp port {port.number} apart, which it knows by their port"
    label = Label(span=other, text="another host at this port")
    advice = "give each host a port of its own, or make the ports `tls`"
    return diagnose(_ERROR, port.span, message, labels=(label,), advice=advice)
