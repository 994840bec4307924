"""Which features a mesh uses, and where: `ir.Mesh` -> pairs of `Feature` and `Span`.

Takes any mesh; what it promises is to be total: whatever a target could express wrongly or not at all appears in the
result, so that comparing it with a support table (`meshc.passes.support`) can never miss anything.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from meshc import ir
from meshc.features import Feature
from meshc.passes.access_features import ADDRESSES, CLAIMS, Use, access_features, condition_features
from meshc.passes.egress_features import egress_features
from meshc.passes.server_features import authentication_features, limit_features, telemetry_features
from meshc.passes.traffic_features import traffic_features


def used_features(mesh: ir.Mesh) -> tuple[Use, ...]:
    """Every feature that the mesh uses, each with each of its places, in the order of the mesh; no pair twice."""
    return tuple(dict.fromkeys(_mesh(mesh)))


def _mesh(mesh: ir.Mesh) -> Iterator[Use]:
    if len(mesh.trust_domains) > 1:
        yield Feature.TRUST_FEDERATION, mesh.span
    for workload in mesh.workloads:
        yield from _workload(workload)
    for external in mesh.externals:
        yield from _external(external)
    yield from egress_features(mesh)


_DISCOVERY: Final = {
    ir.Discovery.KUBERNETES: Feature.DISCOVER_KUBERNETES,
    ir.Discovery.DNS: Feature.DISCOVER_DNS,
    ir.Discovery.STATIC: Feature.DISCOVER_STATIC,
    ir.Discovery.EDS: Feature.DISCOVER_EDS,
}
_PORTS: Final = {
    ir.Protocol.HTTP: Feature.PORT_HTTP,
    ir.Protocol.HTTP2: Feature.PORT_HTTP2,
    ir.Protocol.GRPC: Feature.PORT_GRPC,
    ir.Protocol.TCP: Feature.PORT_TCP,
    ir.Protocol.TLS: Feature.PORT_TLS,
    ir.Protocol.HTTPS: Feature.EGRESS_HTTPS,
}
_MTLS: Final = {
    ir.MtlsMode.STRICT: Feature.MTLS_STRICT,
    ir.MtlsMode.PERMISSIVE: Feature.MTLS_PERMISSIVE,
    ir.MtlsMode.OFF: Feature.MTLS_OFF,
}
_PROBES: Final = {"GRPC": Feature.PROBE_GRPC, "TCP": Feature.PROBE_TCP}


def _workload(workload: ir.Workload) -> Iterator[Use]:
    if workload.ports:
        yield _DISCOVERY[workload.discovery], workload.span
    for endpoint in workload.endpoints:
        if endpoint.zone is not None:
            yield Feature.ENDPOINT_ZONE, endpoint.span
        if endpoint.version is not None:
            yield Feature.ENDPOINT_VERSION, endpoint.span
        if endpoint.weight != 1:
            yield Feature.ENDPOINT_WEIGHT, endpoint.span
    for probe in workload.probes:
        yield _PROBES.get(probe.method, Feature.PROBE_HTTP), probe.span
    for port in workload.ports:
        yield _PORTS[port.protocol], port.span
        if port.protocol is not ir.Protocol.TLS:
            yield _MTLS[port.mtls], port.span
        yield from access_features(port)
        yield from authentication_features(port)
        yield from chain.from_iterable(map(limit_features, port.limits))
        yield from traffic_features(port, workload.namespace, workload.name)
    yield from telemetry_features(workload.telemetry)


_EGRESS: Final = {
    ir.Protocol.HTTP: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.HTTP2: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.GRPC: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.HTTPS: (Feature.EGRESS_HTTPS, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.TLS: (Feature.EGRESS_TLS, Feature.EGRESS_WILDCARD_TLS),
    ir.Protocol.TCP: (Feature.EGRESS_TCP, Feature.EGRESS_WILDCARD_TCP),
}


def _external(external: ir.External) -> Iterator[Use]:
    for port in external.ports:
        plain, wildcard = _EGRESS[port.protocol]
        yield plain, port.span
        if any(host.startswith("*") for host in external.hosts):
            yield wildcard, port.span
        for stage in port.access:
            for rule in stage.rules:
                yield Feature.EGRESS_ACCESS, rule.span
                for feature in condition_features(rule.condition):
                    if feature in ADDRESSES:
                        yield Feature.EGRESS_ADDRESS, rule.span
                    elif feature in CLAIMS:
                        yield Feature.EGRESS_CLAIM, rule.span
        yield from access_features(port)
        yield from authentication_features(port)
        yield from chain.from_iterable(map(limit_features, port.limits))
        yield from traffic_features(port, external.namespace, external.name)
