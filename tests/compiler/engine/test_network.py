"""`meshc.engine.network`: every address is local, with and without privilege, and failures say what to do."""

import ctypes
import errno
import os
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable

import pytest

from meshc.engine import network
from meshc.engine.network import IsolationUnavailableError, Network, isolate, prepare_source

NOBODY = 65534
PR_SET_DUMPABLE = 4

RunIsolated = Callable[[Callable[[Network], Awaitable[None]]], None]


def connect(source: str, destination: str, port: int) -> str:
    """The peer address that a server on `destination` sees of a client on `source`."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((destination, port))
        server.listen()
        prepare_source(client, source)
        client.connect((destination, port))
        accepted, peer = server.accept()
        accepted.close()
        return str(peer[0])


def in_child(action: Callable[[], None]) -> int:
    """The exit status of a forked child that does `action`; 1 if it raised."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def become_nobody() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        # proc(5): without an exec in between, a process that changed its user does not own its files in /proc.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)


def test_every_address_is_local(run_isolated: RunIsolated) -> None:
    async def scenario(isolated: Network) -> None:
        assert isolated == Network(has_ipv6=True, any_ipv6_listener=True)
        assert connect("10.1.2.3", "203.0.113.9", 80) == "10.1.2.3"
        assert connect("127.0.0.1", "10.0.0.1", 15001) == "127.0.0.1"
        assert connect("2001:db8::1", "2001:db8:ffff::2", 443) == "2001:db8::1"
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect(("192.0.2.1", 443))

    run_isolated(scenario)


def test_ports_of_the_machine_are_free(run_isolated: RunIsolated) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def scenario(_isolated: Network) -> None:
            assert connect("127.0.0.9", "127.0.0.1", port) == "127.0.0.9"

        run_isolated(scenario)


def test_no_privilege_is_needed() -> None:
    def scenario() -> None:
        become_nobody()
        assert isolate().has_ipv6
        assert connect("10.1.2.3", "10.0.0.1", 80) == "10.1.2.3"
        assert connect("2001:db8::1", "2001:db8::2", 80) == "2001:db8::1"

    assert in_child(scenario) == 0


def test_several_threads_are_a_mistake_that_is_named() -> None:
    def scenario() -> None:
        become_nobody()
        done = threading.Event()
        threading.Thread(target=done.wait, daemon=True).start()
        with pytest.raises(IsolationUnavailableError, match="several threads"):
            isolate()

    assert in_child(scenario) == 0


def test_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_unshare", lambda _flags: errno.EPERM)
    with pytest.raises(IsolationUnavailableError, match="refuses a new user namespace") as caught:
        isolate()
    assert "127.0.0.0/8" in caught.value.advice


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(IsolationUnavailableError, match="only Linux"):
        isolate()


def test_loopback_sources_need_no_isolation() -> None:
    assert connect("127.9.8.7", "127.0.0.1", free_port()) == "127.9.8.7"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
