"""Clauses: a rule -> its sources, methods, paths, addresses and tests, each with what shows it from inside and from outside.

A clause is a test as it is written, its `not` with it. Inside are requests that the rule matches by it: it holds, and so does
all that is joined to it by `and`. Outside are requests that the rule would match if only the clause held; that it would decide
them, too, is known to `ports`. Lists are alternatives: each method of `GET|HEAD` is a clause, each address block, each source.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshc.ir import (
    AddressIn,
    AddressOf,
    AllOf,
    AnyOf,
    AnyPeer,
    Condition,
    ExactPath,
    MethodIs,
    Not,
    PathIs,
    PathPattern,
    Principal,
    Principals,
    Rule,
    TemplatePath,
)
from meshc.semantics.show import (
    Names,
    operation_of,
    show_blocks,
    show_condition,
    show_operation,
    show_path,
    show_principal,
)

_POST: Final = MethodIs(("POST",))
_SERVICE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_METHOD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Requests whose caller is in all of `meant` and none of `others`, for which all of `holding` hold and none of `failing`."""

    meant: tuple[Principals, ...]
    others: tuple[Principals, ...] = ()
    holding: tuple[Condition, ...] = ()
    failing: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause. `path` is the way down to it, unique in its rule. `test` is what it asks, None where it asks who calls."""

    path: tuple[int, ...]
    text: str
    inside: Probe
    outside: Probe
    test: Condition | None = None


def clauses_of(rule: Rule, names: Names, *, is_grpc: bool = False) -> Iterator[Clause]:
    """All clauses of a rule: sources, then what is excepted, then its condition from left to right.

    On a grpc port every call is POST, so that is no clause there, and a method of a gRPC service is one.
    """
    yield from _sources(rule, names)
    literals = tuple(_literals(rule.condition, (), (2,), "", negated=False))
    is_alone = len({one.operation for one in literals if one.operation}) == 1
    for found in literals:
        if is_grpc and found.test == _POST:
            continue
        call = show_rpc(found.test.pattern) if is_grpc and isinstance(found.test, PathIs) else None
        is_part = call is None and not is_alone and found.operation != ""
        yield Clause(
            path=found.path,
            text=f"`{call or found.text}`" + (f" of `{found.operation}`" if is_part else ""),
            inside=Probe(meant=(rule.principals,), holding=(*found.context, found.test)),
            outside=Probe(meant=(rule.principals,), holding=found.context, failing=(found.test, rule.condition)),
            test=found.test,
        )


def _sources(rule: Rule, names: Names) -> Iterator[Clause]:
    include, exclude = rule.principals.include, rule.principals.exclude
    everybody = Principals((AnyPeer(),), exclude)
    for place, one in enumerate(include):
        yield Clause(
            path=(0, place),
            text=f"`{show_principal(one, names)}`",
            inside=Probe(meant=(Principals((one,), exclude),), holding=(rule.condition,)),
            outside=Probe(meant=(everybody,), others=(rule.principals,), holding=(rule.condition,)),
        )
    for place, one in enumerate(exclude):
        kept = Principals(include, _without(exclude, place))
        yield Clause(
            path=(1, place),
            text=f"`except {show_principal(one, names)}`",
            inside=Probe(meant=(rule.principals,), holding=(rule.condition,)),
            outside=Probe(meant=(kept, Principals((one,))), holding=(rule.condition,)),
        )


def _without(principals: tuple[Principal, ...], place: int) -> tuple[Principal, ...]:
    """The others, and none that is the same as the one left out."""
    return tuple(one for one in principals if one != principals[place])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Literal:
    """A test, negated or not, with what is joined to it by `and` up to the root, and the operation that it is a part of."""

    path: tuple[int, ...]
    test: Condition
    text: str
    context: tuple[Condition, ...]
    operation: str


def _literals(
    node: Condition, context: tuple[Condition, ...], path: tuple[int, ...], operation: str, *, negated: bool
) -> Iterator[_Literal]:
    """The tests below a node. Negation is pushed down to them, which turns `and` and `or` around."""
    if isinstance(node, AllOf) and (known := operation_of(node)) is not None:
        operation = show_operation(*known)
    match node:
        case Not(condition=inner):
            yield from _literals(inner, context, path, operation, negated=not negated)
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            joined = isinstance(node, AllOf) is not negated
            for place, part in enumerate(parts):
                others = tuple(_signed(one, negated=negated) for one in (*parts[:place], *parts[place + 1 :]))
                around = (*context, *others) if joined else context
                yield from _literals(part, around, (*path, place), operation, negated=negated)
        case MethodIs(methods=methods) if len(methods) > 1:
            each = AnyOf(tuple(MethodIs((one,)) for one in methods))
            yield from _literals(each, context, path, operation, negated=negated)
        case AddressIn(address=address, blocks=blocks) if len(blocks) > 1:
            apart = AnyOf(tuple(AddressIn(address, (one,)) for one in blocks))
            yield from _literals(apart, context, path, operation, negated=negated)
        case _:
            test = _signed(node, negated=negated)
            yield _Literal(path=path, test=test, text=_shown(test), context=context, operation=operation)


def show_rpc(pattern: PathPattern) -> str | None:
    """`rpc package.Service/Method`, or `/*`; None for a path that no gRPC method has."""
    match pattern:
        case TemplatePath(segments=(str(service), None), rest=False) if _SERVICE.fullmatch(service):
            return f"rpc {service}/*"
        case ExactPath(path=path):
            service, _, method = path[1:].partition("/")
            return f"rpc {path[1:]}" if _SERVICE.fullmatch(service) and _METHOD.fullmatch(method) else None
        case _:
            return None


def _signed(condition: Condition, *, negated: bool) -> Condition:
    return Not(condition) if negated else condition


def _shown(test: Condition) -> str:
    match test:
        case MethodIs(methods=methods):
            return "|".join(methods)
        case PathIs(pattern=pattern):
            return show_path(pattern)
        case AddressIn(address=AddressOf.PEER, blocks=blocks):
            return f"from {show_blocks(blocks)}"
        case _:
            return show_condition(test)
