"""What Linkerd 2.20 expresses, feature by feature, as this package emits it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible, stricter
from meshc.target import Support
from meshc_linkerd.traffic_support import TRAFFIC

_PATHS: Final = (
    "paths are matched as they are sent, so those that are not in normal form, and those with `;`, are refused with 404 "
    "where rules of the port depend on paths"
)
_LISTED: Final = "who remains of a larger group is listed: callers that the program does not declare are refused"
_BEYOND_ASCII: Final = "a value beyond ASCII passes no such test; a rule that would let more through for it is refused"
_HOSTS: Final = (
    "proxies before linkerd2-proxy#4605 compare hosts letter by letter: they refuse other spellings, and a rule that would let "
    "more through for one is refused"
)
_PROBE: Final = "anybody in `linkerd.probe-networks` may send this method and path, without an identity too"
_KUBELETS: Final = "in `meshc.yaml`, set `linkerd: probe-networks` to the addresses of the nodes"
_QUERY: Final = (
    "every value of a parameter is looked at, decoded, and not the first as it is sent: a deny refuses more; an allow that "
    "would let more through is refused"
)
_QUERY_OTHER: Final = "linkerd decodes parameters before it looks at them, and would miss some"
_NO_TOKENS: Final = "linkerd reads no tokens"
_IN_APPLICATION: Final = "verify tokens in the application or in a gateway in front of the mesh"
_NO_SNI: Final = "linkerd does not look at the server name of connections to a server"
_BY_IDENTITY: Final = "decide by address, or terminate TLS in the mesh: declare the port as `tcp` or `http`"


def _omissible(note: str, instead: str) -> Support:
    return replace(impossible(note, instead), may_omit=True)


_ACCESS: Final[Mapping[Feature, Support]] = {
    Feature.PORT_HTTP: exact(
        "the language's 400 for paths is a 404, but a raw `#` and what follows it is dropped; a header that it refuses with "
        "400 is let through to the application"
    ),
    Feature.PORT_HTTP2: exact("as `port http`"),
    Feature.PORT_GRPC: exact("as `port http2`: linkerd's own routes of gRPC would let `/service/method/more` through"),
    Feature.PORT_TCP: exact("pods must not mark the port as opaque themselves: then nobody has an identity there"),
    Feature.PORT_TLS: exact(),
    Feature.MTLS_STRICT: exact("plaintext is refused with 403, not at the connection"),
    Feature.MTLS_PERMISSIVE: exact("peers in the mesh use mTLS by themselves"),
    Feature.MTLS_OFF: exact("peers in the mesh use mTLS all the same, and nobody asks who they are"),
    Feature.TRUST_FEDERATION: stricter(
        "accounts of other domains are spelled as if the control plane had the same namespace there; whole namespaces and "
        "domains leave out what has a SPIFFE id"
    ),
    Feature.DEFAULT_ALLOW: exact("on declared ports; on others the cluster's default inbound policy decides"),
    Feature.DEFAULT_DENY: exact("on declared ports; on others the cluster's default inbound policy decides"),
    Feature.RULE_ALLOW: exact("callers at the pod's own loopback address are always let in; a refusal is 403 or 404"),
    Feature.RULE_DENY: stricter(_LISTED, is_quiet=True),
    Feature.RULE_SHADOW: _omissible(
        "linkerd audits whole servers, not rules", "leave it out, or try the rule in a test environment"
    ),
    Feature.RULE_ON_TCP: exact(),
    Feature.SOURCE_ANYONE: exact(),
    Feature.SOURCE_AUTHENTICATED: exact("peers with a SPIFFE id in place of Linkerd's own names are left out"),
    Feature.SOURCE_IDENTITY: exact(),
    Feature.SOURCE_IDENTITY_PREFIX: exact("whole namespaces and trust domains"),
    Feature.SOURCE_EXCEPT: stricter(_LISTED, is_quiet=True),
    Feature.SOURCE_ADDRESS: exact("the address of the direct peer"),
    Feature.REMOTE_ADDRESS: impossible("linkerd reads no X-Forwarded-For", "decide by `from`, or in the gateway"),
    Feature.CONDITION_OR: exact(),
    Feature.CONDITION_NOT: exact("by a more specific route that refuses"),
    Feature.METHOD: exact("of the nine that routes can name"),
    Feature.METHOD_UNREGISTERED: impossible("routes can name nine methods", "leave the method out"),
    Feature.PATH_EXACT: stricter(_PATHS, is_quiet=True),
    Feature.PATH_PREFIX: stricter(_PATHS, is_quiet=True),
    Feature.PATH_TEMPLATE: stricter(_PATHS, is_quiet=True),
    Feature.PATH_REGEX: stricter(f"{_PATHS}; where one depends on an expression, those with escapes are refused too"),
    Feature.HOST_EQUALS: stricter(f"the name of a host, no address; {_HOSTS}", is_quiet=True),
    Feature.HOST_STARTS_WITH: impossible("routes name a host or its last labels", "use `==` or `ends with`"),
    Feature.HOST_ENDS_WITH: stricter(f"what starts with a dot; {_HOSTS}", is_quiet=True),
    Feature.HOST_MATCHES: impossible("routes name a host or its last labels", "use `==` or `ends with`"),
    Feature.HOST_PRESENT: exact("every request has a host"),
    Feature.HEADER_EQUALS: exact(),
    Feature.HEADER_STARTS_WITH: stricter(_BEYOND_ASCII, is_quiet=True),
    Feature.HEADER_ENDS_WITH: stricter(_BEYOND_ASCII, is_quiet=True),
    Feature.HEADER_MATCHES: stricter(_BEYOND_ASCII, is_quiet=True),
    Feature.HEADER_PRESENT: stricter(_BEYOND_ASCII, is_quiet=True),
    Feature.QUERY_EQUALS: stricter(_QUERY),
    Feature.QUERY_STARTS_WITH: stricter(_QUERY),
    Feature.QUERY_ENDS_WITH: impossible(_QUERY_OTHER, "use `==` or `starts with`"),
    Feature.QUERY_MATCHES: impossible(_QUERY_OTHER, "use `==` or `starts with`"),
    Feature.QUERY_PRESENT: stricter(_QUERY),
    Feature.CLAIM_EQUALS: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_STARTS_WITH: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_ENDS_WITH: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_MATCHES: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_PRESENT: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_HAS: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.CLAIM_NESTED: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.SNI_EQUALS: impossible(_NO_SNI, _BY_IDENTITY),
    Feature.SNI_STARTS_WITH: impossible(_NO_SNI, _BY_IDENTITY),
    Feature.SNI_ENDS_WITH: impossible(_NO_SNI, _BY_IDENTITY),
    Feature.SNI_MATCHES: impossible(_NO_SNI, _BY_IDENTITY),
    Feature.SNI_PRESENT: impossible(_NO_SNI, _BY_IDENTITY),
    Feature.JWT: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_SEVERAL: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_AUDIENCES: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_JWKS_FILE: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_JWKS_URL: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_JWKS_INLINE: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_FROM_HEADER: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_FORWARD: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.JWT_REQUIRED: impossible(_NO_TOKENS, _IN_APPLICATION),
    Feature.PROBE_HTTP: approximate(_PROBE, _KUBELETS),
    Feature.PROBE_GRPC: approximate(_PROBE, _KUBELETS),
    Feature.PROBE_TCP: exact("the proxy accepts every connection before it judges it"),
}

_LIMITS: Final[Mapping[Feature, Support]] = {
    Feature.RATE_LIMIT: stricter(
        "whole requests per second; a larger burst is cut to one second's tokens; each pod counts for itself",
        is_quiet=True,
    ),
    Feature.RATE_LIMIT_PER_SOURCE: stricter("callers without an identity share one bucket", is_quiet=True),
    Feature.RATE_LIMIT_PER_HEADER: _omissible(
        "linkerd counts all requests of a port, or those of each caller", "write `per source`, or leave it out"
    ),
    Feature.RATE_LIMIT_CONDITION: _omissible(
        "linkerd counts all requests of a port", "limit the whole port, or give what is limited a port of its own"
    ),
}

SUPPORT: Final[Mapping[Feature, Support]] = {feature: {**_ACCESS, **_LIMITS, **TRAFFIC}[feature] for feature in Feature}
"""One row for every feature."""
