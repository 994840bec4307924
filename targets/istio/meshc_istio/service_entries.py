"""ServiceEntries: what makes Istio know the hosts of externals.

The proxy looks a host up itself; behind a wildcard it connects to the address that the application looked up.
"""

from typing import Literal, assert_never

from meshc import ir
from meshc_istio.directory import Called, called_ports, is_wildcard
from meshc_istio.resources.networking import ServiceEntrySpec, ServicePort


def service_entry_spec(external: ir.External, host: str) -> ServiceEntrySpec:
    """The entry of one host of an external."""
    ports = tuple(_port(called) for called in called_ports(external, host))
    return ServiceEntrySpec(hosts=(host,), resolution="NONE" if is_wildcard(host) else "DNS", ports=ports)


def _port(called: Called) -> ServicePort:
    protocol = _protocol(called.port.protocol)
    return ServicePort(
        number=called.number,
        name=f"{protocol.lower()}-{called.number}",
        protocol=protocol,
        target_port=called.port.number if called.port.number != called.number else None,
    )


def _protocol(protocol: ir.Protocol) -> Literal["HTTP", "TLS", "TCP"]:
    """What the application speaks: to an https port plain HTTP, to which the proxy adds the TLS."""
    match protocol:
        case ir.Protocol.HTTP | ir.Protocol.HTTP2 | ir.Protocol.GRPC | ir.Protocol.HTTPS:
            return "HTTP"
        case ir.Protocol.TLS:
            return "TLS"
        case ir.Protocol.TCP:
            return "TCP"
        case _:
            assert_never(protocol)
