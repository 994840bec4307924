"""A mesh without policy: which services and externals there are, and nothing of what is allowed or how calls travel."""

from dataclasses import replace

from meshc.ir import Mesh, MtlsMode, PortPolicy, Settings, Telemetry


def bare(mesh: Mesh) -> Mesh:
    """The mesh as readers get to know it. Its ports allow everything, take plaintext too, and have no route or setting."""
    return replace(
        mesh,
        workloads=tuple(
            replace(one, ports=tuple(map(_bare_port, one.ports)), telemetry=Telemetry()) for one in mesh.workloads
        ),
        externals=tuple(replace(one, ports=tuple(map(_bare_port, one.ports))) for one in mesh.externals),
    )


def _bare_port(port: PortPolicy) -> PortPolicy:
    return replace(port, mtls=MtlsMode.PERMISSIVE, access=(), jwts=(), limits=(), routes=(), settings=Settings())
