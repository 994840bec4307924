"""Scopes: which ports a block speaks of, and how near it is to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar
from typing import Protocol as Interface

from meshc import ast
from meshc.ir import Protocol
from meshc.lower.context import Context
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.world import World
from meshc.resolve import Key
from meshc.source import Span


class Nearness(IntEnum):
    """How near a scope is to a port: of two settings the nearer one counts."""

    MESH = 0
    NAMESPACE = 1
    SERVICE = 2
    PORT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A scope, resolved. `service` and `port` are None where the scope is wider; `shown` is how messages name it."""

    nearness: Nearness
    namespace: str | None = None
    service: ServiceInfo | None = None
    port: PortInfo | None = None
    shown: str
    span: Span

    def covers(self, service: ServiceInfo, port: PortInfo) -> bool:
        """Whether this port of this service is in the scope."""
        if self.nearness is Nearness.MESH:
            return True
        if self.nearness is Nearness.NAMESPACE:
            return service.key[0] == self.namespace
        if self.service is None or self.service.key != service.key:
            return False
        return self.port is None or self.port.number == port.number

    def named_ports(self) -> tuple[PortInfo, ...]:
        """The ports that the scope names one by one: empty for a mesh or a namespace."""
        if self.service is None:
            return ()
        return (self.port,) if self.port is not None else self.service.ports


class HasTarget(Interface):
    """Anything that is said of a scope."""

    @property
    def target(self) -> Target:
        """The scope."""
        ...


Scoped = TypeVar("Scoped", bound=HasTarget)


class ByScope(Generic[Scoped]):
    """What is said of scopes, found by service, so that a thousand services do not each look at everything."""

    def __init__(self, items: Iterable[Scoped]) -> None:
        self._mesh: list[Scoped] = []
        self._namespaces: dict[str | None, list[Scoped]] = {}
        self._services: dict[Key, list[Scoped]] = {}
        for item in items:
            target = item.target
            if target.service is not None:
                self._services.setdefault(target.service.key, []).append(item)
            elif target.nearness is Nearness.NAMESPACE:
                self._namespaces.setdefault(target.namespace, []).append(item)
            else:
                self._mesh.append(item)

    def of(self, service: ServiceInfo) -> list[Scoped]:
        """All that some port of the service is in the scope of, the widest scopes first."""
        near = self._namespaces.get(service.key[0], []), self._services.get(service.key, [])
        return [*self._mesh, *near[0], *near[1]]


def lower_scope(context: Context, world: World, scope: ast.Scope) -> Target | None:
    """Resolve a scope; None after a report."""
    match scope:
        case ast.MeshScope():
            return Target(nearness=Nearness.MESH, shown="mesh", span=scope.span)
        case ast.NamespaceScope():
            name = context.namespace(scope.namespace)
            if name is None:
                return None
            return Target(nearness=Nearness.NAMESPACE, namespace=name, shown=f"namespace {name}", span=scope.span)
        case ast.ServiceScope(service=ref):
            return lower_service_scope(context, world, ref)


def has_ports(context: Context, target: Target) -> bool:
    """Whether a scope has anything in it that can be called; a service without ports is reported."""
    service = target.service
    if service is None or service.ports:
        return True
    if not _declares_ports(context, service):
        message = f"`{target.shown}` has no ports, so nobody can call it"
        context.report.add("unknown-port", target.span, message, advice="give it a port, or remove this block")
    return False


def _declares_ports(context: Context, service: ServiceInfo) -> bool:
    """Whether ports are written down at least, though none of them could be understood."""
    layers = context.symbols.services.get(service.key, [])
    return service.is_external or any(isinstance(item, ast.Port) for one in layers for item in one.node.items)


def check_rpc(context: Context, target: Target, operations: Sequence[ast.Operation]) -> None:
    """Report operations that name gRPC methods where the scope names ports, and none of them speaks gRPC."""
    ports = target.named_ports()
    if not ports or any(port.protocol in {Protocol.GRPC, Protocol.HTTP2} for port in ports):
        return
    for operation in operations:
        if isinstance(operation, ast.RpcOperation):
            message = f"`{target.shown}` does not speak gRPC"
            context.report.add("protocol-mismatch", operation.span, message, advice="declare the port as `grpc`")


def lower_service_scope(context: Context, world: World, ref: ast.Ref) -> Target | None:
    """Resolve `S` or `S:PORT`; None after a report."""
    if ref.name == "mesh" and ref.scope is None:
        # `mesh` is no name that a service could have.
        message = "`mesh` is no scope here: traffic and rate limits belong to one service, or to one of its ports"
        advice = "name the service; what several have in common stands in a `profile`, and each `uses` it"
        context.report.add("misplaced-declaration", ref.span, message, advice=advice)
        return None
    service = world.find(context, ref)
    if service is None:
        return None
    if ref.port is None:
        return Target(nearness=Nearness.SERVICE, service=service, shown=service.shown, span=ref.span)
    port = world.find_port(context, service, ref)
    if port is None:
        return None
    shown = f"{service.shown}:{port.number}"
    return Target(nearness=Nearness.PORT, service=service, port=port, shown=shown, span=ref.span)
