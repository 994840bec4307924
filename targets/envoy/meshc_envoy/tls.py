"""Mutual TLS with SPIFFE identities: the transport sockets of inbound listeners and upstream clusters.

Inbound, Envoy's SPIFFE validator picks the trust bundle by the trust domain in the certificate's first URI SAN, so that no
federated domain's authority can sign for another domain. It does not count the SANs, which is why `single_identity` closes
connections whose certificate has more than one: RBAC would take any of them for the caller's identity. Upstream, only the
own domain's bundle is trusted, and the server's SPIFFE id must be the expected one.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from meshc.target import Json
from meshc_envoy.access import NETWORK_RBAC
from meshc_envoy.options import Certificates
from meshc_envoy.shapes import Object, extension, typed

SDS_CLUSTER: Final = "sds"
"""The cluster through which the SPIFFE Workload API is asked."""

_TLS: Final = "envoy.extensions.transport_sockets.tls.v3"
_TLS_SOCKET: Final = "envoy.transport_sockets.tls"
_MATCHING: Final = "envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput"
_DNS_SANS: Final = "envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput"
_VERSIONS: Final[Object] = {"tls_minimum_protocol_version": "TLSv1_2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where one workload's TLS material comes from. `trust_domains` are the own one and the federated ones."""

    identity: str
    trust_domains: tuple[str, ...]
    certificates: Certificates
    directory: PurePosixPath

    def bundle(self, trust_domain: str) -> str:
        """The file of a trust domain's bundle."""
        return str(self.directory / f"{trust_domain}.pem")


def inbound_socket(files: TlsFiles, alpn: tuple[str, ...], identities: tuple[Object, ...] = ()) -> Object:
    """A server's transport socket, which demands a certificate with an identity of a known trust domain.

    `identities` are string matchers, one of which the identity must pass already in the handshake; none: any passes.
    """
    validation = _inbound_validation(files, identities)
    return _socket(
        "DownstreamTlsContext", require_client_certificate=True, common_tls_context=_context(files, alpn) | validation
    )


def upstream_socket(files: TlsFiles, alpn: tuple[str, ...], server: str) -> Object:
    """A client's transport socket, which accepts the server whose identity is `server`, of the own trust domain."""
    names: Json = [{"san_type": "URI", "matcher": {"exact": server}}]
    domain = files.trust_domains[0]
    if files.certificates is Certificates.SDS:
        validation: Object = {
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": _secret(f"spiffe://{domain}"),
            }
        }
    else:
        validation = {"validation_context": {"match_typed_subject_alt_names": names} | _validator(files, (domain,))}
    return _socket("UpstreamTlsContext", common_tls_context=_context(files, alpn) | validation)


def origination_socket(server_name: str, ca_file: str, alpn: tuple[str, ...]) -> Object:
    """A client's transport socket to a server outside the mesh, verified by its DNS name."""
    names: Json = [{"san_type": "DNS", "matcher": {"exact": server_name}}]
    validation: Object = {"trusted_ca": {"filename": ca_file}, "match_typed_subject_alt_names": names}
    context: Object = {"tls_params": _VERSIONS, "alpn_protocols": list(alpn), "validation_context": validation}
    return _socket("UpstreamTlsContext", sni=server_name, common_tls_context=context)


def open_origination_socket(ca_file: str, alpn: tuple[str, ...]) -> Object:
    """The same to servers that each request names: SNI and verification are set from its host (`auto_sni`)."""
    context: Object = {
        "tls_params": _VERSIONS,
        "alpn_protocols": list(alpn),
        "validation_context": {"trusted_ca": {"filename": ca_file}},
    }
    return _socket("UpstreamTlsContext", common_tls_context=context)


def single_identity() -> Object:
    """The network filter that closes a connection whose certificate does not hold exactly one URI SAN.

    RBAC compares an identity with DNS SANs as well, so a federated authority could sign one that reads like another
    domain's identity: a certificate with such a name is refused.
    """
    matchers: list[Json] = [
        # The inputs join several names by commas; a SPIFFE id cannot hold one.
        _on_match("dns-san", _DNS_SANS, r"\C*(?i:spiffe:)\C*", _action("identity-in-dns-name", "DENY")),
        _on_match("uri-san", _MATCHING, "[^,]+", _action("single-identity", "ALLOW")),
    ]
    matcher: Object = {
        "matcher_list": {"matchers": matchers},
        "on_no_match": {"action": _action("not-one-identity", "DENY")},
    }
    return extension("single-identity", NETWORK_RBAC, stat_prefix="single-identity", matcher=matcher)


def _on_match(name: str, kind: str, pattern: str, action: Object) -> Object:
    value: Json = {"safe_regex": {"google_re2": {}, "regex": pattern}}
    predicate: Json = {"single_predicate": {"input": extension(name, kind), "value_match": value}}
    return {"predicate": predicate, "on_match": {"action": action}}


def _action(name: str, action: str) -> Object:
    return {"name": "action", "typed_config": typed("envoy.config.rbac.v3.Action", name=name, action=action)}


def _socket(context: str, **fields: Json) -> Object:
    return extension(_TLS_SOCKET, f"{_TLS}.{context}", **fields)


def _context(files: TlsFiles, alpn: tuple[str, ...]) -> Object:
    context: Object = {"tls_params": _VERSIONS}
    if alpn:
        context["alpn_protocols"] = list(alpn)
    if files.certificates is Certificates.SDS:
        return context | {"tls_certificate_sds_secret_configs": [_secret(files.identity)]}
    chain: Object = {"filename": str(files.directory / "cert.pem")}
    key: Object = {"filename": str(files.directory / "key.pem")}
    return context | {"tls_certificates": [{"certificate_chain": chain, "private_key": key}]}


def _inbound_validation(files: TlsFiles, identities: tuple[Object, ...]) -> Object:
    names: list[Json] = [{"san_type": "URI", "matcher": matcher} for matcher in identities]
    matched: Object = {"match_typed_subject_alt_names": names} if names else {}
    if files.certificates is Certificates.FILES:
        return {"validation_context": matched | _validator(files, files.trust_domains)}
    # SPIRE's name for the bundles of all federated domains, delivered with the same validator.
    secret = _secret("ALL")
    return {
        "combined_validation_context": {
            "default_validation_context": matched,
            "validation_context_sds_secret_config": secret,
        }
    }


def _validator(files: TlsFiles, domains: tuple[str, ...]) -> Object:
    bundles: list[Json] = [{"name": domain, "trust_bundle": {"filename": files.bundle(domain)}} for domain in domains]
    validator = extension("envoy.tls.cert_validator.spiffe", f"{_TLS}.SPIFFECertValidatorConfig", trust_domains=bundles)
    return {"custom_validator_config": validator}


def _secret(name: str) -> Object:
    service: Json = [{"envoy_grpc": {"cluster_name": SDS_CLUSTER}}]
    source: Object = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": service}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": source}}
