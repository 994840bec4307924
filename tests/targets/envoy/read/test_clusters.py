"""Clusters whose endpoints are not all asked, or not for every request."""

from typing import Final

import pytest

from envoy_by_hand import WEB, read_shop, server_of_shop

_SERVERS: Final = (server_of_shop("cart", 8080), server_of_shop("cart-canary", 8080))


@pytest.mark.parametrize(
    ("written", "more", "message"),
    [
        (
            "load_assignment: {",
            "policy: {drop_overloads: [{category: c, drop_percentage: {numerator: 50}}]}, ",
            "the field `drop_overloads` is not understood",
        ),
        (
            "load_assignment: {",
            "policy: {overprovisioning_factor: 100}, ",
            "how much of a priority may fail is not understood",
        ),
        ("lb_endpoints: [{", "health_status: UNHEALTHY, ", "an endpoint that is not asked is not understood"),
    ],
)
def test_an_endpoint_that_is_not_always_asked_is_not_known(written: str, more: str, message: str) -> None:
    text = WEB.replace(written, written + more, 1)
    assert text != WEB
    found = {one.ports for one in read_shop(text, *_SERVERS).unknown if one.message == message}
    assert found == {(("shop", "cart", 8080),)}
    plain = WEB.replace("load_assignment: {", "load_assignment: {policy: {overprovisioning_factor: 140}, ")
    assert (
        read_shop(plain.replace("lb_endpoints: [{", "lb_endpoints: [{health_status: HEALTHY, "), *_SERVERS).unknown
        == ()
    )
