"""Locality: callers keep to what is near while it works, go where they are told when it does not, and come back."""

from collections.abc import Iterable
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, compile_mesh
from envoy_wire import PLAIN, eventually
from meshc_envoy import emit

pytestmark = pytest.mark.slow

CALLERS: Final = (
    PLAIN
    + """
service lost in shop
service cart in shop {
  endpoint "10.0.0.30:15010" { zone "eu/a" }
  endpoint "10.0.0.31:15010" { zone "eu/b" }
  endpoint "10.0.0.32:15010" { zone "us/a" }
  endpoint "10.0.0.33:15010" { zone "ap/a" }
}
"""
)

PLACES: Final = """
service orders in plain {
  port 80 http
  endpoint "10.0.4.20:15010" { zone "eu/a" }
  endpoint "10.0.4.21:15010" { zone "eu/b" }
  endpoint "10.0.4.22:15010" { zone "us/a" }
  endpoint "10.0.4.23:15010" { zone "sa/a" }
}
"""

EU_A, EU_B, US, SA = EVERY = ("10.0.4.20", "10.0.4.21", "10.0.4.22", "10.0.4.23")


async def goes(lab: Lab, caller: str, addresses: Iterable[str]) -> None:
    """Wait until a caller's requests go to just these endpoints, and stay there."""

    async def is_so() -> bool:
        return set(await lab.tally(lab.outbound(caller), 20)) == set(addresses)

    await eventually(is_so)
    assert await is_so()


def test_prefer(run_lab: RunLab) -> None:
    """The same zone first, then the same region, then anywhere; and the same way back."""
    program = (
        CALLERS
        + PLACES
        + """
    traffic orders {
      locality prefer
      health-check GET /ready { interval 100ms timeout 1s healthy 1 unhealthy 1 }
    }
    """
    )

    async def scenario(lab: Lab) -> None:
        await goes(lab, "10.0.0.30", [EU_A])
        await goes(lab, "10.0.0.31", [EU_B])
        await goes(lab, "10.0.0.32", [US])
        await goes(lab, "10.0.0.33", EVERY)
        await goes(lab, "lost", EVERY)
        await lab.stop(EU_A)
        await goes(lab, "10.0.0.30", [EU_B])
        await goes(lab, "10.0.0.31", [EU_B])
        await lab.stop(EU_B)
        await goes(lab, "10.0.0.30", [US, SA])
        await goes(lab, "10.0.0.32", [US])
        await lab.start(EU_B)
        await goes(lab, "10.0.0.30", [EU_B])
        await lab.start(EU_A)
        await goes(lab, "10.0.0.30", [EU_A])

    run_lab(program, scenario)


def test_failover(run_lab: RunLab) -> None:
    """Callers in a region leave it for the one that is named, not for others while that one works."""
    program = (
        CALLERS
        + PLACES
        + """
    traffic orders {
      locality failover "eu" -> "sa"
      health-check GET /ready { interval 100ms timeout 1s healthy 1 unhealthy 1 }
    }
    """
    )

    async def scenario(lab: Lab) -> None:
        await goes(lab, "10.0.0.30", [EU_A, EU_B])
        await goes(lab, "10.0.0.32", [US])
        await lab.stop(EU_A)
        await lab.stop(EU_B)
        await goes(lab, "10.0.0.30", [SA])
        await goes(lab, "10.0.0.31", [SA])
        await lab.stop(SA)
        await goes(lab, "10.0.0.30", [US])
        await lab.start(SA)
        await goes(lab, "10.0.0.30", [SA])
        await lab.start(EU_A)
        await lab.start(EU_B)
        await goes(lab, "10.0.0.30", [EU_A, EU_B])
        await goes(lab, "10.0.0.31", [EU_A, EU_B])

    run_lab(program, scenario)


def test_failover_by_ejection(run_lab: RunLab) -> None:
    """Failing requests tell as well as health checks do."""
    program = (
        CALLERS
        + PLACES
        + """
    traffic orders {
      locality prefer
      locality failover "eu" -> "sa"
      retry 3 on connect-failure { backoff 1ms..2ms }
      outlier-detection { consecutive-5xx 2 interval 100ms ejection 2s max-ejected 100% }
    }
    """
    )

    async def scenario(lab: Lab) -> None:
        await goes(lab, "10.0.0.30", [EU_A])
        await lab.stop(EU_A)
        await goes(lab, "10.0.0.30", [EU_B])
        await lab.start(EU_A)
        await goes(lab, "10.0.0.30", [EU_A])

    run_lab(program, scenario)


def test_files() -> None:
    """A caller whose endpoints lie in several zones has a file for each, which says where it is."""
    program = CALLERS + PLACES + "traffic orders { locality prefer }"
    documents = {one.path: one.resources[0] for one in emit(compile_mesh(program)).documents}
    places = {path: resource["node"] for path, resource in documents.items() if isinstance(resource, dict)}
    assert sorted(path for path in documents if path.startswith("shop/cart")) == [
        f"shop/cart.{zone}.yaml" for zone in ("ap-a", "eu-a", "eu-b", "us-a")
    ]
    node = places["shop/cart.eu-a.yaml"]
    assert isinstance(node, dict)
    assert node["locality"] == {"region": "eu", "zone": "a"}
    assert "shop/lost.yaml" in documents
