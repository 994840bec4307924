"""The features of access rules and of conditions, wherever they stand."""

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import Final, assert_never

from meshc import ir
from meshc.features import REGISTERED_METHODS, Feature
from meshc.source import Span

Use = tuple[Feature, Span]
"""A feature and a place that asks for it."""


def access_features(port: ir.PortPolicy) -> Iterator[Use]:
    """The features that a port's rules use, each at its rule."""
    for stage in port.access:
        if stage.shadow:
            yield Feature.RULE_SHADOW, stage.span
        elif not stage.rules and stage.effect is ir.Effect.ALLOW:
            yield Feature.DEFAULT_DENY, stage.span
        for rule in stage.rules:
            yield (Feature.RULE_DENY if stage.effect is ir.Effect.DENY else Feature.RULE_ALLOW), rule.span
            if not port.protocol.is_http:
                yield Feature.RULE_ON_TCP, rule.span
            for feature in chain(_principals(rule.principals), condition_features(rule.condition)):
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


ADDRESSES: Final = frozenset({Feature.SOURCE_ADDRESS, Feature.REMOTE_ADDRESS})
CLAIMS: Final = frozenset(
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
HOST_TESTS: Final = (
    Feature.HOST_EQUALS,
    Feature.HOST_STARTS_WITH,
    Feature.HOST_ENDS_WITH,
    Feature.HOST_MATCHES,
    Feature.HOST_PRESENT,
)
HEADER_TESTS: Final = (
    Feature.HEADER_EQUALS,
    Feature.HEADER_STARTS_WITH,
    Feature.HEADER_ENDS_WITH,
    Feature.HEADER_MATCHES,
    Feature.HEADER_PRESENT,
)
QUERY_TESTS: Final = (
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


def condition_features(condition: ir.Condition) -> Iterator[Feature]:
    """The features of a condition's algebra and of its atoms."""
    match condition:
        case ir.AllOf(conditions):
            yield from chain.from_iterable(map(condition_features, conditions))
        case ir.AnyOf(conditions):
            yield Feature.CONDITION_OR
            yield from chain.from_iterable(map(condition_features, conditions))
        case ir.Not(inner):
            yield Feature.CONDITION_NOT
            yield from condition_features(inner)
        case _:
            yield from _atom(condition)


def _atom(atom: ir.Atom) -> Iterator[Feature]:
    match atom:
        case ir.MethodIs(methods):
            yield Feature.METHOD if REGISTERED_METHODS.issuperset(methods) else Feature.METHOD_UNREGISTERED
        case ir.PathIs(pattern):
            yield _PATHS[path_kind(pattern)]
        case ir.HostIs(test):
            yield _test(test, HOST_TESTS)
        case ir.HeaderIs(_, test):
            yield _test(test, HEADER_TESTS)
        case ir.QueryIs(_, test):
            yield _test(test, QUERY_TESTS)
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
ROUTE_PATHS: Final = {
    _PathKind.EXACT: Feature.ROUTE_EXACT,
    _PathKind.PREFIX: Feature.ROUTE_PREFIX,
    _PathKind.TEMPLATE: Feature.ROUTE_TEMPLATE,
    _PathKind.REGEX: Feature.ROUTE_REGEX,
}


def path_kind(pattern: ir.PathPattern) -> _PathKind:
    """Which of the four kinds a pattern is."""
    match pattern:
        case ir.ExactPath():
            return _PathKind.EXACT
        case ir.RegexPath():
            return _PathKind.REGEX
        case ir.TemplatePath(segments, _, rest):
            return _PathKind.PREFIX if rest and None not in segments else _PathKind.TEMPLATE
        case _:
            assert_never(pattern)
