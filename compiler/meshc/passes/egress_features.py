"""The features of traffic that leaves the mesh: what a route changes and an external's rule reads, and copies sent out."""

from collections.abc import Iterator

from meshc import ir
from meshc.features import Feature
from meshc.passes.access_features import Use


def egress_features(mesh: ir.Mesh) -> Iterator[Use]:
    """The features of routes and mirrors that lead to externals."""
    outside = {(one.namespace, one.name, port.number): port for one in mesh.externals for port in one.ports}
    if not outside:
        return
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for route in (route for owner in owners for port in owner.ports for route in port.routes):
        if isinstance(route.action, ir.Forward):
            ports = [outside[key] for one in route.action.destinations if (key := _key(one)) in outside]
            if any(_is_changed(atom, route.settings) for port in ports for atom in _tested(port)):
                yield Feature.EGRESS_CHANGED, route.span
            for mirror in route.settings.mirrors:
                if _key(mirror.destination) in outside:
                    yield Feature.MIRROR_EXTERNAL, mirror.span


def _key(destination: ir.Destination) -> tuple[str, str, int]:
    return destination.namespace, destination.service, destination.port


def _tested(port: ir.PortPolicy) -> Iterator[ir.Atom]:
    for stage in port.access:
        for rule in stage.rules:
            yield from _atoms(rule.condition)


def _atoms(condition: ir.Condition) -> Iterator[ir.Atom]:
    match condition:
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            for part in conditions:
                yield from _atoms(part)
        case ir.Not(inner):
            yield from _atoms(inner)
        case _:
            yield condition


def _is_changed(atom: ir.Atom, settings: ir.Settings) -> bool:
    """Whether settings of a route may change what the atom reads."""
    match atom:
        case ir.PathIs(pattern):
            return settings.rewrite_path is not None and pattern != ir.ANY_PATH
        case ir.HostIs():
            return settings.rewrite_host is not None
        case ir.HeaderIs(name, _):
            return any(change.direction == "request" and change.name == name for change in settings.header_changes)
        case _:
            return False
