"""Lints of who reaches whom."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.ir import Effect
from meshc.lower.program import Lowered


def unreachable_service(lowered: Lowered) -> Iterator[Diagnostic]:
    """Services with ports that no rule opens for anybody."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    for owner in owners:
        if owner.ports and not any(_is_open(port) for port in owner.ports):
            yield diagnose(
                "unreachable-service",
                owner.span,
                f"nobody may call `{owner.namespace}.{owner.name}`",
                advice=f"add `access {owner.name} {{ allow … }}`, or remove the service",
            )


def _is_open(port: ir.PortPolicy) -> bool:
    return all(stage.rules for stage in port.access if stage.effect is Effect.ALLOW and not stage.shadow)


def powerless_source(lowered: Lowered) -> Iterator[Diagnostic]:
    """Services without ports that no rule lets call anybody: they can only be there to call."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    ports = [port for owner in owners for port in owner.ports]
    for workload in lowered.mesh.workloads:
        if not workload.ports and ports and not any(_may_pass(workload.identity, port) for port in ports):
            yield diagnose(
                "powerless-source",
                workload.span,
                f"no rule lets `{workload.namespace}.{workload.name}` call anything",
                advice="it has no ports, so it can only be there to call: allow it somewhere, or remove it",
            )


def _may_pass(identity: str, port: ir.PortPolicy) -> bool:
    return all(
        any(names(rule.principals, identity) for rule in stage.rules)
        for stage in port.access
        if stage.effect is Effect.ALLOW and not stage.shadow
    )


def names(principals: ir.Principals, identity: str) -> bool:
    """Whether principals contain an identity."""
    return any(_is(one, identity) for one in principals.include) and not any(
        _is(one, identity) for one in principals.exclude
    )


def _is(principal: ir.Principal, identity: str) -> bool:
    match principal:
        case ir.AnyPeer() | ir.AnyIdentity():
            return True
        case ir.ExactIdentity(identity=exact):
            return exact == identity
        case ir.IdentityPrefix(prefix=prefix):
            return identity.startswith(prefix)
