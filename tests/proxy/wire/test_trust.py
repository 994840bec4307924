"""Which chains of certificates are believed, and for which trust domain."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshc.engine.authority import Authority
from meshc_proxy.wire.spiffe import SpiffeId
from meshc_proxy.wire.trust import PeerFault, PeerRefusal, Role, Trust, verify_peer
from tls_authorities import CART, HERE, NOW, TRUST

Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def issued(change: Change, authority: Authority = HERE, *, usage: bool = True, ca: bool = False) -> bytes:
    """A certificate in DER that a sound authority would not issue."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(minutes=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(CART)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(key_usage(), critical=True)
    return change(builder).sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def key_usage(*, digital_signature: bool = True, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def same(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder


def fault_of(chain: tuple[bytes, ...], role: Role = Role.CLIENT, at: datetime = NOW) -> PeerFault:
    with pytest.raises(PeerRefusal) as caught:
        verify_peer(chain, TRUST, at, role=role)
    return caught.value.fault


def test_a_sound_chain_passes() -> None:
    assert verify_peer((issued(same),), TRUST, NOW, role=Role.CLIENT) == SpiffeId.parse(CART)


def test_leaves_that_are_more_than_leaves() -> None:
    def extended(purpose: x509.ObjectIdentifier) -> Change:
        return lambda builder: builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)

    assert fault_of((issued(same, ca=True),)) is PeerFault.AUTHORITY_AS_LEAF
    assert fault_of((issued(same, usage=False),)) is PeerFault.KEY_USAGE
    signs = issued(lambda builder: builder.add_extension(key_usage(key_cert_sign=True), critical=True), usage=False)
    assert fault_of((signs,)) is PeerFault.KEY_USAGE
    no_handshake = issued(lambda one: one.add_extension(key_usage(digital_signature=False), critical=True), usage=False)
    assert fault_of((no_handshake,)) is PeerFault.KEY_USAGE
    assert fault_of((issued(extended(ExtendedKeyUsageOID.SERVER_AUTH)),)) is PeerFault.KEY_USAGE
    assert fault_of((issued(extended(ExtendedKeyUsageOID.CLIENT_AUTH)),), Role.SERVER) is PeerFault.KEY_USAGE


def test_unknown_critical_extensions_are_refused() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert fault_of((issued(lambda builder: builder.add_extension(unknown, critical=True)),)) is PeerFault.UNTRUSTED
    assert verify_peer(
        (issued(lambda builder: builder.add_extension(unknown, critical=False)),), TRUST, NOW, role=Role.CLIENT
    )


def intermediate(authority: Authority, *, ca: bool) -> tuple[Authority, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "between")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(minutes=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(key_usage(key_cert_sign=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Authority(trust_domain="here", certificate=certificate, key=key), der


def roomy_root() -> Authority:
    """A root that allows one authority below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "roomy")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(minutes=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(trust_domain="here", certificate=certificate, key=key)


def test_chains_through_an_authority_in_between() -> None:
    root = roomy_root()
    trust = Trust.from_pem({"here": root.bundle})
    middle, der = intermediate(root, ca=True)
    assert verify_peer((issued(same, middle), der), trust, NOW, role=Role.CLIENT) == SpiffeId.parse(CART)
    with pytest.raises(PeerRefusal, match="untrusted"):
        verify_peer((issued(same, middle),), trust, NOW, role=Role.CLIENT)
    workload, no_authority = intermediate(root, ca=False)
    with pytest.raises(PeerRefusal, match="untrusted"):
        verify_peer((issued(same, workload), no_authority), trust, NOW, role=Role.CLIENT)
    with pytest.raises(PeerRefusal, match="untrusted"):
        verify_peer((issued(same, middle), *((der,) * 4)), trust, NOW, role=Role.CLIENT)


def test_an_authority_of_another_domain_in_between_does_not_help() -> None:
    there = roomy_root()
    trust = Trust.from_pem({"here": HERE.bundle, "there": there.bundle})
    middle, der = intermediate(there, ca=True)
    with pytest.raises(PeerRefusal, match="untrusted"):
        verify_peer((issued(same, middle), der), trust, NOW, role=Role.CLIENT)


def test_time_is_what_we_say() -> None:
    assert fault_of((issued(same),), at=NOW + timedelta(days=1)) is PeerFault.EXPIRED
    assert fault_of((issued(same),), at=NOW - timedelta(days=1)) is PeerFault.NOT_YET_VALID


def test_what_is_no_certificate_is_refused() -> None:
    assert fault_of(()) is PeerFault.NO_CERTIFICATE
    assert fault_of((b"",)) is PeerFault.MALFORMED
    assert fault_of((issued(same)[:-5],)) is PeerFault.MALFORMED
