"""Metrics on real Envoys: one path for everybody, and no way through to the rest of the admin interface."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, status
from meshc import ir
from meshc.engine.exchange import Answered, Peer, Plaintext
from meshc.engine.processes import find_envoy
from meshc_envoy import EmitOptions, SocketAddress
from meshc_envoy.emit import Sidecar, emit_sidecars

pytestmark = pytest.mark.slow

PROGRAM: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service web in shop
service cart in shop { port 80 http target 8080 }
access cart { allow web }
telemetry cart { metrics }
"""
METRICS: Final = Peer(address="10.0.6.1", port=15090, source="10.9.9.9", security=Plaintext())
ADMIN: Final = SocketAddress(host="127.0.0.1", port=15000)


@asynccontextmanager
async def sidecar(lab: Lab, workload: ir.Workload, *, admin: SocketAddress | None) -> AsyncIterator[Path]:
    """A further sidecar of the workload at 10.0.6.1 with an admin interface as it was emitted; its metrics socket."""
    key = (workload.namespace, workload.name)
    with tempfile.TemporaryDirectory(prefix="meshc-") as directory:
        socket = Path(directory) / "metrics.sock"
        options = EmitOptions(
            listen_addresses={key: ("10.0.6.1",)},
            application_addresses={key: "10.0.1.1"},
            outbound_addresses={key: "10.0.7.1"},
            admin=admin,
            tls_directory=PurePosixPath(lab.directory / "tls" / "shop.cart"),
            metrics_socket=PurePosixPath(socket),
        )
        emission = emit_sidecars(lab.mesh, [Sidecar(path="cart", workload=workload, options=options)])
        bootstrap = Path(directory) / "cart.json"
        bootstrap.write_text(json.dumps(emission.documents[0].resources[0]), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(str(find_envoy().path), "--config-path", str(bootstrap), "--disable-hot-restart"),
            *("--concurrency", "1", "--log-level", "error"),
        )
        try:
            async with asyncio.timeout(10):
                while not isinstance(await lab.get(METRICS, "/"), Answered):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            yield socket
        finally:
            process.terminate()
            await process.wait()


async def check_listener(lab: Lab) -> None:
    """What the listener answers, wherever the admin interface is."""
    scraped = await lab.get(METRICS, "/stats/prometheus", host="10.0.6.1:15090")
    assert isinstance(scraped, Answered), scraped
    assert scraped.status == 200
    assert b"# TYPE envoy_server_live gauge" in scraped.body
    assert b"envoy_http_rbac" in scraped.body
    for path in (
        *("/", "/stats", "/ready", "/config_dump", "/certs", "/clusters", "/stats/prometheus/", "/stats/prometheusx"),
        *(
            "/stats/prometheus?usedonly",
            "/stats/prometheus?filter=.*",
            "/stats/prometheus?",
            "/stats?format=prometheus",
        ),
        *("/stats/prometheus/../config_dump", "/stats/prometheus/../../config_dump", "/stats/prometheus/%2e%2e/certs"),
        *("/stats/./../config_dump", "//config_dump", "//quitquitquit", "/Stats/Prometheus", "/stats/prometheus;x"),
        *(
            "/config_dump#/stats/prometheus",
            "/stats%2fprometheus",
            "/stats/prometheus%00",
            "/config_dump?/stats/prometheus",
        ),
        *("/stats/prometheus%3fusedonly", "http://127.0.0.1:15000/config_dump"),
    ):
        assert status(await lab.get(METRICS, path)) in {400, 404}, path
    for method, path in (
        *(("POST", "/stats/prometheus"), ("POST", "/quitquitquit"), ("PUT", "/stats/prometheus")),
        *(("HEAD", "/stats/prometheus"), ("OPTIONS", "/stats/prometheus"), ("DELETE", "/stats/prometheus")),
    ):
        assert status(await lab.get(METRICS, path, method=method)) == 404, method
    overridden = ((b"x-http-method-override", b"POST"), (b"x-envoy-original-path", b"/quitquitquit"))
    assert status(await lab.get(METRICS, "/stats/prometheus", headers=overridden)) == 200
    for path, method in (("/stats/prometheus", "POST"), ("/config_dump", "GET"), ("/stats/prometheus?x", "GET")):
        assert status(await lab.get2(METRICS, path, method=method)) == 404
    assert status(await lab.get2(METRICS, "/stats/prometheus")) == 200
    for target in (b"127.0.0.1:15000", b"/stats/prometheus", b"10.0.6.1:15090"):
        line = b"CONNECT " + target + b" HTTP/1.1\r\nhost: " + target + b"\r\n\r\n"
        assert status(await lab.raw(METRICS, line)) in {400, 404}, target
    upgrade = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"))
    assert status(await lab.get(METRICS, "/stats/prometheus", headers=upgrade)) in {403, 404}


def test_listener(run_lab: RunLab) -> None:
    async def scenario(lab: Lab) -> None:
        cart = lab.instance("cart").workload
        async with sidecar(lab, cart, admin=ADMIN):
            await check_listener(lab)
            # The interface itself is where it was, for those on the machine.
            there = Peer(address=ADMIN.host, port=ADMIN.port, source="127.0.0.1", security=Plaintext())
            assert status(await lab.get(there, "/config_dump")) == 200
        async with sidecar(lab, cart, admin=None) as socket:
            await check_listener(lab)
            assert socket.stat().st_mode & 0o777 == 0o600
            for path, expected in ((b"/stats/prometheus", b"200"), (b"/ready", b"200"), (b"/config_dump", b"403")):
                assert await asked(socket, b"GET " + path) == expected
            assert await asked(socket, b"POST /quitquitquit") == b"403"
        # Nothing listens for a service that asks for no metrics.
        closed = Peer(address="10.0.0.2", port=15090, source="10.9.9.9", security=Plaintext())
        assert status(await lab.get(closed, "/stats/prometheus")) is None

    run_lab(PROGRAM, scenario)


async def asked(socket: Path, line: bytes) -> bytes:
    """The status of a request at a Unix socket."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    writer.write(line + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    answer = await reader.read(64)
    writer.close()
    return answer.split(b" ")[1]
