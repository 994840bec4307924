"""What Linkerd is to run of a mesh, by the support table, and what it may refuse in addition."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.target import TargetOptions
from meshc_linkerd.grpc_retries import without_others
from meshc_linkerd.identities import Domain, Namespace, group_of
from meshc_linkerd.options import read_options
from meshc_linkerd.read.expressed_travel import expected_routes, expressed_external, expressed_workload
from meshc_linkerd.segments import PLAIN_PATH
from meshc_linkerd.servers import pod_ports

_ANYBODY: Final = ir.Principals((ir.AnyPeer(),))
_NOBODY: Final = ir.Principals((ir.AnyPeer(),), (ir.AnyIdentity(),))


def expressed(mesh: ir.Mesh, options: TargetOptions) -> ir.Mesh:
    """The mesh with Linkerd's differences: who has no identity is refused by a rule where mTLS is strict, and identities mean
    nothing where it is off; declared probes are let in; shadow rules are not there. Settings of calls are those that Linkerd has.
    """
    chosen = read_options(options)
    networks = chosen.probe_networks
    if chosen.omit:
        mesh = without_others(mesh)
    ports, _ = pod_ports(mesh)
    probed = {(one.workload.namespace, one.workload.name, one.port.target): one.probes for one in ports}
    shared = _sharing(mesh)
    workloads = []
    for workload in mesh.workloads:
        own = []
        for port in workload.ports:
            owner = shared[workload.namespace, workload.name, port.target]
            own.append(_port(port, _probes(probed.get(owner, ()), networks)))
        workloads.append(expressed_workload(replace(workload, ports=tuple(own))))
    return replace(mesh, workloads=tuple(workloads), externals=tuple(map(expressed_external, mesh.externals)))


def _sharing(mesh: ir.Mesh) -> Mapping[tuple[str, str, int], tuple[str, str, int]]:
    """For each port of pods, the workload whose Server it has: that of the widest selector."""
    found: dict[tuple[str, str, int], tuple[str, str, int]] = {}
    for workload in mesh.workloads:
        for port in workload.ports:
            same = [
                other
                for other in mesh.workloads
                if other.namespace == workload.namespace
                and any(one.target == port.target for one in other.ports)
                and other.labels.items() <= workload.labels.items()
            ]
            owner = min(same, key=lambda one: (len(one.labels), one.name))
            found[workload.namespace, workload.name, port.target] = (owner.namespace, owner.name, port.target)
    return found


def _probes(asked: tuple[tuple[str, str], ...], networks: tuple[ir.IpBlock, ...]) -> ir.Condition | None:
    if not asked:
        return None
    parts = [ir.AllOf((ir.MethodIs((method,)), ir.PathIs(ir.ExactPath(path)))) for method, path in asked]
    found: ir.Condition = parts[0] if len(parts) == 1 else ir.AnyOf(tuple(parts))
    if {str(one) for one in networks} >= {"0.0.0.0/0", "::/0"}:
        return found
    return ir.AllOf((found, ir.AddressIn(ir.AddressOf.PEER, networks)))


def _port(port: ir.PortPolicy, probe: ir.Condition | None) -> ir.PortPolicy:
    stages = [_of_accounts(stage) for stage in port.access if not stage.shadow]
    if port.protocol is not ir.Protocol.TLS:
        if port.mtls is ir.MtlsMode.OFF:
            stages = [replace(one, rules=tuple(_unnamed(one.rules))) for one in stages]
        elif port.mtls is ir.MtlsMode.STRICT:
            rule = ir.Rule(identifier="mtls", principals=_NOBODY, condition=ir.ALWAYS, span=port.span)
            stages.insert(0, ir.Stage(effect=ir.Effect.DENY, rules=(rule,), span=port.span))
    if probe is not None:
        stages = [_with_probe(one, probe, port) for one in stages]
    return replace(port, mtls=ir.MtlsMode.PERMISSIVE, access=tuple(stages))


def _of_accounts(stage: ir.Stage) -> ir.Stage:
    """The stage with groups of service accounts in place of prefixes: Linkerd's names are those of accounts."""
    return replace(stage, rules=tuple(replace(one, principals=_accounts(one.principals)) for one in stage.rules))


def _accounts(principals: ir.Principals) -> ir.Principals:
    return ir.Principals(tuple(map(_group, principals.include)), tuple(map(_group, principals.exclude)))


def _group(principal: ir.Principal) -> ir.Principal:
    match group_of(principal):
        case Domain(domain):
            return ir.IdentityPrefix(f"spiffe://{domain}/ns/")
        case Namespace(domain, namespace):
            return ir.IdentityPrefix(f"spiffe://{domain}/ns/{namespace}/sa/")
        case _:
            return principal


def _unnamed(rules: tuple[ir.Rule, ...]) -> list[ir.Rule]:
    """Rules where nobody's identity is known: those for everybody are left."""
    return [
        replace(rule, principals=_ANYBODY)
        for rule in rules
        if ir.AnyPeer() in rule.principals.include and ir.AnyPeer() not in rule.principals.exclude
    ]


def _with_probe(stage: ir.Stage, probe: ir.Condition, port: ir.PortPolicy) -> ir.Stage:
    if stage.effect is ir.Effect.DENY:
        rules = tuple(replace(one, condition=ir.AllOf((one.condition, ir.Not(probe)))) for one in stage.rules)
        return replace(stage, rules=rules)
    rule = ir.Rule(identifier="probe", principals=_ANYBODY, condition=probe, span=port.span)
    return replace(stage, rules=(*stage.rules, rule))


# ---- what may be refused in addition --------------------------------------------------------------------------------


def expected(mesh: ir.Mesh, read: ir.Mesh) -> ir.Mesh:
    """An expressed mesh less what the table lets be refused and the files do refuse: paths with `;` or an escape on ports that look
    at paths by expressions, and undeclared callers where a larger group lacks some; and less what it lets take the last route.

    Nothing is added: what the files let in and the mesh does not stays a difference.
    """
    found = {(one.namespace, one.name): one for one in read.workloads}
    declared = tuple(dict.fromkeys(ir.ExactIdentity(one.identity) for one in mesh.workloads))
    workloads = []
    for workload in mesh.workloads:
        other = found.get((workload.namespace, workload.name))
        ports = {} if other is None else {port.number: port for port in other.ports}
        own = tuple(
            port
            if port.number not in ports
            else replace(
                _bounded(port, ports[port.number], declared),
                routes=expected_routes(port.routes, ports[port.number].routes),
            )
            for port in workload.ports
        )
        workloads.append(replace(workload, ports=own))
    return replace(mesh, workloads=tuple(workloads))


def _bounded(port: ir.PortPolicy, read: ir.PortPolicy, declared: tuple[ir.Principal, ...]) -> ir.PortPolicy:
    """The port with a further stage: what must be let in, or is."""
    is_listed = any(
        rule.principals not in {_ANYBODY, _NOBODY} and (rule.principals.exclude or stage.effect is ir.Effect.DENY)
        for stage in port.access
        for rule in stage.rules
    )
    looked_at = [one for stage in read.access for rule in stage.rules for one in _paths(rule.condition)]
    if not is_listed and not looked_at:
        return port
    condition: ir.Condition = ir.ALWAYS
    if any(isinstance(one, ir.RegexPath) for one in looked_at):
        condition = ir.PathIs(ir.RegexPath(PLAIN_PATH))
    elif looked_at:
        # Of a path of slashes alone the language promises nothing; what was read says nothing of `;`.
        condition = ir.Not(ir.PathIs(ir.ExactPath("//")))
    named = [_NOBODY, ir.Principals(declared)] if is_listed else [_ANYBODY]
    must = [
        ir.Rule(identifier=f"must-{number}", principals=one, condition=condition, span=port.span)
        for number, one in enumerate(named)
        if one.include
    ]
    allowed = [rule for stage in read.access for rule in stage.rules]
    stage = ir.Stage(effect=ir.Effect.ALLOW, rules=(*must, *allowed), span=port.span)
    return replace(port, access=(*port.access, stage))


def _paths(condition: ir.Condition) -> list[ir.PathPattern]:
    match condition:
        case ir.AllOf(conditions=parts) | ir.AnyOf(conditions=parts):
            return [one for part in parts for one in _paths(part)]
        case ir.Not(condition=inner):
            return _paths(inner)
        case ir.PathIs(pattern=pattern):
            return [pattern]
        case _:
            return []
