"""Callers whose sidecars people wrote: where their clusters lead, and which calls their virtual hosts take."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from envoy_by_hand import TYPES, WEB, endpoint, inside, read_shop, server_of_shop
from meshc.cli import main
from meshc.ir import Protocol
from meshc.reading import Reading
from meshc_harness.running import Ran

Run = Callable[..., Ran]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("live").mkdir()
    Path("live/web.yaml").write_text(WEB, encoding="utf-8")
    for name in ("cart", "cart-canary"):
        Path(f"live/{name}.yaml").write_text(server_of_shop(name, 8080), encoding="utf-8")
    return tmp_path


@pytest.fixture
def meshc(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        status = main(list(arguments))
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


def _assumed(reading: Reading) -> set[str]:
    return {one.text for one in reading.assumptions}


_PROGRAM: Final = """
mesh m { trust-domain "shop.example" }
namespace shop
service web in shop
service cart in shop { port 8080 http target 3000 }
service cart-canary in shop { port 8080 http target 3000 }
access cart { allow web to GET }
access cart-canary { allow web to GET }
traffic cart {
  connect-timeout 1s
  circuit-breaker { connections 1024 pending 1024 requests 1024 retries 3 }
  timeout 2s
  idle-timeout 5m
  retry 2 on connect-failure
  split cart 90%, cart-canary 10%
  route /** when header "x-canary" == "1" -> cart-canary { timeout 5s retry never }
}
traffic cart-canary {
  connect-timeout 1s
  circuit-breaker { connections 1024 pending 1024 requests 1024 retries 3 }
  idle-timeout 5m
}
"""
_ALL: Final = "opened,closed,changed,routing,settings"


def test_a_caller_is_imported(here: Path, meshc: Run) -> None:
    ran = meshc("import", "live", "-o", "out", "--from", "envoy")
    assert (ran.status, ran.err.count("not imported")) == (0, 0), ran.err
    assert "the cluster `stable` of `shop/web` leads to port 8080 of `shop/cart`" in ran.out
    assert "callers name `shop/cart` by a host that their sidecars' routes are for" in ran.out
    text = Path("out/policies/shop.mesh").read_text(encoding="utf-8")
    assert "  timeout 2s\n  retry 2 on connect-failure\n  split cart 90%, cart-canary 10%\n" in text
    assert '  route /** when header "x-canary" == "1" -> cart-canary {\n    timeout 5s\n    retry never\n' in text
    assert text.count("allow web to GET") == 2
    assert meshc("diff", "out", "live", "--fail-on", _ALL).status == 0


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("", "", 0),
        ("weight: 90", "weight: 80", 1),
        ("timeout: 2s", "timeout: 3s", 1),
        ("num_retries: 2", "num_retries: 3", 1),
        ("x-canary", "x-preview", 1),
    ],
)
def test_a_caller_is_compared_with_a_program(here: Path, meshc: Run, old: str, new: str, status: int) -> None:
    Path("program.mesh").write_text(_PROGRAM, encoding="utf-8")
    Path("live/web.yaml").write_text(WEB.replace(old, new) if old else WEB, encoding="utf-8")
    ran = meshc("diff", "program.mesh", "live", "--fail-on", _ALL)
    assert ran.status == status, ran.out + ran.err
    assert "unknown" not in ran.out + ran.err


def test_a_host_that_is_no_service_is_an_external() -> None:
    outside = endpoint("api.example.com", 80)
    text = WEB.replace(
        inside("stable", "cart", 8080, "cart"), f"\n  - name: stable\n    type: LOGICAL_DNS\n    {outside}"
    )
    text = text.replace('domains: [cart, "cart:8080", cart.shop]', "domains: [api.example.com]")
    reading = read_shop(text.replace("cluster: canary", "cluster: stable").replace("{name: canary", "{name: stable"))
    assert [(one.name, one.hosts, [port.number for port in one.ports]) for one in reading.mesh.externals] == [
        ("api-example-com", ("api.example.com",), [80])
    ]
    assert "the cluster `stable` of `shop/web` leads to port 80 of `api.example.com`" in _assumed(reading)
    assert len(reading.mesh.externals[0].ports[0].routes) == 2


def test_a_service_without_a_sidecar_here_is_one_that_its_callers_tell_of() -> None:
    reading = read_shop(WEB)
    found = {one.name: [port.number for port in one.ports] for one in reading.mesh.workloads}
    assert found == {"cart": [8080], "cart-canary": [8080], "web": []}
    assert {one.message for one in reading.unknown} == {"there is no configuration of this service's sidecar"}


def test_an_address_leads_to_the_sidecar_that_listens_there() -> None:
    server = server_of_shop("cart", 8080).replace("0.0.0.0", "10.0.0.7")
    web = WEB.replace("address: cart, port_value", "address: 10.0.0.7, port_value")
    assert "the cluster `stable` of `shop/web` leads to port 8080 of `shop/cart`" in _assumed(read_shop(web, server))
    elsewhere = read_shop(web.replace("10.0.0.7", "10.0.0.8"), server)
    assert "where the cluster `stable` leads is not known" in {one.message for one in elsewhere.unknown}


def test_a_port_that_a_sidecar_does_not_serve_is_not_known() -> None:
    reading = read_shop(WEB, server_of_shop("cart", 8081))
    assert "where the cluster `stable` leads is not known" in {one.message for one in reading.unknown}


_DOMAINS: Final = 'domains: [cart, "cart:8080", cart.shop]'
_SERVERS: Final = (server_of_shop("cart", 8080), server_of_shop("cart-canary", 8080))


def test_a_virtual_host_for_every_host_is_for_where_it_leads_if_that_is_one_port() -> None:
    text = WEB.replace(_DOMAINS, 'domains: ["*"]')
    several = read_shop(text, *_SERVERS)
    assert [one.message for one in several.unknown if one.ports is None] == [
        "whose calls this virtual host takes is not known"
    ]
    one = read_shop(
        text.replace("cluster: canary", "cluster: stable").replace("{name: canary", "{name: stable"), *_SERVERS
    )
    where = "port 8080 of `shop/cart`"
    assert f"what the virtual host `cart` takes is for {where}, whatever its host" in _assumed(one)
    assert [found.ports for found in one.unknown] == [(("shop", "cart-canary", 8080),)], (
        "its other names go to the cart"
    )


@pytest.mark.parametrize(("prefix", "known"), [("/", True), ("/items", False)])
def test_paths_that_are_not_normalized_matter_where_routes_ask_for_them(prefix: str, *, known: bool) -> None:
    text = WEB.replace("          merge_slashes: true\n", "")
    assert text != WEB
    reading = read_shop(text.replace("match: {prefix: /, headers", f"match: {{prefix: {prefix}, headers"))
    assert ("paths are sent as servers are to see them" in _assumed(reading)) is known
    messages = {one.message for one in reading.unknown} - {"there is no configuration of this service's sidecar"}
    assert messages == (set() if known else {"paths are not normalized as the language says"})


def test_hosts_of_nobody_are_not_known() -> None:
    reading = read_shop(WEB.replace(_DOMAINS, "domains: [basket]"), *_SERVERS)
    assert [one.message for one in reading.unknown if one.ports is None] == [
        "whose calls this virtual host takes is not known"
    ]


@pytest.mark.parametrize(
    ("domain", "action", "known"),
    [
        ("cart.shop:8080", "direct_response: {status: 410}", False),
        ("*.shop:8080", "route: {cluster: canary, timeout: 0s}", False),
        ("*", "route: {cluster: canary, timeout: 0s}", False),
        ("*", "direct_response: {status: 404}", True),
    ],
)
def test_a_name_of_a_service_that_another_virtual_host_takes_is_not_known(
    domain: str, action: str, *, known: bool
) -> None:
    """One that refuses whatever is left takes nothing."""
    other = f'- {{name: x, domains: ["{domain}"], routes: [{{match: {{prefix: /}}, {action}}}]}}'
    text = WEB.replace("            - name: cart\n", f"            {other}\n            - name: cart\n")
    reading = read_shop(text, *_SERVERS)
    assert ("some names of the service lead elsewhere" in {one.message for one in reading.unknown}) is not known
    assert known is not bool(reading.unknown)


def test_bytes_are_led_to_a_listener_of_their_own() -> None:
    proxy = f'{{"@type": {TYPES}.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: x, cluster: queue}}'
    text = f"""\
node: {{id: shop/web}}
static_resources:
  listeners:
  - name: queue
    address: {{socket_address: {{address: 127.0.0.1, port_value: 6379}}}}
    filter_chains: [{{filters: [{{name: tcp, typed_config: {proxy}}}]}}]
  clusters:{inside("queue", "queue.jobs", 6379, "queue")}
"""
    reading = read_shop(text)
    found = next(one for one in reading.mesh.workloads if one.name == "queue")
    assert (found.namespace, found.identity) == ("jobs", "spiffe://shop.example/ns/shop/sa/queue")
    assert [(port.number, port.protocol) for port in found.ports] == [(6379, Protocol.TCP)]
    assert "the calls of applications are led to the outbound listeners" in _assumed(reading)


@pytest.mark.parametrize("host", ["my_cart", "Cart_1.shop", "cart_a.shop.svc.cluster.local"])
def test_a_host_that_no_service_can_be_called_by_is_not_known(host: str) -> None:
    """Such as containers have outside of Kubernetes: a program could not say them."""
    reading = read_shop(WEB.replace("address: cart, port_value", f"address: {host}, port_value"))
    assert any(one.ports is None for one in reading.unknown), "its calls may go anywhere"
    assert {one.name for one in reading.mesh.workloads} <= {"web", "cart", "cart-canary"}


def test_hosts_outside_that_would_have_one_name_are_not_taken_for_one() -> None:
    text = WEB.replace(
        inside("stable", "cart", 8080, "cart"),
        f"\n  - name: stable\n    type: LOGICAL_DNS\n    {endpoint('api.a.example.com', 80)}",
    ).replace(
        inside("canary", "cart-canary.shop.svc.cluster.local", 8080, "cart-canary"),
        f"\n  - name: canary\n    type: LOGICAL_DNS\n    {endpoint('api-a.example.com', 80)}",
    )
    reading = read_shop(text)
    assert [one.hosts for one in reading.mesh.externals] == [("api-a.example.com",)]
    assert any(one.ports is None for one in reading.unknown), "its calls may go anywhere"


_DOMAIN: Final = "the trust domain of the mesh is `shop.example`"


@pytest.mark.parametrize(
    ("program", "domain"),
    [
        ("namespace shop\n", "shop.example"),
        ("namespace shop\nservice other in shop\n", "cluster.local"),
        ('mesh m { trust-domain "shop.example" }\nnamespace shop\n', None),
    ],
)
def test_the_trust_domain_is_that_of_the_servers_that_callers_demand(program: str, domain: str | None) -> None:
    """Where nobody has declared a service; a program says its own."""
    reading = read_shop(WEB, program=program)
    assert reading.mesh.trust_domain == (domain or "shop.example")
    assert (_DOMAIN in _assumed(reading)) is (domain == "shop.example")
    other = read_shop(WEB.replace("shop.example/ns/shop/sa/cart-canary", "bank.example/ns/shop/sa/x"), program=program)
    assert _DOMAIN not in _assumed(other)


def test_a_caller_alone_is_imported(tmp_path: Path, meshc: Run) -> None:
    """What decides in its servers is listed, and all that it says itself is in the program."""
    (tmp_path / "web.yaml").write_text(WEB, encoding="utf-8")
    ran = meshc("import", str(tmp_path / "web.yaml"), "-o", str(tmp_path / "out"), "--from", "envoy")
    assert ran.status == 1
    assert "a mistake in meshc" not in ran.err
    assert ran.err.count("there is no configuration of this service's sidecar") == 2
    text = (tmp_path / "out" / "policies" / "mesh.mesh").read_text(encoding="utf-8")
    assert 'trust-domain "shop.example"' in text
