"""Selectors pick pods: what manifests say of these counts, beside what a Service says."""

import pytest

from meshc.reading import Aspect, Reading
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc_harness.istio_live import CALL, object_text, read_live

CART = {("shop", "cart", 80), ("shop", "cart", 5432)}
OTHER = Request(
    identity=CALL.identity, namespace="shop", service="web", port=80, method="GET", path="/", source_ip="10.0.0.1"
)


def deployment(labels: str, *, name: str = "x", kind: str = "Deployment") -> str:
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{template: {{metadata: {{labels: {{{labels}}}}}}}}}\n---\n"
    )


def refusing(selector: str) -> str:
    return (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
        f"spec: {{selector: {{matchLabels: {{{selector}}}}}}}\n---\n"
    )


def is_refused(reading: Reading) -> bool:
    """Whether the cart refuses, and nobody else."""
    evaluator = Evaluator(reading.mesh)
    assert evaluator.decide(OTHER).allowed is True
    return evaluator.decide(CALL).allowed is False


@pytest.mark.parametrize(
    ("pods", "selector", "refused"),
    [
        # Of the Service, or of all pods.
        ([], "app: cart", True),
        (["app: cart, tier: gold"], "tier: gold", True),
        (["app: cart, tier: gold"], "app: cart, tier: gold", True),
        (["app: cart, tier: gold, version: v1", "app: cart, tier: gold, version: v2"], "tier: gold", True),
        (["app: cart, version: v1"], "app: cart, version: v1", True),
        # Of none of them.
        (["app: cart, tier: gold"], "tier: iron", False),
        (["app: other, tier: gold"], "tier: gold", False),
        # Of some.
        (["app: cart, tier: gold", "app: cart, tier: iron"], "tier: gold", None),
        (["app: cart, version: v1", "app: cart, version: v2"], "version: v1", None),
        (["app: cart, version: v1", "app: cart"], "version: v1", None),
        ([], "version: v1", None),
    ],
)
def test_policies_pick_pods(pods: list[str], selector: str, refused: bool | None) -> None:  # noqa: FBT001
    text = "".join(deployment(labels, name=f"x{number}") for number, labels in enumerate(pods))
    reading = read_live(text + refusing(selector))
    if refused is None:
        assert {port for one in reading.unknown for port in one.ports or ()} == CART
        assert {one.aspects for one in reading.unknown} == {frozenset((Aspect.ACCESS,))}
    else:
        assert not reading.unknown
        assert is_refused(reading) is refused


def test_services_keep_the_labels_that_they_are_known_by() -> None:
    reading = read_live(deployment("app: cart, tier: gold"))
    assert {one.name: dict(one.labels) for one in reading.mesh.workloads}["cart"] == {"app": "cart"}


def test_callers_are_picked_by_the_labels_of_their_pods() -> None:
    match = "match: [{sourceLabels: {tier: gold}}]"
    routes = object_text(
        "VirtualService",
        f"{{hosts: [cart], http: [{{{match}, directResponse: {{status: 418}}}}, {{directResponse: {{status: 404}}}}]}}",
    )
    reading = read_live(deployment("app: web, tier: gold") + routes)
    assert not reading.unknown
    evaluator = Evaluator(reading.mesh)
    assert evaluator.decide(CALL).status == 418
    assert read_live(routes).unknown, "nobody is known to carry the label"


def test_subsets_stay_versions() -> None:
    """A version is one even where all pods there are today are of it."""
    rule = object_text("DestinationRule", "{host: cart, subsets: [{name: v1, labels: {version: v1}}]}")
    routes = object_text(
        "VirtualService", "{hosts: [cart], http: [{route: [{destination: {host: cart, subset: v1}}]}]}"
    )
    reading = read_live(deployment("app: cart, version: v1") + rule + routes)
    assert [one.version for one in Evaluator(reading.mesh).decide(CALL).destinations] == ["v1"]


SIDECAR = "{workloadSelector: {labels: {tier: gold}}, egress: [{hosts: ['./*']}]}"
RULE = "{host: cart, workloadSelector: {matchLabels: {tier: gold}}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}"


@pytest.mark.parametrize(
    ("kind", "spec", "hidden"), [("Sidecar", SIDECAR, {("bank", "pay", 80)}), ("DestinationRule", RULE, CART)]
)
def test_what_is_for_some_pods_of_a_caller_is_for_it(kind: str, spec: str, hidden: set[tuple[str, str, int]]) -> None:
    text = object_text(kind, spec)
    for pods in ("app: web, tier: gold", "app: web, tier: iron"):
        made = deployment(pods) + deployment("app: web, tier: blue", name="y")
        found = read_live(text + made).unknown
        assert {port for one in found for port in one.ports or ()} == (hidden if "gold" in pods else set())
    assert not read_live(text).unknown


def test_a_limit_for_some_pods_is_unknown() -> None:
    limit = (
        "{workloadSelector: {labels: {tier: gold}}, configPatches: [{applyTo: HTTP_FILTER,"
        " match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter:"
        " {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}},"
        " patch: {operation: INSERT_BEFORE, value: {name: l, typed_config: {'@type':"
        " type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: x,"
        " token_bucket: {max_tokens: 4, tokens_per_fill: 2, fill_interval: 60s},"
        " filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}}}}]}"
    )
    text = object_text("EnvoyFilter", limit).replace("networking.istio.io/v1\n", "networking.istio.io/v1alpha3\n")
    whole = read_live(text + deployment("app: cart, tier: gold"))
    assert not whole.unknown
    assert [len(port.limits) for one in whole.mesh.workloads if one.name == "cart" for port in one.ports] == [1, 0]
    some = read_live(text + deployment("app: cart, tier: gold") + deployment("app: cart", name="y"))
    assert [("some of the pods alone" in one.message, one.ports) for one in some.unknown] == [
        (True, (("shop", "cart", 80),))
    ]
    assert not read_live(text + deployment("app: cart")).unknown
