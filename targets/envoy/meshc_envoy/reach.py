"""Whom a caller can reach at all: what its sidecar must hold, and which rules of an external concern it.

Both are answered from identities alone. `may_reach` errs on the side of yes, and leaving a destination out is never the
enforcement.
"""

from dataclasses import replace
from typing import Final, assert_never

from meshc import ir
from meshc_envoy.text_matchers import quote


def is_meant(principals: ir.Principals, identity: str | None) -> bool:
    """Whether a peer with this verified identity (None: without one) is among the principals."""
    if any(_is_peer(principal, identity) for principal in principals.exclude):
        return False
    return any(_is_peer(principal, identity) for principal in principals.include)


def _is_peer(principal: ir.Principal, identity: str | None) -> bool:
    match principal:
        case ir.AnyPeer():
            return True
        case ir.AnyIdentity():
            return identity is not None
        case ir.ExactIdentity(exact):
            return identity == exact
        case ir.IdentityPrefix(prefix):
            return identity is not None and identity.startswith(prefix)
        case _:
            assert_never(principal)


def identity_at(identity: str, port: ir.PortPolicy) -> str | None:
    """The identity under which a workload is seen at a port: none where TLS is passed through or mTLS is off."""
    if port.protocol is ir.Protocol.TLS or port.mtls is ir.MtlsMode.OFF:
        return None
    return identity


def may_reach(identity: str | None, port: ir.PortPolicy) -> bool:
    """Whether some request of a caller seen as `identity` may pass the port's access stages; never wrongly no."""
    return all(_may_pass(identity, stage) for stage in port.access if not stage.shadow)


def _may_pass(identity: str | None, stage: ir.Stage) -> bool:
    mine = [rule for rule in stage.rules if is_meant(rule.principals, identity)]
    if stage.effect is ir.Effect.DENY:
        return not any(rule.condition == ir.ALWAYS for rule in mine)
    return bool(mine)


def visible_routes(owner: ir.Workload | ir.External, port: ir.PortPolicy, identity: str) -> tuple[ir.Route, ...]:
    """The routes of a port that a caller of this identity may take, in order; never empty.

    A port without any sends everything to itself.
    """
    if not port.routes:
        own = ir.Destination(namespace=owner.namespace, service=owner.name, port=port.number)
        action = ir.Forward(destinations=(own,))
        return (
            ir.Route(
                methods=(),
                path=ir.ANY_PATH,
                condition=ir.ALWAYS,
                callers=None,
                action=action,
                settings=port.settings,
                span=port.span,
            ),
        )
    return tuple(route for route in port.routes if route.callers is None or is_meant(route.callers, identity))


def route_destinations(route: ir.Route) -> tuple[ir.Destination, ...]:
    """Where a route may send a request on to; nowhere if the caller's own sidecar answers."""
    return route.action.destinations if isinstance(route.action, ir.Forward) else ()


_PORT: Final = "(?::[0-9]+)?"
_NO_PORT: Final = ir.HostIs(ir.Matches(r"[^:]*|\[[^\]]*\]"))
"""An authority without a port; a test that must hold of the bare host could otherwise pass on the digits of one."""


def stages_for(identity: str, stages: tuple[ir.Stage, ...]) -> tuple[ir.Stage, ...]:
    """The stages as they concern one caller: its own rules, freed of sources, which are then decided."""
    return tuple(replace(stage, rules=tuple(_own_rules(identity, stage))) for stage in stages)


def _own_rules(identity: str, stage: ir.Stage) -> list[ir.Rule]:
    anyone = ir.Principals(include=(ir.AnyPeer(),))
    return [
        replace(rule, principals=anyone, condition=with_ports(rule.condition))
        for rule in stage.rules
        if is_meant(rule.principals, identity)
    ]


def with_ports(condition: ir.Condition) -> ir.Condition:
    """The same condition for an authority that may carry a port, which outbound listeners need to choose by.

    Inbound, Envoy strips it; outbound, a deny of a host would be evaded with `host:443`.
    """
    match condition:
        case ir.AllOf(parts):
            return ir.AllOf(tuple(with_ports(part) for part in parts))
        case ir.AnyOf(parts):
            return ir.AnyOf(tuple(with_ports(part) for part in parts))
        case ir.Not(inner):
            return ir.Not(with_ports(inner))
        case ir.HostIs(ir.Equals(value)):
            return ir.HostIs(ir.Matches(quote(value) + _PORT))
        case ir.HostIs(ir.EndsWith(value)):
            return ir.HostIs(ir.Matches(rf"(?:[^:]*|\[[^\]]*){quote(value)}{_PORT}"))
        case ir.HostIs(ir.Matches(pattern)):
            bare = ir.AllOf((condition, _NO_PORT))
            return ir.AnyOf((ir.HostIs(ir.Matches(f"(?:{pattern}):[0-9]+")), bare))
        case _:
            return condition
