"""What an emission may be told that the program does not say: how Linkerd is installed."""

from dataclasses import dataclass

from meshc.target import TargetOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitOptions:
    """`namespace` is the control plane's; `probe_networks` are where the kubelets' checks come from.

    `omit` leaves out what the support table marks as safe to leave out.
    """

    namespace: str = "linkerd"
    probe_networks: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    omit: bool = False


def read_options(options: TargetOptions) -> EmitOptions:
    """The options of `meshc.yaml`: `namespace`, `probe-networks` (joined by blanks), `unsupported`."""
    defaults = EmitOptions()
    networks = options.get("probe-networks")
    return EmitOptions(
        namespace=options.get("namespace", defaults.namespace),
        probe_networks=tuple(networks.split()) if networks else defaults.probe_networks,
        omit=options.get("unsupported") == "warn",
    )
