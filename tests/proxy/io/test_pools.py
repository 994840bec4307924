"""Which connections are kept, for whom, and when they go."""

import asyncio
from collections.abc import Callable

import h2.events
import pytest

from envoy_lab import compile_mesh
from h2_wire import H2Wire, h2_application
from meshc.ir import Destination
from meshc.site import site_of
from meshc_proxy.io import upstreams
from meshc_proxy.io.secrets import Secrets
from meshc_proxy.io.setup import prepare
from meshc_proxy.io.upstreams import Chooser, Upstreams
from proxy_lab import Lab, until

OUTSIDE = """namespace shop
service web in shop { port 80 http }
external books in shop { host "*.example.com" port 443 https }
access books { allow web }
"""
FEED = """namespace shop
service web in shop { port 80 http }
service feed in shop { port 80 http2 }
access feed { allow web }
traffic feed { retry 1 on 5xx { backoff 300ms..600ms } }
"""


def test_hosts_have_connections_of_their_own_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = compile_mesh(OUTSIDE)
    monkeypatch.setattr(upstreams, "_MOST_POOLS", 2)
    # Nothing is connected to, so there are no certificates to read.
    made = Upstreams(mesh, site_of(mesh, mesh.workloads[0]), Secrets.__new__(Secrets))
    to = Destination(namespace="shop", service="books", port=443)

    def pool(host: str) -> upstreams.Pool:
        endpoint = made.choose(to, host, Chooser(head=None, address=""), frozenset())
        assert endpoint is not None
        return made.pool(to, endpoint)

    one, two = pool("a.example.com"), pool("b.example.com")
    assert one is not two
    assert pool("a.example.com") is one
    assert one.endpoint.server_name == "a.example.com"
    pool("c.example.com")
    assert one.is_closed
    assert not two.is_closed


@pytest.mark.slow
def test_a_retry_after_a_reload_leaves_no_connection_behind(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        asked = 0

        async def application(wire: H2Wire) -> None:
            nonlocal asked
            request = await wire.event(h2.events.RequestReceived, timeout_s=10.0)
            asked += 1
            status = "503" if asked == 1 else "200"
            wire.h2.send_headers(request.stream_id, [(":status", status)], end_stream=True)
            await wire.flush()
            await wire.until(lambda: False, 10.0)

        await lab.serve("feed", h2_application(application))
        sidecar, server = lab.sidecar("web"), lab.sidecar("feed")
        call = asyncio.create_task(lab.get(lab.outbound("web"), host="feed.shop"))
        await until(lambda: asked > 0, 3.0)
        for one in (sidecar, server):
            await one.reload(prepare(one.setup.mesh, one.setup.site, one.setup))
        assert (await call).status == 200
        await until(lambda: not server.active, 3.0)

    run(FEED, scenario)
