"""EgressNetworks: what may leave the mesh -> who may call externals.

Source: policy.linkerd.io/v1alpha1 EgressNetwork. Without `networks` one is for all that is outside of the cluster. One of the namespace that
Linkerd keeps for it is for all callers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc_linkerd.read.account import Account, NotUnderstoodError
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.outbound import plain_route

_GLOBAL: Final = "linkerd-egress"


def read_externals(known: ir.Mesh, networks: Sequence[ConfigObject], account: Account) -> tuple[ir.External, ...]:
    """The externals, with their ports closed to the callers of namespaces that let nothing out."""
    closed = [one for one in networks if _is_closed(one, known, account)]
    spans = {one.namespace: one.span("spec") for one in closed}
    namespaces = sorted({one.namespace for one in known.workloads})
    found = []
    for external in known.externals:
        ports = tuple(replace(port, routes=(plain_route(external, port),)) for port in external.ports)
        if _GLOBAL in spans or (namespaces and set(namespaces) <= spans.keys()):
            span = spans.get(_GLOBAL) or spans[namespaces[0]]
            stage = ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=span)
            ports = tuple(replace(port, access=(stage,)) for port in ports)
        elif closed:
            stage = _denied([one for one in namespaces if one in spans], known, closed[0])
            ports = tuple(replace(port, access=(stage,)) for port in ports)
        found.append(replace(external, ports=ports))
    return tuple(found)


def _is_closed(one: ConfigObject, known: ir.Mesh, account: Account) -> bool:
    try:
        spec = Fields.spec(one)
        policy = spec.text("trafficPolicy")
        spec.finish()
        if policy not in {"Allow", "Deny"}:
            raise spec.error(f"the policy `{policy}` is not understood", "trafficPolicy")
    except NotUnderstoodError as error:
        keys = [(owner.namespace, owner.name, port.number) for owner in known.externals for port in owner.ports]
        account.not_understood(one, error, keys, *Aspect)
        return False
    return policy == "Deny"


def _denied(namespaces: Iterable[str], known: ir.Mesh, source: ConfigObject) -> ir.Stage:
    prefixes = tuple(ir.IdentityPrefix(f"spiffe://{known.trust_domain}/ns/{one}/sa/") for one in namespaces)
    span = source.span("spec")
    rule = ir.Rule(identifier="egress", principals=ir.Principals(prefixes), condition=ir.ALWAYS, span=span)
    return ir.Stage(effect=ir.Effect.DENY, rules=(rule,) if prefixes else (), span=span)
