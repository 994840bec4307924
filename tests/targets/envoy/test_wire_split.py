"""Splits over versions: shares within bounds, versions without endpoints, routes to one version, connections too.

Where chance decides, the bounds are more than six standard deviations wide.
"""

from collections import Counter
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, served_by
from envoy_wire import PLAIN
from meshc.engine.exchange import Greeted, Line

pytestmark = pytest.mark.slow

VERSIONS: Final = (
    PLAIN
    + """
service cart in shop
service web in shop
service orders in plain {
  port 80 http
  version v1
  version v2
  version v3
  endpoint "10.0.4.20:15010" { version v1 }
  endpoint "10.0.4.21:15010" { version v1 }
  endpoint "10.0.4.22:15010" { version v2 }
}
service sealed in inside {
  port 80 http target 8080
  version v1
  version v2
  endpoint "10.0.0.30:15010" { version v1 }
  endpoint "10.0.0.31:15010" { version v2 }
}
service calls in plain {
  port 80 grpc
  version v1
  version v2
  endpoint "10.0.4.40:15010" { version v1 }
  endpoint "10.0.4.41:15010" { version v2 }
}
service streams in plain {
  port 5432 tcp
  version v1
  version v2
  version v3
  endpoint "10.0.4.50:15010" { version v1 }
  endpoint "10.0.4.51:15010" { version v2 }
}
traffic orders {
  split orders@v1 70%, orders@v2 30%
  route /empty -> orders@v3
  route /some -> orders@v1 50%, orders@v3 50%
  route /none -> orders@v1 0%, orders@v2 100%
  route /canary when header "x-canary" == "1" -> orders@v2
  route /canary -> orders@v1
  route /web by web -> orders@v2
  route /any -> orders
  route /other -> sealed@v2
}
traffic sealed { split sealed@v1 75%, sealed@v2 25% }
traffic calls { split calls@v1 50%, calls@v2 50% }
traffic streams { split streams@v1 60%, streams@v2 20%, streams@v3 20% }
"""
)

V1, ALSO_V1, V2 = "10.0.4.20", "10.0.4.21", "10.0.4.22"


def test_shares(run_lab: RunLab) -> None:
    """Each version gets its share; the endpoints of one version share theirs; one without endpoints answers 503."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        found = await lab.tally(cart, 1000)
        assert 200 <= found[V2] <= 400
        assert abs(found[V1] - found[ALSO_V1]) <= 1
        assert found[V1] + found[ALSO_V1] + found[V2] == 1000

        found = await lab.tally(cart, 400, "/some")
        assert set(found) == {V1, ALSO_V1, "-503"}
        assert 130 <= found["-503"] <= 270
        assert await lab.tally(cart, 20, "/empty") == {"-503": 20}

        found = await lab.tally(cart, 400, host="sealed")
        assert set(found) == {"10.0.0.30", "10.0.0.31"}
        assert 40 <= found["10.0.0.31"] <= 160

        calls = Counter([served_by(await lab.call(cart, "/shop.Calls/Get", host="calls")) for _ in range(200)])
        assert set(calls) == {"10.0.4.40", "10.0.4.41"}
        assert 50 <= calls["10.0.4.41"] <= 150

    run_lab(VERSIONS, scenario)


def test_routes(run_lab: RunLab) -> None:
    """One version by path, header or caller; all versions; and another service altogether."""

    async def scenario(lab: Lab) -> None:
        cart, web = lab.outbound("cart"), lab.outbound("web")
        assert await lab.tally(cart, 20, "/none") == {V2: 20}
        assert await lab.tally(cart, 20, "/canary") == {V1: 10, ALSO_V1: 10}
        assert await lab.tally(cart, 20, "/canary", headers=((b"x-canary", b"1"),)) == {V2: 20}
        assert await lab.tally(web, 20, "/web") == {V2: 20}
        assert set(await lab.tally(cart, 100, "/web")) == {V1, ALSO_V1, V2}
        assert await lab.tally(cart, 30, "/any", at_once=1) == {V1: 10, ALSO_V1: 10, V2: 10}
        assert await lab.tally(cart, 20, "/other") == {"10.0.0.31": 20}
        # A version that loses its endpoint keeps its share, too.
        await lab.stop(V2)
        found = await lab.tally(cart, 400)
        assert set(found) == {V1, ALSO_V1, "-503"}
        assert 60 <= found["-503"] <= 180

    run_lab(VERSIONS, scenario)


def test_connections(run_lab: RunLab) -> None:
    """A tcp port's connections are split likewise; those of a version without endpoints are closed."""

    async def scenario(lab: Lab) -> None:
        peer = lab.outbound("cart", lab.tcp_port("plain/streams:5432"))
        outcomes = [await lab.send(Line(), peer) for _ in range(400)]
        found = Counter(one.served_by if isinstance(one, Greeted) else "closed" for one in outcomes)
        assert set(found) == {"10.0.4.50", "10.0.4.51", "closed"}
        assert 175 <= found["10.0.4.50"] <= 305
        assert 25 <= found["10.0.4.51"] <= 140
        assert 25 <= found["closed"] <= 140

    run_lab(VERSIONS, scenario)
