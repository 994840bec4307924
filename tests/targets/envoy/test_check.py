"""The check of emitted bootstraps: one case for each configuration that Envoy accepts and does not enforce."""

import copy
from collections.abc import Callable

import pytest

from envoy_lab import compile_mesh
from meshc.errors import InternalError
from meshc_envoy import emit
from meshc_envoy.check import check, violations

PROGRAM = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service cart in shop
service orders in shop { port 80 http }
external plain in shop { host "plain.example" port 80 http }
access orders { allow identity "spiffe://mesh.local/ns/shop/*" to /** }
access plain { allow orders to /a }
rate-limit orders { 5/s }
external other in shop { host "other.example" port 80 http }
access other { allow orders to /b }
traffic plain { split plain 50%, other 50% fault delay 1s for 1% }
"""

Data = dict[str, "Data"] | list["Data"] | str | int | bool | float | None


def bootstrap() -> dict[str, Data]:
    documents = {document.path: document for document in emit(compile_mesh(PROGRAM)).documents}
    return copy.deepcopy(dict(documents["shop/orders.yaml"].resources[0]))  # type: ignore[arg-type]


def every(value: Data, key: str) -> list[Data]:
    """Every value that a mapping inside `value` has for the key."""
    found: list[Data] = []
    if isinstance(value, dict):
        if key in value:
            found.append(value[key])
        for inner in value.values():
            found += every(inner, key)
    elif isinstance(value, list):
        for inner in value:
            found += every(inner, key)
    return found


def mappings(value: Data, key: str) -> list[dict[str, Data]]:
    """Every mapping inside `value` that has the key."""
    found = [value] if isinstance(value, dict) and key in value else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        found += mappings(one, key)
    return found


def first(value: Data, key: str) -> dict[str, Data]:
    return mappings(value, key)[0]


def rename_first_override(data: Data) -> None:
    owner = first(data, "typed_per_filter_config")
    overrides = owner["typed_per_filter_config"]
    assert isinstance(overrides, dict)
    overrides["absent"] = overrides.pop(next(iter(overrides)))


def retype_overridden_filter(data: Data) -> None:
    overrides = every(data, "typed_per_filter_config")[0]
    assert isinstance(overrides, dict)
    name = next(iter(overrides))
    for one in mappings(data, "typed_config"):
        config = one["typed_config"]
        if one["name"] == name and isinstance(config, dict):
            config["@type"] = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def lists(data: Data, key: str) -> list[list[Data]]:
    return [one for one in every(data, key) if isinstance(one, list)]


FAULTS: tuple[tuple[str, Callable[[Data], object]], ...] = (
    ("asks for no client certificate", lambda data: first(data, "require_client_certificate").pop("require_client_certificate")),
    ("nothing to verify certificates with", lambda data: first(data, "custom_validator_config").pop("custom_validator_config")),
    ("`internal_address_config`", lambda data: first(data, "http_filters").update(internal_address_config={})),
    ("not the router", lambda data: lists(data, "http_filters")[0].pop()),
    ("not the router", lambda data: lists(data, "http_filters")[0].clear()),
    ("HTTP filter name", lambda data: lists(data, "http_filters")[0].insert(0, lists(data, "http_filters")[0][0])),
    ("virtual host name", lambda data: lists(data, "virtual_hosts")[0].append(lists(data, "virtual_hosts")[0][0])),
    ("the domain `a`", lambda data: lists(data, "domains")[0].extend(["a", "A"])),
    ("wildcard in `a.*.b`", lambda data: lists(data, "domains")[0].append("a.*.b")),
    ("not in the chain", rename_first_override),
    ("another filter's type", retype_overridden_filter),
    ("route prefix `a`", lambda data: every(data, "match")[-1].update(prefix="a")),  # type: ignore[union-attr]
    ("does not end in `/`", lambda data: first(data, "principal_name").update(principal_name={"prefix": "spiffe://a"})),
    ("listener name", lambda data: lists(data, "listeners")[0].append(lists(data, "listeners")[0][0])),
    ("the address", lambda data: lists(data, "listeners")[0].append({**lists(data, "listeners")[0][0], "name": "x"})),  # type: ignore[dict-item]
    ("cluster name", lambda data: lists(data, "clusters")[0].append(lists(data, "clusters")[0][0])),
    ("no cluster is called `x`", lambda data: first(data, "timeout").update(cluster="x")),
    ("no cluster is called `y`", lambda data: lists(every(data, "weighted_clusters"), "clusters")[0][0].update(name="y")),  # type: ignore[union-attr]
    ("enforces nothing", lambda data: first(data, "filter_enforced").pop("filter_enforced")),
    ("two load balancing policies", lambda data: first(data, "load_assignment").update(lb_policy=1, load_balancing_policy={})),
)  # fmt: skip


def test_what_is_emitted_is_right() -> None:
    assert list(violations(bootstrap())) == []
    check(bootstrap())


@pytest.mark.parametrize(("text", "spoil"), FAULTS)
def test_faults(text: str, spoil: Callable[[Data], object]) -> None:
    data = bootstrap()
    spoil(data)
    assert any(text in violation for violation in violations(data)), list(violations(data))
    with pytest.raises(InternalError, match="would not be enforced"):
        check(data)
