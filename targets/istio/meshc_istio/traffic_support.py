"""What Istio expresses of traffic, feature by feature."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible
from meshc.target import Support

_CALLER: Final = "enforced by the callers' proxies, so it does not bind a workload that goes around its own"
_ENDPOINTS: Final = "on Kubernetes, Istio takes endpoints from Services alone"
_SERVICE: Final = "give the service a Service in the cluster, and leave this out"

_EGRESS: Final[Mapping[Feature, Support]] = {
    Feature.EGRESS_HTTP: exact(),
    Feature.EGRESS_HTTPS: exact("the application calls `http://host:port`, and its proxy starts TLS"),
    Feature.EGRESS_TCP: exact(),
    Feature.EGRESS_TLS: exact(),
    Feature.EGRESS_WILDCARD_HTTP: impossible("Istio's routes are for hosts by name", "name the hosts"),
    Feature.EGRESS_WILDCARD_TLS: exact(),
    Feature.EGRESS_WILDCARD_TCP: impossible("Istio has no wildcard hosts on tcp ports", "name the hosts"),
    Feature.EGRESS_ACCESS: exact(_CALLER),
    Feature.EGRESS_ADDRESS: impossible(
        "a caller's proxy sees nobody but its own application", "name the callers instead"
    ),
    Feature.EGRESS_CLAIM: impossible("callers' proxies verify no tokens", "decide by caller and request"),
    Feature.EGRESS_CHANGED: impossible(
        "Istio decides on the request that the application sent, before routes change it",
        "write what the application sends",
    ),
    Feature.TLS_CA_FILE: exact("the file has to be mounted into the proxies"),
    Feature.TLS_SNI: exact(),
    Feature.DISCOVER_KUBERNETES: exact(),
    Feature.DISCOVER_DNS: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    Feature.DISCOVER_STATIC: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    Feature.DISCOVER_EDS: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    Feature.ENDPOINT_ZONE: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    Feature.ENDPOINT_VERSION: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    Feature.ENDPOINT_WEIGHT: impossible(_ENDPOINTS, _SERVICE, may_omit=True),
}

_ROUTES: Final[Mapping[Feature, Support]] = {
    Feature.ROUTE_EXACT: exact(),
    Feature.ROUTE_PREFIX: exact(),
    Feature.ROUTE_TEMPLATE: exact(),
    Feature.ROUTE_REGEX: exact("up to 1024 bytes"),
    Feature.ROUTE_METHOD: exact(),
    Feature.ROUTE_HEADER: exact("a header in several lines is compared as one value by releases before Envoy 1.40"),
    Feature.ROUTE_QUERY: exact(),
    Feature.ROUTE_HOST: exact(),
    Feature.ROUTE_OR: exact("up to 64 alternatives a route"),
    Feature.ROUTE_NOT: exact("of headers alone"),
    Feature.ROUTE_OTHER_CONDITION: impossible("Istio's routes test paths, methods, headers, queries and hosts"),
    Feature.ROUTE_SOURCES: approximate("by the labels and namespaces of the callers' pods, not by their identities"),
    Feature.SPLIT: exact(),
    Feature.VERSION: exact(),
    Feature.OTHER_DESTINATION: exact(),
    Feature.REDIRECT: exact(),
    Feature.RESPOND: exact(),
    Feature.REWRITE_PATH: exact(),
    Feature.REWRITE_HOST: exact(),
    Feature.REQUEST_HEADER_CHANGE: exact(),
    Feature.RESPONSE_HEADER_CHANGE: exact(),
    Feature.MIRROR: exact(),
    Feature.MIRROR_EXTERNAL: exact(),
}

_SETTINGS: Final[Mapping[Feature, Support]] = {
    Feature.TIMEOUT: exact(),
    Feature.IDLE_TIMEOUT: approximate("on http ports, of connections instead of requests"),
    Feature.CONNECT_TIMEOUT: exact(),
    Feature.RETRY: exact(),
    Feature.RETRY_5XX: exact(),
    Feature.RETRY_GATEWAY_ERROR: exact(),
    Feature.RETRY_CONNECT_FAILURE: exact(),
    Feature.RETRY_RESET: exact(),
    Feature.RETRY_REFUSED_STREAM: exact(),
    Feature.RETRY_RETRIABLE_4XX: exact(),
    Feature.RETRY_GRPC: exact(),
    Feature.RETRY_STATUS: exact(),
    Feature.RETRY_PER_TRY: exact(),
    Feature.RETRY_BACKOFF: approximate("Istio has the shortest wait alone; the longest is ten times that"),
    Feature.RETRY_BUDGET: impossible(
        "Istio 1.27 has no budgets in routes", "bound retries with `circuit-breaker { retries … }`", may_omit=True
    ),
    Feature.BALANCE_ROUND_ROBIN: exact(),
    Feature.BALANCE_LEAST_REQUEST: exact(),
    Feature.BALANCE_RANDOM: exact(),
    Feature.BALANCE_RING_HASH: exact(),
    Feature.BALANCE_MAGLEV: exact(),
    Feature.HASH_HEADER: exact(),
    Feature.HASH_COOKIE: exact(),
    Feature.HASH_SOURCE_IP: exact(),
    Feature.BREAKER_CONNECTIONS: exact("for each calling proxy"),
    Feature.BREAKER_PENDING: exact("for each calling proxy"),
    Feature.BREAKER_REQUESTS: exact("for each calling proxy"),
    Feature.BREAKER_RETRIES: exact("for each calling proxy"),
    Feature.OUTLIER_5XX: exact(),
    Feature.OUTLIER_GATEWAY_ERRORS: exact(),
    Feature.HEALTH_CHECK: impossible(
        "Istio's proxies do not check the health of endpoints", "give the pods a readiness probe", may_omit=True
    ),
    Feature.LOCALITY_PREFER: approximate("only together with `outlier-detection`"),
    Feature.LOCALITY_FAILOVER: approximate("only together with `outlier-detection`, and from region to region"),
    Feature.FAULT_DELAY: exact("retries and timeouts of its route do not see it"),
    Feature.FAULT_ABORT: exact("retries and timeouts of its route do not see it"),
    Feature.FAULT_CONDITION: impossible(
        "Istio's faults strike all requests of a route", "write a route for the requests that are meant", may_omit=True
    ),
    Feature.FAULT_OTHER_CONDITION: impossible("Istio's faults strike all requests of a route", may_omit=True),
}

TRAFFIC: Final[Mapping[Feature, Support]] = {**_EGRESS, **_ROUTES, **_SETTINGS}
"""The rows of traffic."""
