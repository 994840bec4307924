"""What Linkerd expresses of traffic and telemetry, feature by feature."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible
from meshc.target import Support

_ENDPOINTS: Final = "Linkerd takes endpoints from Services alone"
_SERVICE: Final = "give the service a Service in the cluster"
_EGRESS: Final = "Linkerd tells neither callers nor requests apart on their way out; left out, calls to it are refused"
_APPLICATION: Final = "let the application's own network policy decide"
_BALANCE: Final = "Linkerd always takes the faster of two endpoints"
_FAILURES: Final = "Linkerd retries answers, not connections that failed"
_PATHS: Final = "a path that is not written as the language normalizes it, or has `;`, takes the last route"
_CAPS: Final = "Linkerd's proxies cap neither connections nor requests"

_OMITTED: Final[Mapping[Feature, Support]] = {
    **dict.fromkeys(
        (
            Feature.EGRESS_HTTP,
            Feature.EGRESS_HTTPS,
            Feature.EGRESS_TCP,
            Feature.EGRESS_TLS,
            Feature.EGRESS_WILDCARD_HTTP,
            Feature.EGRESS_WILDCARD_TLS,
            Feature.EGRESS_WILDCARD_TCP,
            Feature.EGRESS_ACCESS,
            Feature.EGRESS_ADDRESS,
            Feature.EGRESS_CLAIM,
            Feature.EGRESS_CHANGED,
        ),
        impossible(_EGRESS, _APPLICATION, may_omit=True),
    ),
    Feature.TLS_CA_FILE: impossible(
        "Linkerd's proxies start no TLS to others", "start it in the application", may_omit=True
    ),
    Feature.TLS_SNI: impossible(
        "Linkerd's proxies start no TLS to others", "start it in the application", may_omit=True
    ),
    **dict.fromkeys(
        (
            Feature.DISCOVER_DNS,
            Feature.DISCOVER_STATIC,
            Feature.DISCOVER_EDS,
            Feature.ENDPOINT_ZONE,
            Feature.ENDPOINT_VERSION,
            Feature.ENDPOINT_WEIGHT,
        ),
        impossible(_ENDPOINTS, _SERVICE, may_omit=True),
    ),
    Feature.RETRY_CONNECT_FAILURE: impossible(_FAILURES, "retry on `5xx`", may_omit=True),
    Feature.RETRY_RESET: impossible(_FAILURES, "retry on `5xx`", may_omit=True),
    Feature.RETRY_REFUSED_STREAM: impossible(_FAILURES, "retry on `5xx`", may_omit=True),
    Feature.RETRY_BACKOFF: impossible("Linkerd waits 25 to 250 ms", may_omit=True),
    Feature.RETRY_BUDGET: impossible("only ServiceProfiles have budgets, and they switch routes off", may_omit=True),
    **dict.fromkeys(
        (
            Feature.BALANCE_ROUND_ROBIN,
            Feature.BALANCE_RANDOM,
            Feature.BALANCE_RING_HASH,
            Feature.BALANCE_MAGLEV,
            Feature.HASH_HEADER,
            Feature.HASH_COOKIE,
            Feature.HASH_SOURCE_IP,
        ),
        impossible(_BALANCE, may_omit=True),
    ),
    Feature.CONNECT_TIMEOUT: impossible("Linkerd has one for all", "set it where Linkerd is installed", may_omit=True),
    **dict.fromkeys(
        (Feature.BREAKER_CONNECTIONS, Feature.BREAKER_PENDING, Feature.BREAKER_REQUESTS, Feature.BREAKER_RETRIES),
        impossible(_CAPS, "limit the rate at the server", may_omit=True),
    ),
    Feature.OUTLIER_GATEWAY_ERRORS: impossible(
        "Linkerd counts all 5xx alike", "write `consecutive-5xx`", may_omit=True
    ),
    Feature.HEALTH_CHECK: impossible("Linkerd checks no endpoints", "give the pods a readiness probe", may_omit=True),
    Feature.LOCALITY_PREFER: impossible("a Service's `trafficDistribution` says it", may_omit=True),
    Feature.LOCALITY_FAILOVER: impossible("Linkerd has no order of regions", may_omit=True),
    Feature.FAULT_DELAY: impossible("Linkerd injects no faults", may_omit=True),
    Feature.FAULT_ABORT: impossible("Linkerd injects no faults", may_omit=True),
    Feature.FAULT_CONDITION: impossible("Linkerd injects no faults", may_omit=True),
    Feature.FAULT_OTHER_CONDITION: impossible("Linkerd injects no faults", may_omit=True),
    Feature.MIRROR: impossible("Linkerd copies no requests", may_omit=True),
    Feature.MIRROR_EXTERNAL: impossible("Linkerd copies no requests", may_omit=True),
    Feature.ACCESS_LOG_CONDITION: impossible("Linkerd logs all requests or none", "log every request", may_omit=True),
    Feature.TRACE: impossible("tracing is set up where Linkerd is installed", may_omit=True),
}

_ROUTES: Final[Mapping[Feature, Support]] = {
    Feature.ROUTE_EXACT: exact(),
    Feature.ROUTE_PREFIX: approximate(_PATHS),
    Feature.ROUTE_TEMPLATE: approximate(_PATHS),
    Feature.ROUTE_REGEX: approximate(
        "a path that is not written as the language normalizes it, or has `;` or escapes, takes the last route"
    ),
    Feature.ROUTE_METHOD: exact(),
    Feature.ROUTE_HEADER: exact("expressions see ASCII alone"),
    Feature.ROUTE_QUERY: approximate("queries are decoded, and every occurrence counts"),
    Feature.ROUTE_HOST: impossible("routes of a Service are for all of its names", "test a header"),
    Feature.ROUTE_OR: exact(),
    Feature.ROUTE_NOT: exact(),
    Feature.ROUTE_OTHER_CONDITION: impossible("Linkerd's routes test paths, methods, headers and queries"),
    Feature.ROUTE_SOURCES: impossible(
        "routes of a Service are for all of its callers", "have the callers send a header"
    ),
    Feature.SPLIT: exact("over what is available: an empty version loses its share"),
    Feature.VERSION: exact("as a Service of its own, `<service>-<version>`"),
    Feature.OTHER_DESTINATION: exact(),
    Feature.REDIRECT: exact(),
    Feature.RESPOND: impossible(
        "Linkerd's proxies answer nothing themselves but redirects", "answer in the application"
    ),
    Feature.REWRITE_PATH: impossible("Linkerd rewrites no paths", "have the application know both paths"),
    Feature.REWRITE_HOST: impossible("Linkerd rewrites no hosts", "have the application know both hosts"),
    Feature.REQUEST_HEADER_CHANGE: exact(),
    Feature.RESPONSE_HEADER_CHANGE: exact(),
}

_SETTINGS: Final[Mapping[Feature, Support]] = {
    Feature.DISCOVER_KUBERNETES: exact(),
    Feature.TIMEOUT: exact(),
    Feature.IDLE_TIMEOUT: exact("of ports with requests"),
    Feature.RETRY: exact("bodies up to 64 KiB"),
    Feature.RETRY_5XX: exact(),
    Feature.RETRY_GATEWAY_ERROR: exact(),
    Feature.RETRY_RETRIABLE_4XX: exact(),
    Feature.RETRY_GRPC: approximate(
        "by a route of gRPC, for all calls of a port alike; what is no call, POST to `/service/method`, is answered 404"
    ),
    Feature.RETRY_STATUS: exact(),
    Feature.RETRY_PER_TRY: approximate("until the headers of an answer, and not for the last try"),
    Feature.BALANCE_LEAST_REQUEST: approximate(_BALANCE),
    Feature.OUTLIER_5XX: approximate(
        "by annotations of the Service, in the component `service-annotations`, which your kustomization lists; for all ports of the service, one failing endpoint at a time, without a share"
    ),
    Feature.ACCESS_LOG_JSON: impossible("access logs are switched on by an annotation of the pod", may_omit=True),
    Feature.ACCESS_LOG_TEXT: impossible("access logs are switched on by an annotation of the pod", may_omit=True),
    Feature.METRICS: exact("always, on port 4191"),
}

TRAFFIC: Final[Mapping[Feature, Support]] = {**_OMITTED, **_ROUTES, **_SETTINGS}
"""The rows of traffic and telemetry."""
