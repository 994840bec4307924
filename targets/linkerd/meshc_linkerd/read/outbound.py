"""The callers' side: routes of Services -> the routes of each port, in the order in which callers' proxies prefer them.

Source: Gateway API for meshes, and linkerd2 where it differs. A port has routes of one family: those of gRPC, if there are any. Routes in the
namespace of a Service are for all callers; those in another one for the callers there, beside the others. What no route takes is answered
404, once there is one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc.source import Span
from meshc.target import Json, PortKey
from meshc_linkerd.read.account import PLAIN_CALLS, TRAVEL, Account, NotUnderstoodError
from meshc_linkerd.read.authorities import GROUP
from meshc_linkerd.read.deeds import Around, Deed, read_deed
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.grpc import read_call
from meshc_linkerd.read.matches import read_match, rules_of
from meshc_linkerd.read.notes import Notes, Said
from meshc_linkerd.read.ordering import Choice, ordered
from meshc_linkerd.read.paths import ANY
from meshc_linkerd.read.services import Services

GATEWAY: Final = "gateway.networking.k8s.io"
_HTTP: Final = "HTTPRoute"
_GRPC: Final = "GRPCRoute"
_FAMILIES: Final = (_HTTP, _GRPC, "TLSRoute", "TCPRoute")
_NOT_FOUND: Final = 404
_PORTLESS: Final = 0

Parents = Mapping[tuple[str, str, int], Sequence[ConfigObject]]


@dataclass(slots=True)
class Outbound:
    """Reads routes of ports. `parents` are the routes of each Service, by namespace, name and port, 0 for all of its ports."""

    services: Services
    account: Account
    trust_domain: str
    parents: Parents

    def port(self, workload: ir.Workload, port: ir.PortPolicy) -> tuple[ir.Route, ...]:
        """The routes of a port, as its callers have them."""
        key = (workload.namespace, workload.name, port.number)
        attached = self._attached(workload, port)
        if not port.protocol.is_http:
            self._check_connections(attached, key)
            return (plain_route(workload, port),)
        try:
            return tuple(self._routes(workload, port, attached))
        except NotUnderstoodError as error:
            source = attached[0] if attached else self._source(workload)
            self.account.not_understood(source, error, (key,), *TRAVEL)
            return (plain_route(workload, port),)

    def _attached(self, workload: ir.Workload, port: ir.PortPolicy) -> list[ConfigObject]:
        found: dict[int, ConfigObject] = {}
        for number in (port.number, _PORTLESS):
            for one in self.parents.get((workload.namespace, workload.name, number), ()):
                found[id(one)] = one
        return list(found.values())

    def _source(self, workload: ir.Workload) -> ConfigObject:
        return ConfigObject(data={}, file=workload.span.path)

    def _check_connections(self, attached: Iterable[ConfigObject], key: PortKey) -> None:
        """Routes of requests mean nothing to a port of connections; those of connections are not understood."""
        for one in attached:
            if one.kind not in {_HTTP, _GRPC}:
                error = NotUnderstoodError(f"a {one.kind} is not understood", "kind")
                self.account.not_understood(one, error, (key,), *TRAVEL)

    def _routes(
        self, workload: ir.Workload, port: ir.PortPolicy, attached: Sequence[ConfigObject]
    ) -> Iterator[ir.Route]:
        key = (workload.namespace, workload.name, port.number)
        notes = self.services.notes(workload)
        is_grpc = any(one.kind == _GRPC for one in attached)
        own = [one for one in attached if one.kind == (_GRPC if is_grpc else _HTTP)]
        if not own:
            self._check_connections(attached, key)
        said = notes.said(is_grpc=is_grpc)
        choices: list[Choice] = []
        for one in own:
            try:
                choices += self._choices(one, workload, said)
            except NotUnderstoodError as error:
                self.account.not_understood(one, error, (key,), *TRAVEL)
        yield from self._in_order(choices, workload, port, said)

    def _in_order(
        self, choices: Sequence[Choice], workload: ir.Workload, port: ir.PortPolicy, service: Said
    ) -> Iterator[ir.Route]:
        found = ordered(choices)
        for one in found:
            yield from one.routes(self._callers(one.callers))
            if one.takes_all and one.callers is None:
                return
        span = found[0].span if found else port.span
        for namespace in sorted({one.callers for one in found if one.callers is not None}):
            yield _nowhere(span, self._callers(namespace))
        if any(one.callers is None for one in found):
            yield _nowhere(span, None)
        else:
            settings = ir.Settings(
                timeout_ms=service.timeouts.request, idle_timeout_ms=service.timeouts.idle, retry=service.retry
            )
            yield plain_route(workload, port, settings)

    def _callers(self, namespace: str | None) -> ir.Principals | None:
        if namespace is None:
            return None
        return ir.Principals((ir.IdentityPrefix(f"spiffe://{self.trust_domain}/ns/{namespace}/sa/"),))

    # ---- routes -----------------------------------------------------------------------------------------------------

    def _choices(self, route: ConfigObject, workload: ir.Workload, service: Said) -> list[Choice]:
        is_grpc = route.kind == _GRPC
        spec = Fields.spec(route)
        spec.ignore("parentRefs")
        hosts = spec.texts("hostnames") or ("",)
        rules = rules_of(spec)
        spec.finish()
        around = Around(
            services=self.services,
            account=self.account,
            namespace=route.namespace,
            own=Notes.of(route).said(is_grpc=is_grpc),
            service=service,
            is_policy_kind=route.group == GROUP,
            is_grpc=is_grpc,
        )
        is_for_all = route.namespace == workload.namespace
        found: list[Choice] = []
        for rule in rules:
            deed = read_deed(rule, around)
            matches = list(rule.each("matches")) or [Fields({}, rule.source, rule.steps)]
            for host in hosts:
                for one in matches:
                    again = Fields(one.data, one.source, one.steps)
                    found += self._choice(again, host.lower(), deed, len(found), is_for_all=is_for_all)
        return found

    def _choice(self, one: Fields, host: str, deed: Deed, place: int, *, is_for_all: bool) -> Iterator[Choice]:
        route = one.source
        match = (read_call if route.kind == _GRPC else read_match)(one, host, self.account)
        if match.path != ANY:
            self.account.taken_for_granted(PLAIN_CALLS, route, *one.steps)
        if match.path.patterns:
            yield Choice(
                match=match,
                callers=None if is_for_all else route.namespace,
                actions=tuple(deed.on(path) for path in match.path.patterns),
                settings=deed.settings,
                route=route,
                place=place,
                span=deed.span,
            )


def plain_route(owner: ir.Workload | ir.External, port: ir.PortPolicy, settings: ir.Settings | None = None) -> ir.Route:
    """What becomes of calls that no route is about: they go to the port itself."""
    settings = settings or ir.Settings()
    itself = ir.Destination(namespace=owner.namespace, service=owner.name, port=port.number)
    return _route(ir.Forward(destinations=(itself,)), settings, port.span, None)


def _nowhere(span: Span, callers: ir.Principals | None) -> ir.Route:
    return _route(ir.Respond(status=_NOT_FOUND, body="", span=span), ir.Settings(), span, callers)


def _route(
    action: ir.Forward | ir.Respond, settings: ir.Settings, span: Span, callers: ir.Principals | None
) -> ir.Route:
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=callers,
        action=action,
        settings=settings,
        span=span,
    )


# ---- parents --------------------------------------------------------------------------------------------------------


def routes_by_parent(objects: Iterable[ConfigObject], services: Services, known: ir.Mesh, account: Account) -> Parents:
    """The routes of each Service, by namespace, name and port; says which parents nothing is known of."""
    outside = [(one.namespace, one.name, port.number) for one in known.externals for port in one.ports]
    found: dict[tuple[str, str, int], list[ConfigObject]] = {}
    for route in objects:
        if route.kind not in _FAMILIES or route.group not in {GATEWAY, GROUP}:
            continue
        if not route.namespace:
            error = NotUnderstoodError("an object without a namespace gets the one it is applied in", "metadata")
            account.not_understood(route, error, None, *TRAVEL)
            continue
        for number, parent in enumerate(items(mapping(route.data.get("spec")).get("parentRefs"))):
            kind, _ = parent_of(mapping(parent), route)
            try:
                key = _parent(Fields(mapping(parent), route, ("spec", "parentRefs", number)), route, services)
            except NotUnderstoodError as error:
                if kind == "EgressNetwork":
                    # A route lets its calls out even where the network denies all others.
                    account.not_understood(route, error, outside, *Aspect)
                else:
                    account.not_understood(route, error, (), *TRAVEL)
            else:
                if key is not None:
                    found.setdefault(key, []).append(route)
    return found


def parent_of(ref: Mapping[str, Json], route: ConfigObject) -> tuple[str, str]:
    """Kind and group of a route's parent; without a group it is of the route's own, as the definitions of both say."""
    kind, group = ref.get("kind"), ref.get("group")
    return ("Gateway" if kind is None else str(kind)), (route.group if group is None else str(group))


def _parent(ref: Fields, route: ConfigObject, services: Services) -> tuple[str, str, int] | None:
    """The port that a route is for, 0 for all of a Service; None for a server's. Raises NotUnderstoodError."""
    ref.ignore("group", "kind")
    kind, group = parent_of(ref.data, route)
    name, namespace, port = ref.text("name"), ref.text("namespace", route.namespace), ref.number("port")
    if kind == "Server" and group == GROUP:
        return None
    if kind == "Gateway":
        raise ref.error("a gateway's routes cannot be said: it is no service of the mesh", "kind")
    if kind == "EgressNetwork":
        raise ref.error("routes to what is outside of the mesh are not understood", "kind")
    if kind != "Service" or group not in {"", "core"}:
        raise ref.error(f"a route of a `{kind}` is not understood", "kind")
    ref.finish()
    known = services.known(namespace, name)
    if known is None:
        raise ref.error(f"`{name}` is none of the known services", "name")
    if port is not None and all(one.number != port for one in known.ports):
        raise ref.error(f"`{name}` has no port {port} that is known", "port")
    return namespace, name, port or _PORTLESS
