"""TLS of clusters: which server a caller believes to be the right one, and what it shows of itself."""

from typing import Final

from meshc import ir
from meshc_envoy.read.messages import Message
from meshc_envoy.read.transport import check_versions

_UPSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def server_of(cluster: Message) -> tuple[str | None, bool]:
    """The identity that a cluster's servers must prove, if it is one of a mesh, and whether it uses TLS at all."""
    socket = cluster.message("transport_socket")
    if socket is None:
        return None, False
    common = socket.config()[1].need("common_tls_context")
    combined = common.message("combined_validation_context")
    validation = (
        common.message("validation_context") if combined is None else combined.need("default_validation_context")
    )
    names = () if validation is None else validation.messages("match_typed_subject_alt_names")
    found = [one.need("matcher").text("exact") for one in names if one.text("san_type") == "URI"]
    return (found[0] if len(found) == 1 else None), True


def server_wanted(cluster: Message, owner: ir.Workload | ir.External) -> tuple[str | None, str | None, str | None]:
    """The server's identity, the server name, and the file of authorities."""
    socket = cluster.message("transport_socket")
    if socket is None:
        return None, None, None
    kind, context = socket.config()
    if kind != _UPSTREAM:
        raise socket.error(f"the transport socket `{kind}` is not understood")
    socket.finish()
    common = context.need("common_tls_context")
    check_versions(common)
    validation = (
        common.need("combined_validation_context").need("default_validation_context")
        if common.has("combined_validation_context")
        else common.need("validation_context")
    )
    shown = [*common.messages("tls_certificates"), *common.messages("tls_certificate_sds_secret_configs")]
    if isinstance(owner, ir.Workload) and len(shown) != 1:
        raise common.error("a caller without exactly one certificate is not let in")
    common.ignore("alpn_protocols", "tls_certificates", "tls_certificate_sds_secret_configs")
    common.finish()
    if validation.text("trust_chain_verification", "VERIFY_TRUST_CHAIN") != "VERIFY_TRUST_CHAIN":
        raise validation.error("certificates that nobody has to have signed are not understood")
    names = [
        (one.text("san_type"), one.need("matcher").text("exact"))
        for one in validation.messages("match_typed_subject_alt_names")
    ]
    sni = context.text("sni") or None
    context.ignore("max_session_keys", "allow_renegotiation", "auto_host_sni", "auto_sni_san_validation")
    context.finish()
    validation.ignore("trusted_ca", "custom_validator_config", "crl")
    validation.finish()
    if isinstance(owner, ir.Workload):
        if len(names) != 1 or names[0][0] != "URI":
            raise validation.error("which server is believed to be the right one is not understood")
        _check_authority(validation, common, owner.identity)
        return names[0][1], sni, None
    if names != ([] if sni is None else [("DNS", sni)]):
        raise validation.error("the server's certificate is not verified for the name that is asked for")
    return None, sni, validation.need("trusted_ca").text("filename")


def _check_authority(validation: Message, common: Message, identity: str) -> None:
    """The server's certificate must be verified by an authority for its trust domain."""
    if common.has("combined_validation_context") or validation.has("trusted_ca"):
        return
    kind, config = validation.need("custom_validator_config").config()
    domains = {one.text("name") for one in config.messages("trust_domains")}
    if not kind.endswith("SPIFFECertValidatorConfig") or not any(
        identity.startswith(f"spiffe://{one}/") for one in domains
    ):
        raise config.error("the server's certificate is not verified for its trust domain")
