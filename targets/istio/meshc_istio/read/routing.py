"""The routes of ports: VirtualServices by host -> routes in the order in which callers' proxies try them.

Source: Istio's API reference, VirtualService. The first match counts; a request that none takes is answered 404. A host without a
VirtualService has one route, with Istio's own retries.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc.source import Span
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.actions import Action, Around, missing, read_actions, weighted
from meshc_istio.read.choosing import ByHost, oldest
from meshc_istio.read.delegates import Delegates
from meshc_istio.read.destinations import Destinations
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.forms import all_of
from meshc_istio.read.matching import EVERYTHING, MESH_GATEWAY, Match, joined, read_match
from meshc_istio.read.world import World

SAME_PORT = 0
"""Stands for the port that was called, where a destination of several ports names none."""

_SPEC = ("hosts", "gateways", "exportTo", "http", "tcp", "tls")


@dataclass(slots=True)
class _Service:
    """A VirtualService as it was read: its routes with the ports that they are for, and what of it is not understood."""

    object: ConfigObject
    http: list[tuple[Match, Action, Span]] = field(default_factory=list)
    connections: list[tuple[Match, tuple[ir.Destination, ...], Span]] = field(default_factory=list)
    is_whole: bool = True


@dataclass(slots=True)
class Routing:
    """Reads the routes of ports, as callers of one namespace have them."""

    world: World
    services: ByHost
    destinations: Destinations
    around: Around
    delegates: Delegates
    account: Account
    _known: dict[tuple[int, str], _Service] = field(default_factory=dict)

    def routes(self, owner: Owner, port: ir.PortPolicy, host: str) -> tuple[ir.Route, ...]:
        """The routes of a port, as callers of the host have them."""
        number = called_number(owner, port)
        service = self._service(host, owner, (owner.namespace, owner.name, port.number))
        if service is None:
            return (self.plain(owner, port),)
        listed = _http(service, number) if port.protocol.is_http else _connections(service, number)
        found = [self._at(one, number) for one in listed]
        if found and _takes_all(found[-1]):
            return tuple(found)
        if not port.protocol.is_http:
            return (*found, self.plain(owner, port))
        if found:
            return (*found, _nowhere(service.object.span("spec")))
        if service.is_whole:
            message = f"`{service.object.name}`: what becomes of requests to port {number}, of which it says nothing,"
            key = (owner.namespace, owner.name, port.number)
            self._unread(service.object, ("spec",), f"{message} cannot be said", (key,))
        return (self.plain(owner, port),)

    def plain(self, owner: Owner, port: ir.PortPolicy) -> ir.Route:
        """What becomes of calls that no VirtualService is about: they go to the port itself."""
        itself = ir.Destination(namespace=owner.namespace, service=owner.name, port=port.number)
        for host in owner.hosts if isinstance(owner, ir.External) else (self.world.host(owner),):
            self.destinations.lead(host, called_number(owner, port), None, is_http=port.protocol.is_http)
        retry = self.around.default_retry if port.protocol.is_http else None
        return _route(EVERYTHING, ir.Forward(destinations=(itself,)), ir.Settings(retry=retry), port.span)

    def _at(self, route: ir.Route, number: int) -> ir.Route:
        """The route of a called port: a destination that names no port has the same one."""
        mirrors = route.settings.mirrors
        if any(one.destination.port == SAME_PORT for one in mirrors):
            copies = (replace(one, destination=self._named(one.destination, number)) for one in mirrors)
            known = tuple(one for one in copies if one.destination.port != SAME_PORT)
            route = replace(route, settings=replace(route.settings, mirrors=known))
        action = route.action
        if not isinstance(action, ir.Forward) or all(one.port != SAME_PORT for one in action.destinations):
            return route
        named = tuple(self._named(one, number) for one in action.destinations)
        if any(one.port == SAME_PORT for one in named):
            return replace(route, action=missing(route.span), settings=ir.Settings())
        return replace(route, action=ir.Forward(destinations=named))

    def _named(self, destination: ir.Destination, number: int) -> ir.Destination:
        owner = self.world.owners[destination.namespace, destination.service]
        port = self.world.port(owner, number) if destination.port == SAME_PORT else None
        return destination if port is None else replace(destination, port=port.number)

    def _service(self, host: str, owner: Owner, key: PortKey) -> _Service | None:
        listed = self.services.of(host)
        if not listed:
            return None
        one = oldest(listed)
        if one is None:
            message = f"which of several VirtualServices holds for `{host}` depends on their age"
            self._unread(listed[0], ("spec",), message, (key,))
            one = listed[0]
        known = self._known.get((id(one), host))
        if known is None:
            known = self._read(one, owner)
            self._known[id(one), host] = known
        return known

    def _read(self, one: ConfigObject, owner: Owner) -> _Service:
        service = _Service(one)
        keys = self.world.keys(owner)
        try:
            spec = Fields(one, ("spec",), one.data.get("spec"))
            spec.ignore(*_SPEC)
            spec.finish()
            listed = [(name, spec.items(name)) for name in ("http", "tls", "tcp")]
        except NotReadError as error:
            self._unread(one, error.steps, f"`{one.name}`: {error} cannot be said", keys)
            service.is_whole = False
            return service
        for name, routes in listed:
            for route in routes:
                try:
                    if name == "http":
                        for each in self.delegates.expanded(route):
                            service.http += self._http_route(each, _touched(owner, route))
                    else:
                        service.connections += self._connection_route(route, owner)
                except NotReadError as error:
                    # What is wrong may stand in a delegate.
                    where, steps = (one, route.steps) if error.where is None else (error.where, error.steps)
                    touched = _touched(owner, route)
                    self._unread(where, steps, f"`{where.name}`: {error} cannot be said", touched)
                    service.is_whole = False
        return service

    def _unread(
        self, one: ConfigObject, steps: tuple[str | int, ...], message: str, ports: tuple[PortKey, ...]
    ) -> None:
        self.account.not_understood(one, steps, message, ports, *(Aspect.ROUTING, Aspect.SETTINGS))

    # ---- http -------------------------------------------------------------------------------------------------------

    def _http_route(self, route: Fields, touched: tuple[PortKey, ...]) -> Iterator[tuple[Match, Action, Span]]:
        route.ignore("name")
        span = route.where.span(*route.steps)
        entries = route.items("match")
        matches = [EVERYTHING] if not entries else [read_match(one, self.world) for one in entries]
        kept = joined(one for one in matches if one is not None)
        for one in kept:
            for text in one.assumptions:
                self.account.taken_for_granted(text, route.where, *route.steps)
        actions = list(read_actions(route, kept, self.around))
        if "corsPolicy" in route and kept:
            # Who gets where stays; preflights are answered, and answers to browsers get headers.
            message = f"`{route.where.name}`: what callers' proxies say to other origins cannot be said"
            self._unread(route.where, (*route.steps, "corsPolicy"), message, touched)
        route.ignore("corsPolicy")
        route.finish()
        for match, action in zip(kept, actions, strict=True):
            yield match, action, span

    # ---- connections ------------------------------------------------------------------------------------------------

    def _connection_route(
        self, route: Fields, owner: Owner
    ) -> Iterator[tuple[Match, tuple[ir.Destination, ...], Span]]:
        span = route.where.span(*route.steps)
        entries = route.items("match")
        targets = weighted(route.items("route"), self.around.resolve, route)
        route.finish()
        for one in entries or (Fields(route.where, route.steps, {}),):
            gateways = one.texts("gateways")
            if gateways and MESH_GATEWAY not in gateways:
                continue
            port, names = one.whole("port") or None, one.texts("sniHosts")
            callers = self.world.callers(one.text_map("sourceLabels"), one.text("sourceNamespace"))
            one.finish()
            if "tls" in route.steps[:2] and not names:
                raise one.error("a route of TLS that names no server, which Istio refuses,")
            condition = ir.ALWAYS if not names or _are_own(names, owner) else _server_names(names)
            yield Match(port=port, condition=condition, callers=callers), targets, span


def _touched(owner: Owner, route: Fields) -> tuple[PortKey, ...]:
    """The ports of an owner that a route may be for: those of requests or the others, and of these the ones that it names."""
    is_http = "http" in route.steps[:2]
    numbers = {mapping(one).get("port") for one in items(route.data.get("match"))}
    named = {one for one in numbers if isinstance(one, int) and one}
    return tuple(
        (owner.namespace, owner.name, port.number)
        for port in owner.ports
        if port.protocol.is_http is is_http
        and (not numbers or len(named) < len(numbers) or called_number(owner, port) in named)
    )


def _are_own(names: tuple[str, ...], owner: Owner) -> bool:
    """Whether the server names are those by which an external is reached at all."""
    return isinstance(owner, ir.External) and set(names) <= set(owner.hosts)


def _server_names(names: tuple[str, ...]) -> ir.Condition:
    found = [ir.SniIs(ir.EndsWith(one[1:].lower()) if one.startswith("*") else ir.Equals(one.lower())) for one in names]
    return found[0] if len(found) == 1 else ir.AnyOf(tuple(found))


def _http(service: _Service, number: int) -> Iterator[ir.Route]:
    for match, action, span in service.http:
        if match.port in {None, number}:
            yield _route(replace(match, path=action.path), action.action, action.settings, span)
            if _takes_all_of(match) and match.callers is None:
                return


def _connections(service: _Service, number: int) -> Iterator[ir.Route]:
    for match, targets, span in service.connections:
        if match.port in {None, number}:
            action = ir.Forward(destinations=targets) if targets else replace(missing(span), status=403)
            yield _route(match, action, ir.Settings(), span)


def _route(match: Match, action: ir.Forward | ir.Redirect | ir.Respond, settings: ir.Settings, span: Span) -> ir.Route:
    return ir.Route(
        methods=match.methods,
        path=match.path,
        condition=all_of((match.condition,)),
        callers=match.callers,
        action=action,
        settings=settings,
        span=span,
    )


def _takes_all_of(match: Match) -> bool:
    return not match.methods and match.path == ir.ANY_PATH and match.condition == ir.ALWAYS


def _takes_all(route: ir.Route) -> bool:
    plain = not route.methods and route.path == ir.ANY_PATH and route.condition == ir.ALWAYS
    return plain and route.callers is None


def _nowhere(span: Span) -> ir.Route:
    return _route(EVERYTHING, ir.Respond(status=404, body="", span=span), ir.Settings(), span)
