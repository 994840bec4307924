"""What Linkerd 2.18 and later express, feature by feature, as this package emits it."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible, stricter
from meshc.target import Support
from meshc_linkerd.traffic_support import TRAFFIC

_PATHS: Final = "a path that is not written as the language normalizes it finds no route, and is refused"
_NO_QUERY: Final = "Linkerd decodes queries and looks at every occurrence, so more would get through"
_NO_CLAIMS: Final = "Linkerd reads no tokens"
_TOKENS: Final = "verify tokens in the application or at the edge"
_NO_SNI: Final = "Linkerd's servers do not decide by server name"
_ASCII: Final = "where it refuses nothing: Linkerd's expressions see ASCII alone"

_ACCESS: Final[Mapping[Feature, Support]] = {
    Feature.PORT_HTTP: exact("where no route fits, the answer is 404 instead of 403"),
    Feature.PORT_HTTP2: exact("where no route fits, the answer is 404 instead of 403"),
    Feature.PORT_GRPC: exact("as HTTP/2; refusals have the HTTP statuses 403 and 404"),
    Feature.PORT_TCP: exact(),
    Feature.PORT_TLS: exact(),
    Feature.MTLS_STRICT: exact("a caller without an identity is 403 instead of being cut off"),
    Feature.MTLS_PERMISSIVE: exact(),
    Feature.MTLS_OFF: impossible("between meshed pods Linkerd always encrypts", "write `mtls permissive`"),
    Feature.TRUST_FEDERATION: impossible(
        "Linkerd's identities are those of one trust domain", "let callers of other domains in through a gateway"
    ),
    Feature.DEFAULT_ALLOW: exact("ports that no Service declares follow the cluster's default"),
    Feature.DEFAULT_DENY: exact("ports that no Service declares follow the cluster's default"),
    Feature.RULE_ALLOW: exact(),
    Feature.RULE_DENY: exact(
        "taken away from what allows let in; callers that the program does not declare may be refused too"
    ),
    Feature.RULE_SHADOW: impossible(
        "Linkerd audits whole servers, not rules", "try the rule in the model", may_omit=True
    ),
    Feature.RULE_ON_TCP: exact(),
    Feature.SOURCE_ANYONE: exact(),
    Feature.SOURCE_AUTHENTICATED: exact(),
    Feature.SOURCE_IDENTITY: exact("service accounts"),
    Feature.SOURCE_IDENTITY_PREFIX: exact("namespaces"),
    Feature.SOURCE_EXCEPT: exact("of callers that the program declares; others are refused"),
    Feature.SOURCE_ADDRESS: exact("the address of the direct peer; from inside the pod everything is let through"),
    Feature.REMOTE_ADDRESS: impossible("Linkerd knows the address of the direct peer alone", "use `from`"),
    Feature.CONDITION_OR: exact(),
    Feature.CONDITION_NOT: exact(),
    Feature.METHOD: exact(),
    Feature.METHOD_UNREGISTERED: impossible("the Gateway API names nine methods", "name none of it, or another"),
    Feature.PATH_EXACT: exact(),
    Feature.PATH_PREFIX: stricter(_PATHS, is_quiet=True),
    Feature.PATH_TEMPLATE: stricter(_PATHS, is_quiet=True),
    Feature.PATH_REGEX: impossible(
        "of two expressions that match a path, neither is sure to win", "use `{name}` and `/**`, or list the paths"
    ),
    Feature.HOST_EQUALS: exact(),
    Feature.HOST_STARTS_WITH: impossible("Linkerd tests a host as a whole, or by what follows its first label"),
    Feature.HOST_ENDS_WITH: exact("where the text starts with a dot"),
    Feature.HOST_MATCHES: impossible("Linkerd has no expressions for hosts", "list the hosts"),
    Feature.HOST_PRESENT: impossible("every request has a host", "leave the test out"),
    Feature.HEADER_EQUALS: exact(),
    Feature.HEADER_STARTS_WITH: exact(_ASCII),
    Feature.HEADER_ENDS_WITH: exact(_ASCII),
    Feature.HEADER_MATCHES: exact(_ASCII),
    Feature.HEADER_PRESENT: exact(_ASCII),
    Feature.QUERY_EQUALS: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_STARTS_WITH: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_ENDS_WITH: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_MATCHES: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_PRESENT: impossible(_NO_QUERY, "test a header or the path"),
    Feature.CLAIM_EQUALS: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_STARTS_WITH: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_ENDS_WITH: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_MATCHES: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_PRESENT: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_HAS: impossible(_NO_CLAIMS, _TOKENS),
    Feature.CLAIM_NESTED: impossible(_NO_CLAIMS, _TOKENS),
    Feature.SNI_EQUALS: impossible(_NO_SNI, "decide by address"),
    Feature.SNI_STARTS_WITH: impossible(_NO_SNI, "decide by address"),
    Feature.SNI_ENDS_WITH: impossible(_NO_SNI, "decide by address"),
    Feature.SNI_MATCHES: impossible(_NO_SNI, "decide by address"),
    Feature.SNI_PRESENT: impossible(_NO_SNI, "decide by address"),
    Feature.JWT: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_SEVERAL: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_AUDIENCES: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_JWKS_FILE: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_JWKS_URL: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_JWKS_INLINE: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_FROM_HEADER: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_FORWARD: impossible(_NO_CLAIMS, _TOKENS),
    Feature.JWT_REQUIRED: impossible(_NO_CLAIMS, _TOKENS),
    Feature.PROBE_HTTP: approximate("anybody in `linkerd.probe-networks` may ask it, with an identity or without"),
    Feature.PROBE_GRPC: approximate("anybody in `linkerd.probe-networks` may ask it, with an identity or without"),
    Feature.PROBE_TCP: exact("the proxy takes the connection before it decides"),
    Feature.RATE_LIMIT: exact("in whole requests a second, with a burst of as many"),
    Feature.RATE_LIMIT_PER_SOURCE: exact("callers without an identity share one count"),
    Feature.RATE_LIMIT_PER_HEADER: impossible("Linkerd counts by caller", "limit each source", may_omit=True),
    Feature.RATE_LIMIT_CONDITION: impossible("Linkerd counts all requests of a port", "limit the port", may_omit=True),
}

SUPPORT: Final[Mapping[Feature, Support]] = {**_ACCESS, **TRAFFIC}
"""One row for each feature; a test holds that none is missing."""
