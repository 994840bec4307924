"""Linkerd as a target: servers, routes and authorizations for each service."""

from typing import Final

from meshc.ir import Mesh
from meshc.reading import Aspect
from meshc.target import Emission, Target, TargetOptions
from meshc_linkerd.emit import emit
from meshc_linkerd.options import EmitOptions, read_options
from meshc_linkerd.read import ASSUMES, expected, expressed, read
from meshc_linkerd.support import SUPPORT


def _emit(mesh: Mesh, options: TargetOptions) -> Emission:
    """Emit with the options of `meshc.yaml`."""
    return emit(mesh, read_options(options))


def _assumes(_: TargetOptions) -> tuple[str, ...]:
    return ASSUMES


TARGET: Final = Target(
    name="linkerd",
    oldest_version="2.18",
    support=SUPPORT,
    emit=_emit,
    read=read,
    reads=frozenset(Aspect),
    expressed=expressed,
    expected=expected,
    assumes=_assumes,
)
"""The target, found through the entry-point group `meshc.targets`."""

__all__ = ["SUPPORT", "TARGET", "EmitOptions", "emit", "read_options"]
