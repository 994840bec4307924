"""Clauses: a rule -> what it asks of a request, in the words of the language, without its sources."""

from typing import Final

from meshc.graph.model import Clause
from meshc.ir import (
    AddressIn,
    AddressOf,
    AllOf,
    Condition,
    Effect,
    PathPattern,
    Protocol,
    Rule,
)
from meshc.semantics.show import (
    Names,
    operation_of,
    operations_of,
    show_blocks,
    show_condition,
    show_operation,
    show_rule_body,
)

_RPC_PROTOCOLS: Final = frozenset({Protocol.GRPC, Protocol.HTTP2})

Operation = tuple[tuple[str, ...], PathPattern]


def clause_of(rule: Rule, effect: Effect, protocol: Protocol, names: Names) -> Clause:
    """One rule of a port that speaks `protocol`."""
    parts = _parts(rule.condition)
    addresses = ""
    if parts and isinstance(first := parts[0], AddressIn) and first.address is AddressOf.PEER:
        addresses = show_blocks(first.blocks)
        parts = parts[1:]
    operations, parts = _take_operations(parts)
    return Clause(
        addresses=addresses,
        operations=tuple(_shown(operation, protocol) for operation in operations),
        condition=show_condition(parts[0] if len(parts) == 1 else AllOf(parts)) if parts else "",
        rule=f"{effect.value} {show_rule_body(rule.principals, rule.condition, names)}",
        because=rule.because,
        place=rule.span,
    )


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, AllOf) and operation_of(condition) is None:
        return condition.conditions
    return (condition,)


def _take_operations(parts: tuple[Condition, ...]) -> tuple[tuple[Operation, ...], tuple[Condition, ...]]:
    """The leading operations of a conjunction, and the parts after them."""
    if len(parts) > 1 and (one := operation_of(AllOf(parts[:2]))) is not None:
        return (one,), parts[2:]
    if parts and (several := operations_of(parts[0])) is not None:
        return several, parts[1:]
    return (), parts


def _shown(operation: Operation, protocol: Protocol) -> str:
    return show_operation(*operation, is_rpc=protocol in _RPC_PROTOCOLS)
