"""Who may speak with a sidecar at all: every kind of certificate that is wrong, on the reference proxy and on Envoy."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from meshc.engine.authority import Authority, Credentials, Names, Validity
from meshc.engine.exchange import Answered, Http1Request, Peer, Plaintext, Tls
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """mesh shop { trust-domain "here" also "there" }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service open in shop { port 80 http }
service plain in shop { port 80 http }
service db in shop { port 5432 tcp }
access cart { allow authenticated }
access open { allow anyone }
access plain { allow anyone }
access db { allow authenticated }
authenticate open { mtls permissive }
authenticate plain { mtls off }
"""
WEB = "spiffe://here/ns/shop/sa/web"
GET = Http1Request(method=b"GET", path=b"/", host=b"cart.shop")


async def passes(lab: Lab, peer: Peer) -> bool:
    outcome = await lab.send(GET, peer)
    return isinstance(outcome, Answered) and outcome.status == 200


def credentials(lab: Lab) -> dict[str, tuple[Credentials, bool]]:
    """Certificates, and whether they are good."""
    here, there = (lab.scene.placed.authorities[domain] for domain in ("here", "there"))
    stranger = Authority.create("here")
    now = datetime.now(UTC)
    later = Validity(start=now + timedelta(hours=1), end=now + timedelta(hours=2))
    own = Names(uris=(WEB,))

    def issue(name: str, authority: Authority, names: Names, validity: Validity | None = None) -> Credentials:
        return authority.issue(names, lab.directory / "odd", name, validity)

    return {
        "good": (issue("good", here, own), True),
        "good, of a federated domain": (issue("there", there, Names(uris=("spiffe://there/x",))), True),
        "expired": (issue("expired", here, own, Validity.expired()), False),
        "not yet valid": (issue("later", here, own, later), False),
        "of a domain that nobody trusts": (issue("other", here, Names(uris=("spiffe://other/x",))), False),
        "signed by a stranger": (issue("stranger", stranger, own), False),
        "foreign, signed by a federated authority": (issue("forged", there, own), False),
        "federated, signed by our authority": (issue("forged2", here, Names(uris=("spiffe://there/x",))), False),
        "two identities": (issue("two", here, Names(uris=(WEB, WEB + "2"))), False),
        "no identity": (issue("none", here, Names(dns=("web.shop",))), False),
        "no name": (issue("nameless", here, Names()), False),
        "domain in capitals": (issue("capitals", here, Names(uris=(WEB.replace("here", "HERE"),))), False),
        "with a query": (issue("query", here, Names(uris=(WEB + "?a",))), False),
        "with a port": (issue("port", here, Names(uris=("spiffe://here:80/ns/shop/sa/web",))), False),
        "another scheme": (issue("scheme", here, Names(uris=("https://here/ns/shop/sa/web",))), False),
    }


TAKEN_BY_ENVOY = frozenset({"with a query"})
"""Envoy takes it for an identity of its own, which `authenticated` means too."""


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_only_good_certificates_are_taken(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        known = credentials(lab)
        taken = {name for name, (own, _) in known.items() if await passes(lab, lab.inbound("cart", own))}
        good = {name for name, (_, is_good) in known.items() if is_good}
        assert taken == (good if engine == "proxy" else good | TAKEN_BY_ENVOY)
        assert len(lab.stubs["cart"].requests) == len(taken)
        if engine == "proxy":
            assert len(lab.refused) == len(known) - len(good), lab.refused

    run(SHOP, scenario, engine)


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_tls_where_it_must_be_and_nowhere_else(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        bare = Tls(trust=lab.scene.placed.bundle)
        assert not await passes(lab, lab.inbound("cart", None))
        assert not await passes(lab, lab.at(lab.inbound("cart", None), bare))
        assert await passes(lab, lab.inbound("open", None))
        assert await passes(lab, lab.inbound("open", "web"))
        assert await passes(lab, lab.inbound("plain", None))
        assert not await passes(lab, lab.inbound("plain", "web"))
        expired = credentials(lab)["expired"][0]
        assert not await passes(lab, lab.inbound("open", expired))
        assert len(lab.stubs["cart"].requests) == 0
        assert len(lab.stubs["open"].requests) == 2

    run(SHOP, scenario, engine)


def test_a_bare_client_has_no_identity_where_it_is_allowed(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        assert await passes(lab, lab.at(lab.inbound("open", None), Tls(trust=lab.scene.placed.bundle)))
        assert (await lab.record("inbound")).source is None

    run(SHOP, scenario)


def test_half_a_hello_is_waited_for_and_no_longer(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        peer = lab.at(lab.inbound("cart", None), Plaintext())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with await lab.open(peer) as wire:
            await wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert await passes(lab, lab.inbound("cart", "web"))
            _, closed = await wire.rest(8.0)
        assert closed
        assert 4.0 < loop.time() - begun < 7.0
        assert lab.refused == ["timeout"]

    run(SHOP, scenario)


def test_a_server_that_is_somebody_else_gets_nothing(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        seen = b""
        peer = lab.inbound("cart", None)
        await lab.sidecar("cart").stop()
        for number, name in enumerate(
            ("good, of a federated domain", "signed by a stranger", "expired", "good", "no identity")
        ):
            own = credentials(lab)[name][0]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(own.chain, own.key)
            context.set_alpn_protocols(["h2", "http/1.1"])

            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal seen
                seen += await reader.read(100)
                writer.close()

            server = await asyncio.start_server(handle, peer.address, peer.port, ssl=context)
            outcome = await lab.get(lab.outbound("web"))
            assert outcome.status == 503, name
            assert (await lab.record("outbound", number + 1)).flags == "UF"
            server.close()
        assert seen == b""

    run(SHOP, scenario)


def test_connections_of_bytes_are_held_to_the_same(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        for name, (own, is_good) in credentials(lab).items():
            try:
                wire = await lab.open(lab.inbound("db", own))
            except Exception:  # noqa: BLE001
                assert not is_good, name
                continue
            async with wire:
                await wire.send(b"?")
                came, _ = await wire.rest(0.2)
                assert bool(came) == is_good, name
        assert len(lab.stubs["db"].connections) == 2

    run(SHOP, scenario)
