"""`meshc proxy` and `meshc run`, as processes: real sockets, compiled files, reloads, signals."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from meshc.cli import main
from meshc.engine.authority import Authority
from meshc_harness.running import Ran

Run = Callable[..., Ran]

# Addresses of each test run's own, since the ports are fixed: 127.40.<a>.<b>.
_OWN: Final = f"127.40.{os.getpid() // 200 % 200}.{os.getpid() % 200 + 1}"
_PEER: Final = f"127.41.{os.getpid() // 200 % 200}.{os.getpid() % 200 + 1}"

PROGRAM: Final = """\
mesh shop {{ trust-domain "shop.example" }}
namespace shop
service web in shop {{ port 8080 http endpoint "{own}:15010" }}
service cart in shop {{ port 8080 http endpoint "{peer}:15010" }}
access cart {{ allow web to {operation} }}
telemetry namespace shop {{ access-log json }}
"""


class _Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's signature
        """Say nothing."""


@pytest.fixture
def application() -> Iterator[None]:
    """The cart's application."""
    server = ThreadingHTTPServer((_PEER, 8080), _Application)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield
    server.shutdown()
    server.server_close()


class _Project:
    """Compiled files for both services, and proxies that run them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: list[subprocess.Popen[str]] = []
        (directory / "meshc.yaml").write_text("policies: policies/\ntargets: [envoy]\nout: deploy/\n", encoding="utf-8")
        (directory / "policies").mkdir()
        authority = Authority.create("shop.example")
        for name in ("web", "cart"):
            own = directory / "tls" / name
            authority.issue_workload(f"spiffe://shop.example/ns/shop/sa/{name}", own, "cert").key.replace(
                own / "key.pem"
            )
            (own / "shop.example.pem").write_bytes(authority.bundle)

    def compile(self, operation: str = "GET /items/**") -> None:
        """Compile, with addresses of our own in place of all and of loopback."""
        text = PROGRAM.format(own=_OWN, peer=_PEER, operation=operation)
        (self.directory / "policies" / "shop.mesh").write_text(text, encoding="utf-8")
        assert main(["compile", "-q", str(self.directory)]) == 0
        for name, address in (("web", _OWN), ("cart", _PEER)):
            compiled = (self.directory / "deploy/envoy/shop" / f"{name}.yaml").read_text(encoding="utf-8")
            local = compiled.replace("0.0.0.0", address).replace("127.0.0.1", address)
            self.file(name).write_text(local, encoding="utf-8")

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.yaml"

    def start(self, name: str, address: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "meshc", "proxy", "--config", str(self.file(name))]
        tls = ["--tls", str(self.directory / "tls" / name), "--admin", f"{address}:15000"]
        process = subprocess.Popen(
            [*command, *tls, "--drain", "2", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Project]:
    monkeypatch.chdir(tmp_path)
    made = _Project(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.communicate()


def ask(address: str, port: int, path: str, *, method: str = "GET", host: str = "cart") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request(method, path, headers={"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def is_ready(address: str) -> bool:
    try:
        return ask(address, 15000, "/ready")[0] == 200
    except OSError:
        return False


@pytest.fixture
def both(project: _Project, application: None) -> _Project:
    """Both sidecars, running."""
    del application
    project.compile()
    project.start("web", _OWN)
    project.start("cart", _PEER)
    wait_until(lambda: is_ready(_OWN) and is_ready(_PEER))
    return project


@pytest.mark.slow
def test_two_sidecars_enforce_what_was_compiled(both: _Project) -> None:
    status, body = ask(_OWN, 15001, "/items/1")
    assert status == 200
    headers = {name.lower(): value for name, value in json.loads(body).items()}
    assert headers["x-forwarded-client-cert"] == (
        "By=spiffe://shop.example/ns/shop/sa/cart;URI=spiffe://shop.example/ns/shop/sa/web"
    )
    assert ask(_OWN, 15001, "/items/%2e%2e/admin") == (403, b"RBAC: access denied")
    assert ask(_OWN, 15001, "/items/1", host="nobody")[0] == 404
    config = json.loads(ask(_PEER, 15000, "/config")[1])
    assert (config["workload"], config["generation"], config["ports"][0]["mtls"]) == ("shop.cart", 1, "strict")
    metrics = ask(_PEER, 15000, "/metrics")[1].decode()
    counted = 'meshc_requests_total{direction="inbound",flags="-",status="403",to="shop.cart:8080"} 1.0'
    assert counted in metrics
    both.running[1].send_signal(signal.SIGTERM)
    out, err = both.running[1].communicate(timeout=10)
    assert both.running[1].returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    told = [(line["from"], line["method"], line["path"], line["status"], bool(line["rule"])) for line in lines]
    web = "spiffe://shop.example/ns/shop/sa/web"
    assert told == [(web, "GET", "/items/1", 200, True), (web, "GET", "/admin", 403, False)]


@pytest.mark.slow
def test_a_change_is_taken_and_a_bad_one_is_not(both: _Project) -> None:
    assert ask(_OWN, 15001, "/admin")[0] == 403
    both.compile("GET /admin")
    wait_until(lambda: ask(_OWN, 15001, "/admin")[0] == 200)
    assert ask(_OWN, 15001, "/items/1")[0] == 403
    both.file("cart").write_text("node: {id: shop/cart}\nstatic_resources: {listeners: [", encoding="utf-8")
    wait_until(lambda: json.loads(ask(_PEER, 15000, "/config")[1])["refused_since"] is not None)
    assert ask(_OWN, 15001, "/admin")[0] == 200
    assert 'meshc_reloads_total{outcome="refused"} 1.0' in ask(_PEER, 15000, "/metrics")[1].decode()
    both.compile("GET /items/**")
    wait_until(lambda: ask(_OWN, 15001, "/items/1")[0] == 200)
    assert json.loads(ask(_PEER, 15000, "/config")[1])["refused_since"] is None


@pytest.mark.slow
def test_an_order_to_drain_ends_it(both: _Project) -> None:
    assert ask(_PEER, 15000, "/drain")[0] == 405
    assert ask(_PEER, 15000, "/nothing")[0] == 404
    assert ask(_PEER, 15000, "/drain", method="POST")[0] == 200
    assert both.running[1].wait(timeout=10) == 0
    assert ask(_OWN, 15001, "/items/1")[0] == 503


@pytest.mark.slow
def test_nothing_listens_without_a_good_configuration(project: _Project, meshc: Run) -> None:
    project.compile()
    cart = project.file("cart").read_text(encoding="utf-8")
    tls = str(project.directory / "tls/cart")
    for text, words in (
        ("static_resources: {", "cart.yaml"),
        ("a: b\n", "holds no configuration"),
        (cart.replace("stat_prefix:", "unheard_of: 1\n          stat_prefix:", 1), "unheard_of"),
    ):
        project.file("cart").write_text(text, encoding="utf-8")
        ran = meshc("proxy", "--config", str(project.file("cart")), "--tls", tls, "--admin", "off")
        assert ran.status == 1
        assert words in ran.err
    project.file("cart").write_text(cart, encoding="utf-8")
    ran = meshc("proxy", "--config", str(project.file("cart")), "--tls", str(project.directory), "--admin", "off")
    assert (ran.status, "cert.pem" in ran.err) == (1, True)
    assert meshc("proxy", "--config", "nowhere.yaml").status == 1
    assert "--config" in meshc("proxy").err
    assert "no address" in meshc("proxy", "--config", str(project.file("cart")), "--admin", "here").err


def test_files_without_the_service_do_not_open_it(project: _Project, meshc: Run) -> None:
    project.compile()
    for target in ("istio", "linkerd"):
        (project.directory / "meshc.yaml").write_text(
            f"policies: policies/\ntargets: [{target}]\nout: mesh/\nunsupported: warn\n", encoding="utf-8"
        )
        assert main(["compile", "-q", str(project.directory)]) == 0
        folder = project.directory / "mesh" / target
        (folder / "shop" / "cart.yaml").unlink()
        ran = meshc(
            *("proxy", "--config", str(folder / "shop"), "--service", "shop/cart", "--program", "policies"),
            *("--tls", str(project.directory / "tls/cart"), "--admin", "off"),
        )
        assert ran.status == 1
        assert "lets anybody call port 8080 of `shop/cart`" in ran.err


_ISOLATED: Final = """\
import sys
from meshc.cli import main
from meshc.engine.network import isolate
isolate()
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("via", ["envoy", "istio"])
def test_a_whole_program_runs_on_this_machine(project: _Project, via: str) -> None:
    text = PROGRAM.format(own="10.0.0.1", peer="10.0.0.2", operation="GET /items/**")
    tests = 'test "items" {\n  allow web GET cart /items/1\n  deny web POST cart /items/1\n}\n'
    if via == "istio":
        text = "\n".join(
            line.replace('endpoint "10.0.0.1:15010"', "").replace('endpoint "10.0.0.2:15010"', "")
            for line in text.splitlines()
        )
    (project.directory / "policies/shop.mesh").write_text(text + "\n" + tests, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _ISOLATED, "run", "--once", "--via", via, str(project.directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "shop.web -> shop.cart:8080  GET /items/1  allowed by " in done.stdout
    assert "shop.web -> shop.cart:8080  POST /items/1  DENIED 403" in done.stdout
    assert "1 allowed, 1 denied" in done.stderr


def test_an_application_that_cannot_be_is_told(project: _Project, meshc: Run) -> None:
    project.compile()
    assert "names no application" in meshc("run", "--once", "--service", "cart").err
    assert "names no application" in meshc("run", "--once", "--service", "cart=127.0.0.1:99999").err
    assert "no service of the program" in meshc("run", "--once", "--service", "card=127.0.0.1:9000").err


@pytest.mark.slow
def test_a_run_outlives_an_application_that_is_not_there(project: _Project) -> None:
    text = PROGRAM.format(own="10.0.0.1", peer="10.0.0.2", operation="GET /items/**")
    (project.directory / "policies/shop.mesh").write_text(
        text + 'test "items" { allow web GET cart /items/1 }\n', encoding="utf-8"
    )
    options = ["--service", "cart=127.0.0.1:9", str(project.directory)]  # nothing listens there
    with subprocess.Popen(
        [sys.executable, "-c", _ISOLATED, "run", *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Ctrl-C ends" in line:
                break
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "shop.web -> shop.cart:8080  GET /items/1  allowed by " in shown


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--once", "--quiet"])
def test_a_run_ends_once_nobody_reads_what_it_shows(project: _Project, option: str) -> None:
    text = PROGRAM.format(own="10.0.0.1", peer="10.0.0.2", operation="GET /items/**")
    (project.directory / "policies/shop.mesh").write_text(
        text + 'test "items" { allow web GET cart /items/1 }\n', encoding="utf-8"
    )
    command = [sys.executable, "-c", _ISOLATED, "run", option, str(project.directory)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        try:
            process.wait(30)
        finally:
            process.kill()
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said) == (0, False), said
