"""Lints of how callers learn that an endpoint is in trouble."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.lint.reach import names
from meshc.lower.program import Lowered
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.normalize import Malformed
from meshc.source import Span


def blind_failover(lowered: Lowered) -> Iterator[Diagnostic]:
    """Failovers that nothing ever starts, since no endpoint is ever known to be bad."""
    for port in (port for workload in lowered.mesh.workloads for port in workload.ports):
        settings = port.settings
        is_blind = settings.outlier_detection is None and settings.health_check is None
        if settings.locality is not None and settings.locality.failover and is_blind:
            yield diagnose(
                "blind-failover",
                settings.locality.span,
                "nothing finds out that endpoints are in trouble, so nothing ever fails over",
                advice=(
                    "add `outlier-detection { consecutive-gateway-errors 5 }`",
                    "or `health-check GET /healthz { }`",
                ),
            )


def denied_health_check(lowered: Lowered) -> Iterator[Diagnostic]:
    """Health checks that the server answers with a refusal to a caller that may otherwise call it."""
    checked = [
        (workload, port)
        for workload in lowered.mesh.workloads
        for port in workload.ports
        if port.settings.health_check is not None
    ]
    if not checked:
        return
    evaluator = Evaluator(lowered.mesh)
    for workload, port in checked:
        check = port.settings.health_check
        for caller in lowered.mesh.workloads:
            if check is None or caller == workload or not _is_named(caller.identity, port):
                continue
            rule = _refusal(evaluator, caller, workload, port, check.path)
            if rule is not None:
                message = (
                    f"`{caller.namespace}.{caller.name}` may not `GET {check.path}`, so it finds no endpoint healthy"
                )
                yield diagnose(
                    "denied-health-check",
                    check.span,
                    message,
                    labels=(Label(span=rule, text="this refuses the check"),),
                    advice=f"add `allow {caller.name} to GET {check.path}` for `{workload.name}`",
                )
                break


def _is_named(identity: str, port: ir.PortPolicy) -> bool:
    """Whether every allow-list of the port has a rule for the caller."""
    return all(
        any(names(rule.principals, identity) for rule in stage.rules)
        for stage in port.access
        if stage.effect is ir.Effect.ALLOW and not stage.shadow
    )


def _refusal(
    evaluator: Evaluator, caller: ir.Workload, workload: ir.Workload, port: ir.PortPolicy, path: str
) -> Span | None:
    key = (workload.namespace, workload.name, port.number)
    compiled = evaluator.port(key)
    if compiled is None:
        return None
    request = Request(
        identity=caller.identity,
        namespace=workload.namespace,
        service=workload.name,
        port=port.number,
        method="GET",
        path=path,
    )
    facts = evaluator.observe(compiled, request)
    if isinstance(facts, Malformed):
        return None
    decision = evaluator.judge(key, facts, None).decision
    return None if decision.allowed else decision.rule or port.span
