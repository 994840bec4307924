"""Envoy as a target: a complete bootstrap for each workload's sidecar.

`TARGET` is what the compiler finds; `emit` also takes `EmitOptions`, which place sidecars on a machine.
"""

from pathlib import PurePosixPath
from typing import Final

from meshc.addresses import (
    FIRST_INBOUND_PORT,
    OUTBOUND_PORT,
    cluster_name,
    external_cluster,
    inbound_ports,
    tcp_listener_ports,
)
from meshc.ir import Mesh
from meshc.reading import Aspect
from meshc.target import Emission, Target, TargetOptions
from meshc_envoy.emit import emit
from meshc_envoy.options import Certificates, EmitOptions, SocketAddress
from meshc_envoy.place import place
from meshc_envoy.read import ASSUMES, BUNDLES, expressed, read
from meshc_envoy.read.sites import sites
from meshc_envoy.support import SUPPORT


def _emit(mesh: Mesh, options: TargetOptions) -> Emission:
    """Emit with the options of `meshc.yaml`: `certificates` (`files` or `sds`), `tls-directory`, `unsupported`."""
    defaults = EmitOptions()
    return emit(
        mesh,
        EmitOptions(
            certificates=Certificates(options.get("certificates", defaults.certificates.value)),
            tls_directory=PurePosixPath(options.get("tls-directory", defaults.tls_directory)),
        ),
        omit=options.get("unsupported") == "warn",
    )


def _assumes(options: TargetOptions) -> tuple[str, ...]:
    """Where an agent brings the certificates, which authorities it gives for a trust domain is its own to say."""
    return (*ASSUMES, BUNDLES) if options.get("certificates") == "sds" else ASSUMES


TARGET: Final = Target(
    name="envoy",
    oldest_version="1.40",
    support=SUPPORT,
    emit=_emit,
    place=place,
    read=read,
    sites=sites,
    reads=frozenset(Aspect),
    expressed=expressed,
    assumes=_assumes,
)
"""The target, found through the entry-point group `meshc.targets`."""

__all__ = [
    "FIRST_INBOUND_PORT",
    "OUTBOUND_PORT",
    "SUPPORT",
    "TARGET",
    "Certificates",
    "EmitOptions",
    "SocketAddress",
    "cluster_name",
    "emit",
    "external_cluster",
    "inbound_ports",
    "tcp_listener_ports",
]
