"""What Envoy 1.40 expresses of traffic: routes, and what happens to requests on their way."""

from collections.abc import Mapping
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible, stricter
from meshc.target import Support

_OWN_ANSWER: Final = (
    "a caller that may reach nothing behind the port is answered 404, since its sidecar does not hold it"
)
_BEHIND: Final = (
    "of the server's sidecar; if the application behind it cannot be reached or breaks off, that answers 503"
)
_EACH_SIDECAR: Final = "each sidecar counts for itself, and each version is counted by itself"

_ROUTES: Final[Mapping[Feature, Support]] = {
    Feature.ROUTE_EXACT: exact(),
    Feature.ROUTE_PREFIX: exact(),
    Feature.ROUTE_TEMPLATE: exact(),
    Feature.ROUTE_REGEX: exact(),
    Feature.ROUTE_METHOD: exact(),
    Feature.ROUTE_HEADER: exact("lines of a header that Envoy joins, such as `cookie`, are one value"),
    Feature.ROUTE_QUERY: exact("a pattern that must not match cannot be tested"),
    Feature.ROUTE_HOST: exact(
        "among the hosts that lead to the port: the service's names, and those that its routes name by `==`, `in` or "
        '`ends with ".…"`'
    ),
    Feature.ROUTE_OR: exact("at most 64 alternatives"),
    Feature.ROUTE_NOT: exact(),
    Feature.ROUTE_OTHER_CONDITION: impossible(
        "the caller's sidecar sees no tokens, and nobody but its own application",
        "test methods, paths, hosts, headers or query parameters, or choose callers with `by`",
    ),
    Feature.ROUTE_SOURCES: exact("each caller's sidecar holds its own routes alone"),
    Feature.SPLIT: exact(),
    Feature.VERSION: exact(
        "by its endpoints; with `discover kubernetes`, the Service `<name>-<version>`; with `discover eds`, the resource "
        "`<namespace>/<name>:<port>@<version>`"
    ),
    Feature.OTHER_DESTINATION: exact(
        "of an external, a host that it names; a wildcard is reached by its own hosts alone"
    ),
    Feature.REDIRECT: stricter(_OWN_ANSWER, is_quiet=True),
    Feature.RESPOND: stricter(_OWN_ANSWER, is_quiet=True),
    Feature.REWRITE_PATH: exact(),
    Feature.REWRITE_HOST: exact("not to a host that a wildcard of an external covers, where the request is sent there"),
    Feature.REQUEST_HEADER_CHANGE: exact(
        "added to a header that Envoy joins, such as `cookie`, a value is part of the one"
    ),
    Feature.RESPONSE_HEADER_CHANGE: exact(),
    Feature.EGRESS_CHANGED: impossible(
        "rules of externals are asked before a route changes the request", "write the rule without what is changed"
    ),
    Feature.MIRROR: exact(),
    Feature.MIRROR_EXTERNAL: impossible("no rule is asked for the copy", "mirror to a service of the mesh"),
}

_RESILIENCE: Final[Mapping[Feature, Support]] = {
    Feature.TIMEOUT: exact(),
    Feature.IDLE_TIMEOUT: exact("a WebSocket on which nothing moves for so long is ended as well"),
    Feature.CONNECT_TIMEOUT: exact("5 s where the program does not say"),
    Feature.RETRY: exact("at an endpoint not yet tried, if there is one; bodies above 1 MiB are not sent again"),
    Feature.RETRY_5XX: exact("also when no answer came at all"),
    Feature.RETRY_GATEWAY_ERROR: exact("also when no answer came at all"),
    Feature.RETRY_CONNECT_FAILURE: exact(_BEHIND),
    Feature.RETRY_RESET: exact(_BEHIND),
    Feature.RETRY_REFUSED_STREAM: exact(),
    Feature.RETRY_RETRIABLE_4XX: exact(),
    Feature.RETRY_GRPC: exact("where the status comes before any message"),
    Feature.RETRY_STATUS: exact(),
    Feature.RETRY_PER_TRY: exact(),
    Feature.RETRY_BACKOFF: exact(
        "25ms..250ms where the program does not say; each is drawn at random below a growing bound"
    ),
    Feature.RETRY_BUDGET: exact(
        "at least 3 retries may always run at once; routes with different budgets use connections of their own"
    ),
    Feature.BALANCE_ROUND_ROBIN: exact(),
    Feature.BALANCE_LEAST_REQUEST: exact("the better of two picked at random"),
    Feature.BALANCE_RANDOM: exact(),
    Feature.BALANCE_RING_HASH: exact(),
    Feature.BALANCE_MAGLEV: exact(),
    Feature.HASH_HEADER: exact("a request without it goes anywhere"),
    Feature.HASH_COOKIE: exact("a request without it goes anywhere"),
    Feature.HASH_SOURCE_IP: approximate(
        "the source is the application as its own sidecar sees it, so all that connect from 127.0.0.1 choose the same "
        "endpoint, on every machine",
        "hash a header that tells callers apart",
    ),
    Feature.BREAKER_CONNECTIONS: exact(_EACH_SIDECAR),
    Feature.BREAKER_PENDING: exact(_EACH_SIDECAR),
    Feature.BREAKER_REQUESTS: exact(_EACH_SIDECAR),
    Feature.BREAKER_RETRIES: exact(f"{_EACH_SIDECAR}; not together with a retry budget"),
    Feature.OUTLIER_5XX: exact(f"{_EACH_SIDECAR}; one endpoint may be ejected whatever `max-ejected` says"),
    Feature.OUTLIER_GATEWAY_ERRORS: exact(f"{_EACH_SIDECAR}; one endpoint may be ejected whatever `max-ejected` says"),
    Feature.HEALTH_CHECK: exact("asked with the caller's identity, so the server's rules must let it through"),
    Feature.LOCALITY_PREFER: exact(
        "the caller's zone is that of its own endpoints: one file for each zone; a caller without a zone prefers none; "
        "services that are looked up by name, and externals, have no zones"
    ),
    Feature.LOCALITY_FAILOVER: exact(
        "needs `outlier-detection` or a `health-check` to know; traffic moves over in parts, from the point where 71 % of "
        "the nearer endpoints are left"
    ),
    Feature.FAULT_DELAY: exact("before the request is tried, so no timeout counts it"),
    Feature.FAULT_ABORT: exact(),
    Feature.FAULT_CONDITION: exact("at most 5 different conditions for one route"),
    Feature.FAULT_OTHER_CONDITION: impossible(
        "the caller's sidecar sees no tokens, and nobody but its own application",
        "test hosts, headers or query parameters",
    ),
}

TRAFFIC: Final[Mapping[Feature, Support]] = {**_ROUTES, **_RESILIENCE}
"""The rows of traffic."""
