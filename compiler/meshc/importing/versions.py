"""Versions that routes name and no manifest declares: a sidecar's configuration knows where they are, and not by which labels."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Assumption, Reading
from meshc.source import Span

BY_LABEL: Final = "the pods of a version carry its name as the label `version`"


def with_named_versions(reading: Reading) -> Reading:
    """The reading with the versions that its routes send to, and what is assumed of them."""
    mesh = reading.mesh
    named = {(one.namespace, one.service, one.version): span for one, span in _destinations(mesh) if one.version}
    declared = {(one.namespace, one.name, each.name) for one in mesh.workloads for each in one.versions}
    services = {(one.namespace, one.name) for one in mesh.workloads}
    missing = {key: span for key, span in named.items() if key not in declared and key[:2] in services}
    if not missing:
        return reading
    workloads = tuple(_with(one, missing) for one in mesh.workloads)
    assumption = Assumption(text=BY_LABEL, span=next(iter(missing.values())))
    return replace(reading, mesh=replace(mesh, workloads=workloads), assumptions=(*reading.assumptions, assumption))


def _with(workload: ir.Workload, missing: Mapping[tuple[str, str, str], Span]) -> ir.Workload:
    added = [
        ir.Version(name=version, labels={"version": version}, span=span)
        for (namespace, name, version), span in missing.items()
        if (namespace, name) == (workload.namespace, workload.name)
    ]
    versions = sorted((*workload.versions, *added), key=lambda one: one.name)
    return replace(workload, versions=tuple(versions))


def _destinations(mesh: ir.Mesh) -> Iterator[tuple[ir.Destination, Span]]:
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for route in (route for one in owners for port in one.ports for route in port.routes):
        if isinstance(route.action, ir.Forward):
            yield from ((one, route.span) for one in route.action.destinations)
        yield from ((one.destination, one.span) for one in route.settings.mirrors)
