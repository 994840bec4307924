"""Sidecars that people wrote by hand, without any of meshc's names: imported, and compared with what they mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from envoy_by_hand import PAYMENTS
from meshc.cli import main
from meshc.ir import Mesh
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text
from meshc_harness.running import Ran

Run = Callable[..., Ran]


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


@pytest.mark.parametrize("node", ["a/b/c", "Bank/payments", "bank/pay_ments", "my host/rack 4", "/payments", "bank/"])
def test_a_node_id_that_no_service_has_names_none(node: str) -> None:
    reading = _read(PAYMENTS.replace("id: bank/payments, cluster: payments", f'id: "{node}", cluster: payments'))
    assert reading.mesh.workloads == ()
    assert any(one.message.startswith(f"whose sidecar `{node}` is, is not known") for one in reading.unknown)
    found = _read(PAYMENTS.replace("id: bank/payments, cluster: payments", f'id: "{node}", cluster: bank/payments'))
    assert _numbers(found, "payments") == [8443]


@pytest.mark.parametrize(
    ("cluster", "ports", "known"),
    [
        ("payments.bank", "port 8443 http", True),
        ("payments.bank", "", True),
        ("payments.shop", "", False),
        ("payments", "", False),
        ("v1.payments.bank", "", False),
    ],
)
def test_a_pod_of_istio_is_that_of_the_service_that_its_cluster_names(cluster: str, ports: str, *, known: bool) -> None:
    """Of a pod, the namespace of both must be one; its own name is no service's."""
    pod = "sidecar~10.1.1.1~payments-7d9f-x2.bank~bank.svc.cluster.local"
    text = PAYMENTS.replace("id: bank/payments, cluster: payments", f'id: "{pod}", cluster: {cluster}')
    reading = _read(text, _DECLARED.format(ports=ports)) if ports else _read(text)
    assert (f"the sidecar whose `node.cluster` is `{cluster}` is that of `bank/payments`" in _assumed(reading)) is known
    assert (_numbers(reading, "payments") == [8443]) is known


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


_INNER: Final = (
    "  - {name: inner, address: {socket_address: {address: 0.0.0.0, port_value: 8080}}, filter_chains: []}\n"
)
_INSPECTOR: Final = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("  clusters:\n", f"{_INNER}  clusters:\n", "a listener that leads to another place of the sidecar"),
        ("127.0.0.1, port_value: 8080", "127.0.0.1, port_value: 9901", "a listener that leads to another place of the"),
        (
            "    filter_chains:\n",
            (
                f'    listener_filters: [{{filter_disabled: {{any_match: true}}, typed_config: {{"@type": {_INSPECTOR}}}}}]\n'
                "    filter_chains:\n"
            ),
            "the field `filter_disabled`",
        ),
        ('name: ":method"', "name: x-forwarded-client-cert", "the header `x-forwarded-client-cert`, which Envoy"),
        ('name: ":method"', "name: x-envoy-peer-metadata-id", "the header `x-envoy-peer-metadata-id`, which Envoy"),
        ('name: ":method"', "name: X-Request-Id", "the header `x-request-id`, which Envoy"),
        ('name: ":method"', "name: x-forwarded-proto", "the header `x-forwarded-proto`, which Envoy"),
        ('name: ":method"', "name: x-forwarded-for", "the header `x-forwarded-for`, which Envoy"),
        ("issuer: https", "clock_skew_seconds: 61\n                  issuer: https", "tokens are accepted long after"),
        (
            "trusted_ca: {filename: /certs/ca.crt}",
            "trusted_ca: {filename: /certs/ca.crt}\n              verify_certificate_spki: [a]",
            "the field `verify_certificate_spki`",
        ),
    ],
)
def test_what_lets_others_in_or_keeps_them_out_beside_rules_is_not_passed_over(
    written: str, instead: str, message: str
) -> None:
    """A listener that leads to another of the sidecar's would lend its identity, or be decided by that one's rules."""
    assert written in PAYMENTS
    assert not [one for one in _read(PAYMENTS).unknown if Aspect.ACCESS in one.aspects]
    found = [one for one in _read(PAYMENTS.replace(written, instead)).unknown if one.message.startswith(message)]
    assert [(Aspect.ACCESS in one.aspects, one.ports) for one in found] == [(True, (("bank", "payments", 8443),))]


def test_a_list_of_revoked_certificates_is_an_assumption() -> None:
    authority = "trusted_ca: {filename: /certs/ca.crt}"
    reading = _read(PAYMENTS.replace(authority, f"{authority}\n              crl: {{filename: /certs/crl.pem}}"))
    assert _assumed(reading) - _assumed(_read(PAYMENTS)) == {"no caller has a certificate that is revoked"}
    assert reading.unknown == _read(PAYMENTS).unknown
