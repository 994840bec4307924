"""Callers whose sidecars do not hold a port that lets them in: such a sidecar answers 404 by itself.

Whom rules let in is answered from identities alone, with what plainly always or never holds left out; yes, when in doubt.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from meshc import ir
from meshc.source import Span
from meshc.target import PortKey
from meshc_envoy.queries import query_expression
from meshc_envoy.reach import identity_at, may_reach
from meshc_envoy.read.algebra import NEVER, every, negated, some
from meshc_envoy.read.folding import Routes, fold_routes
from meshc_envoy.text_matchers import caseless_matcher, server_name_matcher, trimmed_matcher


def fold_all(port: ir.PortPolicy, key: PortKey, held: Mapping[str, Routes], identities: Collection[str]) -> Routes:
    """The routes of a port: the lists of those that hold it, and none for those that may enter it and do not know it."""
    folded = fold_routes(held)
    plain = replace(port, access=tuple(_plain(one) for one in port.access))
    absent = [
        ir.ExactIdentity(one)
        for one in sorted(_candidates(plain, identities))
        if one not in held and may_reach(identity_at(one, plain), plain)
    ]
    if not absent:
        return folded
    namespace, service, number = key
    itself = ir.Forward(destinations=(ir.Destination(namespace=namespace, service=service, port=number),))
    none = nowhere(port.span)
    rest = folded or (replace(none, action=itself),)
    return (replace(none, callers=ir.Principals(tuple(absent))), *rest)


def _candidates(port: ir.PortPolicy, identities: Collection[str]) -> Iterable[str]:
    """Those whom some stage names, if it names all that it lets in."""
    for stage in port.access:
        if stage.effect is ir.Effect.ALLOW and not stage.shadow:
            included = [one for rule in stage.rules for one in rule.principals.include]
            named = [one.identity for one in included if isinstance(one, ir.ExactIdentity)]
            if len(named) == len(included):
                return [one for one in dict.fromkeys(named) if one in identities]
    return identities


def nowhere(span: Span) -> ir.Route:
    """What Envoy does with a request that no route takes."""
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=ir.Respond(status=404, body="", span=span),
        settings=ir.Settings(),
        span=span,
    )


# ---- what plainly holds ---------------------------------------------------------------------------------------------


def _plain(stage: ir.Stage) -> ir.Stage:
    rules = (replace(one, condition=_simple(one.condition)) for one in stage.rules)
    return replace(stage, rules=tuple(one for one in rules if one.condition != NEVER))


def _simple(condition: ir.Condition) -> ir.Condition:
    match condition:
        case ir.AllOf(parts):
            return every(map(_simple, parts))
        case ir.AnyOf(parts):
            return some(map(_simple, parts))
        case ir.Not(inner):
            return negated(_simple(inner))
        case ir.PathIs(pattern):
            return ir.ALWAYS if pattern == ir.ANY_PATH else condition
        case ir.MethodIs(methods):
            return NEVER if set(methods) == {"CONNECT"} else condition
        case ir.HostIs(ir.IsPresent()):
            return ir.ALWAYS
        case _:
            return NEVER if _is_impossible(condition) else condition


def _is_impossible(atom: ir.Condition) -> bool:
    """Whether no text of Envoy's can pass."""
    match atom:
        case ir.HostIs(test) if not isinstance(test, ir.IsPresent):
            return caseless_matcher(test) is None
        case ir.HeaderIs(_, test) if not isinstance(test, ir.IsPresent):
            return trimmed_matcher(test) is None
        case ir.SniIs(test) if not isinstance(test, ir.IsPresent):
            return server_name_matcher(test) is None
        case ir.QueryIs(name, test) if not isinstance(test, ir.Matches):
            return query_expression(name, test) is None
        case _:
            return False
