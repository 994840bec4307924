"""Who a peer is: its chain of certificates, checked against the roots of the one trust domain that it claims.

A TLS library with all roots in one pool says only that *some* root signed. With federated trust domains the authority of
one could then issue identities of another. So the pool only lets the handshake end; afterwards the chain is verified again
here, with the roots of the claimed domain alone. Source: X.509-SVID sections 2 to 5, RFC 5280.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import combinations
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from meshc_proxy.wire.spiffe import SpiffeError, SpiffeId

_MALFORMED: Final = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm)


class PeerFault(Enum):
    """Why a peer, or its handshake, was refused; the values are labels of metrics."""

    NO_CERTIFICATE = "no-certificate"
    MALFORMED = "malformed"
    IDENTITY = "identity"  # not exactly one URI name, or not a workload's SPIFFE id
    TRUST_DOMAIN = "trust-domain"
    AUTHORITY_AS_LEAF = "authority-as-leaf"
    KEY_USAGE = "key-usage"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    UNTRUSTED = "untrusted"
    HANDSHAKE = "handshake"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    RECORD = "record"


class PeerRefusal(Exception):  # noqa: N818  (a verdict on the peer, not an error of ours)
    """A peer is not who it says, or nobody we trust says so."""

    def __init__(self, fault: PeerFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Role(Enum):
    """What the peer is in the handshake; its certificate must not be meant for the other role alone."""

    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The roots of each trust domain that is trusted, our own among them."""

    roots: Mapping[str, tuple[x509.Certificate, ...]]

    @classmethod
    def from_pem(cls, bundles: Mapping[str, bytes]) -> Self:
        """Raises ValueError for a bundle without certificates, and for two domains that share an authority's key."""
        roots = {domain: tuple(x509.load_pem_x509_certificates(bundle)) for domain, bundle in bundles.items()}
        keys = {domain: {_key(root) for root in certificates} for domain, certificates in roots.items()}
        for one, other in combinations(sorted(keys), 2):
            if keys[one] & keys[other]:
                raise ValueError(f"the trust domains `{one}` and `{other}` share an authority")
        return cls(roots=roots)

    @property
    def pem(self) -> str:
        """All roots in one pool, for the handshake alone."""
        every = (root for roots in self.roots.values() for root in roots)
        return "".join(root.public_bytes(Encoding.PEM).decode("ascii") for root in every)


def verify_peer(chain: Sequence[bytes], trust: Trust, at: datetime, *, role: Role, longest: int = 4) -> SpiffeId:
    """The identity of the peer that showed `chain`: certificates in DER, its own first.

    `at` is the wall clock's time, with a time zone. Raises PeerRefusal.
    """
    if not chain:
        raise PeerRefusal(PeerFault.NO_CERTIFICATE)
    if len(chain) > longest:
        raise PeerRefusal(PeerFault.UNTRUSTED)
    try:
        leaf, *others = (x509.load_der_x509_certificate(der) for der in chain)
        identity = _identity(leaf)
        _check_purpose(leaf, role)
    except _MALFORMED as error:
        raise PeerRefusal(PeerFault.MALFORMED) from error
    _check_validity(leaf, at)
    roots = trust.roots.get(identity.trust_domain)
    if not roots:
        raise PeerRefusal(PeerFault.TRUST_DOMAIN)
    _check_chain(leaf, others, roots, at, longest)
    return identity


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _identity(leaf: x509.Certificate) -> SpiffeId:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise PeerRefusal(PeerFault.IDENTITY) from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise PeerRefusal(PeerFault.IDENTITY)
    try:
        return SpiffeId.parse(uris[0])
    except SpiffeError as error:
        raise PeerRefusal(PeerFault.IDENTITY) from error


def _check_purpose(leaf: x509.Certificate, role: Role) -> None:
    """X.509-SVID 4.1 to 4.4: a leaf is no authority, signs handshakes and nothing else."""
    for extension in leaf.extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                raise PeerRefusal(PeerFault.AUTHORITY_AS_LEAF)
            case x509.ExtendedKeyUsage() as purposes if role.value not in purposes:
                raise PeerRefusal(PeerFault.KEY_USAGE)
            case _:
                pass
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise PeerRefusal(PeerFault.KEY_USAGE) from error
    if usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        raise PeerRefusal(PeerFault.KEY_USAGE)


def _check_validity(leaf: x509.Certificate, at: datetime) -> None:
    if at < leaf.not_valid_before_utc:
        raise PeerRefusal(PeerFault.NOT_YET_VALID)
    if at > leaf.not_valid_after_utc:
        raise PeerRefusal(PeerFault.EXPIRED)


def _check_chain(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    longest: int,
) -> None:
    """A path to one of `roots`; authorities are held to the web's rules, the leaf has been looked at."""
    policy = (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(at)
        .max_chain_depth(longest)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.permit_all(),
        )
    )
    try:
        policy.build_client_verifier().verify(leaf, others)
    except (VerificationError, *_MALFORMED) as error:
        raise PeerRefusal(PeerFault.UNTRUSTED) from error
