"""What Istio 1.27 and later express in sidecar mode, feature by feature, as this package emits it."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible, stricter
from meshc.target import Support
from meshc_istio.traffic_support import TRAFFIC

_NO_EXPRESSIONS: Final = "Istio's rules have no regular expressions"
_NO_QUERY: Final = "Istio's rules do not see the query"
_TLS: Final = "Istio passes on no TLS that it does not end"
_AS_TCP: Final = "declare the port as `tcp`; Istio wraps it in mTLS"
_TWICE: Final = "a header that is sent in several lines is refused by releases that compare it as one value"
_LIST: Final = "a list passes if one of its texts does"

_ACCESS: Final[Mapping[Feature, Support]] = {
    Feature.PORT_HTTP: exact("name the Service's port `http…` or set its `appProtocol`, or Istio guesses"),
    Feature.PORT_HTTP2: exact("name the Service's port `http2…` or set its `appProtocol`, or Istio guesses"),
    Feature.PORT_GRPC: exact("name the Service's port `grpc…` or set its `appProtocol`, or Istio guesses"),
    Feature.PORT_TCP: exact("name the Service's port `tcp…` or set its `appProtocol`, or Istio guesses"),
    Feature.PORT_TLS: impossible(_TLS, _AS_TCP),
    Feature.MTLS_STRICT: exact(),
    Feature.MTLS_PERMISSIVE: exact(),
    Feature.MTLS_OFF: exact(),
    Feature.TRUST_FEDERATION: impossible(
        "Istio takes an alias of its trust domain for the domain itself, so that identities of both could not be told apart",
        "leave `also` out, and let callers of other domains in through a gateway",
    ),
    Feature.DEFAULT_ALLOW: exact(
        "ports that no Service declares are open too, unless another port of the service is closed"
    ),
    Feature.DEFAULT_DENY: exact("closes the ports that no Service declares as well"),
    Feature.RULE_ALLOW: exact(),
    Feature.RULE_DENY: exact(),
    Feature.RULE_SHADOW: exact("as a dry run: in the shadow statistics and the access log's metadata"),
    Feature.RULE_ON_TCP: exact(),
    Feature.SOURCE_ANYONE: exact(),
    Feature.SOURCE_AUTHENTICATED: exact(),
    Feature.SOURCE_IDENTITY: exact(),
    Feature.SOURCE_IDENTITY_PREFIX: exact(),
    Feature.SOURCE_EXCEPT: exact(),
    Feature.SOURCE_ADDRESS: exact("the address of the direct peer"),
    Feature.REMOTE_ADDRESS: exact("by `numTrustedProxies` of `mesh.yaml`"),
    Feature.CONDITION_OR: exact("up to 64 alternatives a rule"),
    Feature.CONDITION_NOT: exact(),
    Feature.METHOD: exact(),
    Feature.METHOD_UNREGISTERED: stricter("over HTTP/1, Envoy refuses a method that nobody registered with 400"),
    Feature.PATH_EXACT: exact(),
    Feature.PATH_PREFIX: exact(),
    Feature.PATH_TEMPLATE: stricter(
        "a segment with other characters than RFC 3986 has in paths is refused", is_quiet=True
    ),
    Feature.PATH_REGEX: impossible(_NO_EXPRESSIONS, "use `{name}` and `/**`, or list the paths"),
    Feature.HOST_EQUALS: stricter(
        "a Host with another port than the service's or the workload's is refused", is_quiet=True
    ),
    Feature.HOST_STARTS_WITH: exact(),
    Feature.HOST_ENDS_WITH: stricter(
        "a Host with another port than the service's or the workload's is refused", is_quiet=True
    ),
    Feature.HOST_MATCHES: impossible(_NO_EXPRESSIONS, "list the hosts"),
    Feature.HOST_PRESENT: exact(),
    Feature.HEADER_EQUALS: stricter(_TWICE, is_quiet=True),
    Feature.HEADER_STARTS_WITH: stricter(_TWICE, is_quiet=True),
    Feature.HEADER_ENDS_WITH: stricter(_TWICE, is_quiet=True),
    Feature.HEADER_MATCHES: impossible(_NO_EXPRESSIONS, "list the values, or use `starts with`"),
    Feature.HEADER_PRESENT: exact(),
    Feature.QUERY_EQUALS: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_STARTS_WITH: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_ENDS_WITH: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_MATCHES: impossible(_NO_QUERY, "test a header or the path"),
    Feature.QUERY_PRESENT: impossible(_NO_QUERY, "test a header or the path"),
    Feature.CLAIM_EQUALS: approximate(_LIST, "write `has` where a list is meant"),
    Feature.CLAIM_STARTS_WITH: approximate(_LIST),
    Feature.CLAIM_ENDS_WITH: approximate(_LIST),
    Feature.CLAIM_MATCHES: impossible(_NO_EXPRESSIONS, "list the values"),
    Feature.CLAIM_PRESENT: stricter("an empty text counts as absent"),
    Feature.CLAIM_HAS: stricter(
        "only `scope` and `permission` are split at blanks; in other claims the value is one of a list"
    ),
    Feature.CLAIM_NESTED: exact(),
    Feature.SNI_EQUALS: impossible(_TLS, _AS_TCP),
    Feature.SNI_STARTS_WITH: impossible(_TLS, _AS_TCP),
    Feature.SNI_ENDS_WITH: impossible(_TLS, _AS_TCP),
    Feature.SNI_MATCHES: impossible(_TLS, _AS_TCP),
    Feature.SNI_PRESENT: impossible(_TLS, _AS_TCP),
    Feature.JWT: approximate("a token without `exp` is taken as valid", "have the issuer set `exp`"),
    Feature.JWT_SEVERAL: exact(),
    Feature.JWT_AUDIENCES: exact(),
    Feature.JWT_JWKS_FILE: impossible(
        "istiod reads no files of the workload's", "write `jwks url`, or the keys themselves after `jwks inline`"
    ),
    Feature.JWT_JWKS_URL: exact("istiod fetches it"),
    Feature.JWT_JWKS_INLINE: exact(),
    Feature.JWT_FROM_HEADER: exact(),
    Feature.JWT_FORWARD: exact(),
    Feature.JWT_REQUIRED: stricter(
        "a token without `sub`, or with an empty one, counts as none; a request without a token is 403 instead of 401"
    ),
    Feature.PROBE_HTTP: exact("the kubelet asks the sidecar's agent, as Istio rewrites the pod"),
    Feature.PROBE_GRPC: exact("the kubelet asks the sidecar's agent, as Istio rewrites the pod"),
    Feature.PROBE_TCP: exact("the kubelet asks the sidecar's agent, as Istio rewrites the pod"),
    Feature.RATE_LIMIT: approximate("an EnvoyFilter, which Istio does not promise to keep working"),
    Feature.RATE_LIMIT_PER_SOURCE: impossible(
        "a local rate limit of Istio counts all requests of a port", "limit the port as a whole", may_omit=True
    ),
    Feature.RATE_LIMIT_PER_HEADER: impossible(
        "a local rate limit of Istio counts all requests of a port", "limit the port as a whole", may_omit=True
    ),
    Feature.RATE_LIMIT_CONDITION: impossible(
        "a local rate limit of Istio counts all requests of a port", "limit the port as a whole", may_omit=True
    ),
    Feature.ACCESS_LOG_JSON: exact("by a provider of `mesh.yaml`"),
    Feature.ACCESS_LOG_TEXT: exact("by a provider of `mesh.yaml`"),
    Feature.ACCESS_LOG_CONDITION: impossible(
        "Istio filters logs by what it knows of the answer, not of the caller", "log every request", may_omit=True
    ),
    Feature.TRACE: exact("by a provider of `mesh.yaml`; the collector has to be a service that the mesh knows"),
    Feature.METRICS: exact("by the provider `prometheus` of `mesh.yaml`"),
}

SUPPORT: Final[Mapping[Feature, Support]] = {**_ACCESS, **TRAFFIC}
"""One row for each feature; a test holds that none is missing."""
