"""The callers' side of a mesh: how calls travel to services and to what is outside.

What routes and rules of callers' proxies say of a port goes into its routes and settings; a retry budget, which is said of a destination, into
all retries that lead there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.source import Span
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import NO_ESCAPES, SUBSETS, Account
from meshc_istio.read.actions import Around, Target, default_retry, read_retry
from meshc_istio.read.choosing import rules_by_host, services_by_host
from meshc_istio.read.destinations import Destinations, with_versions
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.routing import SAME_PORT, Routing
from meshc_istio.read.world import World

_BAD_REQUEST: Final = 400
_ESCAPES: Final = frozenset(
    ir.RegexPath(f".*%({one}).*")
    for one in ("00|2[fF]|5[cC]", "?:00|2[fF]|5[cC]", "?:00|2[Ff]|5[Cc]", "00|2[Ff]|5[Cc]")
)
"""Paths that the language does not take, as expressions for them."""

_BOTH: Final = (Aspect.ACCESS, Aspect.ROUTING)


@dataclass(slots=True)
class Traffic:
    """Reads ports' routes and settings."""

    world: World
    account: Account
    destinations: Destinations
    routing: Routing

    def workload(self, workload: ir.Workload, client: ir.MtlsMode) -> ir.Workload:
        """A service with the routes and settings of its ports; `client` is the mode that callers take it to have."""
        host = self.world.host(workload)
        ports = tuple(self.port(workload, port, host) for port in workload.ports)
        for port in ports:
            self._check_tls(workload, port, host, client)
        return replace(workload, ports=ports)

    def port(self, owner: Owner, port: ir.PortPolicy, host: str, *, is_routed: bool = True) -> ir.PortPolicy:
        """A port as callers of a host of its owner have it; one that is not routed goes to itself."""
        policy = self.destinations.of(host).policy(called_number(owner, port))
        found = self.routing.routes(owner, port, host) if is_routed else (self.routing.plain(owner, port),)
        routes = tuple(self._settled(one, owner, port) for one in found)
        self._check_escapes(routes, port, host)
        return replace(port, routes=routes, settings=policy.settings)

    def _check_escapes(self, routes: tuple[ir.Route, ...], port: ir.PortPolicy, host: str) -> None:
        """The language answers escaped slashes and the like with 400; behind an external, no server's sidecar does that."""
        leads_out = any(
            isinstance(self.world.owners[one.namespace, one.service], ir.External)
            for route in routes
            for one in (route.action.destinations if isinstance(route.action, ir.Forward) else ())
        )
        if leads_out and port.protocol.is_http and not _refuses_escapes(routes[0]):
            objects = (*self.routing.services.of(host), *self.destinations.rules.of(host))
            for one in objects[:1]:
                self.account.taken_for_granted(NO_ESCAPES, one, "spec")

    def _check_tls(self, workload: ir.Workload, port: ir.PortPolicy, host: str, client: ir.MtlsMode) -> None:
        """Callers must speak as the server does, and in such a way that it knows them."""
        tls = self.destinations.of(host).policy(called_number(workload, port)).tls
        is_off = port.mtls is ir.MtlsMode.OFF
        if tls is None:
            is_fine = not is_off or client is ir.MtlsMode.OFF
        else:
            is_fine = tls.mode == ("DISABLE" if is_off else "ISTIO_MUTUAL")
        if is_fine:
            return
        key = (workload.namespace, workload.name, port.number)
        message = f"callers of `{workload.name}` do not speak TLS as its port {port.number} does"
        rules = self.destinations.rules.of(host)
        if rules:
            self.account.not_understood(rules[0], ("spec", "trafficPolicy"), message, (key,), *_BOTH)
        else:
            self.account.missing(message, key, port.span, *_BOTH)

    def finished(self, workload: ir.Workload) -> ir.Workload:
        """The service with the versions that routes of others may lead to as well."""
        return with_versions(workload, self.destinations.added.get((workload.namespace, workload.name), {}))

    def _settled(self, route: ir.Route, owner: Owner, port: ir.PortPolicy) -> ir.Route:
        """The route with what is said of its destinations: budgets of retries, and how long a connection may be silent."""
        if not isinstance(route.action, ir.Forward):
            return route
        settings = route.settings
        if settings.retry is not None:
            budgets = [found for one in route.action.destinations if (found := self._budget(one)) is not None]
            if budgets:
                settings = replace(settings, retry=replace(settings.retry, budget_percent=min(budgets)))
        if not port.protocol.is_http:
            said = self.destinations.of(self._hosts(owner)[0])
            settings = replace(settings, idle_timeout_ms=said.policy(called_number(owner, port)).idle_ms)
        return route if settings is route.settings else replace(route, settings=settings)

    def _hosts(self, owner: Owner) -> tuple[str, ...]:
        return owner.hosts if isinstance(owner, ir.External) else (self.world.host(owner),)

    def _budget(self, destination: ir.Destination) -> float | None:
        """The share of retries of a destination; of an external, the smallest of its hosts."""
        owner = self.world.owners.get((destination.namespace, destination.service))
        port = None if owner is None else _port_of(owner, destination.port)
        if owner is None or port is None:
            return None
        number = called_number(owner, port)
        said = (self.destinations.of(host).policy(number).budget for host in self._hosts(owner))
        return min((one for one in said if one is not None), default=None)


def _refuses_escapes(route: ir.Route) -> bool:
    """Whether every request with such a path is answered 400 before anything else is asked."""
    is_for_all = not route.methods and route.condition == ir.ALWAYS and route.callers is None
    is_refusal = isinstance(route.action, ir.Respond) and route.action.status == _BAD_REQUEST
    return is_for_all and is_refusal and route.path in _ESCAPES


def _port_of(owner: Owner, number: int) -> ir.PortPolicy | None:
    return next((one for one in owner.ports if one.number == number), None)


def make_traffic(
    objects: Mapping[str, Sequence[ConfigObject]],
    mesh: ir.Mesh,
    root: str,
    settings: ConfigObject | None,
    account: Account,
) -> Traffic:
    """The reader of a mesh's traffic; `objects` are those of `networking.istio.io`, by kind."""
    world = World(mesh)
    services, others = services_by_host(objects.get("VirtualService", ()), world)
    for one in others:
        message = f"`{one.name}`: routes of gateways cannot be said"
        account.not_understood(one, ("spec", "gateways"), message, (), Aspect.ROUTING)
    destinations = Destinations(
        rules=rules_by_host(objects.get("DestinationRule", ()), world), world=world, root=root, account=account
    )
    around = Around(resolve=_Resolver(world, destinations, account).resolve, default_retry=_retry_of(settings, account))
    routing = Routing(world=world, services=services, destinations=destinations, around=around, account=account)
    return Traffic(world=world, account=account, destinations=destinations, routing=routing)


def _retry_of(settings: ConfigObject | None, account: Account) -> Callable[[Span], ir.Retry | None]:
    try:
        return _default_retry(settings)
    except NotReadError as error:
        if settings is not None:
            account.not_understood(settings, error.steps, f"{error} cannot be said", None, Aspect.SETTINGS)
        return default_retry


def _default_retry(settings: ConfigObject | None) -> Callable[[Span], ir.Retry | None]:
    """What is retried where a route does not say: Istio's own, or what MeshConfig says in its place. Raises NotReadError."""
    config = None if settings is None else Fields(settings, ("meshConfig",), settings.data.get("meshConfig"))
    written = None if config is None else config.fields("defaultHttpRetryPolicy")
    if written is None:
        return default_retry
    found = read_retry(written)
    return lambda _: found


@dataclass(slots=True)
class _Resolver:
    world: World
    destinations: Destinations
    account: Account

    def resolve(self, target: Fields) -> Target:
        """A destination; None for a subset that nothing defines. Raises NotReadError."""
        name, subset, selector = target.text("host"), target.text("subset"), target.fields("port")
        target.finish()
        number = None
        if selector is not None:
            number = selector.whole("number")
            selector.finish()
        if not name:
            raise target.error("a destination without a host")
        host = self.world.full(name, target.where.namespace or "default")
        owner = self.world.hosts.get(host)
        if owner is None:
            raise target.error(f"the destination `{name}`, which is none of the known services,")
        port = self._port(owner, number, target)
        plain = ir.Destination(namespace=owner.namespace, service=owner.name, port=port)
        if not subset:
            return plain
        said = self.destinations.of(host)
        if subset in said.subsets:
            return replace(plain, version=said.subsets[subset])
        if said.is_said or not isinstance(owner, ir.Workload):
            return None
        # The rule of the host is not among the objects: as files are that people keep apart.
        self.account.taken_for_granted(SUBSETS, target.where, *target.steps)
        self.destinations.assume(owner, subset, target)
        return replace(plain, version=subset)

    def _port(self, owner: Owner, number: int | None, at: Fields) -> int:
        if number is None:
            return owner.ports[0].number if len(owner.ports) == 1 else SAME_PORT
        found = self.world.port(owner, number)
        if found is None:
            raise at.error(f"port {number} of `{owner.name}`, which is none of its ports,")
        return found.number
