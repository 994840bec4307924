"""What Istio 1.27 expresses of traffic and of externals, feature by feature, as this package emits it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from meshc.features import Feature
from meshc.support_rows import approximate, exact, impossible
from meshc.target import Support

_EGRESS: Final = "enforced by the callers' sidecars, so it does not bind a compromised workload"
_BY_LABELS: Final = "callers are known by the namespace and the labels of their pods, and not by their identity"
_OPEN_WILDCARD: Final = (
    "a connection goes to the address that the application looked up, whatever name it says that it means"
)
_KUBERNETES: Final = "Istio finds the pods of a service by the selector of its Kubernetes Service"
_ON_KUBERNETES: Final = "leave it out, so that Kubernetes finds them, perhaps in an environment of its own"
_EACH_SIDECAR: Final = "each sidecar counts for itself, and each version is counted by itself"
_EJECTION: Final = (
    "an ejection lasts longer each time that an endpoint is ejected again, and where `max-ejected` of the endpoints is "
    "less than one, none is"
)
_BEHIND: Final = (
    "of the server's sidecar; if the application behind it cannot be reached or breaks off, that answers 503"
)

_EXTERNALS: Final[Mapping[Feature, Support]] = {
    Feature.EGRESS_HTTP: exact("the host is looked up by the caller's sidecar"),
    Feature.EGRESS_HTTPS: exact(
        "called as plain HTTP: at port 80 instead of 443, unless the external has another port 80, else at its own port"
    ),
    Feature.EGRESS_TCP: approximate(
        "every connection to the port that Istio knows no other service for goes to the host, unless Istio's DNS proxying "
        "gives the host an address",
        "make the port `tls` if it speaks TLS",
    ),
    Feature.EGRESS_TLS: exact("told apart by the server name of the TLS hello"),
    Feature.EGRESS_WILDCARD_HTTP: approximate(_OPEN_WILDCARD, "name each host"),
    Feature.EGRESS_WILDCARD_TLS: approximate(_OPEN_WILDCARD, "name each host"),
    Feature.EGRESS_WILDCARD_TCP: impossible(
        "a tcp connection does not say which host it is meant for", "name each host, or make the port `tls`"
    ),
    Feature.EGRESS_ACCESS: approximate(
        f"{_EGRESS}; {_BY_LABELS}; it relies on `outboundTrafficPolicy: REGISTRY_ONLY` in the mesh's configuration"
    ),
    Feature.EGRESS_ADDRESS: impossible(
        "the caller's sidecar sees nobody but its own application", "name the callers instead"
    ),
    Feature.EGRESS_CLAIM: impossible(
        "the caller's sidecar verifies no tokens for externals", "name the callers instead"
    ),
    Feature.EGRESS_CHANGED: impossible(
        "rules of externals are asked before a route changes the request", "write the rule without what is changed"
    ),
    Feature.TLS_CA_FILE: exact("read by the callers' sidecars, into which the file must be mounted"),
    Feature.TLS_SNI: exact("the server's certificate is verified for this name"),
}

_ENDPOINTS: Final[Mapping[Feature, Support]] = {
    Feature.DISCOVER_KUBERNETES: exact("by the Kubernetes Service of the same name"),
    Feature.DISCOVER_DNS: impossible(_KUBERNETES, "declare what the name leads to as an `external`"),
    Feature.DISCOVER_STATIC: impossible(_KUBERNETES, _ON_KUBERNETES),
    Feature.DISCOVER_EDS: impossible(_KUBERNETES, _ON_KUBERNETES),
    Feature.ENDPOINT_ZONE: impossible(_KUBERNETES, "label the nodes with `topology.kubernetes.io/zone`"),
    Feature.ENDPOINT_VERSION: impossible(_KUBERNETES, "label the pods as the version says"),
    Feature.ENDPOINT_WEIGHT: impossible(_KUBERNETES, "split by versions"),
}

_ROUTES: Final[Mapping[Feature, Support]] = {
    Feature.ROUTE_EXACT: exact(),
    Feature.ROUTE_PREFIX: exact(),
    Feature.ROUTE_TEMPLATE: exact(),
    Feature.ROUTE_REGEX: exact("at most 1,024 bytes"),
    Feature.ROUTE_METHOD: exact(),
    Feature.ROUTE_HEADER: approximate(
        "releases before Envoy 1.40 compare a header that is sent in several lines as one value; one test of each header that "
        "must hold; blanks at the ends of a value, which only HTTP/2 can send and RFC 9113 forbids, count"
    ),
    Feature.ROUTE_QUERY: exact(
        "one test of each parameter that must hold; a pattern that must not match cannot be tested"
    ),
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
    Feature.ROUTE_SOURCES: approximate(_BY_LABELS),
    Feature.SPLIT: exact(),
    Feature.VERSION: exact("the pods that carry its labels"),
    Feature.OTHER_DESTINATION: exact("of an external, a host that it names"),
    Feature.REDIRECT: exact("with a literal prefix in front of what is kept of the path, and no captures"),
    Feature.RESPOND: exact("less than 1 MB"),
    Feature.REWRITE_PATH: exact(),
    Feature.REWRITE_HOST: exact(),
    Feature.REQUEST_HEADER_CHANGE: exact("one value is added to a header; values are not empty"),
    Feature.RESPONSE_HEADER_CHANGE: exact("one value is added to a header; values are not empty"),
    Feature.MIRROR: approximate(
        "before Istio 1.28, the Host of a copy ends in `-shadow`, which rules at its destination may refuse"
    ),
    Feature.MIRROR_EXTERNAL: impossible("no rule is asked for the copy", "mirror to a service of the mesh"),
}

_RETRIES: Final[Mapping[Feature, Support]] = {
    Feature.TIMEOUT: exact(),
    Feature.IDLE_TIMEOUT: exact("of connections on tcp and tls ports; Istio has none for requests"),
    Feature.CONNECT_TIMEOUT: exact("10 s where the program does not say"),
    Feature.RETRY: exact(
        "at an endpoint not yet tried, if there is one and none is chosen by hash; bodies above 1 MiB are not sent again"
    ),
    Feature.RETRY_5XX: exact("also when no answer came at all"),
    Feature.RETRY_GATEWAY_ERROR: exact("also when no answer came at all"),
    Feature.RETRY_CONNECT_FAILURE: exact(_BEHIND),
    Feature.RETRY_RESET: exact(_BEHIND),
    Feature.RETRY_REFUSED_STREAM: exact(),
    Feature.RETRY_RETRIABLE_4XX: exact(),
    Feature.RETRY_GRPC: exact("where the status comes before any message"),
    Feature.RETRY_STATUS: exact(),
    Feature.RETRY_PER_TRY: exact(),
    Feature.RETRY_BACKOFF: approximate("the longest wait is ten times the shortest, whatever the program says"),
    Feature.RETRY_BUDGET: approximate(
        "one budget for each destination, the smallest of its routes, which bounds all retries there; at least 3 may always "
        "run at once; a control plane that does not know `retryBudget` keeps none"
    ),
}

_CONNECTIONS: Final[Mapping[Feature, Support]] = {
    Feature.BALANCE_ROUND_ROBIN: exact(),
    Feature.BALANCE_LEAST_REQUEST: exact("the better of two picked at random"),
    Feature.BALANCE_RANDOM: exact(),
    Feature.BALANCE_RING_HASH: exact(),
    Feature.BALANCE_MAGLEV: exact(),
    Feature.HASH_HEADER: exact("a request without it goes anywhere"),
    Feature.HASH_COOKIE: exact("a request without it goes anywhere"),
    Feature.HASH_SOURCE_IP: exact("the address of the caller's pod, so all that one pod sends goes to one endpoint"),
    Feature.BREAKER_CONNECTIONS: exact(_EACH_SIDECAR),
    Feature.BREAKER_PENDING: exact(_EACH_SIDECAR),
    Feature.BREAKER_REQUESTS: exact(_EACH_SIDECAR),
    Feature.BREAKER_RETRIES: exact(f"{_EACH_SIDECAR}; not together with a retry budget"),
    Feature.OUTLIER_5XX: approximate(_EJECTION),
    Feature.OUTLIER_GATEWAY_ERRORS: approximate(_EJECTION),
    Feature.HEALTH_CHECK: impossible(
        "Istio's proxies ask no endpoints of their own accord",
        "give the pods a readiness probe, or use `outlier-detection`",
    ),
    Feature.LOCALITY_PREFER: exact(
        "by the labels of the nodes: region, zone and sub-zone; needs `outlier-detection`; traffic moves over in parts"
    ),
    Feature.LOCALITY_FAILOVER: approximate(
        "endpoints in the caller's own zone come first, whether or not `locality prefer` says so; needs `outlier-detection`"
    ),
}

_FAULTS: Final[Mapping[Feature, Support]] = {
    Feature.FAULT_DELAY: exact(
        "before the request is tried, so no timeout counts it; not into what the caller's sidecar answers by itself, of which a warning tells"
    ),
    Feature.FAULT_ABORT: exact("not into what the caller's sidecar answers by itself, of which a warning tells"),
    Feature.FAULT_CONDITION: approximate(
        "a request whose lines of one header hold values that different faults ask for is struck by one of them "
        "alone; at most 5 different conditions for one route"
    ),
    Feature.FAULT_OTHER_CONDITION: impossible(
        "the caller's sidecar sees no tokens, and nobody but its own application",
        "test hosts, headers or query parameters",
    ),
}

_SAFE_TO_OMIT: Final = frozenset(
    {
        Feature.DISCOVER_DNS,
        Feature.DISCOVER_STATIC,
        Feature.DISCOVER_EDS,
        Feature.ENDPOINT_VERSION,
        Feature.ENDPOINT_WEIGHT,
        Feature.ENDPOINT_ZONE,
        Feature.HEALTH_CHECK,
        Feature.MIRROR_EXTERNAL,
    }
)
"""What nothing that access decides depends on."""

_TABLE: Final = {**_EXTERNALS, **_ENDPOINTS, **_ROUTES, **_RETRIES, **_CONNECTIONS, **_FAULTS}

TRAFFIC: Final[Mapping[Feature, Support]] = {
    feature: replace(support, may_omit=True) if feature in _SAFE_TO_OMIT else support
    for feature, support in _TABLE.items()
}
"""The rows of traffic, of externals, and of where services are found."""
