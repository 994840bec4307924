"""What only the spelling of a program decides about Istio: workloads that share pods or ports, tokens on some ports alone."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.passes.traffic_features import traffic_features
from meshc_istio.callers import pod_labels
from meshc_istio.options import Dataplane, EmitOptions

_LOCAL: Final = "cluster.local"
_WAYPOINT: Final = "enforce it with sidecars, or decide by identities, addresses and ports alone"


def check_limits(mesh: ir.Mesh, options: EmitOptions) -> Iterator[Diagnostic]:
    """What Istio would read otherwise, or not at all."""
    yield from _shared_pods(mesh)
    yield from _escaped_slashes(mesh)
    yield from _local_domain(mesh)
    for workload in mesh.workloads:
        yield from _shared_ports(workload)
        yield from _versions(workload)
        yield from _tokens(workload)
        if options.dataplane is Dataplane.AMBIENT:
            yield from _ambient(workload)
    if options.dataplane is Dataplane.AMBIENT:
        for external in mesh.externals:
            message = "in ambient mode no proxy beside the caller decides what leaves the mesh"
            yield diagnose("unsupported-by-target", external.span, message, advice="use sidecars, or an egress gateway")


def _shared_pods(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Policies pick pods by their labels, and all that pick a pod are taken together."""
    by_namespace: dict[str, list[ir.Workload]] = defaultdict(list)
    for workload in mesh.workloads:
        if workload.ports:
            by_namespace[workload.namespace].append(workload)
    for workloads in by_namespace.values():
        by_label: dict[tuple[str, str], list[ir.Workload]] = defaultdict(list)
        for one in workloads:
            for label in one.labels.items():
                by_label[label].append(one)
        for one in workloads:
            carried = pod_labels(one)
            labels = dict.fromkeys(label for each in carried for label in each.items())
            near = {other.name: other for label in labels for other in by_label[label] if other is not one}
            for other in near.values():
                is_picked = any(each.items() >= other.labels.items() for each in carried)
                if is_picked and (one.labels != other.labels or one.name < other.name):
                    message = f"on istio the rules of `{other.namespace}.{other.name}` would hold for the pods of"
                    message += f" `{one.namespace}.{one.name}` too: its labels pick them as well"
                    advice = "give each a label of its own"
                    yield diagnose("unsupported-by-target", one.span, message, advice=advice)


def _escaped_slashes(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Said once, at the first port that it concerns."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    first = next((port for one in owners for port in one.ports if port.protocol.is_http), None)
    if first is not None:
        message = "on istio a path with `%2F`, `%5C` or `%00` is judged as it is written, and one with `#` without what follows it,"
        message += " instead of refused with 400"
        advice = "the rest of a path is normalized alike, if the mesh is set up as `istio/mesh.yaml` says"
        yield diagnose("target-differs", first.span, message, advice=advice)


def _local_domain(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """In policies `cluster.local` stands for the mesh's own trust domain, so that no other mesh of this name can be meant."""
    if mesh.trust_domain == _LOCAL or _LOCAL not in mesh.trust_domains:
        return
    for rule in (rule for one in mesh.workloads for port in one.ports for stage in port.access for rule in stage.rules):
        named = (*rule.principals.include, *rule.principals.exclude)
        exact = [one.identity for one in named if isinstance(one, ir.ExactIdentity)]
        prefixes = [one.prefix for one in named if isinstance(one, ir.IdentityPrefix)]
        if any(one.startswith(f"spiffe://{_LOCAL}/") for one in (*exact, *prefixes)):
            message = f"istio takes an identity of `{_LOCAL}` for one of `{mesh.trust_domain}`"
            advice = "give the other mesh a trust domain of its own"
            yield diagnose("unsupported-by-target", rule.span, message, advice=advice)


def _shared_ports(workload: ir.Workload) -> Iterator[Diagnostic]:
    """Istio's rules name the workload's port, so two of a service that lead to one port cannot differ."""
    seen: dict[int, ir.PortPolicy] = {}
    for port in workload.ports:
        other = seen.setdefault(port.target, port)
        if (other.access, other.mtls, other.jwts) != (port.access, port.mtls, port.jwts):
            message = f"on istio the ports {other.number} and {port.number} are one: both lead to {port.target}"
            yield diagnose("unsupported-by-target", port.span, message, advice="give both the same rules")


def _versions(workload: ir.Workload) -> Iterator[Diagnostic]:
    """Policies pick a service's pods by its labels, so those of all versions have to carry them."""
    for version in workload.versions:
        replaced = [
            key for key in version.labels if workload.labels.get(key, version.labels[key]) != version.labels[key]
        ]
        if replaced:
            message = f"on istio the rules of `{workload.namespace}.{workload.name}` would not hold for its version"
            message += f" `{version.name}`, whose pods have another label `{replaced[0]}`"
            advice = "tell versions apart by labels that the service does not have"
            yield diagnose("unsupported-by-target", version.span, message, advice=advice)


def _tokens(workload: ir.Workload) -> Iterator[Diagnostic]:
    """A RequestAuthentication is for all ports of a workload."""
    known = [port for port in workload.ports if port.jwts]
    for port in known[1:]:
        if {jwt.name: _said(jwt) for jwt in port.jwts} != {jwt.name: _said(jwt) for jwt in known[0].jwts}:
            message = (
                f"istio trusts the same issuers on all ports of a service, and those of port {known[0].number} differ"
            )
            yield diagnose("unsupported-by-target", port.jwts[0].span, message, advice="authenticate all ports alike")
    others = [port for port in workload.ports if port.protocol.is_http and not port.jwts]
    if known and others:
        message = (
            f"istio looks at tokens on all ports of a service: a bad one is refused on port {others[0].number} too"
        )
        yield diagnose("target-differs", known[0].jwts[0].span, message)


def _said(jwt: ir.Jwt) -> tuple[object, ...]:
    return jwt.issuer, jwt.audiences, jwt.jwks, jwt.from_headers, jwt.forward


def _ambient(workload: ir.Workload) -> Iterator[Diagnostic]:
    """Without a waypoint, ztunnel sees connections; an L7 deny would have no effect there, so nothing of L7 is emitted."""
    for port in workload.ports:
        for rule in (rule for stage in port.access for rule in stage.rules):
            if not _is_layer_4(rule.condition):
                message = "in ambient mode ztunnel sees connections, not requests: this rule would enforce nothing"
                yield diagnose("unsupported-by-target", rule.span, message, advice=_WAYPOINT)
        for feature, span in traffic_features(port, workload.namespace, workload.name):
            message = f"in ambient mode no proxy beside the caller does `{feature.value}`"
            yield diagnose("unsupported-by-target", span, message, advice="use sidecars")
        for span in (*(jwt.span for jwt in port.jwts), *(limit.span for limit in port.limits)):
            message = "in ambient mode ztunnel sees connections, not requests: this would do nothing"
            yield diagnose("unsupported-by-target", span, message, advice="enforce it with sidecars")


def _is_layer_4(condition: ir.Condition) -> bool:
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            return all(map(_is_layer_4, parts))
        case ir.Not(inner):
            return _is_layer_4(inner)
        case ir.AddressIn(address=address):
            return address is ir.AddressOf.PEER
        case _:
            return False
