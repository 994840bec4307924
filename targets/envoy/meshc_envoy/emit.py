"""Emit: `ir.Mesh` -> one Envoy bootstrap a workload.

Takes any mesh. What the target cannot express is reported and nothing is emitted; what is emitted is checked against the
configurations that Envoy accepts and then does not enforce (`meshc_envoy.check`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshc import ir
from meshc.passes.support import check_support, has_errors
from meshc.source import Span
from meshc.target import Document, Emission
from meshc_envoy.bootstrap import bootstrap
from meshc_envoy.check import check
from meshc_envoy.directory import Directory
from meshc_envoy.limits import check_limits
from meshc_envoy.options import EmitOptions
from meshc_envoy.support import SUPPORT

_DEFAULTS = EmitOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One bootstrap to emit: `path` is its file's, `options` and `zone` (None: not known) say where the sidecar stands."""

    path: str
    workload: ir.Workload
    options: EmitOptions
    zone: str | None = None


def emit(mesh: ir.Mesh, options: EmitOptions = _DEFAULTS, *, omit: bool = False) -> Emission:
    """The bootstraps of all workloads, sorted by path; `omit` leaves out what the table marks as safe to leave out.

    Raises InternalError if a bootstrap breaks Envoy's silent rules.
    """
    is_near_preferred = any(port.settings.locality is not None for one in mesh.workloads for port in one.ports)
    sidecars = [one for workload in mesh.workloads for one in _sidecars(workload, options, by_zone=is_near_preferred)]
    return emit_sidecars(mesh, sidecars, omit=omit)


def _sidecars(workload: ir.Workload, options: EmitOptions, *, by_zone: bool) -> Iterator[Sidecar]:
    """One for all endpoints of a workload; or, where what is near counts, one for each zone that they lie in."""
    path = f"{workload.namespace}/{workload.name}"
    zones = sorted({endpoint.zone or "" for endpoint in workload.endpoints})
    if len(zones) <= 1 or not by_zone:
        zone = zones[0] or None if len(zones) == 1 else None
        yield Sidecar(path=f"{path}.yaml", workload=workload, options=options, zone=zone)
        return
    for name in zones:
        suffix = f".{name.replace('/', '-')}" if name else ""
        yield Sidecar(path=f"{path}{suffix}.yaml", workload=workload, options=options, zone=name or None)


def emit_sidecars(mesh: ir.Mesh, sidecars: Iterable[Sidecar], *, omit: bool = False) -> Emission:
    """The same for sidecars that each stand elsewhere, several of one workload among them."""
    diagnostics = (*check_support(mesh, "envoy", SUPPORT, omit=omit), *check_limits(mesh))
    if has_errors(diagnostics):
        return Emission(documents=(), diagnostics=diagnostics)
    directory = Directory.of(mesh)
    documents = [_document(directory, sidecar) for sidecar in sidecars]
    return Emission(documents=tuple(sorted(documents, key=lambda document: document.path)), diagnostics=diagnostics)


def _document(directory: Directory, sidecar: Sidecar) -> Document:
    resource = bootstrap(directory, sidecar.workload, sidecar.options, sidecar.zone)
    check(resource)
    return Document(path=sidecar.path, resources=(resource,), sources=_sources(sidecar.workload))


def _sources(workload: ir.Workload) -> tuple[Span, ...]:
    rules = [rule.span for port in workload.ports for stage in port.access for rule in stage.rules]
    return tuple(dict.fromkeys([workload.span, *rules]))
