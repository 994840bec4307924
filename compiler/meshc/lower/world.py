"""What the rest of lowering asks of the program as a whole: services, identities, defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from meshc import ast
from meshc.lower.context import Context, either
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.resolve import Key
from meshc.source import Span


@dataclass(frozen=True, kw_only=True)
class World:
    """All services and externals of the program by namespace and name, and the mesh's own trust domain."""

    services: Mapping[Key, ServiceInfo]
    trust_domain: str

    def identity(self, service: ServiceInfo) -> str:
        """The SPIFFE id of a service's workloads."""
        return f"spiffe://{self.trust_domain}/ns/{service.key[0]}/sa/{service.service_account}"

    def sharing(self, identity: str) -> list[ServiceInfo]:
        """Every service of the mesh with this identity."""
        return self._by_identity.get(identity, [])

    @cached_property
    def _by_identity(self) -> Mapping[str, list[ServiceInfo]]:
        found: dict[str, list[ServiceInfo]] = {}
        for service in self.services.values():
            if not service.is_external:
                found.setdefault(self.identity(service), []).append(service)
        return found

    def find(self, context: Context, ref: ast.Ref, noun: str = "service") -> ServiceInfo | None:
        """The service or external that a reference names, its port and version aside; None after a report."""
        key = context.service(ref, noun)
        return None if key is None else self.services.get(key)

    def find_port(self, context: Context, service: ServiceInfo, ref: ast.Ref) -> PortInfo | None:
        """The port that a reference names, or the only one there is; None after a report."""
        if ref.port is None:
            if len(service.ports) == 1:
                return service.ports[0]
            self._ask_for_port(context, service, ref.span)
            return None
        found = named_port(service, ref.port)
        if found is None:
            known = [str(port.number) for port in service.ports] + [port.name for port in service.ports if port.name]
            advice = f"its ports are {either(known)}" if known else "it has no ports"
            context.report.add("unknown-port", ref.span, f"`{service.shown}` has no port `{ref.port}`", advice=advice)
        return found

    def _ask_for_port(self, context: Context, service: ServiceInfo, span: Span) -> None:
        name = service.key[1]
        if not service.ports:
            context.report.add("unknown-port", span, f"`{service.shown}` has no ports, so nobody can call it")
            return
        advice = "write " + either(f"{name}:{port.number}" for port in service.ports)
        context.report.add("missing-port", span, f"`{service.shown}` has several ports", advice=advice)


def named_port(service: ServiceInfo, port: str) -> PortInfo | None:
    """A port by its number or name."""
    for one in service.ports:
        if str(one.number) == port or one.name == port:
            return one
    return None
