"""Sidecars that people wrote by hand, without any of meshc's names: imported, and compared with what they mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from meshc.cli import main
from meshc.ir import Mesh
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text
from meshc_harness.running import Ran

Run = Callable[..., Ran]

PAYMENTS: Final = """\
node: {id: bank/payments, cluster: payments}
static_resources:
  listeners:
  - name: ingress
    traffic_direction: INBOUND
    address: {socket_address: {address: 0.0.0.0, port_value: 8443}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: /certs/tls.crt}, private_key: {filename: /certs/tls.key}}]
            validation_context:
              trusted_ca: {filename: /certs/ca.crt}
              match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://bank.example/"}}]
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          stream_idle_timeout: 0s
          route_config:
            name: local
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes: [{match: {prefix: /}, route: {cluster: app, timeout: 0s, idle_timeout: 0s}}]
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                login:
                  issuer: https://login.bank.example
                  audiences: [payments]
                  require_expiration: true
                  forward: true
                  payload_in_metadata: token
                  from_headers: [{name: Authorization, value_prefix: "Bearer "}]
                  remote_jwks:
                    http_uri: {uri: "https://login.bank.example/jwks.json", cluster: login, timeout: 2s}
              rules: [{match: {prefix: /}, requires: {provider_name: login}}]
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  charge:
                    permissions:
                    - and_rules:
                        rules:
                        - header: {name: ":method", string_match: {exact: POST}}
                        - url_path: {path: {exact: /charge}}
                    principals: [{authenticated: {principal_name: {exact: "spiffe://bank.example/ns/shop/sa/web"}}}]
                  reports:
                    permissions:
                    - and_rules:
                        rules:
                        - header: {name: ":method", string_match: {exact: GET}}
                        - url_path: {path: {prefix: /reports/}}
                    principals: [{authenticated: {principal_name: {exact: "spiffe://bank.example/ns/bank/sa/audit"}}}]
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STATIC
    circuit_breakers:
      thresholds:
      - {max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295}
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}}]}]
  - name: login
    type: LOGICAL_DNS
    load_assignment:
      cluster_name: login
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: login.bank.example, port_value: 443}}}}]
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: login.bank.example
        common_tls_context:
          validation_context:
            trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}
            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: login.bank.example}}]
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def meshc(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        status = main(list(arguments))
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


def _read(text: str, program: str = 'mesh m { trust-domain "bank.example" }\nnamespace bank\n') -> Reading:
    mesh = analyze_text(program).mesh
    assert isinstance(mesh, Mesh)
    objects, wrong = objects_of_source(SourceFile("car.yaml", text))
    assert not wrong
    return read(objects, bare(mesh), {})


def _assumed(reading: Reading) -> set[str]:
    return {one.text for one in reading.assumptions}


def _numbers(reading: Reading, name: str) -> list[int]:
    return [port.number for one in reading.mesh.workloads if one.name == name for port in one.ports]


_DECLARED: Final = """
mesh m {{ trust-domain "bank.example" }}
namespace bank
service payments in bank {{ {ports} }}
"""
_ACCESS: Final = "opened,closed,changed"
_OF_THE_SERVER: Final = r"""
mesh m { trust-domain "bank.example" }
namespace bank
namespace shop
service web in shop
service audit in bank
service payments in bank { port 8443 http target 8080 }
access payments {
  allow web to POST /charge
  allow audit to GET re"/reports/\C*"
}
authenticate payments {
  jwt login {
    issuer "https://login.bank.example"
    audiences "payments"
    jwks url "https://login.bank.example/jwks.json"
    forward
    required
  }
}
"""


def test_a_server_is_imported(here: Path, meshc: Run) -> None:
    Path("payments.yaml").write_text(PAYMENTS, encoding="utf-8")
    ran = meshc("import", "payments.yaml", "-o", "out", "--from", "envoy")
    assert (ran.status, ran.err.count("not imported")) == (0, 0), ran.err
    assert "the listener at port 8443 serves port 8443 of `bank/payments`" in ran.out
    text = Path("out/policies/bank.mesh").read_text(encoding="utf-8")
    assert "port 8443 http" in text
    assert "POST /charge" in text
    assert r'GET re"/reports/\C*"' in text
    assert 'jwks url "https://login.bank.example/jwks.json"' in text
    assert meshc("diff", "out", "payments.yaml", "--fail-on", _ACCESS).status == 0
    Path("payments.yaml").write_text(PAYMENTS.replace("exact: POST", "exact: PUT"), encoding="utf-8")
    assert meshc("diff", "out", "payments.yaml", "--fail-on", _ACCESS).status == 1


def test_a_server_is_equal_to_a_program(here: Path, meshc: Run) -> None:
    Path("program.mesh").write_text(_OF_THE_SERVER, encoding="utf-8")
    Path("payments.yaml").write_text(PAYMENTS, encoding="utf-8")
    ran = meshc("diff", "program.mesh", "payments.yaml", "--fail-on", _ACCESS)
    assert (ran.status, ran.out) == (0, "nothing changed: 1 port compared\n"), ran.out + ran.err
    Path("program.mesh").write_text(_OF_THE_SERVER.replace(r're"/reports/\C*"', "/reports/**"), encoding="utf-8")
    ran = meshc("diff", "program.mesh", "payments.yaml", "--fail-on", _ACCESS)
    assert (ran.status, "closed: bank.audit to GET /reports" in ran.out) == (1, True), ran.out


def test_a_listener_that_passes_all_on_to_its_own_machine_is_inbound() -> None:
    text = PAYMENTS.replace("    traffic_direction: INBOUND\n", "")
    assert _numbers(_read(text), "payments") == [8443]
    elsewhere = _read(text.replace("address: 127.0.0.1, port_value: 8080", "address: 10.0.0.7, port_value: 8080"))
    assert _numbers(elsewhere, "payments") == []
    assert any(one.ports is None for one in elsewhere.unknown)


def test_an_inbound_listener_that_leads_elsewhere_lends_its_identity_to_others() -> None:
    reading = _read(PAYMENTS.replace("address: 127.0.0.1, port_value: 8080", "address: 10.0.0.7, port_value: 8080"))
    assert [one.message for one in reading.unknown if one.ports is None] == ["whom a listener calls is not known"]


@pytest.mark.parametrize(
    ("ports", "served"),
    [
        ("port 8443 http", 8443),
        ("port 443 http target 8443 port 9000 http", 443),
        ("port 80 http", None),
        ("port 443 http target 8443 port 8443 http target 9000", None),
    ],
)
def test_a_listener_serves_the_port_that_is_declared(ports: str, served: int | None) -> None:
    """By its target or its number; where that is no port or two, nothing is known."""
    reading = _read(PAYMENTS, _DECLARED.format(ports=ports))
    found = [text for text in _assumed(reading) if text.startswith("the listener at port 8443 serves")]
    assert found == ([] if served is None else [f"the listener at port 8443 serves port {served} of `bank/payments`"])
    message = "which port of the service a listener serves is not known"
    assert any(one.message == message and one.ports is None for one in reading.unknown) is (served is None)


def test_a_sidecar_is_found_by_its_cluster() -> None:
    text = PAYMENTS.replace("id: bank/payments, cluster: payments", "id: pod-7, cluster: payments")
    reading = _read(text, _DECLARED.format(ports="port 8443 http"))
    assert "the sidecar whose `node.cluster` is `payments` is that of `bank/payments`" in _assumed(reading)
    assert not [one for one in reading.unknown if one.ports is None or "bank" in str(one.ports)]
    whole = _read(text.replace("cluster: payments}", "cluster: bank/payments}"))
    assert _numbers(whole, "payments") == [8443]


def test_a_sidecar_of_nobody_says_what_to_write() -> None:
    reading = _read(PAYMENTS.replace("id: bank/payments, cluster: payments", "id: pod-7, cluster: payments"))
    hint = "write its service's namespace and name as the node id, `<namespace>/<service>`"
    messages = [one.message for one in reading.unknown if one.ports is None]
    assert messages == [f"whose sidecar `pod-7` is, is not known: {hint}"]


@pytest.mark.parametrize(
    ("written", "left", "message"),
    [
        ("          stream_idle_timeout: 0s\n", "", "a time limit"),
        (", timeout: 0s, idle_timeout: 0s", "", "a time limit"),
        ("max_connections: 4294967295", "max_connections: 10", "bounds of the application's own connections"),
    ],
)
def test_what_a_server_bounds_leaves_known_who_may_call(written: str, left: str, message: str) -> None:
    assert written in PAYMENTS
    whole, bounded = _read(PAYMENTS), _read(PAYMENTS.replace(written, left))
    assert not any(message in one.message for one in whole.unknown)
    found = [one for one in bounded.unknown if message in one.message]
    assert [one.aspects for one in found] == [{Aspect.SETTINGS}]
    assert len(bounded.unknown) == len(whole.unknown) + 1
    assert bounded.mesh.workloads == whole.mesh.workloads
