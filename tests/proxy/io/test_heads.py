"""Heads on their way through a sidecar: what the application sees of them, and what the caller of the answers."""

import json
from collections.abc import Callable

import pytest

from meshc.engine.exchange import Answered
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
access cart { allow web }
"""


def seen(outcome: Answered) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in json.loads(outcome.body)["headers"]]


def test_hop_by_hop_headers_end_here(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        outcome = await lab.get(
            lab.inbound("cart", "web"),
            headers=(
                (b"connection", b"keep-alive, x-hop, authorization"),
                (b"keep-alive", b"timeout=5"),
                (b"proxy-connection", b"keep-alive"),
                (b"x-hop", b"1"),
                (b"authorization", b"Bearer x"),
                (b"te", b"gzip"),
                (b"x-kept", b"1"),
            ),
        )
        names = dict(seen(outcome))
        assert outcome.status == 200
        assert names["x-kept"] == "1"
        assert not {"connection", "keep-alive", "proxy-connection", "x-hop", "te"} & set(names)

    run(SHOP, scenario)
    run(SHOP, scenario, "envoy")
