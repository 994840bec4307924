"""Everything at once: real requests through a real Envoy with the hardened inbound listener, on an isolated network."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from meshc.engine.authority import Authority, Credentials, Names, Validity
from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Greeted,
    Http1Request,
    Http2Request,
    HttpMessage,
    Line,
    Outcome,
    Peer,
    Plaintext,
    RawHttp1Request,
    Refused,
    Stage,
    StreamReset,
    Tls,
    grpc_call,
)
from meshc.engine.network import Network
from meshc.engine.processes import Envoy, Fleet, Sidecar
from meshc.engine.stubs import Protocol, Stub

FRONTEND = "spiffe://mesh.local/ns/shop/sa/frontend"
GET = Http1Request(method=b"GET", path=b"/x/../pay?a=1", host=b"payments.bank")
POST2 = Http2Request(method=b"POST", path=b"/pay", authority=b"payments.bank", body=b"{}")
RPC = grpc_call(b"/bank.Payments/Charge", b"payments.bank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Three sidecars of one workload: http on 10.0.0.1:80 and [2001:db8::a]:80, grpc on 10.0.0.1:90, tcp on 10.0.0.1:5432."""

    client: Client
    http: Stub
    grpc: Stub
    tcp: Stub
    authority: Authority
    directory: Path
    frontend: Credentials

    def peer(self, port: int = 80, source: str = "10.1.2.3", credentials: Credentials | None = None) -> Peer:
        tls = Tls(trust=self.frontend.bundle, credentials=credentials or self.frontend)
        address = "2001:db8::a" if ":" in source else "10.0.0.1"
        return Peer(address=address, port=port, source=source, security=tls)


RunMesh = Callable[[Callable[[Mesh], Awaitable[None]]], None]


@pytest.fixture
def run_mesh(
    run_isolated: Callable[[Callable[[Network], Awaitable[None]]], None],
    envoy: Envoy,
    authority: Authority,
    write_bootstrap: Callable[..., Path],
    tmp_path: Path,
) -> RunMesh:
    server = authority.issue_workload("spiffe://mesh.local/ns/bank/sa/payments", tmp_path, "payments")
    frontend = authority.issue_workload(FRONTEND, tmp_path, "frontend")
    listeners = {
        "http4": (("10.0.0.1", 80), 8080, "http"),
        "http6": (("2001:db8::a", 80), 8080, "http"),
        "grpc": (("10.0.0.1", 90), 9090, "http2"),
        "tcp": (("10.0.0.1", 5432), 5432, "tcp"),
    }
    sidecars = [
        Sidecar(name=name, bootstrap=write_bootstrap(name, server, inbound, port, protocol))
        for name, (inbound, port, protocol) in listeners.items()
    ]

    def run(scenario: Callable[[Mesh], Awaitable[None]]) -> None:
        async def with_mesh(_isolated: Network) -> None:
            async with (
                asyncio.timeout(30),
                Fleet(envoy, tmp_path) as fleet,
                Stub("bank.payments@v1", Protocol.HTTP) as http,
                Stub("bank.payments", Protocol.GRPC) as grpc,
                Stub("bank.ledger", Protocol.TCP) as tcp,
                Client() as client,
            ):
                for stub, port in ((http, 8080), (grpc, 9090), (tcp, 5432)):
                    await stub.start("127.0.0.1", port)
                await fleet.start(sidecars)
                await scenario(
                    Mesh(
                        client=client,
                        http=http,
                        grpc=grpc,
                        tcp=tcp,
                        authority=authority,
                        directory=tmp_path,
                        frontend=frontend,
                    )
                )
                fleet.check()

        run_isolated(with_mesh)

    return run


def header_seen(answer: Outcome, name: str) -> str:
    assert isinstance(answer, Answered), answer
    values = [value for key, value in json.loads(answer.body)["headers"] if key == name]
    assert len(values) == 1, values
    return str(values[0])


def test_identity_and_source_address_arrive(run_mesh: RunMesh) -> None:
    async def scenario(mesh: Mesh) -> None:
        for source in ("10.1.2.3", "127.0.0.1", "203.0.113.77", "2001:db8::1"):
            for request in (GET, POST2):
                answer = await mesh.client.send(request, mesh.peer(source=source))
                assert isinstance(answer, Answered), answer
                assert (answer.status, answer.served_by) == (200, "bank.payments@v1")
                assert header_seen(answer, "x-forwarded-for") == source
                assert header_seen(answer, "x-forwarded-client-cert").endswith(f";URI={FRONTEND}")
        assert {seen.request.path for seen in mesh.http.requests} == {b"/pay?a=1", b"/pay"}

    run_mesh(scenario)


def test_grpc_and_tcp_pass(run_mesh: RunMesh) -> None:
    async def scenario(mesh: Mesh) -> None:
        answer = await mesh.client.send(RPC, mesh.peer(90))
        assert isinstance(answer, Answered)
        assert (answer.grpc_status, answer.served_by) == (0, "bank.payments")
        denied = await mesh.client.send(replace(RPC, path=b"/admin/x"), mesh.peer(90))
        assert isinstance(denied, Answered)
        assert (denied.grpc_status, denied.served_by) == (7, None)
        assert await mesh.client.send(Line(), mesh.peer(5432)) == Greeted(served_by="bank.ledger")

    run_mesh(scenario)


def test_what_tls_must_refuse_is_refused(run_mesh: RunMesh) -> None:
    async def scenario(mesh: Mesh) -> None:
        foreign = Names(uris=("spiffe://mesh.local.evil/ns/shop/sa/frontend",))
        honest = Names(uris=(FRONTEND,))
        stranger = Authority.create("mesh.local")
        bad = [
            mesh.authority.issue(Names(), mesh.directory, "none"),
            mesh.authority.issue(foreign, mesh.directory, "foreign"),
            mesh.authority.issue(honest, mesh.directory, "expired", Validity.expired()),
            mesh.authority.issue(Names(dns=("payments.bank",)), mesh.directory, "dns"),
            replace(stranger.issue(honest, mesh.directory, "stranger"), bundle=mesh.frontend.bundle),
        ]
        securities: list[Plaintext | Tls] = [
            Tls(trust=mesh.frontend.bundle),
            Plaintext(),
            *(Tls(trust=mesh.frontend.bundle, credentials=credentials) for credentials in bad),
        ]
        for security in securities:
            for request, port in ((GET, 80), (POST2, 80), (RPC, 90), (Line(), 5432)):
                peer = Peer(address="10.0.0.1", port=port, source="10.1.2.3", security=security)
                outcome = await mesh.client.send(request, peer)
                assert isinstance(outcome, Refused), (security, request, outcome)
                assert outcome.stage is not Stage.CONNECT
        nobody = replace(mesh.peer(), address="10.0.0.99")
        refused = await mesh.client.send(GET, nobody)
        assert isinstance(refused, Refused)
        assert refused.stage is Stage.CONNECT
        assert (mesh.http.requests, mesh.grpc.requests, mesh.tcp.connections) == ([], [], [])

    run_mesh(scenario)


def test_certificate_with_two_identities_passes_a_prefix_match(run_mesh: RunMesh) -> None:
    """The listener alone does not make sure that there is one identity: whoever compiles policy has to."""

    async def scenario(mesh: Mesh) -> None:
        names = Names(uris=("spiffe://elsewhere/ns/a/sa/b", FRONTEND))
        both = mesh.authority.issue(names, mesh.directory, "both")
        answer = await mesh.client.send(GET, mesh.peer(credentials=both))
        assert header_seen(answer, "x-forwarded-client-cert").endswith(
            f";URI=spiffe://elsewhere/ns/a/sa/b;URI={FRONTEND}"
        )

    run_mesh(scenario)


HOSTILE: list[tuple[HttpMessage, int | None]] = [
    (replace(GET, path=b"//admin"), 403),
    (replace(GET, path=b"/x/..%2fadmin"), 400),
    (replace(GET, path=b"/admin%00"), 400),
    (replace(GET, path=b"/x#y"), 400),
    (replace(GET, headers=((b"x_y", b"1"),)), 400),
    (replace(GET, headers=((b"x y", b"1"),)), 400),
    (RawHttp1Request(payload=b"GET / HTTP/1.0\r\n\r\n"), 426),
    (RawHttp1Request(payload=b"GET / HTTP/1.1\r\nhost : x\r\n\r\n"), 400),
    (
        RawHttp1Request(
            payload=b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n"
        ),
        400,
    ),
    (replace(POST2, path=b"/./admin"), 403),
    (replace(POST2, headers=((b"x_y", b"1"),)), None),
]


def test_hostile_requests_reach_envoy_unmended(run_mesh: RunMesh) -> None:
    """None: the stream is reset."""

    async def scenario(mesh: Mesh) -> None:
        for request, status in HOSTILE:
            outcome = await mesh.client.send(request, mesh.peer(), on_fresh_connection=True)
            if status is None:
                assert isinstance(outcome, StreamReset), (request, outcome)
            else:
                assert isinstance(outcome, Answered), (request, outcome)
                assert (outcome.status, outcome.served_by) == (status, None), request
        assert mesh.http.requests == []
        blank = replace(POST2, headers=((b"x-block", b"yes "),))
        assert isinstance(await mesh.client.send(blank, mesh.peer()), Answered)

    run_mesh(scenario)


def test_websocket_is_upgraded_through_the_sidecar(run_mesh: RunMesh) -> None:
    async def scenario(mesh: Mesh) -> None:
        upgrade = replace(GET, headers=((b"connection", b"upgrade"), (b"upgrade", b"websocket")))
        answer = await mesh.client.send(upgrade, mesh.peer())
        assert isinstance(answer, Answered)
        assert (answer.status, answer.served_by) == (101, "bank.payments@v1")

    run_mesh(scenario)


def test_a_thousand_requests_take_seconds(run_mesh: RunMesh) -> None:
    async def scenario(mesh: Mesh) -> None:
        begin = time.monotonic()
        for request in (GET, POST2):
            for _ in range(10):
                peers = [mesh.peer(source=f"10.1.2.{n % 5}") for n in range(50)]
                answers = await asyncio.gather(*(mesh.client.send(request, peer) for peer in peers))
                assert all(isinstance(answer, Answered) and answer.status == 200 for answer in answers)
        assert time.monotonic() - begin < 15

    run_mesh(scenario)
