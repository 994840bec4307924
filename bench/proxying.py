"""Processor time of a request through one sidecar, the reference proxy's beside Envoy's, which run the same file.

One worker, HTTP/1.1 kept alive, 100 policies, access log on. Processor time counts, since client and application share the cores.
"""

import asyncio
import http.client
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from measure import Figure
from meshc.cli import main
from meshc.engine.authority import Authority
from meshc.engine.processes import EnvoyError, find_envoy

_SIDECAR: Final = "127.45.1.2"
_PORT: Final = 15010
_WARM, _COUNT = 500, 5000
_POLICIES: Final = 100
_DOMAIN: Final = "shop.example"


def figures() -> Iterator[Figure]:
    """One figure for mTLS, one for plaintext. The addresses 127.45.1.* must be free."""
    _serve_application()
    for mtls, goal in (("strict", 0.5), ("off", 0.5)):
        with tempfile.TemporaryDirectory() as name:
            sidecar = _Sidecar(Path(name), mtls)
            own = sidecar.time_of(sidecar.reference_proxy())
            try:
                peer = sidecar.time_of(sidecar.envoy())
            except EnvoyError:
                peer = None
            yield Figure(
                name=f"a request through the reference proxy, {'mTLS' if mtls == 'strict' else 'plaintext'}",
                peer="Envoy",
                unit="µs of processor time",
                value=own,
                peer_value=peer,
                goal=goal,
                is_rate=False,
                note=f"HTTP/1.1 kept alive, {_POLICIES} policies, access log",
            )


class _Sidecar:
    """What is compiled for the service `cart`, with certificates, in a directory."""

    def __init__(self, directory: Path, mtls: str) -> None:
        self._directory, self._is_encrypted = directory, mtls == "strict"
        self._authority = Authority.create(_DOMAIN)
        for service in ("web", "cart"):
            own = directory / "tls" / service
            identity = f"spiffe://{_DOMAIN}/ns/shop/sa/{service}"
            self._authority.issue_workload(identity, own, "cert").key.replace(own / "key.pem")
            (own / f"{_DOMAIN}.pem").write_bytes(self._authority.bundle)
        (directory / "shop.mesh").write_text(_program(mtls), encoding="utf-8")
        out = directory / "deploy"
        if main(["compile", "-q", str(directory / "shop.mesh"), "--target", "envoy", "--out", str(out)]) != 0:
            raise ValueError("the program of this figure does not compile")
        text = (out / "envoy/shop/cart.yaml").read_text(encoding="utf-8")
        local = text.replace("0.0.0.0", _SIDECAR).replace("127.0.0.1", _SIDECAR)  # noqa: S104 - taken away
        self._file = directory / "cart.yaml"
        self._file.write_text(local.replace("/etc/meshc/tls", str(directory / "tls/cart")), encoding="utf-8")

    def reference_proxy(self) -> Sequence[str]:
        own = ("--tls", str(self._directory / "tls/cart"), "--admin", "off")
        return (sys.executable, "-m", "meshc", "proxy", "--config", str(self._file), *own)

    def envoy(self) -> Sequence[str]:
        """Raises EnvoyError where there is none."""
        common = ("--concurrency", "1", "--use-dynamic-base-id", "-l", "error")
        return (str(find_envoy().path), "-c", str(self._file), *common)

    def time_of(self, command: Sequence[str]) -> float:
        """Microseconds of processor time that the process takes for one request."""
        with _running(command) as process, self._connected() as connection:
            _ask(connection, _WARM)
            before = _processor_time(process.pid)
            _ask(connection, _COUNT)
            return (_processor_time(process.pid) - before) / _COUNT * 1e6

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(_SIDECAR, _PORT, timeout=10)
        if self._is_encrypted:
            trust = ssl.create_default_context(cadata=self._authority.bundle.decode())
            trust.check_hostname = False  # it has an identity, and no host name
            own = self._directory / "tls/web"
            trust.load_cert_chain(own / "cert.pem", own / "key.pem")
            connection = http.client.HTTPSConnection(_SIDECAR, _PORT, context=trust, timeout=10)
        for _ in range(150):
            try:
                connection.connect()
                break
            except OSError:
                time.sleep(0.1)
        try:
            yield connection
        finally:
            connection.close()


def _program(mtls: str) -> str:
    rules = "\n".join(f"  deny anyone to GET /closed/{number}/**" for number in range(_POLICIES - 1))
    source = "web" if mtls == "strict" else "anyone"
    return f"""mesh shop {{ trust-domain "{_DOMAIN}" mtls {mtls} }}
namespace shop
service web in shop {{ port 8080 http endpoint "127.45.1.1:{_PORT}" }}
service cart in shop {{ port 8080 http endpoint "{_SIDECAR}:{_PORT}" }}
access cart {{
{rules}
  allow {source} to GET /items/**
}}
telemetry namespace shop {{ access-log json }}
"""


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()


def _ask(connection: http.client.HTTPConnection, count: int) -> None:
    for _ in range(count):
        connection.request("GET", "/items/1", headers={"Host": "cart"})
        answer = connection.getresponse()
        if (answer.status, answer.read()) != (200, b"ok"):
            raise ValueError(f"an answer of status {answer.status}")


def _processor_time(pid: int) -> float:
    """Seconds, of user and system, that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _serve_application() -> None:
    """The cart's application, in a thread that ends with the process."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, _SIDECAR, 8080) as server:
            await server.serve_forever()

    threading.Thread(target=asyncio.run, args=(serve(),), daemon=True).start()
