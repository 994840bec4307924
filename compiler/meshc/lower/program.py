"""Lower a program: from its symbols to `ir.Mesh`, its tests, and all that is wrong with it."""

from dataclasses import dataclass, replace
from datetime import date

from meshc import ast, ir
from meshc.diagnostics import Diagnostic
from meshc.ir import MtlsMode
from meshc.lower.access import ScopedRule, lower_access, nearest_default, stages
from meshc.lower.authentication import MTLS_MODES, Authentication, lower_authenticate
from meshc.lower.context import Context, Report
from meshc.lower.externals import merge_external
from meshc.lower.invariants import Invariant, lower_invariant
from meshc.lower.layers import Given, Layered
from meshc.lower.limits import ScopedLimit, limits_of, lower_rate_limit
from meshc.lower.mesh import MeshSettings, lower_mesh
from meshc.lower.requests import TestSuite, lower_tests
from meshc.lower.scopes import ByScope, Nearness, Target
from meshc.lower.services import ACCESS_DEFAULTS, PortInfo, ServiceInfo, merge_service
from meshc.lower.telemetry import ScopedTelemetry, lower_telemetry, telemetry_of
from meshc.lower.token_headers import check_token_headers
from meshc.lower.traffic import ScopedTraffic, lower_port_traffic, lower_traffic_scope
from meshc.lower.unused import check_definitions
from meshc.lower.world import World
from meshc.resolve import Key, Symbols
from meshc.source import BUILTIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A program's meaning for one environment. With errors among the diagnostics, `mesh` and `tests` are incomplete."""

    mesh: ir.Mesh
    tests: tuple[TestSuite, ...]
    invariants: tuple[Invariant, ...]
    rules: tuple[ScopedRule, ...]
    world: World
    context: Context
    diagnostics: tuple[Diagnostic, ...]


def lower(symbols: Symbols, *, today: date) -> Lowered:
    """Lower all declarations; `today` is the day that `until` is compared with."""
    context = Context(symbols=symbols, report=Report(), module="", today=today)
    settings = lower_mesh(context)
    context = replace(context, trust_domains=settings.trust_domains, trusted_hops=settings.trusted_hops)
    lowering = _ProgramLowering(context, settings)
    lowering.read_policies()
    mesh = lowering.mesh()
    check_token_headers(context.report, mesh)
    tests = lowering.read_tests()
    invariants = lowering.read_invariants()
    check_definitions(context, lowering.world)
    return Lowered(
        mesh=mesh,
        tests=tests,
        invariants=invariants,
        rules=tuple(lowering.rules),
        world=lowering.world,
        context=context,
        diagnostics=tuple(context.report.found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoped:
    """What the blocks of the program say, found by service."""

    rules: ByScope[ScopedRule]
    limits: ByScope[ScopedLimit]
    traffic: ByScope[ScopedTraffic]
    telemetry: ByScope[ScopedTelemetry]


class _ProgramLowering:
    def __init__(self, context: Context, settings: MeshSettings) -> None:
        self.context = context
        self.settings = settings
        self.world = World(services=self._services(), trust_domain=settings.trust_domains[0])
        self.rules: list[ScopedRule] = []
        self.limits: list[ScopedLimit] = []
        self.telemetry: list[ScopedTelemetry] = []
        self.traffic: list[ScopedTraffic] = []
        self.authentication = Authentication(context.report)
        self.defaults = self._namespaces()

    def _services(self) -> dict[Key, ServiceInfo]:
        symbols = self.context.symbols
        services = {key: merge_service(self.context, key, layers) for key, layers in symbols.services.items()}
        for key, layers in symbols.externals.items():
            services.setdefault(key, merge_external(self.context, key, layers))
        return dict(sorted(services.items()))

    def _namespaces(self) -> dict[str, Given[bool]]:
        """Read the namespaces: their mTLS modes, and the default access of those that have their own."""
        defaults: dict[str, Given[bool]] = {}
        if self.settings.mtls is not None:
            mesh = Target(nearness=Nearness.MESH, shown="mesh", span=self.settings.mtls.span)
            self.authentication.set_mode(mesh, self.settings.mtls.value, self.settings.mtls.layer, mesh.span)
        for name, layers in self.context.symbols.namespaces.items():
            access: Layered[bool] = Layered(self.context.report)
            for placed in layers:
                target = Target(
                    nearness=Nearness.NAMESPACE, namespace=name, shown=f"namespace {name}", span=placed.node.span
                )
                for item in placed.node.items:
                    match item:
                        case ast.DefaultAccess():
                            allowed = self.context.word(item.access, ACCESS_DEFAULTS, "default access")
                            if allowed is not None:
                                access.give("default access", allowed, placed.layer, item.span)
                        case ast.Mtls():
                            mode = self.context.word(item.mode, MTLS_MODES, "mTLS mode")
                            if mode is not None:
                                self.authentication.set_mode(target, mode, placed.layer, item.span)
            if "default access" in access.given:
                defaults[name] = access.given["default access"]
        return defaults

    def read_policies(self) -> None:
        """Read every block that speaks of scopes."""
        for placed in self.context.symbols.policies:
            context = self.context.inside(placed.module)
            node = placed.node
            match node:
                case ast.Access():
                    self.rules.extend(lower_access(context, self.world, node))
                case ast.RateLimit():
                    self.limits.extend(lower_rate_limit(context, self.world, node, placed.layer))
                case ast.Authenticate():
                    lower_authenticate(context, self.world, node, placed.layer, self.authentication)
                case ast.Telemetry():
                    self.telemetry.extend(lower_telemetry(context, self.world, node, placed.layer))
                case ast.Traffic():
                    scoped = lower_traffic_scope(context, self.world, node, placed.layer)
                    if scoped is not None:
                        self.traffic.append(scoped)

    def read_tests(self) -> tuple[TestSuite, ...]:
        """Read the requests of tests and what is expected of them."""
        return tuple(
            lower_tests(self.context.inside(placed.module), self.world, placed.node)
            for placed in self.context.symbols.tests
        )

    def read_invariants(self) -> tuple[Invariant, ...]:
        """Read what invariants claim."""
        return tuple(
            lower_invariant(self.context.inside(placed.module), self.world, placed.node)
            for placed in self.context.symbols.invariants
        )

    def mesh(self) -> ir.Mesh:
        """Put everything together, port by port."""
        services = self.world.services.values()
        self.scoped = _Scoped(
            rules=ByScope(self.rules),
            limits=ByScope(self.limits),
            traffic=ByScope(self.traffic),
            telemetry=ByScope(self.telemetry),
        )
        return ir.Mesh(
            name=self.settings.name,
            trust_domains=self.settings.trust_domains,
            cluster_domain=self.settings.cluster_domain,
            trusted_hops=self.settings.trusted_hops,
            workloads=tuple(self._workload(one) for one in services if not one.is_external),
            externals=tuple(self._external(one) for one in services if one.is_external),
            span=self.settings.span,
        )

    def _workload(self, service: ServiceInfo) -> ir.Workload:
        return ir.Workload(
            namespace=service.key[0],
            name=service.key[1],
            service_account=service.service_account,
            identity=self.world.identity(service),
            labels=service.labels,
            versions=service.versions,
            endpoints=service.endpoints,
            discovery=service.discovery,
            dns_name=service.dns_name,
            probes=service.probes,
            ports=tuple(self._port(service, port) for port in service.ports),
            telemetry=telemetry_of(self.context, self.scoped.telemetry.of(service), service),
            doc=service.doc,
            span=service.span,
        )

    def _external(self, service: ServiceInfo) -> ir.External:
        return ir.External(
            namespace=service.key[0],
            name=service.key[1],
            hosts=service.hosts,
            ports=tuple(self._port(service, port) for port in service.ports),
            doc=service.doc,
            span=service.span,
        )

    def _port(self, service: ServiceInfo, port: PortInfo) -> ir.PortPolicy:
        traffic = lower_port_traffic(self.context, self.world, self.scoped.traffic.of(service), service, port)
        mode = self.authentication.mode(service, port)
        default = nearest_default(service, self.defaults, self.settings.default_access)
        return ir.PortPolicy(
            number=port.number,
            protocol=port.protocol,
            target=port.target,
            name=port.name,
            mtls=MtlsMode.OFF if service.is_external else (mode.value if mode else MtlsMode.STRICT),
            access=stages(self.scoped.rules.of(service), service, port, default),
            jwts=self.authentication.issuers(service, port) if port.protocol.is_http else (),
            limits=limits_of(self.scoped.limits.of(service), service, port),
            routes=traffic.routes,
            settings=traffic.settings,
            span=port.span if port.span is not BUILTIN else service.span,
        )
