"""What the Linkerd target is told about the cluster."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from meshc.ir import IpBlock
from meshc.target import TargetOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitOptions:
    """`namespace` is the control plane's, which is a part of identities; `omit` leaves out what may be left out.

    `probe_networks` are the blocks that the kubelets' health checks come from, never empty.
    """

    namespace: str = "linkerd"
    probe_networks: tuple[IpBlock, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
    omit: bool = False


def read_options(options: TargetOptions) -> EmitOptions:
    """The options of `meshc.yaml`: `namespace`, `probe-networks` (joined by blanks), `unsupported`.

    Raises ValueError for what is no block of addresses.
    """
    defaults = EmitOptions()
    blocks = tuple(ip_network(text) for text in options.get("probe-networks", "").split())
    return EmitOptions(
        namespace=options.get("namespace", defaults.namespace),
        probe_networks=blocks or defaults.probe_networks,
        omit=options.get("unsupported") == "warn",
    )
