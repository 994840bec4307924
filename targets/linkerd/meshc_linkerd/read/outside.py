"""What is outside of the mesh: Linkerd's proxies let calls out, unless an EgressNetwork of their namespace closes it."""

from collections.abc import Iterable
from dataclasses import replace

from meshc import ir


def without_egress(mesh: ir.Mesh, closed: Iterable[str]) -> tuple[ir.External, ...]:
    """The externals of a mesh, to which calls from these namespaces are refused, and nothing else is said."""
    callers = tuple(
        ir.IdentityPrefix(f"spiffe://{mesh.trust_domain}/ns/{namespace}/sa/") for namespace in sorted(set(closed))
    )
    return tuple(replace(one, ports=tuple(_port(port, callers) for port in one.ports)) for one in mesh.externals)


def _port(port: ir.PortPolicy, callers: tuple[ir.Principal, ...]) -> ir.PortPolicy:
    rule = ir.Rule(identifier="egress", principals=ir.Principals(callers), condition=ir.ALWAYS, span=port.span)
    stage = ir.Stage(effect=ir.Effect.DENY, rules=(rule,), span=port.span)
    access = (stage,) if callers else ()
    return replace(
        port, mtls=ir.MtlsMode.PERMISSIVE, access=access, jwts=(), limits=(), routes=(), settings=ir.Settings()
    )
