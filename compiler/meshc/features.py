"""The features of the language: everything that a target can fail at.

`Feature` is the key of every target's support table, of the docs' matrix and of the choice of golden cases. It is total
over the intermediate form: `meshc.passes.used_features` names one for every node that means anything, so that a target
which does not know one can never drop it in silence.
"""

from enum import Enum

REGISTERED_METHODS = frozenset(
    [
        "ACL",
        "BIND",
        "CHECKOUT",
        "CONNECT",
        "COPY",
        "DELETE",
        "GET",
        "HEAD",
        "LINK",
        "LOCK",
        "M-SEARCH",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MOVE",
        "NOTIFY",
        "OPTIONS",
        "PATCH",
        "POST",
        "PROPFIND",
        "PROPPATCH",
        "PURGE",
        "PUT",
        "REBIND",
        "REPORT",
        "SEARCH",
        "SOURCE",
        "SUBSCRIBE",
        "TRACE",
        "UNBIND",
        "UNLINK",
        "UNLOCK",
        "UNSUBSCRIBE",
    ]
)
"""The methods that HTTP/1 parsers commonly know; many refuse every other with 400. Source: IANA, and Envoy's HTTP/1 codec."""


class Feature(Enum):
    """One thing that a program can ask of a target; the value is its name for users."""

    PORT_HTTP = "port http"
    PORT_HTTP2 = "port http2"
    PORT_GRPC = "port grpc"
    PORT_TCP = "port tcp"
    PORT_TLS = "port tls"

    MTLS_STRICT = "mtls strict"
    MTLS_PERMISSIVE = "mtls permissive"
    MTLS_OFF = "mtls off"
    TRUST_FEDERATION = "federated trust domains"

    DEFAULT_ALLOW = "default access allow"
    DEFAULT_DENY = "default access deny"
    RULE_ALLOW = "allow"
    RULE_DENY = "deny"
    RULE_SHADOW = "shadow rule"
    RULE_ON_TCP = "rule on a tcp or tls port"

    SOURCE_ANYONE = "source anyone"
    SOURCE_AUTHENTICATED = "source authenticated"
    SOURCE_IDENTITY = "source identity"
    SOURCE_IDENTITY_PREFIX = "source identity by prefix"
    SOURCE_EXCEPT = "sources except"
    SOURCE_ADDRESS = "source ip"
    REMOTE_ADDRESS = "remote ip"

    CONDITION_OR = "condition or"
    CONDITION_NOT = "condition not"
    METHOD = "method"
    METHOD_UNREGISTERED = "method that nobody registered"
    PATH_EXACT = "exact path"
    PATH_PREFIX = "path prefix"
    PATH_TEMPLATE = "path template"
    PATH_REGEX = "path regex"
    HOST_EQUALS = "host =="
    HOST_STARTS_WITH = "host starts with"
    HOST_ENDS_WITH = "host ends with"
    HOST_MATCHES = "host matches"
    HOST_PRESENT = "host is present"
    HEADER_EQUALS = "header =="
    HEADER_STARTS_WITH = "header starts with"
    HEADER_ENDS_WITH = "header ends with"
    HEADER_MATCHES = "header matches"
    HEADER_PRESENT = "header is present"
    QUERY_EQUALS = "query =="
    QUERY_STARTS_WITH = "query starts with"
    QUERY_ENDS_WITH = "query ends with"
    QUERY_MATCHES = "query matches"
    QUERY_PRESENT = "query is present"
    CLAIM_EQUALS = "claim =="
    CLAIM_STARTS_WITH = "claim starts with"
    CLAIM_ENDS_WITH = "claim ends with"
    CLAIM_MATCHES = "claim matches"
    CLAIM_PRESENT = "claim is present"
    CLAIM_HAS = "claim has"
    CLAIM_NESTED = "nested claim"
    SNI_EQUALS = "sni =="
    SNI_STARTS_WITH = "sni starts with"
    SNI_ENDS_WITH = "sni ends with"
    SNI_MATCHES = "sni matches"
    SNI_PRESENT = "sni is present"

    JWT = "jwt"
    JWT_SEVERAL = "several jwt issuers"
    JWT_AUDIENCES = "jwt audiences"
    JWT_JWKS_FILE = "jwks file"
    JWT_JWKS_URL = "jwks url"
    JWT_JWKS_INLINE = "jwks inline"
    JWT_FROM_HEADER = "jwt from-header"
    JWT_FORWARD = "jwt forward"
    JWT_REQUIRED = "jwt required"

    EGRESS_HTTP = "external http"
    EGRESS_HTTPS = "external https"
    EGRESS_TCP = "external tcp"
    EGRESS_TLS = "external tls"
    EGRESS_WILDCARD_HTTP = "wildcard host of an external http or https port"
    EGRESS_WILDCARD_TLS = "wildcard host of an external tls port"
    EGRESS_WILDCARD_TCP = "wildcard host of an external tcp port"
    EGRESS_ACCESS = "access rules of an external"
    EGRESS_ADDRESS = "address test in a rule of an external"
    EGRESS_CLAIM = "claim test in a rule of an external"
    EGRESS_CHANGED = "rule of an external about what a route changes"
    TLS_CA_FILE = "tls ca file"
    TLS_SNI = "tls sni"

    PROBE_HTTP = "probe"
    PROBE_GRPC = "grpc probe"
    PROBE_TCP = "tcp probe"

    DISCOVER_KUBERNETES = "discover kubernetes"
    DISCOVER_DNS = "discover dns"
    DISCOVER_STATIC = "discover static"
    DISCOVER_EDS = "discover eds"
    ENDPOINT_ZONE = "endpoint zone"
    ENDPOINT_VERSION = "endpoint version"
    ENDPOINT_WEIGHT = "endpoint weight"

    ROUTE_EXACT = "route by exact path"
    ROUTE_PREFIX = "route by path prefix"
    ROUTE_TEMPLATE = "route by path template"
    ROUTE_REGEX = "route by path regex"
    ROUTE_METHOD = "route by method"
    ROUTE_HEADER = "route by header"
    ROUTE_QUERY = "route by query"
    ROUTE_HOST = "route by host"
    ROUTE_OR = "route by one of several tests"
    ROUTE_NOT = "route by a test that fails"
    ROUTE_OTHER_CONDITION = "route by another condition"
    ROUTE_SOURCES = "route by sources"
    SPLIT = "split"
    VERSION = "destination version"
    OTHER_DESTINATION = "destination other than the service called"
    REDIRECT = "redirect"
    RESPOND = "respond"
    REWRITE_PATH = "rewrite path"
    REWRITE_HOST = "rewrite host"
    REQUEST_HEADER_CHANGE = "request header change"
    RESPONSE_HEADER_CHANGE = "response header change"
    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle-timeout"
    CONNECT_TIMEOUT = "connect-timeout"
    RETRY = "retry"
    RETRY_5XX = "retry on 5xx"
    RETRY_GATEWAY_ERROR = "retry on gateway-error"
    RETRY_CONNECT_FAILURE = "retry on connect-failure"
    RETRY_RESET = "retry on reset"
    RETRY_REFUSED_STREAM = "retry on refused-stream"
    RETRY_RETRIABLE_4XX = "retry on retriable-4xx"
    RETRY_GRPC = "retry on grpc statuses"
    RETRY_STATUS = "retry on status codes"
    RETRY_PER_TRY = "retry per-try"
    RETRY_BACKOFF = "retry backoff"
    RETRY_BUDGET = "retry budget"
    BALANCE_ROUND_ROBIN = "load-balance round-robin"
    BALANCE_LEAST_REQUEST = "load-balance least-request"
    BALANCE_RANDOM = "load-balance random"
    BALANCE_RING_HASH = "load-balance ring-hash"
    BALANCE_MAGLEV = "load-balance maglev"
    HASH_HEADER = "load-balance by header"
    HASH_COOKIE = "load-balance by cookie"
    HASH_SOURCE_IP = "load-balance by source ip"
    BREAKER_CONNECTIONS = "circuit-breaker connections"
    BREAKER_PENDING = "circuit-breaker pending"
    BREAKER_REQUESTS = "circuit-breaker requests"
    BREAKER_RETRIES = "circuit-breaker retries"
    OUTLIER_5XX = "outlier-detection consecutive-5xx"
    OUTLIER_GATEWAY_ERRORS = "outlier-detection consecutive-gateway-errors"
    HEALTH_CHECK = "health-check"
    LOCALITY_PREFER = "locality prefer"
    LOCALITY_FAILOVER = "locality failover"
    FAULT_DELAY = "fault delay"
    FAULT_ABORT = "fault abort"
    FAULT_CONDITION = "fault when"
    FAULT_OTHER_CONDITION = "fault by another condition"
    MIRROR = "mirror"
    MIRROR_EXTERNAL = "mirror to an external"

    RATE_LIMIT = "rate-limit"
    RATE_LIMIT_PER_SOURCE = "rate-limit per source"
    RATE_LIMIT_PER_HEADER = "rate-limit per header"
    RATE_LIMIT_CONDITION = "rate-limit to or when"
    ACCESS_LOG_JSON = "access-log json"
    ACCESS_LOG_TEXT = "access-log text"
    ACCESS_LOG_CONDITION = "access-log when"
    TRACE = "trace"
    METRICS = "metrics"
