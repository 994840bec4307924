"""What Istio is to run of a mesh, by the support table alone."""

from dataclasses import replace

from meshc import ir
from meshc.target import TargetOptions


def expressed(mesh: ir.Mesh, _: TargetOptions) -> ir.Mesh:
    """The mesh with Istio's differences: issuers have no names of their own, and a token that is required may be of any of them."""
    return replace(mesh, workloads=tuple(map(_workload, mesh.workloads)))


def _workload(workload: ir.Workload) -> ir.Workload:
    return replace(workload, ports=tuple(map(_port, workload.ports)))


def _port(port: ir.PortPolicy) -> ir.PortPolicy:
    required = any(jwt.required for jwt in port.jwts)
    return replace(port, jwts=tuple(replace(jwt, name=jwt.issuer, required=required) for jwt in port.jwts))
