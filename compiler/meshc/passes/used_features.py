"""Which features a mesh uses, and where: `ir.Mesh` -> pairs of `Feature` and `Span`.

Takes any mesh; what it promises is to be total: whatever a target could express wrongly or not at all appears in the
result, so that comparing it with a support table (`meshc.passes.support`) can never miss anything.
"""

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import Final, assert_never

from meshc import ir
from meshc.features import REGISTERED_METHODS, Feature
from meshc.source import Span

Use = tuple[Feature, Span]
"""A feature and a place that asks for it."""


def used_features(mesh: ir.Mesh) -> tuple[Use, ...]:
    """Every feature that the mesh uses, each with each of its places, in the order of the mesh; no pair twice."""
    return tuple(dict.fromkeys(_mesh(mesh)))


def _mesh(mesh: ir.Mesh) -> Iterator[Use]:
    if len(mesh.trust_domains) > 1:
        yield Feature.TRUST_FEDERATION, mesh.span
    for workload in mesh.workloads:
        yield from _workload(workload)
    for external in mesh.externals:
        yield from _external(external)


_DISCOVERY: Final = {
    ir.Discovery.KUBERNETES: Feature.DISCOVER_KUBERNETES,
    ir.Discovery.DNS: Feature.DISCOVER_DNS,
    ir.Discovery.STATIC: Feature.DISCOVER_STATIC,
    ir.Discovery.EDS: Feature.DISCOVER_EDS,
}
_PORTS: Final = {
    ir.Protocol.HTTP: Feature.PORT_HTTP,
    ir.Protocol.HTTP2: Feature.PORT_HTTP2,
    ir.Protocol.GRPC: Feature.PORT_GRPC,
    ir.Protocol.TCP: Feature.PORT_TCP,
    ir.Protocol.TLS: Feature.PORT_TLS,
    ir.Protocol.HTTPS: Feature.EGRESS_HTTPS,
}
_MTLS: Final = {
    ir.MtlsMode.STRICT: Feature.MTLS_STRICT,
    ir.MtlsMode.PERMISSIVE: Feature.MTLS_PERMISSIVE,
    ir.MtlsMode.OFF: Feature.MTLS_OFF,
}
_PROBES: Final = {"GRPC": Feature.PROBE_GRPC, "TCP": Feature.PROBE_TCP}


def _workload(workload: ir.Workload) -> Iterator[Use]:
    if workload.ports:
        yield _DISCOVERY[workload.discovery], workload.span
    for endpoint in workload.endpoints:
        if endpoint.zone is not None:
            yield Feature.ENDPOINT_ZONE, endpoint.span
        if endpoint.version is not None:
            yield Feature.ENDPOINT_VERSION, endpoint.span
        if endpoint.weight != 1:
            yield Feature.ENDPOINT_WEIGHT, endpoint.span
    for probe in workload.probes:
        yield _PROBES.get(probe.method, Feature.PROBE_HTTP), probe.span
    for port in workload.ports:
        yield _PORTS[port.protocol], port.span
        if port.protocol is not ir.Protocol.TLS:
            yield _MTLS[port.mtls], port.span
        yield from _access(port)
        yield from _authentication(port)
        yield from chain.from_iterable(map(_limit, port.limits))
        yield from _traffic(port, workload.namespace, workload.name)
    yield from _telemetry(workload.telemetry)


_EGRESS: Final = {
    ir.Protocol.HTTP: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.HTTP2: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.GRPC: (Feature.EGRESS_HTTP, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.HTTPS: (Feature.EGRESS_HTTPS, Feature.EGRESS_WILDCARD_HTTP),
    ir.Protocol.TLS: (Feature.EGRESS_TLS, Feature.EGRESS_WILDCARD_TLS),
    ir.Protocol.TCP: (Feature.EGRESS_TCP, Feature.EGRESS_WILDCARD_TCP),
}


def _external(external: ir.External) -> Iterator[Use]:
    for port in external.ports:
        plain, wildcard = _EGRESS[port.protocol]
        yield plain, port.span
        if any(host.startswith("*") for host in external.hosts):
            yield wildcard, port.span
        for stage in port.access:
            for rule in stage.rules:
                yield Feature.EGRESS_ACCESS, rule.span
                for feature in _condition(rule.condition):
                    if feature in _ADDRESSES:
                        yield Feature.EGRESS_ADDRESS, rule.span
                    elif feature in _CLAIMS:
                        yield Feature.EGRESS_CLAIM, rule.span
        yield from _access(port)
        yield from _authentication(port)
        yield from chain.from_iterable(map(_limit, port.limits))
        yield from _traffic(port, external.namespace, external.name)


# ---- access ---------------------------------------------------------------------------------------------------------


def _access(port: ir.PortPolicy) -> Iterator[Use]:
    for stage in port.access:
        if stage.shadow:
            yield Feature.RULE_SHADOW, stage.span
        elif not stage.rules and stage.effect is ir.Effect.ALLOW:
            yield Feature.DEFAULT_DENY, stage.span
        for rule in stage.rules:
            yield (Feature.RULE_DENY if stage.effect is ir.Effect.DENY else Feature.RULE_ALLOW), rule.span
            if not port.protocol.is_http:
                yield Feature.RULE_ON_TCP, rule.span
            for feature in chain(_principals(rule.principals), _condition(rule.condition)):
                yield feature, rule.span
    if not any(stage.effect is ir.Effect.ALLOW and not stage.shadow for stage in port.access):
        yield Feature.DEFAULT_ALLOW, port.span


def _principals(principals: ir.Principals) -> Iterator[Feature]:
    for principal in principals.include + principals.exclude:
        match principal:
            case ir.AnyPeer():
                yield Feature.SOURCE_ANYONE
            case ir.AnyIdentity():
                yield Feature.SOURCE_AUTHENTICATED
            case ir.ExactIdentity():
                yield Feature.SOURCE_IDENTITY
            case ir.IdentityPrefix():
                yield Feature.SOURCE_IDENTITY_PREFIX
            case _:
                assert_never(principal)
    if principals.exclude:
        yield Feature.SOURCE_EXCEPT


_ADDRESSES: Final = frozenset({Feature.SOURCE_ADDRESS, Feature.REMOTE_ADDRESS})
_CLAIMS: Final = frozenset(
    {
        Feature.CLAIM_EQUALS,
        Feature.CLAIM_STARTS_WITH,
        Feature.CLAIM_ENDS_WITH,
        Feature.CLAIM_MATCHES,
        Feature.CLAIM_PRESENT,
        Feature.CLAIM_HAS,
    }
)
# For each subject the features of `==`, `starts with`, `ends with`, `matches` and `is present`.
_HOST: Final = (
    Feature.HOST_EQUALS,
    Feature.HOST_STARTS_WITH,
    Feature.HOST_ENDS_WITH,
    Feature.HOST_MATCHES,
    Feature.HOST_PRESENT,
)
_HEADER: Final = (
    Feature.HEADER_EQUALS,
    Feature.HEADER_STARTS_WITH,
    Feature.HEADER_ENDS_WITH,
    Feature.HEADER_MATCHES,
    Feature.HEADER_PRESENT,
)
_QUERY: Final = (
    Feature.QUERY_EQUALS,
    Feature.QUERY_STARTS_WITH,
    Feature.QUERY_ENDS_WITH,
    Feature.QUERY_MATCHES,
    Feature.QUERY_PRESENT,
)
_CLAIM: Final = (
    Feature.CLAIM_EQUALS,
    Feature.CLAIM_STARTS_WITH,
    Feature.CLAIM_ENDS_WITH,
    Feature.CLAIM_MATCHES,
    Feature.CLAIM_PRESENT,
)
_SNI: Final = (
    Feature.SNI_EQUALS,
    Feature.SNI_STARTS_WITH,
    Feature.SNI_ENDS_WITH,
    Feature.SNI_MATCHES,
    Feature.SNI_PRESENT,
)


def _condition(condition: ir.Condition) -> Iterator[Feature]:
    match condition:
        case ir.AllOf(conditions):
            yield from chain.from_iterable(map(_condition, conditions))
        case ir.AnyOf(conditions):
            yield Feature.CONDITION_OR
            yield from chain.from_iterable(map(_condition, conditions))
        case ir.Not(inner):
            yield Feature.CONDITION_NOT
            yield from _condition(inner)
        case _:
            yield from _atom(condition)


def _atom(atom: ir.Atom) -> Iterator[Feature]:
    match atom:
        case ir.MethodIs(methods):
            yield Feature.METHOD if REGISTERED_METHODS.issuperset(methods) else Feature.METHOD_UNREGISTERED
        case ir.PathIs(pattern):
            yield _PATHS[_path_kind(pattern)]
        case ir.HostIs(test):
            yield _test(test, _HOST)
        case ir.HeaderIs(_, test):
            yield _test(test, _HEADER)
        case ir.QueryIs(_, test):
            yield _test(test, _QUERY)
        case ir.ClaimIs(path, claim_test):
            yield Feature.CLAIM_HAS if isinstance(claim_test, ir.Contains) else _test(claim_test, _CLAIM)
            if len(path) > 1:
                yield Feature.CLAIM_NESTED
        case ir.SniIs(test):
            yield _test(test, _SNI)
        case ir.AddressIn(address, _):
            yield Feature.SOURCE_ADDRESS if address is ir.AddressOf.PEER else Feature.REMOTE_ADDRESS
        case _:
            assert_never(atom)


def _test(test: ir.TextTest, features: tuple[Feature, ...]) -> Feature:
    match test:
        case ir.Equals():
            return features[0]
        case ir.StartsWith():
            return features[1]
        case ir.EndsWith():
            return features[2]
        case ir.Matches():
            return features[3]
        case ir.IsPresent():
            return features[4]
        case _:
            assert_never(test)


class _PathKind(Enum):
    EXACT = 0
    PREFIX = 1
    TEMPLATE = 2
    REGEX = 3


_PATHS: Final = {
    _PathKind.EXACT: Feature.PATH_EXACT,
    _PathKind.PREFIX: Feature.PATH_PREFIX,
    _PathKind.TEMPLATE: Feature.PATH_TEMPLATE,
    _PathKind.REGEX: Feature.PATH_REGEX,
}
_ROUTE_PATHS: Final = {
    _PathKind.EXACT: Feature.ROUTE_EXACT,
    _PathKind.PREFIX: Feature.ROUTE_PREFIX,
    _PathKind.TEMPLATE: Feature.ROUTE_TEMPLATE,
    _PathKind.REGEX: Feature.ROUTE_REGEX,
}


def _path_kind(pattern: ir.PathPattern) -> _PathKind:
    match pattern:
        case ir.ExactPath():
            return _PathKind.EXACT
        case ir.RegexPath():
            return _PathKind.REGEX
        case ir.TemplatePath(segments, _, rest):
            return _PathKind.PREFIX if rest and None not in segments else _PathKind.TEMPLATE
        case _:
            assert_never(pattern)


# ---- authentication, limits, telemetry ------------------------------------------------------------------------------

_JWKS: Final = {"file": Feature.JWT_JWKS_FILE, "url": Feature.JWT_JWKS_URL, "inline": Feature.JWT_JWKS_INLINE}
DEFAULT_TOKEN_HEADERS: Final = (("authorization", "Bearer "),)
"""Where tokens are read from unless a `jwt` block says otherwise: pairs of header and prefix."""


def _authentication(port: ir.PortPolicy) -> Iterator[Use]:
    if len(port.jwts) > 1:
        yield Feature.JWT_SEVERAL, port.jwts[1].span
    for jwt in port.jwts:
        yield Feature.JWT, jwt.span
        yield _JWKS[jwt.jwks_kind], jwt.span
        if jwt.audiences:
            yield Feature.JWT_AUDIENCES, jwt.span
        if tuple((name.lower(), prefix) for name, prefix in jwt.from_headers) != DEFAULT_TOKEN_HEADERS:
            yield Feature.JWT_FROM_HEADER, jwt.span
        if jwt.forward:
            yield Feature.JWT_FORWARD, jwt.span
        if jwt.required:
            yield Feature.JWT_REQUIRED, jwt.span


def _limit(limit: ir.RateLimit) -> Iterator[Use]:
    yield Feature.RATE_LIMIT, limit.span
    if limit.per == "source":
        yield Feature.RATE_LIMIT_PER_SOURCE, limit.span
    elif limit.per is not None:
        yield Feature.RATE_LIMIT_PER_HEADER, limit.span
    if limit.condition != ir.ALWAYS:
        yield Feature.RATE_LIMIT_CONDITION, limit.span
        for feature in _condition(limit.condition):
            yield feature, limit.span


def _telemetry(telemetry: ir.Telemetry) -> Iterator[Use]:
    for log in telemetry.access_logs:
        yield (Feature.ACCESS_LOG_JSON if log.format == "json" else Feature.ACCESS_LOG_TEXT), log.span
        if log.condition != ir.ALWAYS:
            yield Feature.ACCESS_LOG_CONDITION, log.span
            for feature in _condition(log.condition):
                yield feature, log.span
    if telemetry.trace is not None:
        yield Feature.TRACE, telemetry.trace.span
    if telemetry.metrics and telemetry.metrics_span is not None:
        yield Feature.METRICS, telemetry.metrics_span


# ---- traffic --------------------------------------------------------------------------------------------------------


def _traffic(port: ir.PortPolicy, namespace: str, service: str) -> Iterator[Use]:
    yield from _settings(port.settings, port.span)
    own = ir.Destination(namespace=namespace, service=service, port=port.number)
    for route in port.routes:
        if route.path != ir.ANY_PATH:
            yield _ROUTE_PATHS[_path_kind(route.path)], route.span
        if route.methods:
            yield Feature.ROUTE_METHOD, route.span
        if route.callers is not None:
            yield Feature.ROUTE_SOURCES, route.span
        for feature in _condition(route.condition):
            yield _ROUTE_CONDITIONS.get(feature, Feature.ROUTE_OTHER_CONDITION), route.span
        yield from _action(route, own)
        yield from _settings(route.settings, route.span)


_ROUTE_CONDITIONS: Final = (
    dict.fromkeys(_HEADER, Feature.ROUTE_HEADER)
    | dict.fromkeys(_QUERY, Feature.ROUTE_QUERY)
    | dict.fromkeys(_HOST, Feature.ROUTE_HOST)
)


def _action(route: ir.Route, own: ir.Destination) -> Iterator[Use]:
    match route.action:
        case ir.Redirect():
            yield Feature.REDIRECT, route.action.span
        case ir.Respond():
            yield Feature.RESPOND, route.action.span
        case ir.Forward(destinations=destinations):
            if len(destinations) > 1:
                yield Feature.SPLIT, route.span
            for destination in destinations:
                if destination.version is not None:
                    yield Feature.VERSION, route.span
                if (destination.namespace, destination.service, destination.port) != (
                    own.namespace,
                    own.service,
                    own.port,
                ):
                    yield Feature.OTHER_DESTINATION, route.span
        case _:
            assert_never(route.action)


_FIELDS: Final = (
    ("timeout_ms", Feature.TIMEOUT),
    ("idle_timeout_ms", Feature.IDLE_TIMEOUT),
    ("connect_timeout_ms", Feature.CONNECT_TIMEOUT),
    ("rewrite_path", Feature.REWRITE_PATH),
    ("rewrite_host", Feature.REWRITE_HOST),
    ("tls_ca_file", Feature.TLS_CA_FILE),
    ("tls_sni", Feature.TLS_SNI),
)


def _settings(settings: ir.Settings, owner: Span) -> Iterator[Use]:
    """`owner` is the place to blame for a setting whose own place is not recorded."""
    spans = dict(settings.spans)
    values = (
        settings.timeout_ms,
        settings.idle_timeout_ms,
        settings.connect_timeout_ms,
        settings.rewrite_path,
        settings.rewrite_host,
        settings.tls_ca_file,
        settings.tls_sni,
    )
    for (name, feature), value in zip(_FIELDS, values, strict=True):
        if value is not None:
            yield feature, spans.get(name, owner)
    for change in settings.header_changes:
        is_request = change.direction == "request"
        yield (Feature.REQUEST_HEADER_CHANGE if is_request else Feature.RESPONSE_HEADER_CHANGE), change.span
    for mirror in settings.mirrors:
        yield Feature.MIRROR, mirror.span
        if mirror.destination.version is not None:
            yield Feature.VERSION, mirror.span
    yield from _faults(settings)
    if settings.retry is not None:
        yield from _retry(settings.retry)
    yield from _endpoint_settings(settings)


def _faults(settings: ir.Settings) -> Iterator[Use]:
    for delay in settings.delays:
        yield Feature.FAULT_DELAY, delay.span
        if delay.condition != ir.ALWAYS:
            yield Feature.FAULT_CONDITION, delay.span
    for abort in settings.aborts:
        yield Feature.FAULT_ABORT, abort.span
        if abort.condition != ir.ALWAYS:
            yield Feature.FAULT_CONDITION, abort.span


_RETRY_CONDITIONS: Final = {
    "5xx": Feature.RETRY_5XX,
    "gateway-error": Feature.RETRY_GATEWAY_ERROR,
    "connect-failure": Feature.RETRY_CONNECT_FAILURE,
    "reset": Feature.RETRY_RESET,
    "refused-stream": Feature.RETRY_REFUSED_STREAM,
    "retriable-4xx": Feature.RETRY_RETRIABLE_4XX,
}


def _retry(retry: ir.Retry) -> Iterator[Use]:
    yield Feature.RETRY, retry.span
    for condition in retry.conditions:
        yield _RETRY_CONDITIONS.get(condition, Feature.RETRY_GRPC), retry.span
    if retry.statuses:
        yield Feature.RETRY_STATUS, retry.span
    if retry.per_try_ms is not None:
        yield Feature.RETRY_PER_TRY, retry.span
    if retry.backoff_ms is not None:
        yield Feature.RETRY_BACKOFF, retry.span
    if retry.budget_percent is not None:
        yield Feature.RETRY_BUDGET, retry.span


_BALANCE: Final = {
    ir.BalancePolicy.ROUND_ROBIN: Feature.BALANCE_ROUND_ROBIN,
    ir.BalancePolicy.LEAST_REQUEST: Feature.BALANCE_LEAST_REQUEST,
    ir.BalancePolicy.RANDOM: Feature.BALANCE_RANDOM,
    ir.BalancePolicy.RING_HASH: Feature.BALANCE_RING_HASH,
    ir.BalancePolicy.MAGLEV: Feature.BALANCE_MAGLEV,
}
_HASH: Final = {"header": Feature.HASH_HEADER, "cookie": Feature.HASH_COOKIE, "source-ip": Feature.HASH_SOURCE_IP}


def _endpoint_settings(settings: ir.Settings) -> Iterator[Use]:
    if (balance := settings.load_balance) is not None:
        yield _BALANCE[balance.policy], balance.span
        if balance.hash_kind is not None:
            yield _HASH[balance.hash_kind], balance.span
    if (breaker := settings.circuit_breaker) is not None:
        bounds = (breaker.connections, breaker.pending, breaker.requests, breaker.retries)
        features = (
            Feature.BREAKER_CONNECTIONS,
            Feature.BREAKER_PENDING,
            Feature.BREAKER_REQUESTS,
            Feature.BREAKER_RETRIES,
        )
        for bound, feature in zip(bounds, features, strict=True):
            if bound is not None:
                yield feature, breaker.span
    if (outlier := settings.outlier_detection) is not None:
        if outlier.consecutive_5xx is not None:
            yield Feature.OUTLIER_5XX, outlier.span
        if outlier.consecutive_gateway_errors is not None:
            yield Feature.OUTLIER_GATEWAY_ERRORS, outlier.span
    if settings.health_check is not None:
        yield Feature.HEALTH_CHECK, settings.health_check.span
    if (locality := settings.locality) is not None:
        if locality.prefer:
            yield Feature.LOCALITY_PREFER, locality.span
        if locality.failover:
            yield Feature.LOCALITY_FAILOVER, locality.span
