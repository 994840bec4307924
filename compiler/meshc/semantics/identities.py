"""Connections: who a caller is to the proxy that judges it, and whether it gets a connection at all."""

from dataclasses import dataclass

from meshc.ir import MtlsMode, PortPolicy, Protocol

_SCHEME = "spiffe://"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRefused:
    """There is no connection, so no status either; `reason` says why, in a few words."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller's verified identity, or None."""

    identity: str | None


def verify_caller(
    policy: PortPolicy, identity: str | None, trust_domains: frozenset[str], *, external: bool
) -> Caller | ConnectionRefused:
    """What the proxy in front of a port knows of the caller that holds `identity`.

    Externals are guarded by the caller's own proxy, which knows whose it is. A tls port passes TLS through and an `off`
    port serves plaintext: nobody has an identity there. Elsewhere a foreign identity fails the handshake, and under
    `strict` so does a missing one.
    """
    if external:
        return Caller(identity=identity)
    if policy.protocol is Protocol.TLS or policy.mtls is MtlsMode.OFF:
        return Caller(identity=None)
    if identity is None:
        if policy.mtls is MtlsMode.STRICT:
            return ConnectionRefused(reason="no verified identity")
        return Caller(identity=None)
    if trust_domain_of(identity) not in trust_domains:
        return ConnectionRefused(reason="identity of an unknown trust domain")
    return Caller(identity=identity)


def trust_domain_of(identity: str) -> str | None:
    """The trust domain of a SPIFFE id; None for what is no SPIFFE id."""
    if not identity.startswith(_SCHEME):
        return None
    return identity[len(_SCHEME) :].partition("/")[0]
