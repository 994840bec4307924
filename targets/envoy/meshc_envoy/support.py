"""What Envoy 1.40 expresses, feature by feature, as this package emits it."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import exact, impossible, stricter
from meshc.target import Support
from meshc_envoy.rate_limits import LONGEST_VALUE, MAX_SOURCES, MAX_VALUES
from meshc_envoy.traffic_support import TRAFFIC

_EGRESS: Final = "enforced by the callers' sidecars, so it does not bind a compromised workload"
_LOCAL_PEER: Final = "the caller's sidecar sees nobody but its own application"

_ACCESS: Final[Mapping[Feature, Support]] = {
    Feature.PORT_HTTP: exact("HTTP/1.1 and WebSocket; an h2c upgrade is answered over HTTP/1.1"),
    Feature.PORT_HTTP2: exact(),
    Feature.PORT_GRPC: exact(),
    Feature.PORT_TCP: exact(),
    Feature.PORT_TLS: exact(),
    Feature.MTLS_STRICT: exact(),
    Feature.MTLS_PERMISSIVE: exact("what starts with a TLS hello is mutual TLS, everything else plaintext"),
    Feature.MTLS_OFF: exact(),
    Feature.TRUST_FEDERATION: exact("one trust bundle a domain"),
    Feature.DEFAULT_ALLOW: exact(),
    Feature.DEFAULT_DENY: exact(),
    Feature.RULE_ALLOW: exact(),
    Feature.RULE_DENY: exact(),
    Feature.RULE_SHADOW: exact("in RBAC's shadow statistics and dynamic metadata"),
    Feature.RULE_ON_TCP: exact(
        "where more than the identity decides, the application is connected at the caller's first byte: a protocol in "
        "which the server speaks first waits for ever"
    ),
    Feature.SOURCE_ANYONE: exact(),
    Feature.SOURCE_AUTHENTICATED: exact(),
    Feature.SOURCE_IDENTITY: exact(),
    Feature.SOURCE_IDENTITY_PREFIX: exact(),
    Feature.SOURCE_EXCEPT: exact(),
    Feature.SOURCE_ADDRESS: exact("the address of the direct peer, which is the caller's sidecar"),
    Feature.REMOTE_ADDRESS: exact(),
    Feature.CONDITION_OR: exact(),
    Feature.CONDITION_NOT: exact(),
    Feature.METHOD: exact("over HTTP/1, a method that nobody registered is refused with 400"),
    Feature.METHOD_UNREGISTERED: stricter("over HTTP/1, Envoy refuses a method that nobody registered with 400"),
    Feature.PATH_EXACT: exact(),
    Feature.PATH_PREFIX: exact(),
    Feature.PATH_TEMPLATE: exact(),
    Feature.PATH_REGEX: exact(),
    Feature.HOST_EQUALS: exact(),
    Feature.HOST_STARTS_WITH: exact(),
    Feature.HOST_ENDS_WITH: exact(),
    Feature.HOST_MATCHES: exact("patterns that name upper-case letters are refused"),
    Feature.HOST_PRESENT: exact(),
    Feature.HEADER_EQUALS: exact(),
    Feature.HEADER_STARTS_WITH: exact(),
    Feature.HEADER_ENDS_WITH: exact(),
    Feature.HEADER_MATCHES: stricter(
        "a value that a regular expression reads and that has blanks at an end, which only HTTP/2 can send and RFC 9113 "
        "forbids, is refused with 400",
        is_quiet=True,
    ),
    Feature.HEADER_PRESENT: exact(),
    Feature.QUERY_EQUALS: exact(),
    Feature.QUERY_STARTS_WITH: exact(),
    Feature.QUERY_ENDS_WITH: exact(),
    Feature.QUERY_MATCHES: exact("at most 6 different patterns on a port"),
    Feature.QUERY_PRESENT: exact(),
    Feature.CLAIM_EQUALS: exact(),
    Feature.CLAIM_STARTS_WITH: exact(),
    Feature.CLAIM_ENDS_WITH: exact(),
    Feature.CLAIM_MATCHES: exact(),
    Feature.CLAIM_PRESENT: exact(),
    Feature.CLAIM_HAS: exact(),
    Feature.CLAIM_NESTED: exact(),
    Feature.SNI_EQUALS: exact(),
    Feature.SNI_STARTS_WITH: exact(),
    Feature.SNI_ENDS_WITH: exact(),
    Feature.SNI_MATCHES: exact("patterns that name upper-case letters are refused"),
    Feature.SNI_PRESENT: exact(),
    Feature.JWT: exact("clocks may differ by 60 s"),
    Feature.JWT_SEVERAL: exact(),
    Feature.JWT_AUDIENCES: exact(),
    Feature.JWT_JWKS_FILE: exact("read by the sidecar at its start, from the path as it is written"),
    Feature.JWT_JWKS_URL: exact("fetched before the listener starts, and again every 5 minutes"),
    Feature.JWT_JWKS_INLINE: exact(),
    Feature.JWT_FROM_HEADER: exact(),
    Feature.JWT_FORWARD: exact(),
    Feature.JWT_REQUIRED: exact(),
    Feature.EGRESS_HTTP: exact(_EGRESS),
    Feature.EGRESS_HTTPS: exact(_EGRESS),
    Feature.EGRESS_TCP: exact(_EGRESS),
    Feature.EGRESS_TLS: exact(_EGRESS),
    Feature.EGRESS_WILDCARD_HTTP: exact("names are resolved as requests come"),
    Feature.EGRESS_WILDCARD_TLS: exact("names are resolved as connections come"),
    Feature.EGRESS_WILDCARD_TCP: impossible(
        "a tcp connection does not say which host it is meant for", "name each host, or make the port `tls`"
    ),
    Feature.EGRESS_ACCESS: exact(_EGRESS),
    Feature.EGRESS_ADDRESS: impossible(_LOCAL_PEER, "name the callers instead"),
    Feature.EGRESS_CLAIM: impossible(
        "the caller's sidecar verifies no tokens for externals", "name the callers instead"
    ),
    Feature.TLS_CA_FILE: exact(),
    Feature.TLS_SNI: exact("the server's certificate is verified for this name"),
    Feature.PROBE_HTTP: exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.PROBE_GRPC: exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.PROBE_TCP: exact("health checkers on the machine ask the application itself; the sidecar opens nothing"),
    Feature.DISCOVER_KUBERNETES: exact("by DNS: `<service>.<namespace>.svc.<cluster domain>`"),
    Feature.DISCOVER_DNS: exact(),
    Feature.DISCOVER_STATIC: exact(),
    Feature.DISCOVER_EDS: exact(),
    Feature.ENDPOINT_ZONE: exact("has no effect without `locality`"),
    Feature.ENDPOINT_VERSION: exact("has no effect without a destination version"),
    Feature.ENDPOINT_WEIGHT: exact(),
}

_SERVER: Final[Mapping[Feature, Support]] = {
    Feature.RATE_LIMIT: exact(
        "each sidecar of the server counts for itself and for each port, and where mTLS is permissive, callers with it and "
        "callers without it apart"
    ),
    Feature.RATE_LIMIT_PER_SOURCE: exact(
        f"{MAX_SOURCES:,} sources have a bucket at once; beyond, the one unused for longest starts full again"
    ),
    Feature.RATE_LIMIT_PER_HEADER: stricter(
        "requests without exactly one line of the header share a bucket, and so do values over "
        f"{LONGEST_VALUE:,} bytes and such that HTTP forbids; {MAX_VALUES:,} values have a bucket at once; beyond, the one "
        "unused for longest starts full again",
        is_quiet=True,
    ),
    Feature.RATE_LIMIT_CONDITION: stricter(
        "a test of a header whose lines Envoy joins holds if it does for any part of the value", is_quiet=True
    ),
}

_LINES: Final = "written up to 10 s late; of shadow rules that match, the first deny and the first allow are told"
_TELEMETRY: Final[Mapping[Feature, Support]] = {
    Feature.ACCESS_LOG_JSON: exact(_LINES),
    Feature.ACCESS_LOG_TEXT: exact(_LINES),
    Feature.ACCESS_LOG_CONDITION: exact(
        "what is refused before it can be tested is logged as well; patterns of query parameters cannot be tested"
    ),
    Feature.TRACE: exact(
        "where a request brings a `traceparent`, what it says of sampling counts; shares are kept to a millionth"
    ),
    Feature.METRICS: exact("to anybody who reaches port 15090, in plaintext: `/stats/prometheus`, and nothing else"),
}

SUPPORT: Final[Mapping[Feature, Support]] = {
    feature: {**_ACCESS, **TRAFFIC, **_SERVER, **_TELEMETRY}[feature] for feature in Feature
}
"""One row for every feature."""
