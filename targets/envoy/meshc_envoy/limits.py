"""What only the spelling of a program decides about Envoy: the size of expressions, names in formats, silent callers."""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.addresses import service_host
from meshc.diagnostics import Diagnostic, diagnose
from meshc_envoy.atom_limits import check_atom
from meshc_envoy.conditions import alternatives, atoms_of
from meshc_envoy.inbound import waits_for_caller
from meshc_envoy.joined_headers import line_separators
from meshc_envoy.queries import MAX_PATTERNS, query_patterns
from meshc_envoy.rate_limits import LARGEST_BUCKET, counted_header
from meshc_envoy.requests import port_atoms
from meshc_envoy.telemetry_limits import check_telemetry
from meshc_envoy.traffic_limits import check_traffic_limits
from meshc_envoy.virtual_hosts import hosts_of

MAX_ALTERNATIVES: Final = 64
"""How many policies one rule of a tcp or tls port may become, where it mixes server names and addresses."""


def check_limits(mesh: ir.Mesh) -> tuple[Diagnostic, ...]:
    """What Envoy would refuse or read otherwise in the access rules of the mesh; a rule of many ports is named once."""
    found = [diagnostic for workload in mesh.workloads for port in workload.ports for diagnostic in _port(mesh, port)]
    found += [diagnostic for external in mesh.externals for port in external.ports for diagnostic in _rules(port)]
    found += _hosts(mesh)
    found += _covered_hosts(mesh)
    found += _named_hosts(mesh)
    found += check_traffic_limits(mesh)
    found += check_telemetry(mesh)
    return tuple({(diagnostic.span, diagnostic.message): diagnostic for diagnostic in found}.values())


def _hosts(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Hosts that would mean two things at the one outbound listener."""
    meant = {
        name: f"the service `{workload.namespace}.{workload.name}`"
        for workload in mesh.workloads
        for name in (workload.name, f"{workload.name}.{workload.namespace}", service_host(mesh, workload))
    }
    for external in mesh.externals:
        for port in external.ports:
            for host in external.hosts if port.protocol.is_http else ():
                other = meant.get(host) or meant.get(f"{host}:{port.number}")
                if other is not None:
                    message = f"on envoy the host `{host}` cannot mean an external and {other}"
                    yield diagnose("unsupported-by-target", external.span, message, advice="leave one of the two out")
                meant[f"{host}:{port.number}"] = f"another, `{external.namespace}.{external.name}`"


def _covered_hosts(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Names that a wildcard of something else covers: a caller that may not reach them would, as one of the many."""
    names = {
        name: f"the service `{workload.namespace}.{workload.name}`"
        for workload in mesh.workloads
        for name in (f"{workload.name}.{workload.namespace}", service_host(mesh, workload))
    }
    for external in mesh.externals:
        names |= dict.fromkeys(external.hosts, f"the external `{external.namespace}.{external.name}`")
    for external in mesh.externals:
        own = f"the external `{external.namespace}.{external.name}`"
        for wildcard in (host for host in external.hosts if host.startswith("*.")):
            for name, owner in names.items():
                if owner != own and name != wildcard and name.endswith(wildcard[1:]):
                    message = f"on envoy `{wildcard}` also covers `{name}`, which is {owner}"
                    advice = "name the hosts that are meant one by one, or make both one external"
                    yield diagnose("unsupported-by-target", external.span, message, advice=advice)


def _named_hosts(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Hosts that routes name and that lead elsewhere, so that these routes are not even asked."""
    meant = {
        name: f"the service `{workload.namespace}.{workload.name}`"
        for workload in mesh.workloads
        for name in (workload.name, f"{workload.name}.{workload.namespace}", service_host(mesh, workload))
    }
    for external in mesh.externals:
        meant |= dict.fromkeys(external.hosts, f"the external `{external.namespace}.{external.name}`")
    for workload in mesh.workloads:
        own = f"the service `{workload.namespace}.{workload.name}`"
        for route in (route for port in workload.ports for route in port.routes):
            tests = [atom.test for atom in atoms_of(route.condition) if isinstance(atom, ir.HostIs)]
            for host in (name for test in tests for name in hosts_of(test)):
                other = meant.setdefault(host, own)
                if other != own and host != workload.name:
                    message = f"on envoy the host `{host}` leads to {other}, where that may be reached, and not here"
                    yield diagnose("target-differs", route.span, message, advice="test another host")


def _port(mesh: ir.Mesh, port: ir.PortPolicy) -> Iterator[Diagnostic]:
    found = tuple(_rules(port))
    yield from found
    # What is too large to be written out is too large to be looked at as well.
    if not found and not port.protocol.is_http and waits_for_caller(mesh, port):
        message = f"on envoy, port {port.number} connects the application only at the caller's first byte"
        advice = (
            "a protocol in which the server speaks first needs rules by identity alone, `mtls strict`, one trust domain"
        )
        yield diagnose("target-differs", port.span, message, advice=advice)


def _rules(port: ir.PortPolicy) -> Iterator[Diagnostic]:
    if (count := len(query_patterns(port_atoms(port)))) > MAX_PATTERNS:
        message = (
            f"envoy can test at most {MAX_PATTERNS} query patterns on a port, but {count} are in scope of {port.number}"
        )
        advice = "use `==`, `in`, `starts with` or `ends with`, of which there may be any number"
        yield diagnose("unsupported-by-target", port.span, message, advice=advice)
    for stage in port.access:
        for rule in stage.rules:
            if not port.protocol.is_http and (count := alternatives(rule.condition)) > MAX_ALTERNATIVES:
                message = f"a condition makes {count} policies for envoy, which allows {MAX_ALTERNATIVES} here"
                yield diagnose("unsupported-by-target", rule.span, message, advice="split the rule into several")
            for atom in atoms_of(rule.condition):
                yield from check_atom(atom, rule.span)
    for limit in port.limits:
        yield from _limit(port, limit)


def _limit(port: ir.PortPolicy, limit: ir.RateLimit) -> Iterator[Diagnostic]:
    for atom in atoms_of(limit.condition):
        yield from check_atom(atom, limit.span)
    if max(limit.tokens, limit.burst) > LARGEST_BUCKET:
        message = f"envoy counts at most {LARGEST_BUCKET} tokens in one limit"
        yield diagnose("unsupported-by-target", limit.span, message, advice="write a smaller limit, or none")
    header = counted_header(limit)
    if header is not None and (separators := line_separators(header)):
        shown = " or ".join(f"`{one}`" for one in separators)
        message = f"envoy cannot tell lines of `{header}` from one with {shown}, so all such values share one bucket"
        yield diagnose("target-differs", limit.span, message, advice="count a header that has one plain value")
    if port.mtls is ir.MtlsMode.PERMISSIVE and limit.per != "source":
        message = f"envoy counts callers with mTLS and callers without it apart on port {port.number}"
        advice = "so together they may send twice as much; make mTLS strict there, or limit each source"
        yield diagnose("target-differs", limit.span, message, advice=advice)
