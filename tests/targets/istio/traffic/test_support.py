"""The table of the callers' side: complete, truthful about what may be left out, and followed."""

import pytest

from istio_traffic_lab import mesh_of, objects, unsupported
from meshc.features import Feature
from meshc.kubernetes import resource_data
from meshc.support_rows import exact
from meshc.target import Exactness
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_support import TRAFFIC

NAMES = [feature.name for feature in Feature]
BY_NAME = {feature.name: feature for feature in Feature}
SECTIONS = (("EGRESS_HTTP", "TLS_SNI"), ("DISCOVER_KUBERNETES", "MIRROR_EXTERNAL"))
TABLE = {feature: TRAFFIC.get(feature, exact()) for feature in Feature}


def test_every_feature_of_traffic_has_a_row() -> None:
    mine = [name for first, last in SECTIONS for name in NAMES[NAMES.index(first) : NAMES.index(last) + 1]]
    assert set(TRAFFIC) == {BY_NAME[name] for name in mine}


def test_what_is_impossible_says_what_to_write_instead() -> None:
    for feature, support in TRAFFIC.items():
        if support.exactness is Exactness.IMPOSSIBLE:
            assert support.note, feature
            assert support.instead, feature
        if support.exactness is not Exactness.EXACT:
            assert support.note, feature


def test_only_what_decides_nothing_may_be_left_out() -> None:
    omitted = {feature for feature, support in TRAFFIC.items() if support.may_omit}
    assert omitted == {
        Feature.DISCOVER_DNS, Feature.DISCOVER_STATIC, Feature.DISCOVER_EDS, Feature.ENDPOINT_VERSION,
        Feature.ENDPOINT_WEIGHT, Feature.ENDPOINT_ZONE, Feature.HEALTH_CHECK, Feature.MIRROR_EXTERNAL,
    }  # fmt: skip


HEAD = """
namespace shop
service web in shop
access cart { allow web }
"""


@pytest.mark.parametrize(
    ("program", "feature"),
    [
        ("service cart in shop { port 80 http discover eds }", "discover eds"),
        ('service cart in shop { port 80 http discover dns "cart.internal" }', "discover dns"),
        ('service cart in shop { port 80 http endpoint "10.0.0.1:15010" }', "discover static"),
        (
            "service cart in shop { port 80 http } traffic cart { health-check GET /ready { interval 5s } }",
            "health-check",
        ),
    ],
)
def test_what_is_impossible_is_an_error(program: str, feature: str) -> None:
    assert any(f"`{feature}`" in message for message in unsupported(HEAD + program, TABLE))


def test_a_copy_that_no_rule_would_judge_is_not_sent() -> None:
    program = (
        HEAD
        + """
    service cart in shop { port 80 http }
    external api in shop { host "a.example" port 443 https }
    access api { allow web }
    traffic cart { mirror 10% to api:443 }
    """
    )
    assert any("mirror to an external" in message for message in unsupported(program, TABLE))
    found = [resource_data(placed.resource) for placed in traffic_objects(mesh_of(program))]
    assert "mirrors" not in str([one for one in found if one["metadata"]["name"] == "cart"])


def test_a_health_check_that_is_left_out_leaves_the_rest_alone() -> None:
    plain = HEAD + "service cart in shop { port 80 http }"
    checked = plain + " traffic cart { health-check GET /ready { interval 5s } }"
    spec = objects(plain)["DestinationRule/cart"]["spec"]
    assert objects(checked)["DestinationRule/cart"]["spec"] == spec
