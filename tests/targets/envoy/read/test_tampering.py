"""Edits of a sidecar's file that let requests past its rules, or lend its identity: none of them reads back as if nothing had been done."""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from envoy_edits import Data, compiled

CART: Final = "shop/cart.yaml"
SHOP: Final = compiled("""
mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
service web in shop { endpoint "10.0.0.3:15000" port 80 http }
service cart in shop { endpoint "10.0.0.2:15000" port 8080 http port 9090 http target 9999 }
access cart:8080 { allow web to GET /items/** when header "x-region" == "eu" }
access cart:9090 { allow web to GET /admin }
access web { allow cart }
""")


def _listener(data: Data, name: str = "inbound/8080") -> Data:
    return next(one for one in data["static_resources"]["listeners"] if one["name"] == name)


def _outbound(data: Data) -> Data:
    return next(one for one in data["static_resources"]["listeners"] if not one["name"].startswith("inbound"))


def _manager(data: Data) -> Data:
    return _listener(data)["filter_chains"][0]["filters"][-1]["typed_config"]


def _guard(data: Data) -> Data:
    return _listener(data)["filter_chains"][0]["filters"][0]["typed_config"]


def _tls(data: Data) -> Data:
    return _listener(data)["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]


def _cluster(data: Data, prefix: str) -> Data:
    return next(one for one in data["static_resources"]["clusters"] if one["name"].startswith(prefix))


def _socket_address(cluster: Data) -> Data:
    return cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]


def _bundles(data: Data) -> list[Data]:
    return _tls(data)["validation_context"]["custom_validator_config"]["typed_config"]["trust_domains"]


_HEADER = {"append": {"header": {"key": "x-region", "value": "eu"}}}
_EARLY = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_PROXY = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_RUNTIME = {"envoy.reloadable_features.http_reject_path_with_fragment": False}


def _route(data: Data) -> Data:
    return _manager(data)["route_config"]["virtual_hosts"][0]


def _extra_listener(data: Data) -> None:
    one = copy.deepcopy(_listener(data))
    one["name"], one["address"]["socket_address"]["port_value"] = "more", 7777
    one["filter_chains"][0]["filters"][-1]["typed_config"]["http_filters"] = _manager(data)["http_filters"][-1:]
    data["static_resources"]["listeners"].append(one)


EDITS: dict[str, Callable[[Data], Any]] = {
    "a header is added before rules are asked": lambda data: _manager(data)["early_header_mutation_extensions"].append(
        {"name": "more", "typed_config": {"@type": _EARLY, "mutations": [_HEADER]}}
    ),
    "upgrades pass other filters": lambda data: _manager(data)["upgrade_configs"].append(
        {"upgrade_type": "h3", "filters": [{"name": "r", "typed_config": {"@type": _ROUTER}}]}
    ),
    "web sockets pass other filters": lambda data: _manager(data)["upgrade_configs"][0].update(filters=[]),
    "some paths lead to another application": lambda data: _route(data)["routes"].insert(
        0, {**_route(data)["routes"][0], "match": {"prefix": "/x"}, "route": {
            **_route(data)["routes"][0]["route"], "cluster": "application/9999/http"}}
    ),
    "the application is elsewhere": lambda data: _socket_address(_cluster(data, "application/8080")).update(
        address="10.0.0.9"
    ),
    "the application is where its header says": lambda data: _cluster(data, "application/8080").update(
        type="ORIGINAL_DST"
    ),
    "the application is elsewhere too": lambda data: _cluster(data, "application/8080")["load_assignment"]["endpoints"][
        0
    ]["lb_endpoints"][0]["endpoint"].update(additional_addresses=[]),
    "what leaves passes filters": lambda data: _cluster(data, "shop/web")["typed_extension_protocol_options"][
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ].update(http_filters=[]),
    "the application is asked by tls": lambda data: _cluster(data, "application/8080").update(
        transport_socket={"name": "x"}
    ),
    "callers say where they come from": lambda data: _listener(data).update(
        listener_filters=[{"name": "p", "typed_config": {"@type": _PROXY}}]
    ),
    "runtime settings change filters": lambda data: data["layered_runtime"]["layers"].append(
        {"name": "x", "static_layer": _RUNTIME}
    ),
    "runtime settings are changed while it runs": lambda data: data["layered_runtime"]["layers"].append(
        {"name": "x", "admin_layer": {}}
    ),
    "everybody reaches the admin interface": lambda data: data["admin"]["address"]["socket_address"].update(
        address="0.0.0.0"
    ),
    "an extension of the process": lambda data: data.update(bootstrap_extensions=[{"name": "envoy.bootstrap.wasm"}]),
    "headers are called otherwise": lambda data: data.update(header_prefix="x-other"),
    "more listeners are delivered": lambda data: data.update(dynamic_resources={"lds_config": {"ads": {}}}),
    "a listener without rules": _extra_listener,
    "others use the caller's identity": lambda data: _outbound(data)["address"]["socket_address"].update(
        address="0.0.0.0"
    ),
    "another domain's authority signs ours": lambda data: _bundles(data)[0]["trust_bundle"].update(
        filename=_bundles(data)[1]["trust_bundle"]["filename"]
    ),
    "an authority from elsewhere": lambda data: _bundles(data)[0]["trust_bundle"].update(
        filename="/tmp/shop.example.pem"
    ),
    "old versions of tls": lambda data: _tls(data)["tls_params"].update(tls_minimum_protocol_version="TLSv1_0"),
    "weak ciphers": lambda data: _tls(data)["tls_params"].update(cipher_suites=["AES128-SHA"]),
    "keys are written down": lambda data: _tls(data).update(key_log={"path": "/tmp/keys"}),
    "a second identity is let by": lambda data: _guard(data)["matcher"]["matcher_list"]["matchers"][0][
        "on_match"
    ].update(keep_matching=True),
    "the guard is not enforced": lambda data: _guard(data).update(rules={"action": "LOG"}),
    "a filter is disabled": lambda data: _manager(data)["http_filters"][1].update(disabled=True),
    "a filter is told otherwise by a route": lambda data: _route(data)["routes"][0].update(
        typed_per_filter_config={"access-1-allow": {}}
    ),
    "a filter is told otherwise by a host": lambda data: _route(data).update(
        typed_per_filter_config={"access-1-allow": {}}
    ),
    "a filter is told otherwise by the table": lambda data: _manager(data)["route_config"].update(
        typed_per_filter_config={"access-1-allow": {}}
    ),
    "the router has filters of its own": lambda data: _manager(data)["http_filters"][-1]["typed_config"].update(
        upstream_http_filters=[]
    ),
    "a length beside chunks": lambda data: _manager(data).update(http_protocol_options={"allow_chunked_length": True}),
    "another chain for what fits none": lambda data: _listener(data).update(
        default_filter_chain=_listener(data)["filter_chains"][0]
    ),
    "any server is believed": lambda data: _cluster(data, "shop/web")["transport_socket"]["typed_config"][
        "common_tls_context"
    ]["validation_context"].update(trust_chain_verification="ACCEPT_UNTRUSTED"),
    "an old version of tls towards servers": lambda data: _cluster(data, "shop/web")["transport_socket"][
        "typed_config"
    ]["common_tls_context"]["tls_params"].update(tls_minimum_protocol_version="TLSv1_0"),
}  # fmt: skip


def test_what_is_emitted_reads_back() -> None:
    assert not SHOP.is_seen(SHOP.reading(CART, lambda data: data.update(more=None)))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_seen(name: str) -> None:
    assert SHOP.is_seen(SHOP.reading(CART, EDITS[name]))
