"""`meshc.engine.authority`: every certificate is exactly what was asked for."""

import ssl
import stat
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshc.engine.authority import Authority, Credentials, Names, Validity, join_bundles

CART = "spiffe://mesh.local/ns/shop/sa/cart"


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def alternatives(credentials: Credentials) -> x509.SubjectAlternativeName:
    return load(credentials.chain).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_workload_has_exactly_its_identity(authority: Authority, tmp_path: Path) -> None:
    credentials = authority.issue_workload(CART, tmp_path / "new", "cart")
    assert list(alternatives(credentials)) == [x509.UniformResourceIdentifier(CART)]
    certificate = load(credentials.chain)
    certificate.verify_directly_issued_by(load(credentials.bundle))
    assert certificate.not_valid_before_utc < datetime.now(UTC) < certificate.not_valid_after_utc
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_key_is_readable_by_its_owner_alone_even_if_replaced(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "cart.key").write_text("old")
    (tmp_path / "cart.key").chmod(0o644)
    credentials = authority.issue_workload(CART, tmp_path, "cart")
    assert stat.S_IMODE(credentials.key.stat().st_mode) == 0o600
    assert credentials.key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    "identity", ["spiffe://mesh.local.evil/ns/a/sa/b", "spiffe://mesh.local", "https://mesh.local/"]
)
def test_workload_of_another_trust_domain_is_a_mistake(authority: Authority, tmp_path: Path, identity: str) -> None:
    with pytest.raises(ValueError, match="trust domain"):
        authority.issue_workload(identity, tmp_path, "x")


def test_attackers_certificates(authority: Authority, tmp_path: Path) -> None:
    two = Names(uris=(CART, "spiffe://other/ns/a/sa/b"))
    assert alternatives(authority.issue(two, tmp_path, "two")).get_values_for_type(
        x509.UniformResourceIdentifier
    ) == list(two.uris)
    with pytest.raises(x509.ExtensionNotFound):
        alternatives(authority.issue(Names(), tmp_path, "none"))
    expired = load(authority.issue(Names(uris=(CART,)), tmp_path, "expired", Validity.expired()).chain)
    assert expired.not_valid_after_utc < datetime.now(UTC)


def test_external_server_has_host_names_and_addresses(authority: Authority, tmp_path: Path) -> None:
    names = alternatives(authority.issue(Names(dns=("a.example", "*.b.example"), addresses=("::1",)), tmp_path, "x"))
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "*.b.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("::1")]


def test_bundles_join(authority: Authority) -> None:
    other = Authority.create("other")
    certificates = x509.load_pem_x509_certificates(join_bundles([authority, other]))
    assert certificates == [authority.certificate, other.certificate]


def test_certificates_stand_strict_verification(authority: Authority, tmp_path: Path) -> None:
    """`VERIFY_X509_STRICT` holds certificates to RFC 5280; an error would raise in the handshake."""
    credentials = authority.issue_workload(CART, tmp_path, "cart")
    server_context, client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server_context, client_context):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(credentials.chain, credentials.key)
        context.load_verify_locations(credentials.bundle)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server, client, server]
    for side in pending:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert server.getpeercert() == client.getpeercert()
    assert (server.getpeercert() or {})["subjectAltName"] == (("URI", CART),)
