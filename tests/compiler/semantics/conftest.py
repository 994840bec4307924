"""A real Envoy that answers each request with what it made of it."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshc.engine.processes import find_envoy

ENVOY = find_envoy().path


@dataclass(frozen=True)
class Mirror:
    """An Envoy that reflects requests. Each request has a connection of its own."""

    port: int

    def ask(self, lines: bytes) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer to a request, given as it is written on the wire, up to the last header."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(lines + b"\r\n")
            received = b""
            while b"\r\n\r\n" not in received and (chunk := connection.recv(65536)):
                received += chunk
        head = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        return int(head[0].split(" ")[1]), dict(line.split(": ", 1) for line in head[1:])

    def path(self, target: bytes) -> tuple[int, str | None]:
        """The status of a GET, and the path that a backend would get."""
        status, headers = self.ask(b"GET " + target + b" HTTP/1.1\r\nhost: h\r\n")
        return status, headers.get("x-path")


def _configuration(folder: Path, trusted_hops: int) -> dict[str, object]:
    types = "type.googleapis.com/envoy.extensions.filters"
    shown = {
        "x-path": "%REQ(:PATH)%",
        "x-host": "[%REQ(:AUTHORITY)%]",
        "x-seen": "[%REQ(X-TESTED)%]",
        "x-client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mirror",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_any_host_port": True,
        "strip_trailing_host_dot": True,
        "use_remote_address": True,
        "xff_num_trusted_hops": trusted_hops,
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": ""},
                            "direct_response": {"status": 200},
                            "response_headers_to_add": [
                                {"header": {"key": key, "value": value}} for key, value in shown.items()
                            ],
                        }
                    ],
                }
            ]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}],
    }
    listener = {
        "name": "mirror",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": {"pipe": {"path": str(folder / "admin")}}},
        "static_resources": {"listeners": [listener]},
    }


def _listening_port(process: subprocess.Popen[bytes], folder: Path) -> int:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(str(folder / "admin"))
                admin.sendall(b"GET /listeners?format=json HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: admin.recv(65536), b""))
            statuses = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])["listener_statuses"]
            port = int(statuses[0]["local_address"]["socket_address"]["port_value"])
        except (OSError, ValueError, LookupError):
            # Envoy offers no signal that it listens, so the admin socket is asked until it does.
            time.sleep(0.05)
        else:
            if port:
                return port
    raise RuntimeError((folder / "log").read_text())


def _run_mirror(folder: Path, trusted_hops: int) -> Iterator[Mirror]:
    path = folder / "envoy.json"
    path.write_text(json.dumps(_configuration(folder, trusted_hops)))
    command = [str(ENVOY), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Mirror(port=_listening_port(process, folder))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    yield from _run_mirror(tmp_path_factory.mktemp("mirror"), trusted_hops=0)


@pytest.fixture(scope="session", params=[1, 2])
def mirror_behind_hops(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Mirror]]:
    for one in _run_mirror(tmp_path_factory.mktemp("hops"), trusted_hops=request.param):
        yield request.param, one
