"""Envoy as a target: a complete bootstrap for each workload's sidecar.

`TARGET` is what the compiler finds; `emit` also takes `EmitOptions`, which place sidecars on a machine.
"""

from typing import Final

from meshc.target import Target
from meshc_envoy.addresses import (
    FIRST_INBOUND_PORT,
    OUTBOUND_PORT,
    cluster_name,
    external_cluster,
    inbound_ports,
    tcp_listener_ports,
)
from meshc_envoy.emit import emit
from meshc_envoy.options import Certificates, EmitOptions, SocketAddress
from meshc_envoy.place import place
from meshc_envoy.support import SUPPORT

TARGET: Final = Target(name="envoy", oldest_version="1.40", support=SUPPORT, emit=emit, place=place)
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
