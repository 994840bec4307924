"""Throw-away certificate authorities: one a trust domain, for the sidecars, callers and externals of one run.

`Authority.issue_workload` makes what a mesh's own authority would: exactly one URI SAN. `Authority.issue` makes any
certificate at all, so that tests can attack with a missing, doubled, foreign or expired identity. Keys are EC P-256 and
live for hours; nothing here is fit for production.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(hours=12)
_CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The files of one issued certificate, as Envoy and `ssl` take them.

    `chain` is the leaf alone (the authority signs directly), `key` its private key with mode 0600, `bundle` the
    authority's own certificate, which the holder trusts.
    """

    chain: Path
    key: Path
    bundle: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The subject alternative names of a certificate; all empty: the extension is left out."""

    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When a certificate is valid, both ends included."""

    start: datetime
    end: datetime

    @classmethod
    def current(cls) -> Self:
        """Valid now, from a little in the past, for `LIFETIME`."""
        now = datetime.now(UTC)
        return cls(start=now - _CLOCK_SKEW, end=now + LIFETIME)

    @classmethod
    def expired(cls) -> Self:
        """Valid for one hour that ended an hour ago."""
        now = datetime.now(UTC)
        return cls(start=now - timedelta(hours=2), end=now - timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority of one trust domain, whose key never leaves the process."""

    trust_domain: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, trust_domain: str) -> Self:
        """A new authority with a new key: two of one trust domain do not trust each other's certificates."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{trust_domain} authority"[:64])])
        usage = _key_usage(signs_certificates=True)
        validity = Validity.current()
        unsigned = (
            _unsigned(name, name, key, validity)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(trust_domain=trust_domain, certificate=unsigned.sign(key, hashes.SHA256()), key=key)

    @property
    def bundle(self) -> bytes:
        """The authority's certificate, in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue_workload(self, identity: str, directory: Path, name: str) -> Credentials:
        """Credentials of a workload with the SPIFFE id `identity`; the files are called after `name`.

        Raises ValueError if the identity is not one of the authority's trust domain.
        """
        if not identity.startswith(f"spiffe://{self.trust_domain}/"):
            raise ValueError(f"`{identity}` is not an identity of the trust domain `{self.trust_domain}`")
        return self.issue(Names(uris=(identity,)), directory, name)

    def issue(self, names: Names, directory: Path, name: str, validity: Validity | None = None) -> Credentials:
        """Credentials with exactly `names`, whether or not a mesh would ever issue them; valid now unless told otherwise.

        Files of an earlier certificate of the same `name` in `directory` are replaced.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf(key, names, validity or Validity.current())
        credentials = Credentials(
            chain=directory / f"{name}.pem", key=directory / f"{name}.key", bundle=directory / f"{name}.ca.pem"
        )
        directory.mkdir(parents=True, exist_ok=True)
        credentials.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        credentials.bundle.write_bytes(self.bundle)
        _write_secret(
            credentials.key,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        return credentials

    def _leaf(self, key: ec.EllipticCurvePrivateKey, names: Names, validity: Validity) -> x509.Certificate:
        alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in names.uris]
        alternatives += [x509.DNSName(name) for name in names.dns]
        alternatives += [x509.IPAddress(ip_address(address)) for address in names.addresses]
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        unsigned = (
            _unsigned(x509.Name([]), self.certificate.subject, key, validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if alternatives:
            # RFC 5280 4.2.1.6: with an empty subject the extension MUST be critical.
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        return unsigned.sign(self.key, hashes.SHA256())


def join_bundles(authorities: Iterable[Authority]) -> bytes:
    """One PEM bundle that trusts every one of `authorities`, for federated trust domains."""
    return b"".join(authority.bundle for authority in authorities)


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_secret(path: Path, content: bytes) -> None:
    """Write `content` to a file that nobody else could read at any moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
