"""The real definitions of custom resources, for tests of what is emitted; they are not ours to copy.

`MESHC_CRDS` names a folder with `istio.yaml`, `linkerd.yaml` and `gateway-api/`.
"""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from meshc.crds import Checker, read_crds
from meshc.target import Json

CRDS: Final = Path(os.environ.get("MESHC_CRDS") or Path(__file__).parents[1].parent / "shared" / "crds")
SETS: Final = {
    "istio": (("istio.yaml",),),
    # Linkerd brings older definitions of the Gateway API than that project publishes; both are in use.
    "linkerd": (("linkerd.yaml",), ("linkerd.yaml", "gateway-api")),
}


def require_definitions(*names: str) -> None:
    """Skip the test where definitions are missing; in CI that is a failure."""
    if all((CRDS / name).exists() for name in names):
        return
    message = f"no definitions at {CRDS}: set MESHC_CRDS to a folder that holds {', '.join(names)}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def problems(target: str, objects: Iterable[Mapping[str, Json]]) -> list[str]:
    """What is wrong with objects of a target, by each set of definitions that its users may have."""
    listed = tuple(objects)
    return [str(one) for names in SETS[target] for one in _checker(names).check(listed)]


@cache
def _checker(names: tuple[str, ...]) -> Checker:
    require_definitions(*names)
    places = [CRDS / name for name in names]
    files = [file for place in places for file in (sorted(place.rglob("*.yaml")) if place.is_dir() else [place])]
    return Checker.of(read_crds([(str(file), file.read_text(encoding="utf-8")) for file in files]))
