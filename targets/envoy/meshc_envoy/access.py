"""Access stages as Envoy RBAC: each stage one filter, each rule one policy named by the rule's identifier.

Envoy names the policy in `rbac_access_denied_matched_policy[NAME]`. Rules that can match nobody are left out, and in ALLOW
stages, where Envoy never names the policy, rules with one and the same condition share a policy: Envoy tries policies one
by one, so their number is what a request costs. Where requests are logged they stay apart, and metadata names the one that
allowed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from meshc import ir
from meshc.target import Json
from meshc_envoy.conditions import Algebra, every, some, split, translate
from meshc_envoy.joined_headers import close_joined
from meshc_envoy.shapes import Object, extension

HTTP_RBAC: Final = "envoy.extensions.filters.http.rbac.v3.RBAC"
NETWORK_RBAC: Final = "envoy.extensions.filters.network.rbac.v3.RBAC"

DECIDED: Final = "enforced_effective_policy_id"
"""The key in the HTTP filter's metadata that holds the name of the policy that decided; it is absent where none matched."""

_SHADOW_POLICY: Final = "shadow_effective_policy_id"
NETWORK_DECIDED: Final = f"decided.{_SHADOW_POLICY}"
"""The same for connections, where `network_filters` were told that they are logged."""


def shadow_key(effect: ir.Effect) -> str:
    """The key in a filter's metadata that holds the name of the shadow policy of this effect that matched."""
    return f"shadow-{effect.value}.{_SHADOW_POLICY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRules:
    """One stage as RBAC rules. `label` names the filter in its chain.

    `prefix` begins the names of the stage's statistics and metadata. It is empty for the stages whose matching policy
    decides: each DENY, and the last ALLOW.
    """

    label: str
    shadow: bool
    rules: Object
    prefix: str


def stage_rules(stages: Iterable[ir.Stage], *, has_identities: bool, is_named: bool = False) -> tuple[StageRules, ...]:
    """The stages that can have an effect, in the order of their filters: those that only observe come first.

    Without identities (plaintext and tls ports) only `anyone` matches a peer. `is_named` keeps every rule a policy of its
    own, so that a log can name the one that allowed.
    """
    numbered = tuple(enumerate(stages, start=1))
    enforced = [number for number, stage in numbered if stage.effect is ir.Effect.ALLOW and not stage.shadow]
    found = [
        _stage(number, stage, has_identities=has_identities, is_named=is_named, is_last=number in enforced[-1:])
        for number, stage in numbered
    ]
    # A refusal ends the chain, and what a shadow rule would have said of the refused request is wanted most.
    return tuple(sorted((rules for rules in found if rules is not None), key=lambda one: not one.shadow))


def http_filters(stages: Iterable[StageRules]) -> list[Json]:
    return [extension(stage.label, HTTP_RBAC, **filter_fields(stage)) for stage in stages]


def network_filters(stages: Iterable[StageRules], stat_prefix: str, *, is_logged: bool = False) -> list[Json]:
    """The filters of a chain of bytes. Enforced ones name no policy in metadata: if `is_logged`, shadows of them do."""
    return [
        extension(
            stage.label,
            NETWORK_RBAC,
            stat_prefix=f"{stat_prefix}.{stage.label}",
            **(_echoed(stage) if is_logged and not stage.shadow and not stage.prefix else {}),
            **_network_fields(stage),
        )
        for stage in stages
    ]


def filter_fields(stage: StageRules) -> Object:
    """The fields of a stage's HTTP filter, or of what a route puts in its place."""
    if stage.shadow:
        return {"shadow_rules": stage.rules, "shadow_rules_stat_prefix": stage.prefix}
    return {"rules": stage.rules, **({"rules_stat_prefix": stage.prefix} if stage.prefix else {})}


def _network_fields(stage: StageRules) -> Object:
    return filter_fields(stage) if stage.shadow else {"rules": stage.rules}


def _echoed(stage: StageRules) -> Object:
    return {"shadow_rules": stage.rules, "shadow_rules_stat_prefix": NETWORK_DECIDED.removesuffix(_SHADOW_POLICY)}


def _stage(number: int, stage: ir.Stage, *, has_identities: bool, is_named: bool, is_last: bool) -> StageRules | None:
    refuses = stage.effect is ir.Effect.DENY
    rules = [
        replace(rule, condition=close_joined(rule.condition, refuses=refuses))
        for rule in stage.rules
        if can_match(rule, has_identities=has_identities)
    ]
    if not rules and (stage.effect is ir.Effect.DENY or stage.shadow):
        return None
    is_allow = stage.effect is ir.Effect.ALLOW
    kind = f"shadow-{stage.effect.value}" if stage.shadow else stage.effect.value
    label = f"access-{number}-{kind}"
    policies = _merged_policies(rules) if is_allow and not stage.shadow and not is_named else _policies(rules)
    return StageRules(
        label=label,
        shadow=stage.shadow,
        rules={"action": "ALLOW" if is_allow else "DENY", "policies": policies},
        prefix=_prefix(stage, label, is_last=is_last),
    )


def _prefix(stage: ir.Stage, label: str, *, is_last: bool) -> str:
    if stage.shadow:
        return shadow_key(stage.effect).removesuffix(_SHADOW_POLICY)
    return "" if stage.effect is ir.Effect.DENY or is_last else f"{label}."


def can_match(rule: ir.Rule, *, has_identities: bool) -> bool:
    """Whether some peer and request could match, as far as that is plain to see."""
    if rule.condition == ir.AnyOf(()) or any(isinstance(peer, ir.AnyPeer) for peer in rule.principals.exclude):
        return False
    return any(has_identities or isinstance(peer, ir.AnyPeer) for peer in rule.principals.include)


def _policies(rules: Iterable[ir.Rule]) -> Object:
    policies: Object = {}
    for rule in rules:
        policies |= _named_policies(rule.identifier, rule.condition, [peers(rule.principals)])
    return policies


def _merged_policies(rules: Iterable[ir.Rule]) -> Object:
    groups: dict[ir.Condition, list[ir.Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.condition, []).append(rule)
    policies: Object = {}
    for condition, group in groups.items():
        name = ",".join(rule.identifier for rule in group)
        policies |= _named_policies(name, condition, _distinct(peers(rule.principals) for rule in group))
    return policies


def _distinct(principals: Iterable[list[Object]]) -> list[list[Object]]:
    seen: list[list[Object]] = []
    for principal in principals:
        if principal not in seen:
            seen.append(principal)
    return seen


def _named_policies(name: str, condition: ir.Condition, principals: list[list[Object]]) -> Object:
    alternatives = split(condition)
    policies: Object = {}
    for number, halves in enumerate(alternatives, start=1):
        permissions = _top_level(halves.permission) if halves.permission is not None else [{"any": True}]
        identities = [part for parts in principals for part in parts]
        if halves.principal is not None:
            also = translate(halves.principal, Algebra.PRINCIPAL)
            identities = [every([some(identities, Algebra.PRINCIPAL), also], Algebra.PRINCIPAL)]
        label = name if len(alternatives) == 1 else f"{name}#{number}"
        policies[label] = {"permissions": list(permissions), "principals": list(identities)}
    return policies


def _top_level(condition: ir.Condition) -> list[Object]:
    """Permissions of one policy are alternatives already, so an outermost `or` needs no node of its own."""
    if isinstance(condition, ir.AnyOf) and condition.conditions:
        return [translate(part, Algebra.PERMISSION) for part in condition.conditions]
    return [translate(condition, Algebra.PERMISSION)]


def peers(principals: ir.Principals) -> list[Object]:
    """RBAC principals, any of which is meant."""
    include = [_peer(principal) for principal in principals.include]
    if {"any": True} in include:
        include = [{"any": True}]
    if not principals.exclude:
        return include
    exclude: Object = {"not_id": some([_peer(principal) for principal in principals.exclude], Algebra.PRINCIPAL)}
    return (
        [exclude]
        if include == [{"any": True}]
        else [every([some(include, Algebra.PRINCIPAL), exclude], Algebra.PRINCIPAL)]
    )


def _peer(principal: ir.Principal) -> Object:
    match principal:
        case ir.AnyPeer():
            return {"any": True}
        case ir.AnyIdentity():
            return {"authenticated": {}}
        case ir.ExactIdentity(identity):
            return {"authenticated": {"principal_name": {"exact": identity}}}
        case ir.IdentityPrefix(prefix):
            return {"authenticated": {"principal_name": {"prefix": prefix}}}
        case _:
            assert_never(principal)
