"""The callers' side: `ir.Mesh` -> VirtualServices, DestinationRules and ServiceEntries.

Takes a mesh in which `check_traffic` finds nothing. Each host has its own objects, in its own namespace, named after it.
"""

from collections.abc import Iterator, Mapping

from meshc import ir
from meshc.errors import InternalError
from meshc.kubernetes import Metadata, Placed, metadata, object_name, rule_anchor, span_anchor
from meshc.source import Span
from meshc.target import Json
from meshc_istio.callers import Census, take_census
from meshc_istio.destination_rules import destination_rule_spec
from meshc_istio.directory import Directory, Owner, called_hosts, make_directory
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import DestinationRule, ServiceEntry, VirtualService
from meshc_istio.service_entries import service_entry_spec
from meshc_istio.virtual_services import virtual_service_spec


def traffic_objects(mesh: ir.Mesh) -> Iterator[Placed]:
    """All objects of the callers' side: those of services, then those of externals, by namespace and name.

    Raises InternalError for what `check_traffic` reports.
    """
    directory, census = make_directory(mesh), take_census(mesh)
    everything: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    for owner in everything:
        if owner.ports:
            for host in called_hosts(directory, owner):
                yield from _host_objects(directory, census, owner, host)


def mesh_settings(mesh: ir.Mesh) -> Mapping[str, Json]:
    """The part of MeshConfig that the callers' side relies on: where externals have rules, no host is known but theirs."""
    has_rules = any(port.access for external in mesh.externals for port in external.ports)
    return {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}} if has_rules else {}


def _host_objects(directory: Directory, census: Census, owner: Owner, host: str) -> Iterator[Placed]:
    key, sources = (owner.namespace, owner.name), _sources(owner)
    named = _metadata(owner, host)
    if isinstance(owner, ir.External):
        entry = ServiceEntry(metadata=named, spec=service_entry_spec(owner, host))
        yield Placed(owner=key, resource=entry, sources=sources)
    service = virtual_service_spec(directory, census, owner, host)
    if isinstance(service, Obstacle):
        raise InternalError(f"istio cannot {service.reason}, which no check has found")
    rule = destination_rule_spec(directory, owner, host)
    if rule is not None:
        yield Placed(owner=key, resource=DestinationRule(metadata=named, spec=rule), sources=sources)
    if service is not None:
        yield Placed(owner=key, resource=VirtualService(metadata=named, spec=service), sources=sources)


def _metadata(owner: Owner, host: str) -> Metadata:
    is_external = isinstance(owner, ir.External)
    scope = f"{owner.namespace}.{owner.name}"
    block = f"{'external' if is_external else 'service'}-{scope}"
    anchors = [span_anchor(owner.span, block)]
    declared = {port.span for port in owner.ports}
    routes = [route.span for port in owner.ports for route in port.routes]
    anchors += [span_anchor(span, f"traffic-{scope}") for span in routes if span not in declared]
    if is_external:
        anchors += [rule_anchor(rule) for port in owner.ports for stage in port.access for rule in stage.rules]
    return metadata(_name(owner, host), owner.namespace, anchors)


def _name(owner: Owner, host: str) -> str:
    """The owner's name, and the host's too where the owner has several."""
    if isinstance(owner, ir.Workload):
        return object_name(owner.name)
    return object_name("external", owner.name, *((host,) if len(owner.hosts) > 1 else ()))


def _sources(owner: Owner) -> tuple[Span, ...]:
    routes = [route.span for port in owner.ports for route in port.routes]
    rules = [rule.span for port in owner.ports for stage in port.access for rule in stage.rules]
    return tuple(dict.fromkeys([owner.span, *routes, *(rules if isinstance(owner, ir.External) else [])]))
