"""Rules of externals that routes lead to: nobody gets there by a way on which they are not asked, or asked of something else."""

from typing import Final

import pytest

from envoy_lab import Lab, RunLab, compile_mesh, served_by, status
from envoy_wire import PLAIN
from meshc.engine.exchange import Greeted, Line, Peer, Tls
from meshc.engine.stubs import Protocol
from meshc.request import Request
from meshc.semantics.decide import Evaluator

pytestmark = pytest.mark.slow

CART: Final = "spiffe://mesh.local/ns/shop/sa/cart"

HOSTS: Final = (
    PLAIN
    + """
service cart in shop
service orders in inside { port 80 http target 8080 }
external api in shop { host "api.example" port 80 http }
external other in shop { host "other.example" port 80 http }
access api { allow cart when host matches re"(.*[0-9])|bare" deny cart when host starts with "[" }
access other { allow cart when host ends with "0" }
traffic orders {
  route /pattern when host matches re".*[0-9]" { respond 299 }
  route /suffix when host ends with "80" { respond 299 }
}
"""
)


def test_a_port_is_no_part_of_the_host(run_lab: RunLab) -> None:
    """A test that a host does not pass, it does not pass by the digits of its port either."""
    evaluator = Evaluator(compile_mesh(HOSTS))
    for external in ("api", "other"):
        asked = Request(
            identity=CART,
            namespace="shop",
            service=external,
            port=80,
            method="GET",
            path="/",
            host=f"{external}.example:80",
        )
        assert evaluator.decide(asked).allowed is False

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        for host in ("api.example", "api.example:80", "other.example", "other.example:80"):
            assert status(await lab.get(cart, "/", host=host)) == 403, host
        for host in ("orders", "orders:80", "orders.inside:80", "ORDERS.:80"):
            for path in ("/pattern", "/suffix"):
                assert served_by(await lab.get(cart, path, host=host)) == "inside.orders", (host, path)

    run_lab(HOSTS, scenario, externals={"api.example": Protocol.HTTP, "other.example": Protocol.HTTP})


NAMES: Final = (
    PLAIN
    + """
service cart in shop
service relay in inside { port 443 tls }
external safe in shop { host "safe.example" port 443 tls }
access safe { allow cart deny anyone when sni == "evil.example" }
traffic relay { split safe:443 100% }
"""
)


def test_server_names_behind_a_service(run_lab: RunLab) -> None:
    """The rules of an external read the server name of a connection that was meant for a service."""
    evaluator = Evaluator(compile_mesh(NAMES))

    async def scenario(lab: Lab) -> None:
        for name in ("safe.example", "else.example", "evil.example"):
            asked = Request(identity=CART, namespace="inside", service="relay", port=443, sni=name)
            peer = Peer(
                address=lab.outbound("cart").address,
                port=lab.tcp_port("inside/relay:443"),
                security=Tls(trust=lab.directory / "outside.pem", server_name=name),
            )
            passed = isinstance(await lab.send(Line(), peer), Greeted)
            assert passed is evaluator.decide(asked).allowed, name
        plain = lab.outbound("cart", lab.tcp_port("inside/relay:443"))
        assert not isinstance(await lab.send(Line(), plain), Greeted)

    run_lab(NAMES, scenario, externals={"safe.example": Protocol.TLS})


FAULTS: Final = (
    PLAIN
    + """
service cart in shop
external api in shop { host "api.example" port 80 http }
access api { allow cart to /open/** }
traffic api { fault abort 418 for 100% when header "x-chaos" is present }
"""
)


def test_an_abort_asks_no_access(run_lab: RunLab) -> None:
    """What the caller's sidecar answers by itself, it answers before the rules of the external."""

    async def scenario(lab: Lab) -> None:
        cart, chaos = lab.outbound("cart"), ((b"x-chaos", b"1"),)
        for path, expected in (("/open/a", 200), ("/closed", 403)):
            assert status(await lab.get(cart, path, host="api.example")) == expected
            assert status(await lab.get(cart, path, host="api.example", headers=chaos)) == 418

    run_lab(FAULTS, scenario, externals={"api.example": Protocol.HTTP})
