"""What only the spelling of a program decides about telemetry on Envoy."""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc_envoy.access_logs import is_in_scope
from meshc_envoy.atom_limits import check_atom
from meshc_envoy.conditions import alternatives, atoms_of
from meshc_envoy.metrics import check_metrics

MAX_ALTERNATIVES: Final = 64
"""How many policies the condition of a log may become on ports of bytes, where it mixes server names and addresses."""


def check_telemetry(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Envoy would refuse or do otherwise in the telemetry of the mesh."""
    for workload in mesh.workloads:
        yield from check_metrics(workload)
        for log in workload.telemetry.access_logs:
            yield from _log(log)


def _log(log: ir.AccessLog) -> Iterator[Diagnostic]:
    for atom in atoms_of(log.condition):
        yield from check_atom(atom, log.span)
        if isinstance(atom, ir.QueryIs) and isinstance(atom.test, ir.Matches):
            message = f"envoy cannot test the query parameter `{atom.name}` for a pattern in the condition of a log"
            yield diagnose(
                "unsupported-by-target", log.span, message, advice="use `==`, `in`, `starts with` or `ends with`"
            )
    if is_in_scope(log.condition) and (count := alternatives(log.condition)) > MAX_ALTERNATIVES:
        message = f"a condition makes {count} policies for envoy, which allows {MAX_ALTERNATIVES} here"
        yield diagnose("unsupported-by-target", log.span, message, advice="split the log into several")
