"""EgressNetworks: what may leave the mesh -> who may call externals.

Source: policy.linkerd.io/v1alpha1 EgressNetwork. Without `networks` one is for all that is outside of the cluster. One of the namespace that
Linkerd keeps for it is for the callers of namespaces that have none; source: linkerd2's policy controller, `resolve_egress_network`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.target import PortKey
from meshc_linkerd.read.account import Account, NotUnderstoodError
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.outbound import plain_route

_GLOBAL: Final = "linkerd-egress"


def read_externals(known: ir.Mesh, networks: Sequence[ConfigObject], account: Account) -> tuple[ir.External, ...]:
    """The externals, with their ports closed to the callers of namespaces that let nothing out."""
    namespaces = sorted({one.namespace for one in known.workloads})
    deciding = {one: _deciding(one, networks, known, account) for one in namespaces}
    closed = {name: one for name, one in deciding.items() if one is not None}
    found = []
    for external in known.externals:
        ports = tuple(replace(port, routes=(plain_route(external, port),)) for port in external.ports)
        if closed and len(closed) == len(namespaces):
            stage = ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=closed[namespaces[0]].span("spec"))
            ports = tuple(replace(port, access=(stage,)) for port in ports)
        elif closed:
            stage = _denied(closed, known, next(iter(closed.values())))
            ports = tuple(replace(port, access=(stage,)) for port in ports)
        found.append(replace(external, ports=ports))
    return tuple(found)


def _deciding(
    namespace: str, networks: Sequence[ConfigObject], known: ir.Mesh, account: Account
) -> ConfigObject | None:
    """The network that lets nothing out of a namespace. Its own come before the one for all; of several, age decides."""
    own = [one for one in networks if one.namespace == namespace]
    found = own or [one for one in networks if one.namespace == _GLOBAL]
    policies = [_policy(one, known, account) for one in found]
    if len(set(policies)) > 1:
        error = NotUnderstoodError(
            "networks with different policies, of which the oldest counts", "spec", "trafficPolicy"
        )
        account.not_understood(found[0], error, _outside(known), *Aspect)
        return None
    return found[0] if "Deny" in policies else None


def _policy(one: ConfigObject, known: ir.Mesh, account: Account) -> str:
    try:
        spec = Fields.spec(one)
        policy = spec.text("trafficPolicy")
        spec.finish()
        if policy not in {"Allow", "Deny"}:
            raise spec.error(f"the policy `{policy}` is not understood", "trafficPolicy")
    except NotUnderstoodError as error:
        account.not_understood(one, error, _outside(known), *Aspect)
        return ""
    return policy


def _outside(known: ir.Mesh) -> list[PortKey]:
    return [(owner.namespace, owner.name, port.number) for owner in known.externals for port in owner.ports]


def _denied(namespaces: Iterable[str], known: ir.Mesh, source: ConfigObject) -> ir.Stage:
    prefixes = tuple(ir.IdentityPrefix(f"spiffe://{known.trust_domain}/ns/{one}/sa/") for one in namespaces)
    span = source.span("spec")
    rule = ir.Rule(identifier="egress", principals=ir.Principals(prefixes), condition=ir.ALWAYS, span=span)
    return ir.Stage(effect=ir.Effect.DENY, rules=(rule,) if prefixes else (), span=span)
