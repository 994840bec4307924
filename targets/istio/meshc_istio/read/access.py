"""Access: all AuthorizationPolicies of a workload -> the stages of its ports.

Policies are a flat union: what some DENY matches is refused, then what no ALLOW matches, if there is any ALLOW policy at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.attached import Attached
from meshc_istio.read.forms import NotSayableError
from meshc_istio.read.rules import Port, read_rule
from meshc_istio.read.screening import is_dry_run
from meshc_istio.read.sources import World

_EFFECTS: Final = {"ALLOW": ir.Effect.ALLOW, "DENY": ir.Effect.DENY}
_SPEC: Final = frozenset({"selector", "action", "rules", "targetRef", "targetRefs", "provider"})
_ORDER: Final[tuple[tuple[ir.Effect, bool], ...]] = (
    (ir.Effect.DENY, False),
    (ir.Effect.ALLOW, False),
    (ir.Effect.DENY, True),
    (ir.Effect.ALLOW, True),
)


@dataclass(slots=True)
class PortAccess:
    """What policies say of one port. `wants_token`: requests without a valid token are refused."""

    stages: tuple[ir.Stage, ...] = ()
    wants_token: bool = False


@dataclass(slots=True)
class _Found:
    rules: list[ir.Rule] = field(default_factory=list)
    objects: list[ConfigObject] = field(default_factory=list)


def access_of(
    workload: ir.Workload, port: ir.PortPolicy, policies: Sequence[Attached], domains: tuple[str, ...], account: Account
) -> PortAccess:
    """The stages of one port."""
    found: dict[tuple[ir.Effect, bool], _Found] = {}
    access = PortAccess()
    key = (workload.namespace, workload.name, port.number)
    for one in policies:
        effect = _effect(one, key, account)
        if effect is None:
            continue
        is_shadow = is_dry_run(one.object)
        kept = found.setdefault((effect, is_shadow), _Found())
        kept.objects.append(one.object)
        about = Port(
            number=port.number, target=port.target, is_http=port.protocol.is_http, is_deny=effect is ir.Effect.DENY
        )
        for rule, wants_token in _rules(one.object, about, domains, key, account):
            if wants_token and not is_shadow:
                access.wants_token = True
            else:
                kept.rules.append(rule)
    access.stages = tuple(
        ir.Stage(
            effect=kind[0], shadow=kind[1], rules=tuple(found[kind].rules), span=found[kind].objects[0].span("spec")
        )
        for kind in _ORDER
        if kind in found and (found[kind].rules or kind[0] is ir.Effect.ALLOW)
    )
    return access


def _effect(one: Attached, key: PortKey, account: Account) -> ir.Effect | None:
    """What a policy does; None where it does nothing here, or is not understood."""
    policy = one.object
    spec = mapping(policy.data.get("spec"))
    if not isinstance(policy.data.get("spec"), Mapping):
        account.not_understood(policy, ("spec",), f"`{policy.name}`: it has no spec", (key,), Aspect.ACCESS)
        return None
    if "targetRef" in spec or "targetRefs" in spec:
        return None  # gateways and waypoints alone heed these, and they are no sidecars
    action = spec.get("action", "ALLOW")
    if action == "AUDIT":
        return None
    problem = ""
    if one.is_partial:
        problem = f"it is for some of the pods of `{key[0]}.{key[1]}` alone"
    elif strange := sorted(set(spec) - _SPEC):
        problem = f"the field `{strange[0]}` is not known"
    elif not isinstance(action, str) or action not in _EFFECTS:
        problem = f"what the action `{action}` decides is not to be read from it"
    if problem:
        account.not_understood(policy, ("spec",), f"`{policy.name}`: {problem}", (key,), Aspect.ACCESS)
        return None
    return _EFFECTS[str(action)]


def _rules(
    policy: ConfigObject, port: Port, domains: tuple[str, ...], key: PortKey, account: Account
) -> Iterable[tuple[ir.Rule, bool]]:
    world = World(trust_domains=domains, namespace=policy.namespace)
    for number, rule in enumerate(items(mapping(policy.data.get("spec")).get("rules"))):
        span = policy.span("spec", "rules", number)
        name = f"{policy.namespace}.{policy.name}.{number}"
        try:
            read = read_rule(rule, port, world, name, span)
        except NotSayableError as error:
            message = f"`{policy.name}`: {error} cannot be said"
            account.not_understood(policy, ("spec", "rules", number), message, (key,), Aspect.ACCESS)
            continue
        for text in read.assumptions:
            account.taken_for_granted(text, policy, "spec", "rules", number)
        for one in read.rules:
            yield one, read.wants_token
