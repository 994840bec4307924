"""Several readings of the same services as one: what one of them refuses is refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from meshc import ir
from meshc.reading import Aspect, Reading, Unknown

Owner = TypeVar("Owner", ir.Workload, ir.External)


def merge_readings(known: ir.Mesh, readings: Sequence[Reading]) -> Reading:
    """Readings of the known services together. Their stages are all asked; the strictest mode of mTLS holds.

    How calls travel can be one reading's to say alone: where two differ, that is unknown.
    """
    mesh = known
    unknown = [one for reading in readings for one in reading.unknown]
    for reading in readings:
        unknown += _contradictions(mesh, reading.mesh)
        mesh = replace(
            reading.mesh,
            trust_domains=_told(known.trust_domains, mesh.trust_domains, reading.mesh.trust_domains),
            cluster_domain=_told(known.cluster_domain, mesh.cluster_domain, reading.mesh.cluster_domain),
            trusted_hops=max(mesh.trusted_hops, reading.mesh.trusted_hops),
            workloads=_merged(mesh.workloads, reading.mesh.workloads),
            externals=_merged(mesh.externals, reading.mesh.externals),
        )
    return Reading(
        mesh=mesh,
        unknown=tuple(unknown),
        assumptions=tuple({one.text: one for reading in readings for one in reading.assumptions}.values()),
    )


Value = TypeVar("Value")


def _told(known: Value, one: Value, other: Value) -> Value:
    """What a reading says that is not what was known anyway."""
    return one if other == known else other


def _merged(some: Iterable[Owner], others: Iterable[Owner]) -> tuple[Owner, ...]:
    """By namespace and name, in that order; what only one reading knows is as it says."""
    left: Mapping[tuple[str, str], Owner] = {(one.namespace, one.name): one for one in some}
    right: Mapping[tuple[str, str], Owner] = {(one.namespace, one.name): one for one in others}
    return tuple(
        _both(left[key], right[key]) if key in left and key in right else left.get(key) or right[key]
        for key in sorted(left.keys() | right.keys())
    )


def _both(one: Owner, other: Owner) -> Owner:
    before = {port.number: port for port in one.ports}
    after = {port.number: port for port in other.ports}
    numbers = sorted(before.keys() | after.keys())
    ports = tuple(
        _port(before[number], after[number])
        if number in before and number in after
        else before.get(number) or after[number]
        for number in numbers
    )
    if isinstance(one, ir.Workload) and isinstance(other, ir.Workload):
        versions = {version.name: version for version in (*one.versions, *other.versions)}
        return replace(
            other,
            ports=ports,
            versions=tuple(versions[name] for name in sorted(versions)),
            telemetry=other.telemetry if other.telemetry != ir.Telemetry() else one.telemetry,
        )
    return replace(other, ports=ports)


def _port(one: ir.PortPolicy, other: ir.PortPolicy) -> ir.PortPolicy:
    stages = sorted((*one.access, *other.access), key=lambda stage: (stage.shadow, stage.effect is ir.Effect.ALLOW))
    order = (ir.MtlsMode.PERMISSIVE, ir.MtlsMode.OFF, ir.MtlsMode.STRICT)
    mode = max(one.mtls, other.mtls, key=order.index)
    return replace(
        other,
        access=tuple(stages),
        jwts=(*one.jwts, *other.jwts),
        mtls=mode,
        limits=tuple(dict.fromkeys((*one.limits, *other.limits))),
        routes=other.routes or one.routes,
        settings=other.settings if other.settings != ir.Settings() else one.settings,
    )


def _contradictions(one: ir.Mesh, other: ir.Mesh) -> Iterable[Unknown]:
    before = {(each.namespace, each.name, port.number): port for each in _owners(one) for port in each.ports}
    for each in _owners(other):
        for port in each.ports:
            key = (each.namespace, each.name, port.number)
            first = before.get(key)
            if first is None or not _travels(first) or not _travels(port) or _travels(first) == _travels(port):
                continue
            span = port.routes[0].span if port.routes else port.span
            message = "two meshes say how these calls travel, and not the same"
            aspects = frozenset({Aspect.ROUTING, Aspect.SETTINGS})
            yield Unknown(message=message, aspects=aspects, ports=(key,), span=span)


def _travels(port: ir.PortPolicy) -> tuple[object, ...]:
    """What is said of how calls travel; empty for nothing."""
    said = port.routes, port.settings
    return () if said == ((), ir.Settings()) else said


def _owners(mesh: ir.Mesh) -> tuple[ir.Workload | ir.External, ...]:
    return (*mesh.workloads, *mesh.externals)
