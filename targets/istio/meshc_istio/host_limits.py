"""Hosts that would have two VirtualServices: Istio takes the routes of one of them, and which is left to chance.

A wildcard in a VirtualService stands for every host below it that Istio knows, so it may not cover one that has routes, and
perhaps rules, of its own.
"""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import Span
from meshc_istio.directory import Directory, covers, is_wildcard
from meshc_istio.virtual_services import condition_hosts, named_hosts

_ERROR = "unsupported-by-target"


def host_obstacles(directory: Directory) -> Iterator[Diagnostic]:
    """Hosts that two owners have, in the order of the mesh."""
    taken: dict[str, Span] = {}
    for host, span in _hosts(directory):
        if host in taken:
            yield _twice(host, span, taken[host], "is the host of two")
        taken.setdefault(host, span)
        if "." not in host:
            message = f"istio takes the host `{host}` for a service of the namespace"
            yield diagnose(_ERROR, span, message, advice="name a host with a domain")
    for wildcard in filter(is_wildcard, taken):
        for host, span in taken.items():
            if host != wildcard and covers(wildcard, host):
                yield _twice(host, span, taken[wildcard], f"is one of `{wildcard}` too")


def _hosts(directory: Directory) -> Iterator[tuple[str, Span]]:
    """The hosts that have a VirtualService, with the places that say so."""
    for external in directory.mesh.externals:
        for host in external.hosts:
            yield host, external.span
    for workload in directory.mesh.workloads:
        if workload.ports:
            yield directory.host(workload), workload.span
        for host in named_hosts(directory, workload):
            yield host, _naming(workload, host)


def _naming(workload: ir.Workload, host: str) -> Span:
    """The place of the first route that names a host."""
    routes = (route for port in workload.ports for route in port.routes)
    return next(route.span for route in routes if host in condition_hosts(route.condition))


def _twice(host: str, span: Span, other: Span, why: str) -> Diagnostic:
    message = f"istio takes the routes of a host from one place, and `{host}` {why}"
    label = Label(span=other, text="the other one")
    return diagnose(_ERROR, span, message, labels=(label,), advice="let each host belong to one service or external")
