"""Istio as a target: security, networking and telemetry resources for each service."""

from typing import Final

from meshc.ir import Mesh
from meshc.reading import Aspect
from meshc.target import Emission, Target, TargetOptions
from meshc_istio.emit import emit
from meshc_istio.expressed import expressed
from meshc_istio.options import Dataplane, EmitOptions, read_options
from meshc_istio.read import ASSUMES, read
from meshc_istio.support import SUPPORT


def _emit(mesh: Mesh, options: TargetOptions) -> Emission:
    """Emit with the options of `meshc.yaml`."""
    return emit(mesh, read_options(options))


def _assumes(_: TargetOptions) -> tuple[str, ...]:
    return ASSUMES


TARGET: Final = Target(
    name="istio",
    oldest_version="1.27",
    support=SUPPORT,
    emit=_emit,
    read=read,
    reads=frozenset(Aspect),
    expressed=expressed,
    assumes=_assumes,
)
"""The target, found through the entry-point group `meshc.targets`."""

__all__ = ["SUPPORT", "TARGET", "Dataplane", "EmitOptions", "emit", "read_options"]
