"""Lints of access rules."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.ir import Effect, MtlsMode
from meshc.lower.access import ScopedRule
from meshc.lower.program import Lowered
from meshc.source import Span


def claims_without_jwt(lowered: Lowered) -> Iterator[Diagnostic]:
    """Rules, limits, access logs and faults that read claims where no token is ever verified."""
    for rule in lowered.rules:
        if _reads_claims(rule.rule.condition) and not any(port.jwts for _, port in _ports(lowered, rule)):
            yield _claims(rule.rule.span, "this rule")
    verified: dict[tuple[Span, str], bool] = {}
    for workload in lowered.mesh.workloads:
        for port in workload.ports:
            for limit in port.limits:
                if _reads_claims(limit.condition):
                    place = (limit.span, "this limit")
                    verified[place] = verified.get(place, False) or bool(port.jwts)
        for log in workload.telemetry.access_logs:
            if _reads_claims(log.condition):
                place = (log.span, "this access log")
                verified[place] = verified.get(place, False) or any(port.jwts for port in workload.ports)
    yield from (_claims(span, what) for (span, what), is_verified in verified.items() if not is_verified)
    yield from _faults(lowered)


def _faults(lowered: Lowered) -> Iterator[Diagnostic]:
    """Faults that read claims: they strike in the caller's proxy, which verifies no token."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    for settings in (route.settings for owner in owners for port in owner.ports for route in port.routes):
        faults: tuple[ir.FaultDelay | ir.FaultAbort, ...] = (*settings.delays, *settings.aborts)
        for fault in faults:
            if _reads_claims(fault.condition):
                yield diagnose(
                    "claims-without-jwt",
                    fault.span,
                    "this fault reads claims, and the callers' proxies, where it strikes, verify no token",
                    advice="test a header instead",
                )


def _reads_claims(condition: ir.Condition) -> bool:
    return any(isinstance(atom, ir.ClaimIs) for atom in atoms(condition))


def _claims(span: Span, what: str) -> Diagnostic:
    return diagnose(
        "claims-without-jwt",
        span,
        f"{what} reads claims, and no `jwt` is configured where it counts",
        advice='add `authenticate … { jwt NAME { issuer "…" jwks file "…" } }`',
    )


def evadable_identity_deny(lowered: Lowered) -> Iterator[Diagnostic]:
    """Denies by identity on ports that serve plaintext too: whoever leaves mTLS out has no identity."""
    for rule in lowered.rules:
        if rule.effect is not Effect.DENY or rule.rule.principals.include == (ir.AnyPeer(),):
            continue
        for service, port in _ports(lowered, rule):
            shown = f"`{service.namespace}.{service.name}:{port.number}`"
            if not isinstance(service, ir.Workload):
                continue
            if port.protocol is ir.Protocol.TLS and _admits_anyone(port):
                label = Label(span=port.span, text="this port passes TLS through, and nobody has an identity on it")
                message = f"every caller evades this rule on {shown}"
                advice = "deny addresses there with `from`, or allow those that are meant"
            elif port.mtls is not MtlsMode.STRICT:
                label = Label(span=port.span, text=f"mTLS is {port.mtls.value} on this port")
                message = f"a caller without mTLS evades this rule on {shown}"
                advice = "make mTLS strict there, or allow the callers that are meant instead"
            else:
                continue
            yield diagnose("evadable-identity-deny", rule.rule.span, message, labels=(label,), advice=advice)
            break


def _admits_anyone(port: ir.PortPolicy) -> bool:
    """Whether some caller without an identity may pass the allow-lists of a port."""
    return all(
        any(ir.AnyPeer() in rule.principals.include for rule in stage.rules)
        for stage in port.access
        if stage.effect is Effect.ALLOW and not stage.shadow
    )


def evadable_path_deny(lowered: Lowered) -> Iterator[Diagnostic]:
    """Denies by path on ports that nothing closes: many applications read `/Admin` and `/admin;x` as `/admin`."""
    for rule in lowered.rules:
        if rule.effect is not Effect.DENY or rule.shadow:
            continue
        paths = [atom for atom in atoms(rule.rule.condition) if isinstance(atom, ir.PathIs)]
        if not paths or all(atom.pattern == ir.ANY_PATH for atom in paths):
            continue
        for service, port in _ports(lowered, rule):
            if not any(stage.effect is Effect.ALLOW and not stage.shadow for stage in port.access):
                yield diagnose(
                    "evadable-path-deny",
                    rule.rule.span,
                    f"no allow-list closes `{service.namespace}.{service.name}:{port.number}` behind this deny",
                    advice=(
                        "an application that ignores letter case or `;` parameters can be reached by another spelling",
                        "add `allow` rules for what is meant, or `default access deny`",
                    ),
                )
                break


def excluding_allow(lowered: Lowered) -> Iterator[Diagnostic]:
    """Allows whose condition only says what must not be."""
    for rule in lowered.rules:
        if rule.effect is Effect.ALLOW and rule.rule.condition != ir.ALWAYS and not _demands(rule.rule.condition):
            yield diagnose(
                "excluding-allow",
                rule.rule.span,
                "this rule allows every request but those that its condition excludes",
                advice="`!=`, `not` and `is absent` hold for requests that lack the value: say what must be there as well",
            )


def _demands(condition: ir.Condition, *, negated: bool = False) -> bool:
    """Whether a condition asks for something to be present; what is negated twice is asked for."""
    match condition:
        case ir.Not(condition=inner):
            return _demands(inner, negated=not negated)
        case ir.AllOf(conditions=parts) | ir.AnyOf(conditions=parts):
            return any(_demands(part, negated=negated) for part in parts)
        case _:
            return not negated


def atoms(condition: ir.Condition) -> Iterator[ir.Atom]:
    """Every atom of a condition."""
    match condition:
        case ir.Not(condition=inner):
            yield from atoms(inner)
        case ir.AllOf(conditions=parts) | ir.AnyOf(conditions=parts):
            for part in parts:
                yield from atoms(part)
        case _:
            yield condition


def _ports(lowered: Lowered, rule: ScopedRule) -> Iterator[tuple[ir.Workload | ir.External, ir.PortPolicy]]:
    """The ports whose decisions a rule takes part in."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    for owner in owners:
        info = lowered.world.services[(owner.namespace, owner.name)]
        for port in owner.ports:
            named = next((one for one in info.ports if one.number == port.number), None)
            if named is not None and rule.in_scope(info, named):
                yield owner, port
