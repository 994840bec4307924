"""TLS of listeners: whether callers show a certificate, and which identities are believed."""

import posixpath
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_envoy.read.atoms import string_matcher
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import BUNDLES, REVOKED, Notes

_DOWNSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_SPIFFE: Final = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
_VERSIONS: Final = frozenset({"TLS_AUTO", "TLSv1_2", "TLSv1_3"})
"""Oldest versions: a server's default is 1.2."""
_RAW: Final = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutual:
    """Mutual TLS: the trust domains whose identities are believed (None: not said here), and whom the handshake admits
    (None: everybody).
    """

    domains: tuple[str, ...] | None
    admitted: tuple[ir.Principal, ...] | None


def mutual(chain: Message, notes: Notes) -> Mutual | None:
    """The transport of a filter chain; None for bytes as they come. Raises NotUnderstoodError for one-sided TLS."""
    socket = chain.message("transport_socket")
    if socket is None:
        return None
    kind, context = socket.config()
    socket.finish()
    if kind == _RAW:
        return None
    if kind != _DOWNSTREAM:
        raise socket.error(f"the transport socket `{kind}` is not understood")
    if not context.flag("require_client_certificate"):
        raise context.error("tls without a certificate of the caller is not understood")
    context.ignore("disable_stateless_session_resumption", "session_timeout", "ocsp_staple_policy")
    common = context.need("common_tls_context")
    context.finish()
    check_versions(common)
    common.ignore("alpn_protocols", "tls_certificates", "tls_certificate_sds_secret_configs")
    if common.has("combined_validation_context"):
        combined = common.need("combined_validation_context")
        validation = combined.need("default_validation_context")
        combined.need("validation_context_sds_secret_config")
        combined.finish()
        common.finish()
        notes.assume(BUNDLES, combined.span)
        names = _names(validation)
        validation.finish()
        return Mutual(domains=None, admitted=names)
    validation = common.need("validation_context")
    common.finish()
    names = _names(validation)
    domains = _domains(validation, names, _directory(common), notes)
    validation.finish()
    return Mutual(domains=domains, admitted=names)


def check_versions(common: Message) -> None:
    """Raises NotUnderstoodError for versions of TLS and ciphers that may not keep what they should."""
    params = common.message("tls_params")
    if params is not None:
        oldest = params.text("tls_minimum_protocol_version", "TLS_AUTO")
        if oldest not in _VERSIONS:
            raise params.error(f"`{oldest}` as the oldest version of tls is not understood")
        params.finish()


def spiffe_domains(config: Message, directory: str | None, notes: Notes) -> tuple[str, ...]:
    """The trust domains of Envoy's SPIFFE validator. Each has a file of authorities, which is called as it is, in `directory`."""
    found: list[str] = []
    for one in config.messages("trust_domains"):
        domain = one.text("name")
        bundle = one.need("trust_bundle")
        if bundle.text("filename") != f"{directory}/{domain}.pem":
            notes.assume(BUNDLES, bundle.span)
        bundle.ignore("inline_string", "inline_bytes", "environment_variable", "watched_directory")
        bundle.finish()
        one.finish()
        found.append(domain)
    config.finish()
    if not found or not all(found):
        raise config.error("a validator without trust domains is not understood")
    return tuple(found)


def _directory(common: Message) -> str | None:
    """Where the sidecar's own certificate lies, and its bundles with it."""
    files = [one.need("certificate_chain").text("filename") for one in common.messages("tls_certificates")]
    return posixpath.dirname(files[0]) if len(files) == 1 else None


def _names(validation: Message) -> tuple[ir.Principal, ...] | None:
    found: list[ir.Principal] = []
    matchers = [(one, "matcher") for one in validation.messages("match_typed_subject_alt_names")]
    for one, name in matchers:
        if one.text("san_type") != "URI":
            raise one.error("names of certificates other than uris are not understood")
        text = string_matcher(one.need(name))
        one.finish()
        match text.test:
            case ir.Equals(identity) if not text.ignores_case:
                found.append(ir.ExactIdentity(identity))
            case ir.StartsWith(prefix) if prefix.endswith("/") and not text.ignores_case:
                found.append(ir.IdentityPrefix(prefix))
            case _:
                raise one.error("this test of an identity is not understood")
    return tuple(found) or None


def _domains(
    validation: Message, names: tuple[ir.Principal, ...] | None, directory: str | None, notes: Notes
) -> tuple[str, ...]:
    if validation.has("custom_validator_config"):
        custom = validation.need("custom_validator_config")
        kind, config = custom.config()
        custom.finish()
        if kind != _SPIFFE:
            raise config.error(f"the validator `{kind}` is not understood")
        return spiffe_domains(config, directory, notes)
    if not validation.has("trusted_ca"):
        raise validation.error("without `trusted_ca` no certificate is asked for")
    if validation.text("trust_chain_verification", "VERIFY_TRUST_CHAIN") != "VERIFY_TRUST_CHAIN":
        raise validation.error("certificates that nobody has to have signed are not understood")
    validation.ignore("trusted_ca")
    if validation.has("crl"):
        validation.ignore("crl")
        notes.assume(REVOKED, validation.span)
    notes.assume(BUNDLES, validation.span)
    texts = [
        one.identity if isinstance(one, ir.ExactIdentity) else one.prefix
        for one in names or ()
        if not isinstance(one, ir.AnyPeer | ir.AnyIdentity)
    ]
    domains = tuple(dict.fromkeys(text.removeprefix("spiffe://").partition("/")[0] for text in texts))
    if not domains:
        raise validation.error("which trust domain the authority signs for is not said")
    return domains
