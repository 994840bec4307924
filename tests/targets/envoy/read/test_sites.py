"""One bootstrap alone: where it has a sidecar listen and find others, and the calls that it tells of."""

from meshc.ir import Mesh
from meshc.reading import Aspect, ConfigObject, objects_of_documents
from meshc.site import Address, Peer, Site, Way
from meshc.source import BUILTIN
from meshc.target import Document
from meshc_envoy import TARGET
from meshc_envoy.read import read
from meshc_envoy.read.sites import sites
from meshc_harness.compare import analyze_text

PROGRAM = """
mesh m { trust-domain "mesh.local" }
namespace shop
service web in shop { port 80 http endpoint "10.0.0.1:15010" }
service cart in shop {
  port 8080 http
  port 9090 grpc
  version v1
  endpoint "10.0.0.2:15010" { version v1 }
  endpoint "cart.internal:15010"
}
service db in shop { port 5432 tcp endpoint "10.0.0.3:15010" }
external pay in shop { host "pay.example.com" port 443 https }
external store in shop { host "store.example.com" port 6000 tcp }
access namespace shop { allow web }
access pay { allow web to POST /charge }
access store { allow web }
traffic cart:8080 { route /v1/** -> cart@v1 { timeout 2s } }
"""


def _objects(*names: str) -> list[ConfigObject]:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    documents: list[Document] = [
        one for one in TARGET.emit(mesh, {}).documents if one.path in {f"shop/{name}.yaml" for name in names}
    ]
    assert len(documents) == len(names)
    return list(objects_of_documents(documents, "envoy"))


def _nobody() -> Mesh:
    return Mesh(
        name="m",
        trust_domains=("mesh.local",),
        cluster_domain="cluster.local",
        trusted_hops=0,
        workloads=(),
        span=BUILTIN,
    )


def _site() -> tuple[Mesh, Site]:
    objects = _objects("web")
    mesh = read(objects, _nobody(), {}).mesh
    return mesh, sites(objects, mesh)["shop", "web"]


def test_the_services_that_clusters_are_called_by_are_known() -> None:
    reading = read(_objects("web"), _nobody(), {})
    called = {(one.name, port.number): port for one in reading.mesh.workloads for port in one.ports}
    assert set(called) == {("web", 80), ("cart", 8080), ("cart", 9090), ("db", 5432)}
    assert [route.settings.timeout_ms for route in called["cart", 8080].routes] == [2000, None]
    assert [one.hosts for one in reading.mesh.externals] == [("pay.example.com",), ("store.example.com",)]


def test_what_others_decide_is_unknown_and_nothing_else() -> None:
    reading = read(_objects("web"), _nobody(), {})
    assert {(one.ports, one.aspects) for one in reading.unknown} == {
        ((("shop", name, port),), frozenset({Aspect.ACCESS}))
        for name, port in (("cart", 8080), ("cart", 9090), ("db", 5432))
    }


def test_a_sidecar_listens_and_sends_where_its_file_says() -> None:
    _, site = _site()
    assert [(one.number, one.listen, one.application) for one in site.inbound] == [
        (80, (Address(host="0.0.0.0", port=15010),), Address(host="127.0.0.1", port=80))
    ]
    assert site.outbound == (Address(host="127.0.0.1", port=15001),)
    assert site.peers["shop", "db", 5432] == (Peer(address=Address(host="10.0.0.3", port=15010)),)
    assert {(one.address.host, one.version) for one in site.peers["shop", "cart", 8080]} >= {("10.0.0.2", "v1")}
    assert {(one.address, one.host) for one in site.peers["shop", "pay", 443]} == {
        (Address(host="pay.example.com", port=443), "pay.example.com")
    }


def test_destinations_of_bytes_have_listeners_of_their_own() -> None:
    _, site = _site()
    assert {(one.to, one.host) for one in site.ways} == {
        (("shop", "db", 5432), None),
        (("shop", "store", 6000), "store.example.com"),
    }
    assert all(isinstance(one, Way) and one.listen.port >= 20000 for one in site.ways)


def test_hosts_lead_where_the_file_says() -> None:
    _, site = _site()
    assert site.hosts is not None
    assert site.hosts["cart"] == ("shop", "cart", 8080)
    assert site.hosts["cart.shop:9090"] == ("shop", "cart", 9090)
    assert site.hosts["pay.example.com"] == ("shop", "pay", 443)
    assert "db" not in site.hosts


def test_what_is_no_sidecar_has_no_site() -> None:
    objects = _objects("web")
    assert sites(objects, _nobody()) == {}
