"""What is counted goes on through reloads."""

from collections.abc import Callable

import pytest

from meshc_proxy.io.setup import prepare
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
access cart { allow web }
rate-limit cart { 3/h burst 3 to GET /any/rare }
"""


def test_limits_go_on_counting(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        told = []
        for _ in range(6):
            told.append((await lab.get(lab.inbound("cart", "web"), "/any/rare")).status)
            sidecar = lab.sidecar("cart")
            await sidecar.reload(prepare(sidecar.setup.mesh, sidecar.setup.site, sidecar.setup))
        assert told == [200, 200, 200, 429, 429, 429]

    run(SHOP, scenario)
