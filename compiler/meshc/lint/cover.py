"""Lints of rules that decide nothing: those that match nobody, and those that other rules cover.

One rule covers another if its scope, its sources and its condition contain the other's. What the conditions say is compared
part by part, so every finding is right; what only several others cover together is for `together` to find.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.ir import Effect
from meshc.lint.together import decide_nothing
from meshc.lower.access import ScopedRule
from meshc.lower.program import Lowered
from meshc.lower.scopes import Nearness
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.semantics.paths import path_matcher

Scope = tuple[Nearness, object]


def covered_rule(lowered: Lowered) -> Iterator[Diagnostic]:
    """Rules that match nobody, and rules of which another says the same or more."""
    by_scope = _by_scope(lowered)
    left: list[ScopedRule] = []
    idle: set[str] = set()
    for rule in lowered.rules:
        if not any(_is_left(one, rule.rule.principals) for one in rule.rule.principals.include):
            yield diagnose(
                "covered-rule",
                rule.rule.span,
                "this rule can never match: it excepts all of its sources",
                advice=("mend what stands after `except`, or remove the rule", *_closing(rule)),
            )
            continue
        if not _ports(lowered, rule):
            yield diagnose(
                "covered-rule",
                rule.rule.span,
                f"this rule can never match: {_nowhere(rule)}",
                advice="declare the ports that are meant, or remove the rule",
            )
            continue
        other = next((one for one in _wider(by_scope, rule) if _hides(lowered, one, rule)), None)
        if other is None:
            left.append(rule)
            continue
        idle.add(rule.rule.identifier)
        label = Label(span=other.rule.span, text="this rule covers it")
        if other.effect is rule.effect:
            message = "this rule changes nothing: another one matches all that it matches"
            yield diagnose("covered-rule", rule.rule.span, message, labels=(label,), advice="remove one of the two")
        else:
            message = "this rule allows nothing: a deny matches all that it matches, and denies win"
            advice = ("narrow the deny, or remove this rule", *_closing(rule))
            yield diagnose("denied-allow", rule.rule.span, message, labels=(label,), advice=advice)
    yield from decide_nothing(lowered, left, frozenset(idle))


def _closing(rule: ScopedRule) -> tuple[str, ...]:
    """What else such a rule does, so that nobody opens a port by removing it."""
    closes = rule.effect is Effect.ALLOW and not rule.shadow
    return ("as an `allow` it still closes its ports: without it, `default access` decides",) if closes else ()


def _nowhere(rule: ScopedRule) -> str:
    place = "the mesh" if rule.target.nearness is Nearness.MESH else f"`{rule.target.shown}`"
    if rule.needs_sni:
        return f"it tests the server name, and {place} has no tls port"
    return f"it looks at requests, and {place} has no port for them" if rule.needs_http else f"{place} has no port"


def _by_scope(lowered: Lowered) -> Mapping[Scope, list[ScopedRule]]:
    found: dict[Scope, list[ScopedRule]] = {}
    for rule in lowered.rules:
        found.setdefault(_scopes(rule)[0], []).append(rule)
    return found


def _scopes(rule: ScopedRule) -> tuple[Scope, ...]:
    """The rule's scope, and those that contain it, nearest first."""
    target = rule.target
    scopes: list[Scope] = []
    if target.service is not None:
        namespace = target.service.key[0]
        if target.port is not None:
            scopes.append((Nearness.PORT, (target.service.key, target.port.number)))
        scopes.append((Nearness.SERVICE, target.service.key))
        scopes.append((Nearness.NAMESPACE, namespace))
    elif target.namespace is not None:
        scopes.append((Nearness.NAMESPACE, target.namespace))
    return (*scopes, (Nearness.MESH, None))


def _wider(by_scope: Mapping[Scope, list[ScopedRule]], rule: ScopedRule) -> Iterator[ScopedRule]:
    """The rules whose scope contains this one's, denies first."""
    known = [one for scope in _scopes(rule) for one in by_scope.get(scope, ()) if one is not rule]
    yield from sorted(known, key=lambda one: one.effect is not Effect.DENY)


def _hides(lowered: Lowered, other: ScopedRule, rule: ScopedRule) -> bool:
    """Whether `other` decides all that `rule` decides. Of two that hide each other, the first in the source is kept."""
    if other.shadow is not rule.shadow or (other.effect is Effect.ALLOW and rule.effect is Effect.DENY):
        return False
    until = other.rule.until
    if until is not None and (rule.rule.until is None or rule.rule.until > until):
        return False
    if not _contains(other, rule):
        return False
    if other.effect is rule.effect and _contains(rule, other) and _scopes(other)[0] == _scopes(rule)[0]:
        places = [(one.rule.span.path, one.rule.span.start) for one in (other, rule)]
        if places[0] > places[1]:
            return False
    return all(other.in_scope(service, port) for service, port in _ports(lowered, rule))


def _ports(lowered: Lowered, rule: ScopedRule) -> list[tuple[ServiceInfo, PortInfo]]:
    """The ports that a rule is in scope of."""
    services = lowered.world.services.values() if rule.target.service is None else (rule.target.service,)
    return [(service, port) for service in services for port in service.ports if rule.in_scope(service, port)]


def _contains(other: ScopedRule, rule: ScopedRule) -> bool:
    return _contains_principals(other.rule.principals, rule.rule.principals) and implies(
        rule.rule.condition, other.rule.condition
    )


# ---- sources --------------------------------------------------------------------------------------------------------


def _is_left(one: ir.Principal, principals: ir.Principals) -> bool:
    """Whether no exception takes all of `one` out."""
    return not any(_covers(excepted, one) for excepted in principals.exclude)


def _contains_principals(wider: ir.Principals, narrower: ir.Principals) -> bool:
    left = [one for one in narrower.include if _is_left(one, narrower)]
    return all(any(_covers(big, small) for big in wider.include) for small in left) and all(
        any(_covers(excepted, gone) for excepted in narrower.exclude) or not any(_meet(gone, one) for one in left)
        for gone in wider.exclude
    )


def _covers(wider: ir.Principal, narrower: ir.Principal) -> bool:
    match wider, narrower:
        case ir.AnyPeer(), _:
            return True
        case ir.AnyIdentity(), _:
            return not isinstance(narrower, ir.AnyPeer)
        case ir.IdentityPrefix(prefix=prefix), ir.IdentityPrefix(prefix=text) | ir.ExactIdentity(identity=text):
            return text.startswith(prefix)
        case _:
            return wider == narrower


def _meet(one: ir.Principal, other: ir.Principal) -> bool:
    return _covers(one, other) or _covers(other, one)


# ---- conditions -----------------------------------------------------------------------------------------------------


def implies(narrower: ir.Condition, wider: ir.Condition) -> bool:
    """Whether every request of `narrower` is one of `wider`, as far as comparing their parts tells."""
    if narrower == wider:
        return True
    match narrower, wider:
        case _, ir.AllOf(conditions=parts):
            return all(implies(narrower, part) for part in parts)
        case ir.AnyOf(conditions=parts), _:
            return all(implies(part, wider) for part in parts)
        case _, ir.AnyOf(conditions=parts) if any(implies(narrower, part) for part in parts):
            return True
        case ir.AllOf(conditions=parts), _:
            return any(implies(part, wider) for part in parts)
        case ir.Not(condition=small), ir.Not(condition=big):
            return implies(big, small)
        case _:
            return _atom_implies(narrower, wider)


def _atom_implies(narrower: ir.Condition, wider: ir.Condition) -> bool:
    match narrower, wider:
        case ir.MethodIs(methods=few), ir.MethodIs(methods=many):
            return set(few) <= set(many)
        case ir.PathIs(pattern=small), ir.PathIs(pattern=big):
            return _path_implies(small, big)
        case ir.AddressIn(address=one, blocks=small), ir.AddressIn(address=other, blocks=big) if one is other:
            return all(any(_is_inside(block, around) for around in big) for block in small)
        case ir.HeaderIs(name=one), ir.HeaderIs(name=other, test=ir.IsPresent()):
            return one == other
        case _:
            return False


def _is_inside(block: IPv4Network | IPv6Network, around: IPv4Network | IPv6Network) -> bool:
    if isinstance(block, IPv4Network):
        return isinstance(around, IPv4Network) and block.subnet_of(around)
    return isinstance(around, IPv6Network) and block.subnet_of(around)


def _path_implies(small: ir.PathPattern, big: ir.PathPattern) -> bool:
    """Whether a template contains a path or another template; a prefix contains whatever goes on from it."""
    if big == ir.ANY_PATH:
        return True
    match small, big:
        case ir.ExactPath(path=path), ir.TemplatePath():
            return path_matcher(big)(path)
        case ir.TemplatePath(segments=own, rest=rest), ir.TemplatePath(segments=wanted):
            if len(own) < len(wanted) or (not big.rest and (rest or len(own) > len(wanted))):
                return False
            pairs = zip(own, wanted, strict=False)
            return all(one == other or (other is None and one != "") for one, other in pairs)
        case _:
            return small == big
