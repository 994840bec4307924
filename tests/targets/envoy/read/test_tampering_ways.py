"""Edits that send calls elsewhere in Envoy, or refuse them: none reads back as if nothing had been done."""

from collections.abc import Callable
from typing import Final

import pytest

from envoy_edits import Data, compiled, manager, messages_with
from meshc.reading import Aspect

CART: Final = "shop/cart.yaml"
WEB: Final = "shop/web.yaml"
VAULT: Final = "shop/vault.yaml"
SHOP: Final = compiled("""
mesh shop { trust-domain "shop.example" }
namespace shop { mtls permissive }
service web in shop
service cart in shop { port 8080 http port 9090 http port 80 http }
service ledger in shop { port 5432 tcp }
service vault in shop { port 443 tls }
external many in shop { host "*.wild.example" port 443 https }
access cart:80 { allow web }
access cart:8080 { allow anyone }
access cart:9090 { allow web }
access ledger { allow web }
access vault { deny anyone when sni == "secret.example" allow anyone }
access many { allow web }
traffic cart:8080 {
  load-balance ring-hash by header "x-user"
  health-check GET /healthy { interval 10s }
  retry 2 on connect-failure { budget 20% }
}
traffic ledger { load-balance maglev by source ip }
""")


def _listener(data: Data, name: str) -> Data:
    found: Data = next(one for one in data["static_resources"]["listeners"] if one["name"] == name)
    return found


def _chain(data: Data, port: int, transport: str) -> Data:
    chains = _listener(data, f"inbound/{port}")["filter_chains"]
    return next(one for one in chains if one["filter_chain_match"]["transport_protocol"] == transport)


def _plain_goes_elsewhere(data: Data) -> None:
    (host,) = _chain(data, 8080, "raw_buffer")["filters"][-1]["typed_config"]["route_config"]["virtual_hosts"]
    for route in host["routes"]:
        route["route"]["cluster"] = "application/9090/http"


def _guarded_plaintext(data: Data) -> None:
    guard = _chain(data, 8080, "tls")["filters"][0]
    _chain(data, 8080, "raw_buffer")["filters"].insert(0, guard)


def _takes_both(data: Data) -> None:
    listeners = data["static_resources"]["listeners"]
    gone = _listener(data, "inbound/9090")
    listeners.remove(gone)
    _listener(data, "inbound/8080")["additional_addresses"] = [{"address": gone["address"]}]


def _cluster(data: Data, name: str) -> Data:
    found: Data = next(one for one in data["static_resources"]["clusters"] if one["name"].startswith(name))
    return found


def _by_another_cluster(data: Data) -> None:
    one = _cluster(data, "shop/cart:9090")
    del one["type"]
    kind = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig"
    one.update(
        lb_policy="CLUSTER_PROVIDED",
        cluster_type={"name": "x", "typed_config": {"@type": kind, "clusters": ["shop/cart:8080"]}},
    )


def _virtual_host(data: Data, name: str) -> Data:
    config = _listener(data, "outbound")["filter_chains"][0]["filters"][-1]["typed_config"]
    hosts = config["route_config"]["virtual_hosts"]
    found: Data = next(one for one in hosts if one["name"].startswith(name))
    return found


def _bare_names_move(data: Data) -> None:
    domains = _virtual_host(data, "shop/cart:80")["domains"]
    bare = [one for one in domains if ":" not in one]
    domains[:] = [one for one in domains if ":" in one]
    _virtual_host(data, "shop/many:443")["domains"] += bare


def _names_vanish(data: Data) -> None:
    domains = _virtual_host(data, "shop/cart:80")["domains"]
    domains[:] = [one for one in domains if ":" in one]


def _tcp_proxy(data: Data) -> Data:
    for listener in data["static_resources"]["listeners"]:
        for one in listener["filter_chains"][0]["filters"]:
            if one["typed_config"].get("cluster", "").startswith("shop/ledger"):
                found: Data = one["typed_config"]
                return found
    raise AssertionError


def _without_weight(data: Data) -> None:
    proxy = _tcp_proxy(data)
    proxy["weighted_clusters"] = {"clusters": [{"name": proxy.pop("cluster"), "weight": 0}]}


def _some_of_a_cluster(data: Data) -> None:
    proxy = _tcp_proxy(data)
    part = {"name": proxy.pop("cluster"), "weight": 1, "metadata_match": {"filter_metadata": {"envoy.lb": {"a": "b"}}}}
    proxy["weighted_clusters"] = {"clusters": [part]}


def _options(data: Data) -> Data:
    (found,) = _cluster(data, "shop/many")["typed_extension_protocol_options"].values()
    asked: Data = found["upstream_http_protocol_options"]
    return asked


def _hashed(data: Data) -> list[Data]:
    routes = _virtual_host(data, "shop/cart:8080")["routes"]
    found: list[Data] = next(one["route"]["hash_policy"] for one in routes if "hash_policy" in one.get("route", {}))
    return found


EDITS: Final[dict[str, tuple[str, Callable[[Data], object]]]] = {
    "plaintext leads to another port": (CART, _plain_goes_elsewhere),
    "plaintext is asked for certificates": (CART, _guarded_plaintext),
    "nobody looks for tls": (VAULT, lambda data: _listener(data, "inbound/443").pop("listener_filters")),
    "a listener takes another's calls": (CART, _takes_both),
    "the application lacks headers": (
        CART,
        lambda data: manager(data)["route_config"]["virtual_hosts"][0].update(request_headers_to_remove=["x-tenant"]),
    ),
    "another cluster is asked": (WEB, _by_another_cluster),
    "every host goes outside": (WEB, lambda data: _virtual_host(data, "shop/many")["domains"].append("*")),
    "other hosts go outside": (
        WEB,
        lambda data: _virtual_host(data, "shop/many")["domains"].append("*.evil.example:443"),
    ),
    "other ports go outside": (
        WEB,
        lambda data: _virtual_host(data, "shop/many")["domains"].append("*.wild.example:8443"),
    ),
    "every host goes to a service": (WEB, lambda data: _virtual_host(data, "shop/cart:80")["domains"].append("*")),
    "names go elsewhere": (WEB, _bare_names_move),
    "names are nobody's": (WEB, _names_vanish),
    "a caller does not say who it is": (WEB, lambda data: _cluster(data, "shop/cart:8080").pop("transport_socket")),
    "a caller shows no certificate": (
        WEB,
        lambda data: _cluster(data, "shop/cart:8080")["transport_socket"]["typed_config"]["common_tls_context"].pop(
            "tls_certificates"
        ),
    ),
    "a name with a dot at the end is let by": (
        VAULT,
        lambda data: [
            one.update(requested_server_name={"exact": "secret.example"})
            for one in messages_with(_listener(data, "inbound/443"), "requested_server_name")
            if "secret" in str(one)
        ],
    ),
    "a header says whose certificate is good": (
        WEB,
        lambda data: _options(data).update(override_auto_sni_header="x-sni"),
    ),
    "two things are hashed": (WEB, lambda data: _hashed(data).append({"header": {"header_name": "x-other"}})),
    "connections are hashed otherwise": (
        WEB,
        lambda data: _tcp_proxy(data)["hash_policy"].append({"filter_state": {"key": "x"}}),
    ),
    "connections to a cluster without a weight": (WEB, _without_weight),
    "connections to a part of a cluster": (WEB, _some_of_a_cluster),
    "health is checked seldom": (
        WEB,
        lambda data: _cluster(data, "shop/cart:8080")["health_checks"][0].update(no_traffic_interval="600s"),
    ),
    "a status takes endpoints out at once": (
        WEB,
        lambda data: _cluster(data, "shop/cart:8080")["health_checks"][0]["http_health_check"].pop("retriable_statuses"),
    ),
    "more retries than the budget": (
        WEB,
        lambda data: [
            one["retry_budget"].update(min_retry_concurrency=1000)
            for one in _cluster(data, "shop/cart:8080")["circuit_breakers"]["thresholds"]
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_seen(name: str) -> None:
    path, edit = EDITS[name]
    assert SHOP.is_seen(SHOP.reading(path, edit))


def test_who_takes_the_calls_of_two_ports_leaves_both_unknown() -> None:
    found = SHOP.reading(CART, _takes_both)
    assert {("shop", "cart", 8080), ("shop", "cart", 9090)} <= {
        key for one in found.unknown if Aspect.ACCESS in one.aspects for key in one.ports or ()
    }


def test_an_admin_interface_at_a_name_is_no_mistake_of_meshc() -> None:
    """It stands at the application's port; a name is not known to be this machine's."""

    def edit(data: Data) -> None:
        data["admin"]["address"]["socket_address"].update(address="my-host", port_value=8080)

    assert SHOP.is_seen(SHOP.reading(CART, edit))


EDS: Final = compiled("""
mesh shop { trust-domain "shop.example" }
namespace shop
service web in shop
service cart in shop { port 8080 http discover eds }
access cart { allow web }
""")


def test_endpoints_from_elsewhere_are_an_assumption() -> None:
    def edit(data: Data) -> None:
        asked = _cluster(data, "shop/cart:8080")["eds_cluster_config"]
        asked["eds_config"] = {"path_config_source": {"path": "elsewhere.yaml"}}

    assert EDS.is_seen(EDS.reading(WEB, edit))
    assert EDS.is_seen(EDS.reading(WEB, lambda data: data.pop("dynamic_resources")))
