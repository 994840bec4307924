"""RBAC policies as rules: principals of Envoy say who is meant and, with their addresses and headers, under which condition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import product
from typing import Final

from meshc import ir
from meshc.source import Span
from meshc_envoy.read import patterns
from meshc_envoy.read.algebra import NEVER, every, negated, some
from meshc_envoy.read.atoms import Surroundings, header, metadata, path, permission, sourced_metadata, string_matcher
from meshc_envoy.read.messages import Message

ANYONE: Final = ir.Principals((ir.AnyPeer(),))
_MOST_CASES: Final = 256
"""How many cases one policy may come to."""


@dataclass(frozen=True, slots=True)
class Case:
    """Callers, and what must hold of what they send."""

    peers: ir.Principals
    condition: ir.Condition = ir.ALWAYS


Cases = tuple[Case, ...]


def stage(rules: Message, where: Surroundings, *, shadow: bool) -> ir.Stage:
    """The `RBAC` message: who is allowed, or refused."""
    action = rules.text("action", "ALLOW")
    if action not in {"ALLOW", "DENY"}:
        raise rules.error(f"the action `{action}` is not understood", "action")
    within = replace(where, is_guarding=action == "DENY" and not shadow)
    found = [rule for name, policy in rules.entries("policies") for rule in policy_rules(name, policy, within)]
    rules.finish()
    return ir.Stage(effect=ir.Effect(action.lower()), rules=tuple(found), shadow=shadow, span=rules.span)


def policy_rules(name: str, policy: Message, where: Surroundings) -> list[ir.Rule]:
    """A `Policy`: any permission and any principal. None if no request of the language can match."""
    for field in ("permissions", "principals"):
        if not policy.data.get(field):
            raise policy.error(f"a policy without {field}")
    principals = policy.messages("principals")
    whoever = any(one.data.get("any") is True for one in principals)
    within = replace(where, is_guarding=where.is_guarding and whoever)
    condition = some(permission(one, within) for one in policy.messages("permissions"))
    cases = [case for one in principals for case in principal(one, replace(where, is_guarding=False))]
    policy.finish()
    if condition == NEVER:
        return []
    span = policy.span
    return [_rule(name, case, condition, span) for case in _joined(cases) if case.condition != NEVER]


def condition_of(rules: Message, where: Surroundings) -> ir.Condition:
    """When some policy matches, whoever calls: what a mark says. Raises NotUnderstoodError if callers are told apart."""
    found = stage(rules, where, shadow=True)
    if any(rule.principals != ANYONE for rule in found.rules):
        raise rules.error("a condition that tells callers apart is not understood")
    return some(rule.condition for rule in found.rules)


def _rule(name: str, case: Case, condition: ir.Condition, span: Span) -> ir.Rule:
    whole = every((condition, case.condition))
    return ir.Rule(identifier=name, principals=case.peers, condition=whole, span=span)


def _joined(cases: Iterable[Case]) -> Cases:
    """Cases under one condition, that exclude nobody, as one."""
    groups: dict[ir.Condition, list[ir.Principal]] = {}
    others: list[Case] = []
    for case in cases:
        if case.peers.exclude:
            others.append(case)
        else:
            groups.setdefault(case.condition, []).extend(case.peers.include)
    merged = [Case(ir.Principals(_distinct(include)), condition) for condition, include in groups.items() if include]
    return (*merged, *others)


def _distinct(principals: Sequence[ir.Principal]) -> tuple[ir.Principal, ...]:
    return (ir.AnyPeer(),) if ir.AnyPeer() in principals else tuple(dict.fromkeys(principals))


# ---- principals -----------------------------------------------------------------------------------------------------


def principal(message: Message, where: Surroundings) -> Cases:
    """A `Principal`, as cases of which any may hold."""
    kinds = [name for name, value in message.data.items() if value is not None]
    kind = kinds[0] if len(kinds) == 1 else ""
    match kind:
        case "any":
            if not message.flag("any"):
                raise message.error("`any` should be true", "any")
            message.finish()
            return (Case(ANYONE),)
        case "and_ids" | "or_ids":
            inner = message.need(kind)
            parts = [principal(one, where) for one in inner.messages("ids")]
            inner.finish()
            return _all(parts, message) if kind == "and_ids" else tuple(case for part in parts for case in part)
        case "not_id":
            return _none(principal(message.need(kind), where), message)
        case "authenticated":
            return _authenticated(message.need(kind))
        case _:
            return (Case(ANYONE, _condition(kind, message, where)),)


def _condition(kind: str, message: Message, where: Surroundings) -> ir.Condition:
    match kind:
        case "direct_remote_ip":
            return _address(ir.AddressOf.PEER, message.need(kind))
        case "remote_ip":
            # Connections have no X-Forwarded-For.
            return _address(ir.AddressOf.CLIENT if where.is_http else ir.AddressOf.PEER, message.need(kind))
        case "header":
            return header(message.need(kind), where)
        case "url_path":
            return path(message.need(kind), where)
        case "metadata":
            return metadata(message.need(kind), where, is_route=False)
        case "sourced_metadata":
            return sourced_metadata(message.need(kind), where)
        case _:
            raise message.error(f"the principal `{kind}` is not understood" if kind else "exactly one kind is expected")


def _address(of: ir.AddressOf, block: Message) -> ir.Condition:
    length = block.whole("prefix_len") or 0
    text = f"{block.text('address_prefix')}/{length}"
    block.finish()
    try:
        return ir.AddressIn(of, (ip_network(text, strict=False),))
    except ValueError as error:
        raise block.error(f"`{text}` is no block of addresses") from error


def _authenticated(message: Message) -> Cases:
    if not message.has("principal_name"):
        message.finish()
        return (Case(ir.Principals((ir.AnyIdentity(),))),)
    matcher = message.need("principal_name")
    message.finish()
    text = string_matcher(matcher)
    if text.ignores_case:
        raise matcher.error("an identity is compared without regard to case")
    match text.test:
        case ir.Equals(identity):
            return (Case(ir.Principals((ir.ExactIdentity(identity),))),)
        case ir.StartsWith(prefix) if prefix.endswith("/"):
            return (Case(ir.Principals((ir.IdentityPrefix(prefix),))),)
        case ir.Matches(pattern) if (exact := patterns.literal(pattern)) is not None:
            return (Case(ir.Principals((ir.ExactIdentity(exact),))),)
        case ir.Matches(pattern) if patterns.is_anything(pattern):
            return (Case(ir.Principals((ir.AnyIdentity(),))),)
        case _:
            raise matcher.error("identities by this test are not understood: name one, or a prefix that ends in `/`")


def _all(parts: Sequence[Cases], at: Message) -> Cases:
    found: Cases = (Case(ANYONE),)
    for part in parts:
        found = tuple(both for one, other in product(found, part) if (both := _both(one, other)) is not None)
        if len(found) > _MOST_CASES:
            raise at.error("too many cases of principals")
    return found


def _both(one: Case, other: Case) -> Case | None:
    include = tuple(
        dict.fromkeys(
            met
            for left, right in product(one.peers.include, other.peers.include)
            if (met := _meet(left, right)) is not None
        )
    )
    exclude = tuple(dict.fromkeys((*one.peers.exclude, *other.peers.exclude)))
    if not include or ir.AnyPeer() in exclude:
        return None
    return Case(ir.Principals(include, exclude), every((one.condition, other.condition)))


def _meet(one: ir.Principal, other: ir.Principal) -> ir.Principal | None:
    """Who is both, if anybody."""
    for left, right in ((one, other), (other, one)):
        match left, right:
            case ir.AnyPeer(), _:
                return right
            case ir.AnyIdentity(), _ if not isinstance(right, ir.AnyPeer):
                return right
            case ir.ExactIdentity(identity), ir.ExactIdentity(same) if identity == same:
                return left
            case ir.ExactIdentity(identity), ir.IdentityPrefix(prefix) if identity.startswith(prefix):
                return left
            case ir.IdentityPrefix(narrow), ir.IdentityPrefix(wide) if narrow.startswith(wide):
                return left
            case _:
                continue
    return None


def _none(cases: Cases, at: Message) -> Cases:
    """None of the cases holds: of each, either the caller is another, or the condition fails."""
    plain = [case for case in cases if case.condition == ir.ALWAYS and not case.peers.exclude]
    found: Cases = (Case(ANYONE),)
    if plain:
        exclude = tuple(dict.fromkeys(one for case in plain for one in case.peers.include))
        found = () if ir.AnyPeer() in exclude else (Case(ir.Principals((ir.AnyPeer(),), exclude)),)
    for case in cases:
        if case not in plain:
            found = _all((found, _otherwise(case)), at)
    return found


def _otherwise(case: Case) -> Cases:
    others: list[Case] = []
    if ir.AnyPeer() not in case.peers.include:
        others.append(Case(ir.Principals((ir.AnyPeer(),), case.peers.include)))
    if case.peers.exclude:
        others.append(Case(ir.Principals(case.peers.exclude)))
    if case.condition != ir.ALWAYS:
        others.append(Case(ANYONE, negated(case.condition)))
    return tuple(others)
