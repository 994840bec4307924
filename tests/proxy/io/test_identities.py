"""Certificates that prove nothing, and connections that are not what their port takes: refused, counted, and nothing passed on."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshc.engine.authority import Authority, Credentials, Names, Validity
from meshc.engine.exchange import Answered, Http1Request, Line, Peer, Plaintext, Tls
from proxy_lab import ENGINES, Lab

pytestmark = pytest.mark.slow

SHOP = """mesh shop { trust-domain "here.example" also "there.example" }
namespace shop
service web in shop { port 80 http }
service pay in shop { port 80 http }
service cart in shop { port 80 http }
service store in shop { port 5432 tcp }
service plain in shop { port 80 http }
service soft in shop { port 80 http }
access cart { allow web }
access store { allow web }
access plain { allow anyone }
access soft { allow anyone }
authenticate plain { mtls off }
authenticate soft { mtls permissive }
"""
WEB = "spiffe://here.example/ns/shop/sa/web"
CART = "spiffe://here.example/ns/shop/sa/cart"
GET = b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n"
HOUR = timedelta(hours=1)
ENVOY_TAKES = {"with a query", "with an escape"}
"""Envoy looks at the trust domain alone: such a caller is somebody whom no rule names, not nobody at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Makes certificates of every kind, for the lab's own trust domains or for others."""

    lab: Lab

    def issue(
        self, authority: Authority, *uris: str, dns: tuple[str, ...] = (), when: Validity | None = None
    ) -> Credentials:
        own = self.lab.directory / "odd" / str(len(list(self.lab.directory.glob("odd/*"))))
        return authority.issue(Names(uris=uris, dns=dns), own, "odd", when)

    @property
    def here(self) -> Authority:
        return self.lab.scene.placed.authorities["here.example"]

    def unlike(self, identity: str) -> dict[str, tuple[Credentials, str]]:
        """Certificates that do not prove `identity`, or any, by what is wrong; with the reason that is counted."""
        stranger, elsewhere = Authority.create("here.example"), Authority.create("elsewhere.example")
        there = self.lab.scene.placed.authorities["there.example"]
        now = datetime.now(UTC)
        upper = identity.replace("here.example", "HERE.example")
        foreign = identity.replace("here.example", "elsewhere.example")
        return {
            "expired": (self.issue(self.here, identity, when=Validity.expired()), "expired"),
            "not yet valid": (
                self.issue(self.here, identity, when=Validity(start=now + HOUR, end=now + 2 * HOUR)),
                "not-yet-valid",
            ),
            "of another domain": (self.issue(elsewhere, foreign), "untrusted"),
            "of a domain nobody trusts, signed here": (self.issue(self.here, foreign), "trust-domain"),
            "two identities": (self.issue(self.here, identity, identity + "2"), "identity"),
            "an identity twice": (self.issue(self.here, identity, identity), "identity"),
            "no name": (self.issue(self.here), "identity"),
            "a host alone": (self.issue(self.here, dns=("web.shop",)), "identity"),
            "upper case": (self.issue(self.here, upper), "identity"),
            "with a query": (self.issue(self.here, identity + "?x"), "identity"),
            "with a port": (self.issue(self.here, identity.replace(".example", ".example:1")), "identity"),
            "with an escape": (self.issue(self.here, identity.replace("/sa/", "/s%61/")), "identity"),
            "self-signed": (self.crafted(identity, signer=None), "untrusted"),
            "of a stranger": (self.issue(stranger, identity), "untrusted"),
            "signed by the other domain": (self.issue(there, identity), "untrusted"),
            "an authority": (self.crafted(identity, signer=self.here), "authority-as-leaf"),
        }

    def crafted(self, identity: str, signer: Authority | None) -> Credentials:
        """An authority's certificate with an identity, signed by `signer` or by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        now = datetime.now(UTC)
        unsigned = (
            x509.CertificateBuilder()
            .subject_name(own)
            .issuer_name(own if signer is None else signer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - HOUR)
            .not_valid_after(now + HOUR)
            .add_extension(x509.BasicConstraints(ca=signer is not None, path_length=None), critical=True)
            .add_extension(names, critical=False)
        )
        certificate = unsigned.sign(key if signer is None else signer.key, hashes.SHA256())
        # The files of another, with its certificate and key in place of theirs.
        files = self.issue(self.here, identity)
        files.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


async def is_answered(lab: Lab, peer: Peer, host: str = "cart.shop") -> bool:
    return isinstance(await lab.send(Http1Request(method=b"GET", path=b"/", host=host.encode()), peer), Answered)


@pytest.mark.parametrize("engine", ENGINES)
def test_callers_that_prove_nothing(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        for peer in (lab.inbound("cart", "web"), lab.inbound("soft", None)):
            assert await is_answered(lab, peer)
        assert (
            isinstance(await lab.send(Line(), lab.inbound("store", "web")), Answered) or lab.stubs["store"].connections
        )
        before = {name: len(lab.stubs[name].requests) for name in ("cart", "soft")}
        connections = len(lab.stubs["store"].connections)
        let_in, miscounted = [], []
        for what, (credentials, reason) in Issuer(lab=lab).unlike(WEB).items():
            for service in ("cart", "store", "soft"):
                if (engine, service) == ("envoy", "soft") and what in ENVOY_TAKES:
                    continue
                lab.refused.clear()
                peer = lab.inbound(service, credentials)
                found, closed = await lab.talk(peer, GET, timeout_s=0.3 if what in ENVOY_TAKES else 2.0)
                is_denied = engine == "envoy" and what in ENVOY_TAKES and found.startswith(b"HTTP/1.1 403")
                if not closed and not is_denied:
                    let_in.append((what, service))
                if engine == "proxy" and lab.refused != [reason]:
                    miscounted.append((what, service, list(lab.refused)))
        assert not let_in
        assert not miscounted
        assert {name: len(lab.stubs[name].requests) for name in before} == before
        assert len(lab.stubs["store"].connections) == connections
        assert await is_answered(lab, lab.inbound("cart", "web"))

    run(SHOP, scenario, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_port_does_not_speak(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        strict, store, plain = lab.inbound("cart", "web"), lab.inbound("store", "web"), lab.inbound("plain", "web")
        nobody = Tls(trust=lab.scene.placed.bundle)
        cases = [
            (lab.at(strict, nobody), "handshake"),
            (lab.at(store, nobody), "handshake"),
            (lab.at(strict, Plaintext()), "handshake"),
            (lab.at(store, Plaintext()), "handshake"),
            (plain, "tls-on-plaintext"),
        ]
        wrong = []
        for peer, reason in cases:
            lab.refused.clear()
            found, closed = await lab.talk(peer, GET, timeout_s=2.0)
            if found.startswith(b"HTTP/1.1 2") or not closed:
                wrong.append((peer, found, closed))
            if engine == "proxy" and lab.refused != [reason]:
                wrong.append((peer, reason, list(lab.refused)))
        assert not wrong
        assert not [one for name in ("cart", "plain") for one in lab.stubs[name].requests]
        assert not lab.stubs["store"].connections
        # A caller whose protocols are none of ours goes on without a choice, and is known by what it sends.
        async with await lab.open(strict, "spdy/3") as wire:
            await wire.send(GET)
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await is_answered(lab, lab.at(plain, Plaintext()), "plain.shop")

    run(SHOP, scenario, engine)


def test_hellos_that_are_not_finished(run: Callable[..., None]) -> None:
    """Half of a hello, and none at all: closed after five seconds, while others are served."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("cart", None)
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            silent = group.create_task(lab.talk(peer, b"", timeout_s=8))
            half = group.create_task(lab.talk(peer, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half", timeout_s=8))
            soft = group.create_task(lab.talk(lab.inbound("soft", None), b"\x16\x03", timeout_s=8))
            assert await is_answered(lab, lab.inbound("cart", "web"))
        took = asyncio.get_running_loop().time() - began
        assert silent.result()[1]
        assert half.result()[1]
        assert soft.result()[1]
        assert 4.5 < took < 7
        assert lab.refused == ["timeout"] * 3

    run(SHOP, scenario)


def test_servers_that_are_somebody_else(run: Callable[..., None]) -> None:
    """In the place of the cart's sidecar others answer: they get no byte of a request, and the caller 503."""

    async def scenario(lab: Lab) -> None:
        issuer = Issuer(lab=lab)
        place = lab.inbound("cart", None)
        assert (await lab.get(lab.outbound("web"))).status == 200
        await lab.sidecar("cart").stop()
        others = {what: credentials for what, (credentials, _) in issuer.unlike(CART).items()}
        others["another service"] = lab.credentials("pay")
        heard: list[tuple[str, bytes]] = []
        for what, credentials in others.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(credentials.chain, credentials.key)
            context.set_alpn_protocols(["http/1.1"])
            heard += await _heard(lab, place, what, context)
        heard += await _heard(lab, place, "plaintext", None)
        assert not heard
        assert {one.flags for one in lab.told("outbound")[1:]} == {"UF"}
        # Who proves to be the cart is heard, or the rest of this proves nothing.
        right = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own = lab.credentials("cart")
        right.load_cert_chain(own.chain, own.key)
        right.set_alpn_protocols(["http/1.1"])
        assert await _heard(lab, place, "the cart", right)

    run(SHOP, scenario)


async def _heard(lab: Lab, place: Peer, what: str, context: ssl.SSLContext | None) -> list[tuple[str, bytes]]:
    """What a server in the place of the cart's sidecar hears of a request, while its caller is answered 503."""
    heard: list[tuple[str, bytes]] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            data = await reader.read(1000)
            if b"GET" in data:
                heard.append((what, data))
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(listen, place.address, place.port, ssl=context)
    try:
        assert (await lab.get(lab.outbound("web"))).status == 503, what
        await asyncio.sleep(0.02)
    finally:
        server.close()
    return heard
