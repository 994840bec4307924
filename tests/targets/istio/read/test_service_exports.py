"""Services that are not exported to everybody: what callers do not know is unknown, and what makes no difference is not."""

import pytest

from meshc.reading import Aspect, Reading
from meshc_harness.istio_live import CONFIG, object_text, read_live

Ports = set[tuple[str, str, int]]
CART: Ports = {("shop", "cart", 80), ("shop", "cart", 5432)}
PAY: Ports = {("bank", "pay", 80)}
WEB: Ports = {("shop", "web", 80)}


def service(name: str, exported: str, namespace: str = "shop") -> str:
    return (
        "apiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: {namespace}, annotations: {{networking.istio.io/exportTo: {exported}}}}}\n---\n"
    )


def allowing(service: str, namespace: str, *callers: str) -> str:
    listed = ", ".join(f"cluster.local/{one}" for one in callers)
    spec = f"{{selector: {{matchLabels: {{app: {service}}}}}, rules: [{{from: [{{source: {{principals: [{listed}]}}}}]}}]}}"
    return (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {service}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )


def ports(reading: Reading) -> Ports:
    """What is unknown, in every aspect."""
    assert all(one.ports is not None and one.aspects == set(Aspect) for one in reading.unknown), reading.unknown
    return {port for one in reading.unknown for port in one.ports or ()}


@pytest.mark.parametrize(
    ("exported", "hidden"),
    [
        ("'*'", set()),
        ("'., *'", set()),
        ("'shop, bank'", set()),
        ("'., bank'", set()),
        ("''", set()),
        ("'.'", CART),
        ("shop", CART),
        ("bank", CART),
        ("'~'", CART),
        ("'~,.'", CART),
        ("nobody", CART),
        ("3", CART),
    ],
)
def test_services_that_some_callers_do_not_know(exported: str, hidden: Ports) -> None:
    reading = read_live(service("cart", exported))
    assert ports(reading) == hidden
    assert all("`cart` is not exported" in one.message for one in reading.unknown)


def test_services_that_refuse_the_callers_anyway_are_known() -> None:
    hidden = service("cart", "'.'")
    assert ports(read_live(hidden + allowing("cart", "shop", "ns/shop/sa/web"))) == set()
    assert ports(read_live(hidden + allowing("cart", "shop", "ns/bank/sa/pay"))) == CART


def test_a_caller_without_its_identity_may_get_where_it_is_refused() -> None:
    """What a proxy does not know it may let through without the mesh's TLS."""
    but_pay = (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec: {rules: [{from: [{source: {notPrincipals: [cluster.local/ns/bank/sa/pay]}}]}]}\n---\n"
    )
    strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: s, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n---\n"
    hidden = service("cart", "'.'") + but_pay
    assert ports(read_live(hidden)) == CART
    assert ports(read_live(hidden + strict)) == set()


def test_routes_that_lead_to_what_is_not_known() -> None:
    to_cart = "{hosts: [pay], http: [{route: [{destination: {host: cart.shop.svc.cluster.local}}]}]}"
    copied = (
        "{hosts: [pay], http: [{route: [{destination: {host: pay}}], mirror: {host: cart.shop.svc.cluster.local}}]}"
    )
    closed = allowing("cart", "shop", "ns/shop/sa/web")
    for spec in (to_cart, copied):
        routes = object_text("VirtualService", spec, namespace="bank")
        assert ports(read_live(service("cart", "'.'") + routes)) == CART | PAY
        assert ports(read_live(service("cart", "'.'") + routes + closed)) == set()
    mine = to_cart.replace("http: [{", "http: [{match: [{sourceNamespace: shop}], ").replace(
        "}]}]}", "}]}, {route: [{destination: {host: pay}}]}]}"
    )
    routes = object_text("VirtualService", mine, namespace="bank")
    assert ports(read_live(service("cart", "'.'") + routes)) == CART, "callers of the bank do not go there"


@pytest.mark.parametrize(
    ("listed", "hidden"),
    [
        ("['*']", set()),
        ("[.]", CART | PAY | WEB),
        ("[]", set()),
        # Of other values Istio makes nothing, and services are known to nobody.
        ("[shop]", CART | PAY | WEB),
    ],
)
def test_the_default_is_mesh_config_s(listed: str, hidden: Ports) -> None:
    config = CONFIG.replace("---", f"  defaultServiceExportTo: {listed}\n---")
    assert ports(read_live("", config=config, has_books=False)) >= hidden
    said = "".join(
        service(name, "'*'", namespace) for name, namespace in (("cart", "shop"), ("web", "shop"), ("pay", "bank"))
    )
    found = read_live(said, config=config, has_books=False)
    assert not ports(found) & (CART | PAY | WEB)
