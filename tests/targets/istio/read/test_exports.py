"""Who sees which objects: `exportTo` and its defaults, and rules that stand in the namespace of callers."""

from dataclasses import replace

import pytest

from meshc.ir import BalancePolicy
from meshc.reading import Aspect, Reading
from meshc.semantics import Evaluator
from meshc_harness.istio_live import CALL, CART, CONFIG, PAY, SUBSETS, WEB, object_text, port_of, read_live

ONE, TWO = (f"route: [{{destination: {{host: {CART}, subset: {name}}}}}]" for name in ("one", "two"))
ELSEWHERE = "spiffe://cluster.local/ns/other/sa/x"


def sent(reading: Reading, identity: str) -> tuple[str | None, ...]:
    """The versions that a caller's requests go to."""
    found = Evaluator(reading.mesh).decide(replace(CALL, identity=identity)).destinations
    return tuple(one.version for one in found)


def routed(spec: str, namespace: str = "shop") -> str:
    """Routes of the cart to v1."""
    return object_text("VirtualService", f"{{hosts: [{CART}], {spec}http: [{{{ONE}}}]}}", namespace=namespace)


SUBSET_RULE = object_text("DestinationRule", SUBSETS)


@pytest.mark.parametrize(
    ("exported", "namespace", "shop", "bank", "other"),
    [
        ("", "shop", "v1", "v1", "v1"),
        ("exportTo: ['*'], ", "shop", "v1", "v1", "v1"),
        ("exportTo: [.], ", "shop", "v1", None, None),
        ("exportTo: [.], ", "bank", None, "v1", None),
        ("exportTo: [bank], ", "shop", None, "v1", None),
        ("exportTo: [., bank], ", "shop", "v1", "v1", "v1"),
        ("exportTo: [nobody], ", "shop", None, None, None),
    ],
)
def test_routes_for_callers_of_some_namespaces(
    exported: str, namespace: str, shop: str | None, bank: str | None, other: str | None
) -> None:
    """Callers of a namespace that is not known are taken for others, unless all that are known have the same."""
    reading = read_live(routed(exported, namespace) + SUBSET_RULE)
    assert not reading.unknown, reading.unknown
    assert [sent(reading, one) for one in (WEB, PAY, ELSEWHERE)] == [(shop,), (bank,), (other,)]


def test_the_default_is_mesh_config_s() -> None:
    config = CONFIG.replace("---", "  defaultVirtualServiceExportTo: [.]\n---")
    reading = read_live(routed("") + SUBSET_RULE, config=config)
    assert not reading.unknown
    assert [sent(reading, one) for one in (WEB, PAY)] == [("v1",), (None,)]
    said = read_live(routed("exportTo: ['*'], ") + SUBSET_RULE, config=config)
    assert [sent(said, one) for one in (WEB, PAY)] == [("v1",), ("v1",)]
    rules = CONFIG.replace("---", "  defaultDestinationRuleExportTo: [.]\n---")
    reading = read_live(object_text("DestinationRule", f"{{host: cart, {RANDOM}}}"), config=rules, has_books=False)
    found = [one for one in reading.unknown if one.ports and one.ports[0][1] == "cart"]
    assert {one.aspects for one in found} == {frozenset((Aspect.SETTINGS,))}


def test_of_routes_that_only_some_see_each_caller_has_its_own() -> None:
    mine = object_text("VirtualService", f"{{hosts: [{CART}], exportTo: [bank], http: [{{{TWO}}}]}}", name="y")
    reading = read_live(routed("exportTo: [.], ") + mine + SUBSET_RULE)
    assert not reading.unknown
    assert [sent(reading, one) for one in (WEB, PAY, ELSEWHERE)] == [("v1",), ("v2",), (None,)]


def test_a_subset_is_that_of_the_caller_s_own_rule() -> None:
    swapped = f"{{host: {CART}, subsets: [{{name: one, labels: {{version: v2}}}}]}}"
    reading = read_live(routed("") + SUBSET_RULE + object_text("DestinationRule", swapped, namespace="bank"))
    assert not reading.unknown
    assert [sent(reading, one) for one in (WEB, PAY)] == [("v1",), ("v2",)]


def test_a_rule_that_callers_do_not_see_defines_no_subset_for_them() -> None:
    rule = object_text("DestinationRule", SUBSETS.replace("{host: cart", "{exportTo: [.], host: cart"))
    reading = read_live(routed("") + rule + object_text("DestinationRule", f"{{host: {CART}}}", namespace="bank"))
    assert not reading.unknown
    assert sent(reading, WEB) == ("v1",)
    assert Evaluator(reading.mesh).decide(replace(CALL, identity=PAY)).status == 503


# ---- settings -------------------------------------------------------------------------------------------------------

RANDOM = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"


def test_settings_that_some_callers_have_are_unknown_and_nothing_else_is() -> None:
    reading = read_live(object_text("DestinationRule", f"{{host: cart, exportTo: [.], {RANDOM}}}"))
    assert {port for one in reading.unknown for port in one.ports or ()} == {
        ("shop", "cart", 80),
        ("shop", "cart", 5432),
    }
    assert {one.aspects for one in reading.unknown} == {frozenset((Aspect.SETTINGS,))}


def test_settings_that_all_callers_have_are_known() -> None:
    both = object_text("DestinationRule", f"{{host: cart, exportTo: [., bank], {RANDOM}}}")
    copies = object_text("DestinationRule", f"{{host: cart, {RANDOM}}}") + object_text(
        "DestinationRule", f"{{host: {CART}, {RANDOM}}}", namespace="bank"
    )
    for text in (both, copies):
        reading = read_live(text)
        assert not reading.unknown
        balance = port_of(reading).settings.load_balance
        assert balance is not None
        assert balance.policy is BalancePolicy.RANDOM


# ---- subsets --------------------------------------------------------------------------------------------------------


def subsets(rule: str, one: str, two: str = "", routes: str = f"[{{{ONE}}}]") -> Reading:
    """The settings of the port 80 of the cart, where routes lead to subsets with settings of their own."""
    listed = [
        f"{{name: {name}, labels: {{version: {version}}}{text and f', trafficPolicy: {{{text}}}'}}}"
        for name, version, text in (("one", "v1", one), ("two", "v2", two))
    ]
    policy = rule and f", trafficPolicy: {{{rule}}}"
    spec = f"{{host: cart{policy}, subsets: [{', '.join(listed)}]}}"
    return read_live(
        object_text("VirtualService", f"{{hosts: [cart], http: {routes}}}") + object_text("DestinationRule", spec)
    )


POOL, EJECT = "connectionPool: {http: {http2MaxRequests: 7}}", "outlierDetection: {interval: 1s}"


def test_the_settings_of_the_only_subset_hold() -> None:
    reading = subsets("loadBalancer: {simple: RANDOM}, " + POOL, "loadBalancer: {simple: ROUND_ROBIN}")
    assert not reading.unknown, reading.unknown
    settings = port_of(reading).settings
    assert settings.load_balance is None
    assert settings.circuit_breaker is not None, "what the subset does not say is as in the rule"
    assert settings.circuit_breaker.requests == 7


def test_a_block_of_a_subset_holds_as_a_whole() -> None:
    reading = subsets(POOL, "connectionPool: {tcp: {maxConnections: 3}}")
    breaker = port_of(reading).settings.circuit_breaker
    assert breaker is not None
    assert (breaker.connections, breaker.requests) == (3, None)


def test_settings_of_a_port_make_way_for_a_subset_s() -> None:
    rule = f"{EJECT}, portLevelSettings: [{{port: {{number: 80}}, {POOL}}}]"
    settings = port_of(subsets(rule, "loadBalancer: {simple: RANDOM}")).settings
    assert settings.outlier_detection is None
    assert settings.circuit_breaker is not None
    assert settings.load_balance is not None
    assert settings.load_balance.policy is BalancePolicy.RANDOM


def test_subsets_that_say_the_same_are_one() -> None:
    split = "[{route: [{destination: {host: cart, subset: one}, weight: 9}, {destination: {host: cart, subset: two}, weight: 1}]}]"
    assert not subsets("", POOL, POOL, split).unknown
    (found,) = subsets("", POOL, "", split).unknown
    assert (found.aspects, found.ports) == (frozenset((Aspect.SETTINGS,)), (("shop", "cart", 80),))


def test_a_subset_that_nothing_leads_to_changes_nothing() -> None:
    reading = subsets("", "", POOL)
    assert not reading.unknown
    assert port_of(reading).settings.circuit_breaker is None


@pytest.mark.parametrize(
    ("policy", "aspects"),
    [
        ("tls: {mode: DISABLE}", set(Aspect)),
        ("tunnel: {targetHost: a.example, targetPort: 1}", set(Aspect)),
        ("retryBudget: {percent: 7}", {Aspect.SETTINGS}),
        (f"portLevelSettings: [{{port: {{number: 80}}, {POOL}}}]", set(Aspect)),
    ],
)
def test_what_of_a_subset_is_not_known(policy: str, aspects: set[Aspect]) -> None:
    (found,) = subsets("", policy).unknown
    assert found.aspects == aspects
    assert found.ports == (("shop", "cart", 80),)


# ---- rules for some workloads ---------------------------------------------------------------------------------------

ALL_CART = {("shop", "cart", 80), ("shop", "cart", 5432)}


@pytest.mark.parametrize(
    ("labels", "rest", "aspects"),
    [
        ("app: web", RANDOM, {Aspect.SETTINGS}),
        ("app: web", "subsets: [{name: one, labels: {version: v1}}]", {Aspect.ROUTING, Aspect.SETTINGS}),
        ("app: web", "trafficPolicy: {tls: {mode: DISABLE}}", set(Aspect)),
        ("app: web", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}", set(Aspect)),
        ("app: nobody", RANDOM, None),
        ("app: pay", RANDOM, None),
    ],
)
def test_rules_for_calls_of_some_workloads(labels: str, rest: str, aspects: set[Aspect] | None) -> None:
    """They are heeded in their own namespace alone, and make way for nothing elsewhere."""
    rule = object_text(
        "DestinationRule", f"{{host: cart, workloadSelector: {{matchLabels: {{{labels}}}}}, {rest}}}", name="some"
    )
    reading = read_live(routed("") + SUBSET_RULE + rule)
    assert {port for one in reading.unknown for port in one.ports or ()} == (ALL_CART if aspects else set())
    assert {aspect for one in reading.unknown for aspect in one.aspects} == (aspects or set())
    if Aspect.ROUTING not in (aspects or ()):
        assert sent(reading, WEB) == ("v1",)


def test_subsets_that_some_workloads_know_leave_unknown_what_leads_there() -> None:
    spec = "{host: cart, workloadSelector: {matchLabels: {app: web}}, subsets: [{name: one, labels: {version: v1}}]}"
    to_cart = object_text(
        "VirtualService", "{hosts: [web], http: [{route: [{destination: {host: cart, subset: one}}]}]}"
    )
    for rule in (spec, "{host: cart, surprise: 1}", "{host: cart, subsets: [{name: one, surprise: 1}]}"):
        found = read_live(to_cart + object_text("DestinationRule", rule)).unknown
        assert {port for one in found for port in one.ports or ()} == ALL_CART | {("shop", "web", 80)}
        assert all(Aspect.ACCESS not in one.aspects for one in found)


@pytest.mark.parametrize(
    "block", ["proxyProtocol: {version: V1}", "tunnel: {targetHost: a, targetPort: 1}", "surprise: 1"]
)
def test_a_rule_that_is_not_understood_may_change_how_callers_speak(block: str) -> None:
    rule = f"{{host: cart, trafficPolicy: {{tls: {{mode: DISABLE}}, {block}}}}}"
    found = read_live(object_text("DestinationRule", rule)).unknown
    assert {port for one in found for port in one.ports or ()} == ALL_CART
    assert all(one.aspects == set(Aspect) for one in found)
