"""Load balancing as a caller's Envoy does it: shares, weights, and requests that stay with one endpoint.

Where chance decides, the bounds are more than six standard deviations wide.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, served_by
from envoy_wire import PLAIN, always
from meshc.engine.exchange import Greeted, Http1Request, Line
from meshc.engine.http_server import Headers
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

BALANCED: Final = (
    PLAIN
    + """
service cart in shop
service turns in plain {
  port 80 http
  endpoint "10.0.4.20:15010"
  endpoint "10.0.4.21:15010"
  endpoint "10.0.4.22:15010"
}
service weighed in plain {
  port 80 http
  endpoint "10.0.4.30:15010" { weight 1 }
  endpoint "10.0.4.31:15010" { weight 2 }
  endpoint "10.0.4.32:15010" { weight 5 }
}
service least in plain { port 80 http endpoint "10.0.4.40:15010" endpoint "10.0.4.41:15010" }
service random in plain {
  port 80 http
  endpoint "10.0.4.50:15010"
  endpoint "10.0.4.51:15010"
  endpoint "10.0.4.52:15010"
}
traffic turns { load-balance round-robin }
traffic least { load-balance least-request }
traffic random { load-balance random }
"""
)


async def sequence(lab: Lab, host: str, headers: Iterable[Headers], source: str | None = None) -> list[str | None]:
    """Who answered, one request after the other."""
    peer = lab.outbound("cart", source=source)
    requests = [Http1Request(method=b"GET", path=b"/", host=host.encode(), headers=one) for one in headers]
    return [served_by(await lab.client.send(request, peer)) for request in requests]


def test_shares(run_lab: RunLab) -> None:
    """Round robin is even, weights are kept, and random endpoints come in no order."""

    async def scenario(lab: Lab) -> None:
        turns = await sequence(lab, "turns", [()] * 30)
        assert Counter(turns) == {"10.0.4.20": 10, "10.0.4.21": 10, "10.0.4.22": 10}
        assert not any(one == other for one, other in pairwise(turns))

        found = Counter(await sequence(lab, "weighed", [()] * 80))
        assert abs(found["10.0.4.30"] - 10) <= 2
        assert abs(found["10.0.4.31"] - 20) <= 2
        assert abs(found["10.0.4.32"] - 50) <= 2

        chosen = await sequence(lab, "random", [()] * 600)
        shares = Counter(chosen)
        assert set(shares) == {"10.0.4.50", "10.0.4.51", "10.0.4.52"}
        assert all(125 <= share <= 275 for share in shares.values()), shares
        assert 120 <= sum(one == other for one, other in pairwise(chosen)) <= 280

    run_lab(BALANCED, scenario)


def test_least_request(run_lab: RunLab) -> None:
    """An endpoint that is busy gets less: of two picked at random, the one with fewer requests under way."""

    async def scenario(lab: Lab) -> None:
        lab.stub("10.0.4.40").reply = always(Reply(delay_s=0.1))
        found = await lab.tally(lab.outbound("cart"), 400, host="least", at_once=8)
        # A pick may be of the same endpoint twice, so the busy one keeps a quarter.
        assert 0 < found["10.0.4.40"] < 160
        assert found["10.0.4.40"] + found["10.0.4.41"] == 400
        lab.stub("10.0.4.20").reply = always(Reply(delay_s=0.05))
        assert set((await lab.tally(lab.outbound("cart"), 30, host="turns", at_once=8)).values()) == {10}

    run_lab(BALANCED, scenario)


HASHED: Final = (
    PLAIN
    + """
service cart in shop
service users in plain {
  port 80 http
  endpoint "10.0.4.20:15010"
  endpoint "10.0.4.21:15010"
  endpoint "10.0.4.22:15010"
}
service sessions in plain {
  port 80 http
  endpoint "10.0.4.30:15010"
  endpoint "10.0.4.31:15010"
  endpoint "10.0.4.32:15010"
}
service places in plain {
  port 80 http
  endpoint "10.0.4.40:15010"
  endpoint "10.0.4.41:15010"
  endpoint "10.0.4.42:15010"
}
service streams in plain {
  port 5432 tcp
  endpoint "10.0.4.50:15010"
  endpoint "10.0.4.51:15010"
  endpoint "10.0.4.52:15010"
}
traffic users { load-balance ring-hash by header "x-user" }
traffic sessions { load-balance maglev by cookie "session" }
traffic places { load-balance maglev by source ip }
traffic streams { load-balance ring-hash by source ip }
"""
)


def test_hashes(run_lab: RunLab) -> None:
    """Requests of one user, session or address stay together, and the many spread over all endpoints."""

    async def scenario(lab: Lab) -> None:
        names = [b"%d" % number for number in range(60)]
        for host, cases in (
            ("users", [((b"x-user", name), (b"cookie", b"session=x")) for name in names]),
            ("sessions", [((b"x-user", b"x"), (b"cookie", b"a=b; session=" + name)) for name in names]),
        ):
            first, second, third = [await sequence(lab, host, cases) for _ in range(3)]
            assert first == second == third, host
            assert min(Counter(first).values()) >= 5, host
            assert len(Counter(first)) == 3, host
            # A request without it goes anywhere.
            assert len(set(await sequence(lab, host, [()] * 60))) > 1, host

        sources = [f"10.1.2.{number}" for number in range(1, 61)]
        first, second = [[(await sequence(lab, "places", [()], source))[0] for source in sources] for _ in range(2)]
        assert first == second
        assert len(Counter(first)) == 3
        assert len(set(await sequence(lab, "places", [()] * 20, sources[0]))) == 1

        port = lab.tcp_port("plain/streams:5432")
        for _ in range(2):
            outcomes = [await lab.send(Line(), lab.outbound("cart", port, source=source)) for source in sources]
            greeted = [one.served_by for one in outcomes if isinstance(one, Greeted)]
            assert len(greeted) == 60
            assert len(set(greeted)) == 3
            repeated = await asyncio.gather(
                *(lab.send(Line(), lab.outbound("cart", port, source=source)) for source in sources)
            )
            assert [one.served_by for one in repeated if isinstance(one, Greeted)] == greeted

    run_lab(HASHED, scenario)
