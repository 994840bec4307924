"""The features of traffic: routes and settings."""

from collections.abc import Iterator
from typing import Final, assert_never

from meshc import ir
from meshc.features import Feature
from meshc.passes.access_features import (
    HEADER_TESTS,
    HOST_TESTS,
    QUERY_TESTS,
    ROUTE_PATHS,
    Use,
    condition_features,
    path_kind,
)
from meshc.source import Span


def traffic_features(port: ir.PortPolicy, namespace: str, service: str) -> Iterator[Use]:
    """The features of a port's settings and routes; its own plain default route uses none."""
    yield from _settings(port.settings, port.span)
    own = ir.Destination(namespace=namespace, service=service, port=port.number)
    for route in port.routes:
        if route.path != ir.ANY_PATH:
            yield ROUTE_PATHS[path_kind(route.path)], route.span
        if route.methods:
            yield Feature.ROUTE_METHOD, route.span
        if route.callers is not None:
            yield Feature.ROUTE_SOURCES, route.span
        for feature in condition_features(route.condition):
            yield _ROUTE_CONDITIONS.get(feature, Feature.ROUTE_OTHER_CONDITION), route.span
        yield from _action(route, own)
        yield from _settings(route.settings, route.span)


_ROUTE_CONDITIONS: Final = {
    Feature.CONDITION_OR: Feature.ROUTE_OR,
    Feature.CONDITION_NOT: Feature.ROUTE_NOT,
    **dict.fromkeys(HEADER_TESTS, Feature.ROUTE_HEADER),
    **dict.fromkeys(QUERY_TESTS, Feature.ROUTE_QUERY),
    **dict.fromkeys(HOST_TESTS, Feature.ROUTE_HOST),
}


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
        yield from _fault_condition(delay.condition, delay.span)
    for abort in settings.aborts:
        yield Feature.FAULT_ABORT, abort.span
        yield from _fault_condition(abort.condition, abort.span)


def _fault_condition(condition: ir.Condition, span: Span) -> Iterator[Use]:
    if condition != ir.ALWAYS:
        yield Feature.FAULT_CONDITION, span
    if any(feature not in _ROUTE_CONDITIONS for feature in condition_features(condition)):
        yield Feature.FAULT_OTHER_CONDITION, span


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
