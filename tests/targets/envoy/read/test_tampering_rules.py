"""Edits of rules, tokens and limits that let more through in Envoy, or refuse more: none reads back as if nothing had been done."""

import copy
from collections.abc import Callable
from typing import Final

import pytest

from envoy_edits import NETWORK_RBAC, Data, compiled, http_filter, manager, messages_with

CART: Final = "shop/cart.yaml"
SHOP: Final = compiled("""
mesh shop { trust-domain "shop.example" }
namespace shop
service web in shop
service cart in shop { port 8080 http }
authenticate cart { jwt corp { issuer "https://corp" jwks file "keys.json" } }
rate-limit cart { 50/s burst 100 }
access cart {
  allow anyone to /items/** when header "x-region" is present
  allow anyone to /hosts when not host == "shop.example"
  deny anyone to /secret/**
  deny anyone when claim "role" == "banned"
  deny anyone when host == "admin.example"
}
""")
TWO: Final = compiled("""
mesh shop { trust-domain "shop.example" }
namespace shop
service cart in shop { port 8080 http }
authenticate cart {
  jwt corp { issuer "https://corp" jwks file "keys.json" required }
  jwt other { issuer "https://other" jwks file "others.json" from-header "x-other" "" required }
}
access cart { allow anyone }
""")


def _to_connections(data: Data, policy: str) -> None:
    """A rule of requests moves to where connections are judged."""
    policies = http_filter(data, "access-1-deny")["rules"]["policies"]
    (name,) = (one for one in policies if policy in str(policies[one]))
    moved = {
        "name": "more",
        "typed_config": {
            "@type": NETWORK_RBAC,
            "stat_prefix": "more",
            "rules": {"action": "DENY", "policies": {name: policies.pop(name)}},
        },
    }
    listener = next(one for one in data["static_resources"]["listeners"] if one["name"] == "inbound/8080")
    listener["filter_chains"][0]["filters"].insert(-1, moved)


def _tokens(data: Data) -> Data:
    return next(one for one in manager(data)["http_filters"] if "jwt_authn" in one["name"])


def _providers(data: Data) -> dict[str, Data]:
    found: dict[str, Data] = _tokens(data)["typed_config"]["providers"]
    return found


def _requires(data: Data, requirement: Data) -> None:
    _tokens(data)["typed_config"]["rules"][0]["requires"] = requirement


def _other_tokens(data: Data) -> None:
    more = copy.deepcopy(_tokens(data))
    more["name"] = "more"
    evil = more["typed_config"]["providers"].pop("corp")
    evil.update(issuer="https://evil", from_headers=[{"name": "x-evil"}])
    more["typed_config"]["providers"]["evil"] = evil
    more["typed_config"]["rules"][0]["requires"] = _any_of("evil", None)
    filters = manager(data)["http_filters"]
    filters.insert(filters.index(_tokens(data)), more)


def _any_of(*names: str | None) -> Data:
    return {
        "requires_any": {
            "requirements": [{"allow_missing": {}} if one is None else {"provider_name": one} for one in names]
        }
    }


def _refused(data: Data) -> list[Data]:
    """The policies that refuse what the language refuses whoever calls."""
    return list(http_filter(data, "malformed-request")["rules"]["policies"].values())


def _shadowed(data: Data) -> None:
    config = http_filter(data, "malformed-request")
    config["shadow_rules"] = config.pop("rules")


def _narrowed(data: Data) -> None:
    never = {"not_rule": {"any": True}}
    for one in _refused(data):
        one["permissions"] = [{"and_rules": {"rules": [each, never]}} for each in one["permissions"]]


def _for_somebody(data: Data) -> None:
    for one in _refused(data):
        one["principals"] = [{"authenticated": {"principal_name": {"exact": "spiffe://shop.example/ns/shop/sa/web"}}}]


def _inverted(data: Data) -> None:
    for one in _refused(data):
        for each in messages_with(one, "string_match"):
            each["invert_match"] = True


def _spared(data: Data) -> None:
    route = manager(data)["route_config"]["virtual_hosts"][0]["routes"][0]
    kind = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
    route["typed_per_filter_config"] = {"malformed-request": {"@type": kind, "rbac": {"rules": {"action": "DENY"}}}}


def _minding_case(data: Data) -> None:
    for one in messages_with(http_filter(data, "access-1-deny"), "string_match"):
        if one.get("name") == ":authority":
            one["string_match"] = {"safe_regex": {"regex": r"admin\.example(?::[0-9]+)?"}}


EDITS: Final[dict[str, Callable[[Data], object]]] = {
    "claims are not kept": lambda data: _providers(data)["corp"].pop("payload_in_metadata"),
    "tokens of others are verified before": _other_tokens,
    "a missing header is there": lambda data: [
        one.update(treat_missing_header_as_empty=True) for one in messages_with(http_filter(data, "access-2-allow"), "present_match")
    ],
    "hosts are compared with regard to case": _minding_case,
    "malformed requests are only counted": _shadowed,
    "malformed requests are refused never": _narrowed,
    "malformed requests are refused to one caller": _for_somebody,
    "all but malformed requests are refused": _inverted,
    "a route is spared": _spared,
    "calls over the limit get another status": lambda data: [
        one.update(status={"code": 503}) for one in messages_with(manager(data), "filter_enforced")
    ],
}  # fmt: skip


@pytest.mark.parametrize("policy", ["secret", "banned"])
def test_paths_and_claims_on_connections_are_not_understood(policy: str) -> None:
    """Envoy takes such rules, which never match there."""
    found = SHOP.reading(CART, lambda data: _to_connections(data, policy))
    messages = {one.message for one in found.unknown}
    assert "something of requests is tested on a connection, before there are any" in messages


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_seen(name: str) -> None:
    assert SHOP.is_seen(SHOP.reading(CART, EDITS[name]))


def _backwards(data: Data) -> None:
    clauses = _tokens(data)["typed_config"]["rules"][0]["requires"]["requires_all"]["requirements"]
    clauses.append(clauses.pop(0))


_BOTH: Final = {"requires_all": {"requirements": [_any_of("corp", "other"), _any_of("corp", "other", None)]}}
_ONE_HEADER: Final = [{"name": "authorization", "value_prefix": "Bearer "}]
OF_TWO: Final[dict[str, Callable[[Data], object]]] = {
    "a forged token beside a good one": lambda data: _requires(data, _any_of("corp", "other")),
    "one clause for two headers": lambda data: _requires(data, _BOTH),
    "a token that is gone is asked for": _backwards,
    "both of one header are asked for": lambda data: _providers(data)["other"].update(from_headers=_ONE_HEADER),
    "a provider reads two headers": lambda data: _providers(data)["corp"]["from_headers"].append({"name": "x-more"}),
}


@pytest.mark.parametrize("name", OF_TWO)
def test_an_edit_of_several_providers_is_seen(name: str) -> None:
    assert TWO.is_seen(TWO.reading(CART, OF_TWO[name]))


def test_the_order_of_clauses_is_free_where_tokens_are_forwarded() -> None:
    def forwarded(data: Data) -> None:
        for one in _providers(data).values():
            one["forward"] = True

    def both(data: Data) -> None:
        forwarded(data)
        _backwards(data)

    assert TWO.reading(CART, both).mesh == TWO.reading(CART, forwarded).mesh
    assert not TWO.reading(CART, both).unknown


def test_one_token_at_most_is_assumed_where_one_requirement_is_for_two_headers() -> None:
    """As people write it: Envoy is content with the first good token."""
    found = TWO.reading(CART, lambda data: _requires(data, _any_of("corp", "other")))
    assert not found.unknown
    assert "a request brings one token at most" in {one.text for one in found.assumptions}
