"""Sidecars: what they hide from callers is unknown, and what makes no difference is not."""

import pytest

from meshc.reading import Aspect, Reading
from meshc_harness.istio_live import CONFIG, object_text, read_live

ALL_CART = {("shop", "cart", 80), ("shop", "cart", 5432)}
PAY = {("bank", "pay", 80)}
BOOKS = {("shop", "books", 443)}
WEB_PORT = {("shop", "web", 80)}


def ports(reading: Reading) -> set[tuple[str, str, int]]:
    """What is unknown."""
    assert all(one.ports is not None for one in reading.unknown), reading.unknown
    return {port for one in reading.unknown for port in one.ports or ()}


def sidecar(hosts: str, *, namespace: str = "shop", more: str = "", name: str = "x", created: str = "") -> str:
    return object_text(
        "Sidecar", f"{{{more}egress: [{{hosts: [{hosts}]}}]}}", namespace=namespace, name=name, created=created
    )


def allowing(service: str, namespace: str, caller: str) -> str:
    spec = f"{{selector: {{matchLabels: {{app: {service}}}}}, rules: [{{from: [{{source: {{principals: [{caller}]}}}}]}}]}}"
    return (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {service}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (sidecar("'*/*'"), set()),
        (sidecar("./*", namespace="istio-system"), ALL_CART | PAY | BOOKS | WEB_PORT),
        (sidecar("./*"), PAY),
        (sidecar("./*, bank/*"), set()),
        (sidecar("./*, bank/pay.bank.svc.cluster.local"), set()),
        (sidecar("./*, bank/other.bank.svc.cluster.local"), PAY),
        (sidecar("'./*.svc.cluster.local', bank/*"), BOOKS),
        (sidecar("shop/*", namespace="bank"), PAY),
        (sidecar("./*", namespace="nobody"), set()),
        # The nearest counts.
        (sidecar("./*", namespace="istio-system") + sidecar("'*/*'") + sidecar("'*/*'", namespace="bank"), set()),
        (sidecar("./*") + sidecar("'*/*'", more="workloadSelector: {labels: {app: cart}}, ", name="y"), PAY),
        (sidecar("./*", more="workloadSelector: {labels: {app: nobody}}, "), set()),
        # Of two at one place the oldest; where that is not said, either.
        (
            sidecar("./*", created="'2025-01-01T00:00:00Z'")
            + sidecar("'*/*'", name="y", created="'2024-01-01T00:00:00Z'"),
            set(),
        ),
        (sidecar("./*") + sidecar("'*/*'", name="y"), PAY),
    ],
)
def test_what_is_hidden_from_some_caller_is_unknown(text: str, hidden: set[tuple[str, str, int]]) -> None:
    assert ports(read_live(text)) == hidden


def test_what_refuses_the_caller_anyway_is_known() -> None:
    hidden = sidecar("./*")
    assert ports(read_live(hidden + allowing("pay", "bank", "cluster.local/ns/bank/sa/other"))) == set()
    assert ports(read_live(hidden + allowing("pay", "bank", "cluster.local/ns/shop/sa/web"))) == PAY


def test_routes_that_lead_elsewhere_matter_to_callers_who_are_refused() -> None:
    text = sidecar("./*") + allowing("pay", "bank", "cluster.local/ns/bank/sa/other")
    for action in (
        "redirect: {uri: /b}",
        "directResponse: {status: 418}",
        "route: [{destination: {host: cart.shop.svc.cluster.local}}]",
    ):
        moved = object_text("VirtualService", f"{{hosts: [pay], http: [{{{action}}}]}}", namespace="bank")
        assert ports(read_live(text + moved)) >= PAY


def test_routes_that_stand_in_a_hidden_namespace_are_unknown() -> None:
    routes = (
        "{hosts: [cart.shop.svc.cluster.local], http: [{route: [{destination: {host: cart.shop.svc.cluster.local}}]}]}"
    )
    text = sidecar("./*, bank/pay.bank.svc.cluster.local") + object_text("VirtualService", routes, namespace="bank")
    assert ports(read_live(text)) == ALL_CART


def test_workloads_that_may_go_anywhere_pass_the_rules_of_externals() -> None:
    refusal = object_text("VirtualService", "{hosts: [books.example], http: [{directResponse: {status: 403}}]}")
    free = object_text("Sidecar", "{outboundTrafficPolicy: {mode: ALLOW_ANY}}")
    assert ports(read_live(free)) == set()
    (found,) = read_live(refusal + free).unknown
    assert (found.aspects, set(found.ports or ())) == (frozenset((Aspect.ACCESS,)), BOOKS)
    bound = object_text("Sidecar", "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}")
    assert not read_live(refusal + bound).unknown
    assert read_live(refusal + bound, config=CONFIG.replace("REGISTRY_ONLY", "ALLOW_ANY")).unknown


@pytest.mark.parametrize(
    "spec",
    [
        "{}",
        "7",
        "{egress: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*/*']}]}",
        "{egress: [{bind: 127.0.0.1, hosts: ['*/*']}]}",
        "{egress: [{captureMode: NONE, hosts: ['*/*']}]}",
        "{egress: [{hosts: [cart]}]}",
        "{egress: 7}",
        "{inboundConnectionPool: {http: {http2MaxRequests: 1}}}",
        "{outboundTrafficPolicy: {mode: REGISTRY_ONLY, egressProxy: {host: x}}}",
        "{unheard: 1}",
    ],
)
def test_what_of_a_sidecar_is_not_understood_may_be_anything(spec: str) -> None:
    (found,) = read_live(object_text("Sidecar", spec)).unknown
    assert found.ports is None
    assert found.aspects == set(Aspect)
