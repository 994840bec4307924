"""What an emission may be told that the program does not say: how Istio is installed."""

from dataclasses import dataclass
from enum import Enum

from meshc.target import TargetOptions


class Dataplane(Enum):
    """What enforces: a sidecar beside each workload; or ztunnel, which sees connections alone, and waypoints."""

    SIDECAR = "sidecar"
    AMBIENT = "ambient"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitOptions:
    """`omit` leaves out what the support table marks as safe to leave out."""

    dataplane: Dataplane = Dataplane.SIDECAR
    root_namespace: str = "istio-system"
    omit: bool = False


def read_options(options: TargetOptions) -> EmitOptions:
    """The options of `meshc.yaml`: `dataplane`, `root-namespace`, `unsupported`."""
    defaults = EmitOptions()
    return EmitOptions(
        dataplane=Dataplane(options.get("dataplane", defaults.dataplane.value)),
        root_namespace=options.get("root-namespace", defaults.root_namespace),
        omit=options.get("unsupported") == "warn",
    )
