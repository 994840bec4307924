"""The callers' side of a mesh: how calls travel to services and to what is outside.

What routes and rules of callers' proxies say of a port goes into its routes and settings; a retry budget, which is said of a destination, into
all retries that lead there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import mapping, texts
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import NO_ESCAPES, SUBSETS, Account
from meshc_istio.read.actions import DEFAULT_RETRY, Around, Target, read_retry
from meshc_istio.read.choosing import for_everybody, rules_by_host, services_by_host
from meshc_istio.read.delegates import Delegates
from meshc_istio.read.destinations import Destinations, with_versions
from meshc_istio.read.exports import ELSEWHERE, Exports
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.matching import MESH_GATEWAY
from meshc_istio.read.policies import Policy
from meshc_istio.read.refusals import only_of
from meshc_istio.read.routing import SAME_PORT, Routing
from meshc_istio.read.strangers import check_strangers
from meshc_istio.read.world import World

_BAD_REQUEST: Final = 400
_ESCAPES: Final = frozenset(
    ir.RegexPath(f".*%({one}).*")
    for one in ("00|2[fF]|5[cC]", "?:00|2[fF]|5[cC]", "?:00|2[Ff]|5[Cc]", "00|2[Ff]|5[Cc]")
)
"""Paths that the language does not take, as expressions for them."""

_HOST: Final = re.compile(r"(?:\*\.?)?[-_.A-Za-z0-9]*")
_BOTH: Final = (Aspect.ACCESS, Aspect.ROUTING)


Item = TypeVar("Item")


@dataclass(slots=True)
class Traffic:
    """Reads ports' routes and settings. `views` are what callers see, by their namespace; `namespaces` those of known callers."""

    world: World
    account: Account
    views: Mapping[str, Routing]
    namespaces: frozenset[str]

    @property
    def destinations(self) -> Destinations:
        """The rules of hosts as callers see them whom nothing names."""
        return self.views[ELSEWHERE].destinations

    def view(self, namespace: str) -> Routing:
        """What callers in a namespace see."""
        return self.views.get(namespace, self.views[ELSEWHERE])

    def workload(self, workload: ir.Workload, client: ir.MtlsMode) -> ir.Workload:
        """A service with the routes and settings of its ports; `client` is the mode that callers take it to have."""
        host = self.world.host(workload)
        ports = tuple(self.port(workload, port, host) for port in workload.ports)
        for port in ports:
            for view in self._seen().values():
                self._check_tls(workload, port, view.destinations, client)
        return replace(workload, ports=ports)

    def port(self, owner: Owner, port: ir.PortPolicy, host: str, *, is_routed: bool = True) -> ir.PortPolicy:
        """A port as callers of a host of its owner have it; one that is not routed goes to itself."""
        found: dict[str, tuple[ir.Route, ...]] = {}
        for caller, view in self._seen().items():
            listed = view.routes(owner, port, host) if is_routed else (view.plain(owner, port),)
            found[caller] = tuple(self._settled(one, owner, port, view.destinations) for one in listed)
            self._check_escapes(found[caller], port, host, view)
        return replace(port, routes=self._for_all(found), settings=self._policy(owner, port, host).settings)

    # ---- callers that see something else -----------------------------------------------------------------------------

    def _seen(self) -> Mapping[str, Routing]:
        """The views that some caller has. In a mesh of one namespace nobody calls from elsewhere."""
        is_whole = len(self.namespaces) == 1 and self.namespaces <= self.views.keys()
        return {name: view for name, view in self.views.items() if name != ELSEWHERE or not is_whole}

    def _usual(self, found: Mapping[str, Item]) -> Item:
        """What holds for callers whom nothing names; if all known ones have views of their own that agree, what these say."""
        known = [found[name] for name in self.namespaces if name in found]
        is_agreed = len(known) == len(self.namespaces) and all(one == known[0] for one in known)
        return known[0] if known and is_agreed else found[ELSEWHERE]

    def _for_all(self, found: Mapping[str, tuple[ir.Route, ...]]) -> tuple[ir.Route, ...]:
        """One list for everybody: where callers of a namespace have routes of their own, these come first, for them alone."""
        usual = self._usual(found)
        routes: list[ir.Route] = []
        for caller, listed in sorted(found.items()):
            if caller != ELSEWHERE and listed != usual:
                domain = self.world.mesh.trust_domain
                routes += (own for one in listed if (own := only_of(one, domain, caller)) is not None)
        return (*routes, *usual)

    def _policy(self, owner: Owner, port: ir.PortPolicy, host: str) -> Policy:
        """The policy of a port; where callers have different ones, which one of them has cannot be said."""
        number = called_number(owner, port)
        found = {caller: view.destinations.of(host).policy(number) for caller, view in self._seen().items()}
        usual = self._usual(found)
        for caller, policy in sorted(found.items()):
            if caller == ELSEWHERE or policy == usual:
                continue
            objects = (*self.views[caller].destinations.objects(host), *self.destinations.objects(host))
            key = (owner.namespace, owner.name, port.number)
            message = f"`{objects[0].name}`: settings for callers in `{caller}` alone cannot be said"
            self.account.not_understood(objects[0], ("spec", "trafficPolicy"), message, (key,), Aspect.SETTINGS)
        return usual

    def _check_escapes(self, routes: tuple[ir.Route, ...], port: ir.PortPolicy, host: str, view: Routing) -> None:
        """The language answers escaped slashes and the like with 400; behind an external, no server's sidecar does that."""
        leads_out = any(
            isinstance(self.world.owners[one.namespace, one.service], ir.External)
            for route in routes
            for one in (route.action.destinations if isinstance(route.action, ir.Forward) else ())
        )
        if leads_out and port.protocol.is_http and not _refuses_escapes(routes[0]):
            objects = (*view.services.of(host), *view.destinations.objects(host))
            for one in objects[:1]:
                self.account.taken_for_granted(NO_ESCAPES, one, "spec")

    def _check_tls(
        self, workload: ir.Workload, port: ir.PortPolicy, destinations: Destinations, client: ir.MtlsMode
    ) -> None:
        """Callers must speak as the server does, and in such a way that it knows them."""
        host = self.world.host(workload)
        tls = destinations.of(host).policy(called_number(workload, port)).tls
        is_off = port.mtls is ir.MtlsMode.OFF
        if tls is None:
            is_fine = not is_off or client is ir.MtlsMode.OFF
        else:
            is_fine = tls.mode == ("DISABLE" if is_off else "ISTIO_MUTUAL")
        if is_fine:
            return
        key = (workload.namespace, workload.name, port.number)
        message = f"callers of `{workload.name}` do not speak TLS as its port {port.number} does"
        rules = destinations.objects(host)
        if rules:
            self.account.not_understood(rules[0], ("spec", "trafficPolicy"), message, (key,), *_BOTH)
        else:
            self.account.missing(message, key, port.span, *_BOTH)

    def finished(self, workload: ir.Workload) -> ir.Workload:
        """The service with the versions that routes of others may lead to as well, and with the settings of subsets."""
        added: dict[str, ir.Version] = {}
        for view in self.views.values():
            added |= view.destinations.added.get((workload.namespace, workload.name), {})
        host = self.world.host(workload)
        ports = tuple(replace(one, settings=self._of_subsets(workload, one, host)) for one in workload.ports)
        return with_versions(replace(workload, ports=ports), added)

    def _of_subsets(self, workload: ir.Workload, port: ir.PortPolicy, host: str) -> ir.Settings:
        """The settings of a port, or those of the subsets that routes lead to, if all of these have the same."""
        number = called_number(workload, port)
        seen = self._seen()
        found = [one for view in seen.values() for one in view.destinations.in_use(host, number, port.protocol)]
        own = [place for _, place in found if place is not None]
        if not own:
            return port.settings
        usual = self._usual({caller: view.destinations.of(host).policy(number) for caller, view in seen.items()})
        only = found[0][0] if all(policy == found[0][0] for policy, _ in found) else None
        if only is not None and replace(only, settings=usual.settings) == usual:
            return only.settings
        speaks_alike = all(policy is not None and policy.tls == usual.tls for policy, _ in found)
        message = f"`{own[0].where.name}`: what is set for some subsets alone cannot be said"
        steps, key = (*own[0].steps, "trafficPolicy"), (workload.namespace, workload.name, port.number)
        aspects = (Aspect.SETTINGS,) if speaks_alike else tuple(Aspect)
        self.account.not_understood(own[0].where, steps, message, (key,), *aspects)
        return port.settings

    def _settled(self, route: ir.Route, owner: Owner, port: ir.PortPolicy, destinations: Destinations) -> ir.Route:
        """The route with what is said of its destinations: budgets of retries, and how long a connection may be silent."""
        if not isinstance(route.action, ir.Forward):
            return route
        settings = route.settings
        if settings.retry is not None:
            budgets = [
                found for one in route.action.destinations if (found := self._budget(one, destinations)) is not None
            ]
            if budgets:
                settings = replace(settings, retry=replace(settings.retry, budget_percent=min(budgets)))
        if not port.protocol.is_http:
            said = destinations.of(self._hosts(owner)[0])
            settings = replace(settings, idle_timeout_ms=said.policy(called_number(owner, port)).idle_ms)
        return route if settings is route.settings else replace(route, settings=settings)

    def _hosts(self, owner: Owner) -> tuple[str, ...]:
        return owner.hosts if isinstance(owner, ir.External) else (self.world.host(owner),)

    def _budget(self, destination: ir.Destination, destinations: Destinations) -> float | None:
        """The share of retries of a destination; of an external, the smallest of its hosts."""
        owner = self.world.owners.get((destination.namespace, destination.service))
        port = None if owner is None else _port_of(owner, destination.port)
        if owner is None or port is None:
            return None
        number = called_number(owner, port)
        said = (destinations.of(host).policy(number).budget for host in self._hosts(owner))
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
    world: World,
    root: str,
    settings: ConfigObject | None,
    account: Account,
) -> Traffic:
    """The reader of a mesh's traffic; `objects` are those of `networking.istio.io`, by kind."""
    exports = Exports(mapping(None if settings is None else settings.data.get("meshConfig")))
    objects = {**objects, "VirtualService": [*_taken(objects.get("VirtualService", ()), world, account)]}
    _, others = services_by_host(objects["VirtualService"], world)
    for one in others:
        message = f"`{one.name}`: routes of gateways cannot be said"
        account.not_understood(one, ("spec", "gateways"), message, (), Aspect.ROUTING)
    check_strangers(objects, world, account)
    plain, partial = for_everybody(objects.get("DestinationRule", ()), world, account)
    objects = {**objects, "DestinationRule": plain}
    named = {(one.namespace or "default", one.name): one for one in objects.get("VirtualService", ())}
    retry, delegates = _retry_of(settings, account), Delegates(named)

    def view(caller: str) -> Routing:
        services, _ = services_by_host(exports.visible(objects.get("VirtualService", ()), caller), world)
        rules = rules_by_host(exports.rules(objects.get("DestinationRule", ()), caller), world)
        destinations = Destinations(
            rules=rules, caller=caller, world=world, root=root, account=account, partial=partial
        )
        around = Around(resolve=_Resolver(world, destinations, account).resolve, default_retry=retry)
        return Routing(
            world=world,
            services=services,
            destinations=destinations,
            around=around,
            delegates=delegates,
            account=account,
        )

    special = exports.special(objects, world)
    namespaces = frozenset(one.namespace for one in world.mesh.workloads)
    views = {caller: view(caller) for caller in (*sorted(special & namespaces), ELSEWHERE)}
    return Traffic(world=world, account=account, views=views, namespaces=namespaces)


def _taken(services: Iterable[ConfigObject], world: World, account: Account) -> Iterator[ConfigObject]:
    """The VirtualServices that Istio takes: none for all hosts that callers in the mesh heed, and none that names a host twice."""
    for one in services:
        spec, home = mapping(one.data.get("spec")), one.namespace or "default"
        gateways, hosts = texts(spec.get("gateways")), texts(spec.get("hosts"))
        owners: Iterable[Owner] = ()
        what = ""
        if "*" in hosts and (not gateways or MESH_GATEWAY in gateways):
            owners, what = (
                (each for each in world.mesh.workloads if each.namespace == home),
                "routes for all hosts in the mesh",
            )
        elif len(set(hosts)) < len(hosts) or not all(map(_HOST.fullmatch, hosts)):
            named = (world.hosts.get(world.full(host, home)) for host in dict.fromkeys(hosts))
            owners, what = (each for each in named if each is not None), "routes for a host twice, or for what is none"
        if what:
            ports = (key for each in owners for key in world.keys(each))
            message = f"`{one.name}`: Istio refuses {what}"
            account.not_understood(one, ("spec", "hosts"), message, ports, Aspect.ROUTING, Aspect.SETTINGS)
        else:
            yield one


def _retry_of(settings: ConfigObject | None, account: Account) -> ir.Retry | None:
    """What is retried where a route does not say: Istio's own, or what MeshConfig says in its place."""
    if settings is None:
        return DEFAULT_RETRY
    try:
        written = Fields(settings, ("meshConfig",), settings.data.get("meshConfig")).fields("defaultHttpRetryPolicy")
        return DEFAULT_RETRY if written is None else read_retry(written)
    except NotReadError as error:
        account.not_understood(settings, error.steps, f"{error} cannot be said", None, Aspect.SETTINGS)
        return DEFAULT_RETRY


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
        called = number or (None if port == SAME_PORT else called_number(owner, owner.ports[0]))
        self.destinations.lead(host, called, subset, is_http="http" in target.steps[:2])
        if not subset:
            return plain
        said = self.destinations.of(host)
        if subset in said.subsets:
            return replace(plain, version=said.subsets[subset].version)
        if said.is_partial:
            raise target.error(f"the subset `{subset}` of `{name}`, whose rules are not all understood,")
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
