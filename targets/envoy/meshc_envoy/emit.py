"""Emit: `ir.Mesh` -> one Envoy bootstrap a workload.

Takes any mesh. What the target cannot express is reported and nothing is emitted; what is emitted is checked against the
configurations that Envoy accepts and then does not enforce (`meshc_envoy.check`).
"""

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


def emit(mesh: ir.Mesh, options: EmitOptions = _DEFAULTS, *, omit: bool = False) -> Emission:
    """The bootstraps of all workloads, sorted by path; `omit` leaves out what the table marks as safe to leave out.

    Raises InternalError if a bootstrap breaks Envoy's silent rules.
    """
    diagnostics = (*check_support(mesh, "envoy", SUPPORT, omit=omit), *check_limits(mesh))
    if has_errors(diagnostics):
        return Emission(documents=(), diagnostics=diagnostics)
    directory = Directory.of(mesh)
    documents = [_document(directory, workload, options) for workload in mesh.workloads]
    return Emission(documents=tuple(sorted(documents, key=lambda document: document.path)), diagnostics=diagnostics)


def _document(directory: Directory, workload: ir.Workload, options: EmitOptions) -> Document:
    resource = bootstrap(directory, workload, options)
    check(resource)
    return Document(
        path=f"{workload.namespace}/{workload.name}.yaml", resources=(resource,), sources=_sources(workload)
    )


def _sources(workload: ir.Workload) -> tuple[Span, ...]:
    rules = [rule.span for port in workload.ports for stage in port.access for rule in stage.rules]
    return tuple(dict.fromkeys([workload.span, *rules]))
