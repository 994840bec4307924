"""Support tables: every feature has a row in each, and no row is without its reason."""

import pytest

from meshc.features import Feature
from meshc.target import Exactness
from meshc.targets import find_target, target_names
from target_matrix import PAGE, matrix


def test_all_three_targets_are_installed() -> None:
    assert {"envoy", "istio", "linkerd"} <= set(target_names())


@pytest.mark.parametrize("name", ["envoy", "istio", "linkerd"])
def test_tables_are_total_and_say_why(name: str) -> None:
    target = find_target(name)
    assert target.name == name
    assert set(target.support) == set(Feature)
    for feature, support in target.support.items():
        assert support.note or support.exactness is Exactness.EXACT, feature


ACCESS = (
    "deny",
    "allow",
    "source",
    "path",
    "header",
    "host",
    "claim",
    "query",
    "sni",
    "mtls",
    "jwt",
    "default access",
    "method",
)


@pytest.mark.parametrize("name", ["envoy", "istio", "linkerd"])
def test_nothing_that_access_depends_on_may_be_left_out(name: str) -> None:
    """Shadow rules never enforce, and what leaves the mesh is refused where it is left out."""
    for feature, support in find_target(name).support.items():
        is_egress = feature.name.startswith("EGRESS_")
        assert is_egress or not (support.may_omit and feature.value.startswith(ACCESS)), feature


def test_the_page_is_what_the_tables_say() -> None:
    """`python tests/update_goldens.py` rewrites it."""
    assert PAGE.read_text(encoding="utf-8") == matrix()
