"""What Envoy 1.40 expresses, feature by feature, as this package emits it."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.target import Exactness, Support


def _exact(note: str = "") -> Support:
    return Support(exactness=Exactness.EXACT, note=note)


def _stricter(note: str, *, is_quiet: bool = False) -> Support:
    return Support(exactness=Exactness.STRICTER, note=note, is_quiet=is_quiet)


def _impossible(note: str, instead: str = "") -> Support:
    return Support(exactness=Exactness.IMPOSSIBLE, note=note, instead=instead)


_LATER: Final = _impossible("not emitted yet", "remove it, or wait for a version that emits it")
_EGRESS: Final = "enforced by the callers' sidecars, so it does not bind a compromised workload"
_LOCAL_PEER: Final = "the caller's sidecar sees nobody but its own application"

_ACCESS: Final[Mapping[Feature, Support]] = {
    Feature.PORT_HTTP: _exact("HTTP/1.1 and WebSocket; an h2c upgrade is answered over HTTP/1.1"),
    Feature.PORT_HTTP2: _exact(),
    Feature.PORT_GRPC: _exact(),
    Feature.PORT_TCP: _exact(),
    Feature.PORT_TLS: _exact(),
    Feature.MTLS_STRICT: _exact(),
    Feature.MTLS_PERMISSIVE: _exact("what starts with a TLS hello is mutual TLS, everything else plaintext"),
    Feature.MTLS_OFF: _exact(),
    Feature.TRUST_FEDERATION: _exact("one trust bundle a domain"),
    Feature.DEFAULT_ALLOW: _exact(),
    Feature.DEFAULT_DENY: _exact(),
    Feature.RULE_ALLOW: _exact(),
    Feature.RULE_DENY: _exact(),
    Feature.RULE_SHADOW: _exact("in RBAC's shadow statistics and dynamic metadata"),
    Feature.RULE_ON_TCP: _exact(
        "where more than the identity decides, the application is connected at the caller's first byte: a protocol in "
        "which the server speaks first waits for ever"
    ),
    Feature.SOURCE_ANYONE: _exact(),
    Feature.SOURCE_AUTHENTICATED: _exact(),
    Feature.SOURCE_IDENTITY: _exact(),
    Feature.SOURCE_IDENTITY_PREFIX: _exact(),
    Feature.SOURCE_EXCEPT: _exact(),
    Feature.SOURCE_ADDRESS: _exact("the address of the direct peer, which is the caller's sidecar"),
    Feature.REMOTE_ADDRESS: _exact(),
    Feature.CONDITION_OR: _exact(),
    Feature.CONDITION_NOT: _exact(),
    Feature.METHOD: _exact("over HTTP/1, a method that nobody registered is refused with 400"),
    Feature.METHOD_UNREGISTERED: _stricter("over HTTP/1, Envoy refuses a method that nobody registered with 400"),
    Feature.PATH_EXACT: _exact(),
    Feature.PATH_PREFIX: _exact(),
    Feature.PATH_TEMPLATE: _exact(),
    Feature.PATH_REGEX: _exact(),
    Feature.HOST_EQUALS: _exact(),
    Feature.HOST_STARTS_WITH: _exact(),
    Feature.HOST_ENDS_WITH: _exact(),
    Feature.HOST_MATCHES: _exact("patterns that name upper-case letters are refused"),
    Feature.HOST_PRESENT: _exact(),
    Feature.HEADER_EQUALS: _exact(),
    Feature.HEADER_STARTS_WITH: _exact(),
    Feature.HEADER_ENDS_WITH: _exact(),
    Feature.HEADER_MATCHES: _stricter(
        "a value that a regular expression reads and that has blanks at an end, which only HTTP/2 can send and RFC 9113 "
        "forbids, is refused with 400",
        is_quiet=True,
    ),
    Feature.HEADER_PRESENT: _exact(),
    Feature.QUERY_EQUALS: _exact(),
    Feature.QUERY_STARTS_WITH: _exact(),
    Feature.QUERY_ENDS_WITH: _exact(),
    Feature.QUERY_MATCHES: _exact("at most 6 different patterns on a port"),
    Feature.QUERY_PRESENT: _exact(),
    Feature.CLAIM_EQUALS: _exact(),
    Feature.CLAIM_STARTS_WITH: _exact(),
    Feature.CLAIM_ENDS_WITH: _exact(),
    Feature.CLAIM_MATCHES: _exact(),
    Feature.CLAIM_PRESENT: _exact(),
    Feature.CLAIM_HAS: _exact(),
    Feature.CLAIM_NESTED: _exact(),
    Feature.SNI_EQUALS: _exact(),
    Feature.SNI_STARTS_WITH: _exact(),
    Feature.SNI_ENDS_WITH: _exact(),
    Feature.SNI_MATCHES: _exact("patterns that name upper-case letters are refused"),
    Feature.SNI_PRESENT: _exact(),
    Feature.JWT: _exact("clocks may differ by 60 s"),
    Feature.JWT_SEVERAL: _exact(),
    Feature.JWT_AUDIENCES: _exact(),
    Feature.JWT_JWKS_FILE: _exact("read by the sidecar at its start, from the path as it is written"),
    Feature.JWT_JWKS_URL: _exact("fetched before the listener starts, and again every 5 minutes"),
    Feature.JWT_JWKS_INLINE: _exact(),
    Feature.JWT_FROM_HEADER: _exact(),
    Feature.JWT_FORWARD: _exact(),
    Feature.JWT_REQUIRED: _exact(),
    Feature.EGRESS_HTTP: _exact(_EGRESS),
    Feature.EGRESS_HTTPS: _exact(_EGRESS),
    Feature.EGRESS_TCP: _exact(_EGRESS),
    Feature.EGRESS_TLS: _exact(_EGRESS),
    Feature.EGRESS_WILDCARD_HTTP: _exact("names are resolved as requests come"),
    Feature.EGRESS_WILDCARD_TLS: _exact("names are resolved as connections come"),
    Feature.EGRESS_WILDCARD_TCP: _impossible(
        "a tcp connection does not say which host it is meant for", "name each host, or make the port `tls`"
    ),
    Feature.EGRESS_ACCESS: _exact(_EGRESS),
    Feature.EGRESS_ADDRESS: _impossible(_LOCAL_PEER, "name the callers instead"),
    Feature.EGRESS_CLAIM: _impossible(
        "the caller's sidecar verifies no tokens for externals", "name the callers instead"
    ),
    Feature.TLS_CA_FILE: _exact(),
    Feature.TLS_SNI: _exact("the server's certificate is verified for this name"),
    Feature.PROBE_HTTP: _exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.PROBE_GRPC: _exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.PROBE_TCP: _exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.DISCOVER_KUBERNETES: _exact("by DNS: `<service>.<namespace>.svc.<cluster domain>`"),
    Feature.DISCOVER_DNS: _exact(),
    Feature.DISCOVER_STATIC: _exact(),
    Feature.DISCOVER_EDS: _exact(),
    Feature.ENDPOINT_ZONE: _exact("has no effect without `locality`"),
    Feature.ENDPOINT_VERSION: _exact("has no effect without a destination version"),
    Feature.ENDPOINT_WEIGHT: _exact(),
}

SUPPORT: Final[Mapping[Feature, Support]] = {feature: _ACCESS.get(feature, _LATER) for feature in Feature}
"""One row for every feature."""
