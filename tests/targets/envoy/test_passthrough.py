"""What the sidecar does not terminate or does not end: TLS passed through by name, WebSocket, TLS to the outside."""

from typing import Final

from envoy_lab import Lab, RunLab, is_closed, status
from meshc.engine.authority import Names
from meshc.engine.exchange import Greeted, Line, Outcome, Peer, Tls
from meshc.engine.stubs import Protocol
from meshc.request import Request
from meshc.semantics import decide

SERVICES: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service cart in shop
service vault in shop { port 443 tls port 444 tls }
access vault:443 {
  allow anyone when sni == "vault.shop" or sni starts with "any"
  allow anyone from 10.9.0.0/16 when not sni is present
  deny anyone from 10.66.0.0/16 when sni matches re"any[.].*"
}
access vault:444 { allow anyone when not (sni ends with ".bad" or source ip in (10.66.0.0/16)) }
"""


def tls(lab: Lab, peer: Peer, server_name: str | None) -> Peer:
    """The same peer, spoken to in the application's own TLS."""
    bundle = lab.directory / "trust.pem"
    bundle.write_bytes(lab.authority.bundle)
    security = Tls(trust=bundle, server_name=server_name)
    return Peer(address=peer.address, port=peer.port, security=security, source=peer.source)


async def knock(lab: Lab, peer: Peer, server_name: str | None) -> Outcome:
    return await lab.send(Line(), tls(lab, peer, server_name))


def test_server_names(run_lab: RunLab) -> None:
    """tls ports, by server name and address, as the model says."""

    async def scenario(lab: Lab) -> None:
        for port in (443, 444):
            for name in ("vault.shop", "VAULT.shop", "any.x", "other", "x.bad", None):
                for source in ("10.1.1.1", "10.9.1.1", "10.66.1.1"):
                    peer = lab.inbound("vault", port, caller=None, source=source)
                    outcome = await knock(lab, peer, name)
                    request = Request(
                        identity=None, namespace="shop", service="vault", port=port, source_ip=source, sni=name
                    )
                    assert isinstance(outcome, Greeted) == decide(lab.mesh, request).allowed, (request, outcome)
        plain = lab.inbound("vault", 444, caller=None, source="10.9.1.1")
        known = len(lab.stubs["shop", "vault", 444].connections)
        assert is_closed(await lab.send(Line(), plain)), "what is not TLS would arrive in plain text"
        assert len(lab.stubs["shop", "vault", 444].connections) == known
        outbound = lab.outbound("cart", lab.tcp_port("shop/vault:443"))
        assert isinstance(await knock(lab, outbound, "vault.shop"), Greeted)
        assert is_closed(await knock(lab, outbound, "other"))

    run_lab(SERVICES, scenario)


def test_websocket(run_lab: RunLab) -> None:
    """An upgrade is passed on where the request is allowed, and judged like any other where it is not."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    service orders in shop { port 80 http target 8080 }
    access orders { allow cart to GET /socket }
    """
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    async def scenario(lab: Lab) -> None:
        for peer in (lab.inbound("orders", 80, caller="cart"), lab.outbound("cart")):
            for path, expected in ((b"/socket", 101), (b"/other", 403)):
                request = b"GET " + path + b" HTTP/1.1\r\nHost: orders\r\n" + upgrade + key
                assert status(await lab.raw(peer, request)) == expected, (peer, path)

    run_lab(program, scenario)


def test_outside(run_lab: RunLab) -> None:
    """https externals are verified by name; tls externals are passed through by name, and by nothing else."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    external true in shop { host "true.example", "*.true.example" port 443 https }
    external false in shop { host "false.example" port 443 https }
    external vault in shop { host "vault.example" port 8443 tls }
    access true { allow cart }
    access false { allow cart }
    access vault { allow cart }
    """
    externals = {
        "true.example": Protocol.HTTPS,
        "*.true.example": Protocol.HTTPS,
        "vault.example": Protocol.TLS,
        "false.example": Protocol.HTTPS,
    }

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        assert status(await lab.get(cart, "/", host="true.example")) == 200
        assert status(await lab.get(cart, "/", host="any.true.example")) == 200
        assert status(await lab.get(cart, "/", host="any.true.example:443")) == 200
        assert status(await lab.get(cart, "/", host="other.true.example")) == 503
        assert status(await lab.get(cart, "/", host="any.true.example:444")) == 404
        assert status(await lab.get(cart, "/", host="false.example")) == 503
        vault = lab.outbound("cart", lab.tcp_port("shop/vault:8443/vault.example"))
        trust = lab.directory / "outside.pem"
        for name, expected in (("vault.example", True), ("other.example", False), (None, False)):
            peer = Peer(address=vault.address, port=vault.port, security=Tls(trust=trust, server_name=name))
            assert isinstance(await lab.send(Line(), peer), Greeted) == expected, name

    run_lab(program, scenario, externals, forged={"false.example": Names(dns=("true.example",))})
