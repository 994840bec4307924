"""Files as people write them, in real Envoys: they answer as the reading says that they do."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from envoy_lab import served_by, status
from forked import run_forked
from meshc.engine.authority import Authority
from meshc.engine.client import Client
from meshc.engine.exchange import Answered, Greeted, Http1Request, Line, Outcome, Peer, Plaintext, Tls
from meshc.engine.processes import Fleet, Sidecar, find_envoy
from meshc.engine.stubs import Protocol, Stub
from meshc.ir import Mesh
from meshc.reading import Aspect, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text

pytestmark = pytest.mark.slow

FILES: Final = Path(__file__).with_name("by_hand")
PREFIX: Final = "spiffe://shop.example/ns/shop/sa/"
CALLERS: Final = ("web", "ops", "batch", "orders", "stranger")


@dataclass(frozen=True, slots=True)
class Live:
    """Running sidecars, and what was read of them."""

    client: Client
    evaluator: Evaluator
    folder: Path
    authority: Authority

    def peer(self, address: str, port: int, caller: str, source: str | None = None) -> Peer:
        names = self.authority.issue_workload(PREFIX + caller, self.folder / "callers", caller)
        trust = Tls(trust=self.folder / "ca.crt", credentials=names)
        return Peer(address=address, port=port, security=trust, source=source)


def _evaluator(names: Sequence[str]) -> Evaluator:
    mesh = analyze_text('mesh m { trust-domain "shop.example" }\nnamespace shop\n').mesh
    assert isinstance(mesh, Mesh)
    texts = {name: (FILES / name).read_text(encoding="utf-8") for name in names}
    objects = [one for name, text in texts.items() for one in objects_of_source(SourceFile(name, text))[0]]
    reading = read(objects, bare(mesh), {})
    assert {one.aspects for one in reading.unknown} <= {frozenset({Aspect.SETTINGS})}, reading.unknown
    return Evaluator(reading.mesh)


def _secrets(folder: Path, authority: Authority, name: str) -> Path:
    """The certificate of a sidecar, and its file with the places of what is in its folder."""
    own = folder / name
    found = authority.issue_workload(PREFIX + Path(name).stem, own, "tls")
    found.chain.rename(own / "tls.crt")
    (own / "ca.crt").write_bytes(authority.bundle)
    text = (FILES / name).read_text(encoding="utf-8").replace("/certs/", f"{own}/")
    path = own / name
    path.write_text(text, encoding="utf-8")
    return path


async def _start(
    stack: AsyncExitStack, folder: Path, names: Sequence[str], applications: Mapping[str, tuple[int, Protocol]]
) -> Live:
    authority = Authority.create("shop.example")
    (folder / "ca.crt").write_bytes(authority.bundle)
    for name, (port, protocol) in applications.items():
        stub = await stack.enter_async_context(Stub(name, protocol))
        await stub.start("127.0.0.1", port)
    fleet = await stack.enter_async_context(Fleet(find_envoy(), folder / "logs"))
    await fleet.start([Sidecar(name=name, bootstrap=_secrets(folder, authority, name)) for name in names])
    client = await stack.enter_async_context(Client(timeout_s=5.0))
    return Live(client=client, evaluator=_evaluator(names), folder=folder, authority=authority)


def _agree(live: Live, request: Request, outcome: Outcome) -> int | None:
    decision = live.evaluator.decide(request)
    expected = 200 if decision.allowed else decision.status
    assert status(outcome) == expected, (request, decision, outcome)
    return expected


async def _ask_orders(folder: Path) -> None:
    answers: Counter[int | None] = Counter()
    async with AsyncExitStack() as stack:
        live = await _start(stack, folder, ["orders.yaml"], {"orders": (8080, Protocol.HTTP)})
        peers = {one: live.peer("10.0.0.1", 8443, one) for one in CALLERS}
        paths = (
            "/orders/7",
            "/orders/x",
            "/orders",
            "/orders?a=b",
            "/admin/",
            "/admin",
            "//admin/a",
            "/a/../admin/x",
            "/",
        )
        headers: tuple[tuple[tuple[str, str], ...], ...] = (
            (),
            (("x-debug", ""),),
            (("x-tier", "gold+"),),
            (("x-tier", "gold"), ("x-batch", "off")),
        )
        for caller, path, method, more in product(CALLERS, paths, ("GET", "HEAD", "POST"), headers):
            request = Request(
                identity=PREFIX + caller,
                namespace="shop",
                service="orders",
                port=8443,
                method=method,
                path=path,
                headers=more,
                host="orders",
            )
            wire = tuple((name.encode(), value.encode()) for name, value in more)
            sent = Http1Request(method=method.encode(), path=path.encode(), host=b"orders", headers=wire)
            answers[_agree(live, request, await live.client.send(sent, peers[caller]))] += 1
    assert answers.keys() == {200, 403}
    assert min(answers.values()) > 50, answers


async def _ask_queue(folder: Path) -> None:
    let_in: Counter[bool] = Counter()
    async with AsyncExitStack() as stack:
        live = await _start(stack, folder, ["queue.yaml"], {"queue": (5672, Protocol.TCP)})
        for caller, source in product(CALLERS, ("10.1.0.5", "10.9.0.5")):
            identity = PREFIX + caller
            request = Request(identity=identity, namespace="shop", service="queue", port=5671, source_ip=source)
            decision = live.evaluator.decide(request)
            outcome = await live.client.send(Line(), live.peer("10.0.0.4", 5671, caller, source))
            assert isinstance(outcome, Greeted) is decision.allowed, (request, decision, outcome)
            let_in[isinstance(outcome, Greeted)] += 1
    assert let_in == {True: 2, False: 8}


async def _ask_cart(folder: Path) -> None:
    """As `web`'s application, through its own sidecar and the servers'."""
    answers: Counter[tuple[int | None, str | None]] = Counter()
    applications = {"cart": (3000, Protocol.HTTP), "cart-canary": (3001, Protocol.HTTP)}
    async with AsyncExitStack() as stack:
        live = await _start(stack, folder, ["cart.yaml", "cart-canary.json", "web.yaml"], applications)
        peer = Peer(address="127.0.0.1", port=9001, security=Plaintext())
        paths = ("/", "/healthz", "/healthz/", "/old/x", "/old", "/items/3", "/items/x", "/items/3?q=1")
        headers: tuple[tuple[tuple[str, str], ...], ...] = ((), (("x-canary", "always"),), (("x-canary", "no"),))
        for service, path, method, more in product(applications, paths, ("GET", "POST", "DELETE"), headers):
            request = Request(
                identity=f"{PREFIX}web",
                namespace="shop",
                service=service,
                port=8080,
                method=method,
                path=path,
                headers=more,
                host=f"{service}:8080",
            )
            wire = tuple((name.encode(), value.encode()) for name, value in more)
            host = f"{service}:8080".encode()
            sent = Http1Request(method=method.encode(), path=path.encode(), host=host, headers=wire)
            outcome = await live.client.send(sent, peer)
            expected = _agree(live, request, outcome)
            decision = live.evaluator.decide(request)
            if expected == 200:
                assert served_by(outcome) == max(decision.destinations, key=lambda one: one.weight).service
            if decision.redirect is not None:
                assert isinstance(outcome, Answered)
                assert (outcome.header(b"location") or b"").decode().endswith(decision.redirect)
            answers[expected, served_by(outcome)] += 1
    assert answers.keys() == {(200, "cart"), (200, "cart-canary"), (204, None), (302, None), (403, None)}


@pytest.mark.parametrize("ask", [_ask_orders, _ask_queue, _ask_cart], ids=["orders", "queue", "cart"])
def test_answers_are_those_of_the_reading(ask: Callable[[Path], Coroutine[None, None, None]], tmp_path: Path) -> None:
    run_forked(lambda _: asyncio.run(ask(tmp_path)), tmp_path / "failure.txt")
