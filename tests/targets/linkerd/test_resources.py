"""Every object that is emitted is one that the API server takes, with the rules that Linkerd's admission adds."""

import json
import random
import re
from ipaddress import ip_network
from typing import Any

import pytest

from definitions import problems
from linkerd_lab import inbound
from linkerd_programs import random_program
from meshc.diagnostics import Severity
from meshc.kubernetes import resource_data

EVERYTHING = """
mesh shop { trust-domain "cluster.local" also "ops.example" }
namespace shop
namespace bank { mtls permissive }
namespace dark { mtls off }
service frontend in shop { port 80 http target 8080 probe GET /healthz on 8080 probe TCP on 8080 }
service checkout in shop { port 9090 grpc port 81 http2 probe GRPC on 9090 }
service ledger in bank { port 5432 tcp port 8443 tls port 80 http }
service night in dark { port 80 http }
access frontend {
  allow checkout, identity "spiffe://ops.example/ns/ops/sa/cron" to GET|POST /orders/{id}/items/**, re"/v[12]/.*"
  allow identity "spiffe://ops.example/ns/ops/sa/*" to /ops when header "x-a" in ("1", "2") and host == "shop.example"
  deny anyone from 10.66.0.0/16, 2001:db8::/32 when not header "x-b" == "y"
}
access checkout:9090 { allow frontend to rpc shop.Checkout/* deny anyone to rpc shop.Checkout/Drop }
access checkout:81 { allow authenticated except frontend when query "debug" is absent }
access ledger:5432 { allow namespace shop from 10.0.0.0/8 }
access ledger:8443 { allow anyone from 10.0.0.0/8 }
access ledger:80 { allow anyone to GET /public/** allow checkout }
access night { allow anyone to GET }
rate-limit frontend { 100/s 10/s per source }
"""


def _data(text: str) -> list[dict[str, Any]]:
    found = inbound(text)
    assert not [one for one in found.diagnostics if one.severity is Severity.ERROR]
    return [dict(resource_data(one.resource)) for one in found.placed]


@pytest.mark.slow
def test_objects_are_valid() -> None:
    data = _data(EVERYTHING)
    assert {one["kind"] for one in data} == {
        *("Server", "HTTPRoute", "AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication"),
        "HTTPLocalRateLimitPolicy",
    }
    assert problems("linkerd", data) == []


@pytest.mark.slow
def test_random_objects_are_valid() -> None:
    for seed in range(60):
        found = inbound(random_program(random.Random(seed)))
        objects = [dict(resource_data(one.resource)) for one in found.placed]
        assert problems("linkerd", objects) == [], seed
        for one in objects:
            _check_admission(one)


@pytest.mark.slow
def test_a_field_that_would_be_pruned_is_found() -> None:
    data = next(one for one in _data(EVERYTHING) if one["kind"] == "Server")
    data["spec"]["podSelector"]["matchlabels"] = {}
    assert problems("linkerd", [data])


def test_admission_rules_hold() -> None:
    for one in _data(EVERYTHING):
        _check_admission(one)


def test_references_lead_somewhere() -> None:
    data = _data(EVERYTHING)
    known = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in data}
    assert len(known) == len(data)
    for one in data:
        space, spec = one["metadata"]["namespace"], one["spec"]
        refs = [*spec.get("requiredAuthenticationRefs", ()), *spec.get("parentRefs", ())]
        refs += [spec["targetRef"]] if "targetRef" in spec else []
        for ref in refs:
            assert (ref["kind"], space, ref["name"]) in known, ref


def test_what_is_referred_to_comes_first() -> None:
    order = ["MeshTLSAuthentication", "NetworkAuthentication", "AuthorizationPolicy", "HTTPRoute", "Server"]
    for owner in ("frontend", "checkout", "ledger"):
        found = inbound(EVERYTHING)
        kinds = [one.resource.kind for one in found.placed if one.owner is not None and one.owner[1] == owner]
        places = [order.index(kind) for kind in kinds if kind in order]
        assert places == sorted(places)


def _check_admission(data: dict[str, Any]) -> None:
    """What Linkerd's webhook refuses. Source: policy-controller, `admission.rs`."""
    spec = data["spec"]
    match data["kind"]:
        case "AuthorizationPolicy":
            refs = spec["requiredAuthenticationRefs"]
            kinds = [ref["kind"] for ref in refs]
            assert refs
            assert len(set(kinds)) == len(kinds)
            assert all(ref["group"] for ref in (*refs, spec["targetRef"]))
        case "MeshTLSAuthentication":
            assert ("identities" in spec) != ("identityRefs" in spec)
            for one in spec.get("identities", ()):
                assert one == "*" or re.fullmatch(
                    r"spiffe://[a-z0-9.-]+(/[^/]+)*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*", one
                )
            for ref in spec.get("identityRefs", ()):
                assert ("namespace" in ref) == (ref["kind"] == "ServiceAccount")
        case "NetworkAuthentication":
            assert spec["networks"]
            for one in spec["networks"]:
                outer = ip_network(one["cidr"])
                for inner in map(ip_network, one.get("except", ())):
                    assert inner != outer
                    assert inner.version == outer.version
                    assert int(outer.network_address) <= int(inner.network_address) <= int(outer.broadcast_address)
        case "HTTPRoute":
            _check_route(spec)
        case "HTTPLocalRateLimitPolicy":
            rates = [spec[name]["requestsPerSecond"] for name in ("total", "identity") if name in spec]
            assert rates == sorted(rates, reverse=True)
            assert all(rates)
        case _:
            pass


def _check_route(spec: dict[str, Any]) -> None:
    rules = spec["rules"]
    assert 1 <= len(rules) <= 16
    assert sum(len(rule["matches"]) for rule in rules) < 128
    for rule in rules:
        assert 1 <= len(rule["matches"]) <= 8
        assert set(rule) == {"matches"}
        for match in rule["matches"]:
            path = match["path"]
            assert len(path["value"]) <= 1024
            assert path["type"] != "PathPrefix" or (path["value"] == "/" and len(rules) == 1)
            if path["type"] == "Exact":
                assert re.fullmatch(r"(?:/[-A-Za-z0-9._~!$&'()*+,;=:@%]*)+", path["value"])
                assert "//" not in path["value"]
            for tests in (match.get("headers", ()), match.get("queryParams", ())):
                names = [one["name"] for one in tests]
                assert len(set(names)) == len(names) <= 16
            assert json.dumps(match)


def test_names_hold_when_other_rules_change() -> None:
    """One edited rule touches the objects of its own service alone, and there only what it says."""
    before = {_key(one): one for one in _data(EVERYTHING)}
    after = {_key(one): one for one in _data(EVERYTHING.replace("from 10.0.0.0/8 }", "from 10.1.0.0/16 }", 1))}
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert {name.partition("-")[0] for _, _, name in changed} == {"ledger"}
    assert ("Server", "bank", "ledger-5432") not in changed


def test_order_of_rules_and_services_changes_nothing() -> None:
    lines = EVERYTHING.strip().splitlines()
    shuffled = [*lines[::-1][:1], *[line for line in lines if line.startswith("service")][::-1]]
    others = [line for line in lines if line not in shuffled]
    assert sorted(map(json.dumps, _data("\n".join(others + shuffled)))) == sorted(map(json.dumps, _data(EVERYTHING)))


def _key(data: dict[str, Any]) -> tuple[str, str, str]:
    return data["kind"], data["metadata"]["namespace"], data["metadata"]["name"]
