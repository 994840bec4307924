"""Access log lines, read back as requests."""

import json

import pytest

from meshc.decisions_json import RequestError, RequestReader
from meshc.log_lines import is_log_line, read_log_line
from meshc.request import Claim
from meshc_harness.compare import analyze_text

PROGRAM = """
namespace shop
service web in shop
service cart in shop { port 8080 http port 5432 tcp port 443 tls }
external stripe in shop { host "api.stripe.com" port 443 https }
access cart { allow web }
"""
MESH = analyze_text(PROGRAM).lowered.mesh
WEB = "spiffe://cluster.local/ns/shop/sa/web"


def line(**fields: Claim) -> dict[str, Claim]:
    return {"time": "2026-01-01T00:00:00Z", "direction": "inbound", "from": WEB, "to": "shop.cart:8080", **fields}


def test_a_request_line() -> None:
    found = read_log_line(
        line(source_ip="10.1.2.3", method="GET", path="/a?b=c", host="cart", status=403, rule="deny.1", details="rbac"),
        MESH,
    )
    request = RequestReader(MESH).convert(found.request)
    assert (request.identity, request.source_ip, request.method, request.path) == (WEB, "10.1.2.3", "GET", "/a?b=c")
    assert request.host == "cart"
    assert found.outcome == "answered 403 by rule deny.1 (rbac)"


@pytest.mark.parametrize(
    ("field", "expected"), [("", None), (None, None), (WEB, {"identity": WEB}), ("shop.web", "shop.web")]
)
def test_the_caller(field: Claim, expected: Claim) -> None:
    assert read_log_line({**line(), "from": field}, MESH).request["from"] == expected


def test_an_outbound_line_has_the_address_of_the_application_alone() -> None:
    found = read_log_line(line(direction="outbound", source_ip="127.0.0.1", method="GET", path="/"), MESH)
    assert "source_ip" not in found.request


def test_a_connection() -> None:
    found = read_log_line({**line(server_name="cart.shop", details=None), "to": "shop.cart:443"}, MESH)
    assert found.request == {"from": {"identity": WEB}, "to": "shop.cart:443", "sni": "cart.shop"}
    assert found.outcome == "no answer"


def test_what_is_no_line() -> None:
    for text in (
        '{"from": "web", "to": "cart:8080"}',
        "[]",
        '"x"',
        "{}",
        '{"direction": "inbound"}',
        '{"direction": [], "to": 1}',
    ):
        assert not is_log_line(json.loads(text)), text


@pytest.mark.parametrize(
    ("field", "host", "expected"),
    [
        ("host", "cart:8080", "shop.cart:8080"),
        ("host", "Cart.shop.:8080", "shop.cart:8080"),
        ("host", "cart.shop.svc.cluster.local:8080", "shop.cart:8080"),
        ("server_name", "cart.shop:443", "shop.cart:443"),
        ("host", "api.stripe.com", "shop.stripe:443"),
    ],
)
def test_a_line_without_destination_is_read_by_its_host(field: str, host: str, expected: str) -> None:
    found = read_log_line({**line(direction="outbound", method="GET", path="/"), "to": None, field: host}, MESH)
    assert found.request["to"] == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "neither a destination nor a host"),
        ({"host": "nope"}, "is nobody's in this program"),
        ({"host": "cart:81"}, "is nobody's in this program"),
        ({"host": "cart"}, "fits several ports"),
    ],
)
def test_a_line_without_destination_that_tells_too_little(fields: dict[str, Claim], message: str) -> None:
    with pytest.raises(RequestError, match=message) as found:
        read_log_line({**line(), "to": None, **fields}, MESH)
    assert found.value.advice
