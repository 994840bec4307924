"""The gate beside a real Envoy: it lets through nothing that Envoy refuses, and the differences that remain are known.

The Envoy answers 200 to whatever request it understands, once it has read the whole body.
"""

import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from meshc.engine.processes import find_envoy
from meshc_proxy.wire.events import End, Fault, Refused
from meshc_proxy.wire.http1_server import Http1Server

HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
REQUESTS = [
    b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\n\r\n",
    b"GET http://a/x HTTP/1.1\r\nHost: a\r\nx: y\r\nCookie: a=b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]
PIECES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"#",
    b"%00",
    b"\xff",
    b"_",
    b"+",
    b"-",
    b"0",
    b"x",
    b";",
    b"/",
]
LINES = [
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Host: a\r\n",
    b" folded\r\n",
    b"x_y: z\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
]


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running Envoy's socket."""
    folder = tmp_path_factory.mktemp("envoy")
    path, bootstrap = folder / "s", folder / "bootstrap.json"
    buffer = "envoy.extensions.filters.http.buffer.v3.Buffer"
    router = "envoy.extensions.filters.http.router.v3.Router"
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    hcm = {
        "@type": f"type.googleapis.com/{HCM}",
        "stat_prefix": "x",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "b", "typed_config": {"@type": f"type.googleapis.com/{buffer}", "max_request_bytes": 10**6}},
            {"name": "r", "typed_config": {"@type": f"type.googleapis.com/{router}"}},
        ],
    }
    listener = {
        "name": "l",
        "address": {"pipe": {"path": str(path)}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": hcm}]}],
    }
    bootstrap.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [str(find_envoy().path), "-c", str(bootstrap), "--disable-hot-restart", "-l", "off", "--concurrency", "1"]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            # The file is there before anybody listens behind it.
            with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
                client.connect(str(path))
                break
            time.sleep(0.05)
        yield path
    finally:
        process.terminate()
        process.wait()


def envoy_status(path: Path, data: bytes) -> int | None:
    """The status that Envoy answers, None if it waits for more or closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.15)
        client.connect(str(path))
        answer = b""
        with suppress(OSError):
            client.sendall(data)
            while b"\r\n\r\n" not in answer or answer.startswith(b"HTTP/1.1 100"):
                block = client.recv(65536)
                if not block:
                    break
                answer = (answer + block).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts = answer.split(b" ")
        return int(parts[1]) if answer.startswith(b"HTTP/1.1 ") else None


def our_status(data: bytes) -> tuple[int | None, Fault | None]:
    """200 for a request that passed whole, the refusal's status and fault, or None if there is more to come."""
    events = Http1Server(scheme=b"http", now=0.0).receive(data, 0.0)
    for event in events:
        if isinstance(event, Refused):
            return event.status, event.fault
    return (200 if End(stream=1) in events else None), None


def spoiled(seed: int) -> bytes:
    """A request with one or two things wrong, or none."""
    chance = random.Random(seed)
    data = chance.choice(REQUESTS)
    for _ in range(chance.randint(1, 2)):
        if chance.random() < 0.4:
            place = data.index(b"\r\n") + 2
            data = data[:place] + chance.choice(LINES) + data[place:]
        else:
            place = chance.randrange(len(data) + 1)
            data = data[:place] + chance.choice(PIECES) + data[place + chance.randint(0, 1) :]
    return data


@pytest.mark.slow
def test_nothing_passes_that_envoy_refuses(envoy: Path) -> None:
    passed = refused = 0
    for seed in range(3000):
        data = spoiled(seed)
        ours, _ = our_status(data)
        if ours != 200:
            refused += 1
            continue
        passed += 1
        theirs = envoy_status(envoy, data)
        assert theirs in {200, 404}, (seed, data, theirs)
    assert passed > 500
    assert refused > 500


@pytest.mark.slow
@pytest.mark.parametrize("data", REQUESTS)
def test_honest_requests_pass_both(envoy: Path, data: bytes) -> None:
    assert envoy_status(envoy, data) == our_status(data)[0] == 200


SAME = [
    (b"Content-Length: +5\r\n", 400),
    (b"Content-Length: 5, 5\r\n", 400),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
    (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    (b"Transfer-Encoding: xchunked\r\n", 501),
    (b"Transfer-Encoding : chunked\r\n", 400),
    (b"x: a\0b\r\n", 400),
    (b"x_block: yes\r\n", 400),
    (b": a\r\n", 400),
    (b"x: " + b"a" * 62000 + b"\r\n", 431),
    (b"x: y\r\n" * 101, 431),
]


@pytest.mark.slow
@pytest.mark.parametrize(("fields", "status"), SAME)
def test_refusals_are_answered_alike(envoy: Path, fields: bytes, status: int) -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
    assert envoy_status(envoy, data) == our_status(data)[0] == status


@pytest.mark.slow
@pytest.mark.parametrize(
    "chunks",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"g\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_bad_chunks_are_answered_alike(envoy: Path, chunks: bytes) -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    assert envoy_status(envoy, data) == our_status(data)[0] == 400
