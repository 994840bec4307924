"""Several readings of the same services as one: what one of them refuses is refused."""

from collections.abc import Sequence
from dataclasses import replace

from meshc import ir
from meshc.reading import Reading


def merge_readings(known: ir.Mesh, readings: Sequence[Reading]) -> Reading:
    """Readings of the known services together. Their stages are all asked; the strictest mode of mTLS holds."""
    mesh = known
    for reading in readings:
        workloads = zip(mesh.workloads, reading.mesh.workloads, strict=True)
        mesh = replace(reading.mesh, workloads=tuple(_workload(one, other) for one, other in workloads))
    return Reading(
        mesh=mesh,
        unknown=tuple(one for reading in readings for one in reading.unknown),
        assumptions=tuple({one.text: one for reading in readings for one in reading.assumptions}.values()),
    )


def _workload(one: ir.Workload, other: ir.Workload) -> ir.Workload:
    return replace(other, ports=tuple(map(_port, one.ports, other.ports)))


def _port(one: ir.PortPolicy, other: ir.PortPolicy) -> ir.PortPolicy:
    stages = sorted((*one.access, *other.access), key=lambda stage: (stage.shadow, stage.effect is ir.Effect.ALLOW))
    order = (ir.MtlsMode.PERMISSIVE, ir.MtlsMode.OFF, ir.MtlsMode.STRICT)
    mode = max(one.mtls, other.mtls, key=order.index)
    return replace(other, access=tuple(stages), jwts=(*one.jwts, *other.jwts), mtls=mode)
