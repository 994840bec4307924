"""The routes of a port as a person would have written them: what all have in common in the block, the rest in each route."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from meshc import ir
from meshc.importing.conjunctions import Entry, spread
from meshc.importing.groups import Groups
from meshc.importing.naming import Naming
from meshc.importing.ordering import unordered
from meshc.importing.pieces import Line, Piece, port_piece
from meshc.importing.settings import NEVER_RETRY, Setting, route_settings
from meshc.semantics import wording
from meshc.semantics.show import show_condition, show_operation, show_path, show_text
from meshc.target import PortKey

_WHOLE: Final = 100
_DESTINATIONS: Final = "destinations"
_ANSWER: Final = "answer"
ACTIONS: Final = frozenset({_DESTINATIONS, _ANSWER})
"""The keys of what a block does with requests, which is no setting of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The settings of a block that are about requests, by key, and its routes."""

    settings: Mapping[str, Setting]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A route and what is said of it."""

    entry: Entry
    settings: Mapping[str, Setting]
    does: Setting | None
    """Where requests go, or what answers them; None for the port itself."""

    @property
    def is_answer(self) -> bool:
        return self.does is not None and self.does.key == _ANSWER

    def lacks(self, one: Setting) -> bool:
        """Whether the block's setting would be inherited, and change something. A retry can be taken back."""
        return one.key not in self.settings and one.key != "retry" and (one.is_answered or not self.is_answer)


def written_routes(port: ir.PortPolicy, key: PortKey, naming: Naming, groups: Groups) -> Routes:
    """The routes of a port, of which the last matches everything. Raises UnsayableRouteError."""
    entries = unordered(spread(port.routes))
    return _Writer(key, port.protocol, naming, groups).written(entries)


@dataclass(frozen=True, slots=True)
class _Writer:
    key: PortKey
    protocol: ir.Protocol
    naming: Naming
    groups: Groups

    def written(self, entries: Sequence[Entry]) -> Routes:
        *routes, default = map(self._said, entries)
        shared = {name: one for name, one in default.settings.items() if not any(route.lacks(one) for route in routes)}
        if len(shared) == len(default.settings):
            block = dict(shared) if default.does is None else {**shared, default.does.key: default.does}
            return Routes(settings=block, lines=tuple(self._lines(routes, shared, default.does)))
        return Routes(settings=shared, lines=tuple(self._lines([*routes, default], shared, None)))

    def _said(self, entry: Entry) -> _Written:
        route = entry.route
        settings = route_settings(route.settings, self.naming, self.key, route.span)
        does = self._does(route)
        if not isinstance(route.action, ir.Forward):
            settings = {name: one for name, one in settings.items() if one.is_answered}
        return _Written(entry=entry, settings=settings, does=does)

    def _does(self, route: ir.Route) -> Setting | None:
        match route.action:
            case ir.Forward(destinations=destinations):
                text = shown_destinations(destinations, self.naming, self.key)
                if text == self.naming.destination(_itself(self.key), self.key):
                    return None
                return Setting(key=_DESTINATIONS, text=f"split {text}", span=route.span, without=_same, is_shared=False)
            case ir.Redirect(target=target, status=status, span=span):
                code = "" if status == 302 else f" status {status}"
                return Setting(
                    key=_ANSWER, text=f"redirect {show_text(target)}{code}", span=span, without=_same, is_shared=False
                )
            case ir.Respond(status=status, body=body, span=span):
                shown = f" {show_text(body)}" if body else ""
                return Setting(key=_ANSWER, text=f"respond {status}{shown}", span=span, without=_same, is_shared=False)

    def _lines(
        self, routes: Sequence[_Written], shared: Mapping[str, Setting], default: Setting | None
    ) -> Iterator[Line]:
        same: dict[tuple[str, ...], list[_Written]] = {}
        for one in routes:
            same.setdefault(self._besides_operation(one, shared, default), []).append(one)
        for some in same.values():
            yield from self._route(tuple(some), shared, default)

    def _besides_operation(
        self, one: _Written, shared: Mapping[str, Setting], default: Setting | None
    ) -> tuple[str, ...]:
        return (*self._head(one, default), *(text for text, _ in _body(one, shared)))

    def _route(
        self, some: tuple[_Written, ...], shared: Mapping[str, Setting], default: Setting | None
    ) -> Iterator[Line]:
        when, arrow = self._head(some[0], default)
        pieces = tuple(dict.fromkeys(_route_piece(self.key, one.entry) for one in some))
        operations = ", ".join(self._operation(one.entry.route) for one in some)
        body = list(_body(some[0], shared))
        yield Line(f"  route {operations}{when}{arrow}{' {' if body else ''}", pieces)
        for text, setting in body:
            told = pieces if setting is None else tuple(_setting_piece(self.key, one.entry, setting) for one in some)
            yield Line(f"    {text}", told)
        if body:
            yield Line("  }")

    def _operation(self, route: ir.Route) -> str:
        """An operation; what reads like a gRPC call is one only where the port takes such calls."""
        # `rpc service/*` captures nothing that a target could use.
        is_plain = not isinstance(route.path, ir.TemplatePath) or route.path.names == ("method",)
        if is_plain and self.protocol in {ir.Protocol.GRPC, ir.Protocol.HTTP2}:
            return show_operation(route.methods, route.path, is_rpc=self.protocol is ir.Protocol.GRPC)
        path = "" if route.methods and route.path == ir.ANY_PATH else show_path(route.path)
        return f"{'|'.join(route.methods)} {path}".strip()

    def _head(self, one: _Written, default: Setting | None) -> tuple[str, str]:
        """What follows the operations of a route: condition and callers; destinations."""
        route = one.entry.route
        when = "" if route.condition == ir.ALWAYS else f" when {show_condition(_single(route.condition))}"
        by = "" if route.callers is None else f" by {self.groups.callers(route.callers)}"
        if one.is_answer or (None if one.does is None else one.does.text) == (
            None if default is None else default.text
        ):
            return f"{when}{by}", ""
        itself = self.naming.destination(_itself(self.key), self.key)
        return f"{when}{by}", f" -> {itself if one.does is None else one.does.text.removeprefix('split ')}"


def is_call(protocol: ir.Protocol, route: ir.Route) -> bool:
    """Whether a route is written as one for calls of gRPC."""
    if protocol is ir.Protocol.GRPC:
        return True
    shown = show_operation(route.methods, route.path)
    return protocol is ir.Protocol.HTTP2 and shown.startswith("rpc ")


def shown_destinations(destinations: Sequence[ir.Destination], naming: Naming, near: PortKey) -> str:
    """Destinations with shares of which the last is what the others leave, as the language wants them to add up."""
    if len(destinations) == 1:
        return naming.destination(destinations[0], near)
    shares = [wording.percent(one.weight) for one in destinations]
    rest = _WHOLE - sum((Fraction(one.rstrip("%")) for one in shares[:-1]), Fraction())
    shares[-1] = wording.percent(float(rest))
    named = (naming.destination(one, near) for one in destinations)
    return ", ".join(f"{name} {share}" for name, share in zip(named, shares, strict=True))


def _body(one: _Written, shared: Mapping[str, Setting]) -> Iterator[tuple[str, Setting | None]]:
    """The lines of a route beyond what its block says; without a setting where it is the route's answer."""
    if one.is_answer and one.does is not None:
        yield one.does.text, None
    for name, setting in one.settings.items():
        if name not in shared or shared[name].text != setting.text:
            yield setting.text, setting
    if "retry" in shared and "retry" not in one.settings and not one.is_answer:
        yield NEVER_RETRY, None


def _single(condition: ir.Condition) -> ir.Condition:
    match condition:
        case ir.AllOf((one,)):
            return one
        case _:
            return condition


def _itself(key: PortKey) -> ir.Destination:
    return ir.Destination(namespace=key[0], service=key[1], port=key[2])


def to_itself(key: PortKey) -> ir.Forward:
    """Requests go where they are sent."""
    return ir.Forward(destinations=(_itself(key),))


def _same(settings: ir.Settings) -> ir.Settings:
    return settings


def _route_piece(key: PortKey, entry: Entry) -> Piece:
    route = entry.route
    shown = show_operation(route.methods, route.path)
    return port_piece(key, f"route {shown}", route.span, lambda port: without_route(port, entry.place))


def _setting_piece(key: PortKey, entry: Entry, setting: Setting) -> Piece:
    def removal(port: ir.PortPolicy) -> ir.PortPolicy:
        routes = list(port.routes)
        route = routes[entry.place]
        routes[entry.place] = replace(route, settings=setting.without(route.settings))
        return replace(port, routes=tuple(routes))

    return port_piece(key, f"`{setting.text}`", setting.span, removal)


def without_route(port: ir.PortPolicy, place: int) -> ir.PortPolicy:
    """The port without one of its routes; without the last, everything else goes to the port itself."""
    routes = [route for number, route in enumerate(port.routes) if number != place]
    return replace(port, routes=tuple(routes))
