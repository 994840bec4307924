"""Traffic blocks: for each port what is said of its connections and of its requests, and profiles of what several say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.importing.conjunctions import UnsayableRouteError
from meshc.importing.groups import Groups
from meshc.importing.naming import Naming
from meshc.importing.origins import Origins
from meshc.importing.pieces import Line, Piece, port_piece
from meshc.importing.profiles import Profile, find_profiles
from meshc.importing.routes import ACTIONS, Routes, to_itself, without_route, written_routes
from meshc.importing.settings import Setting, port_settings
from meshc.source import Span
from meshc.target import PortKey

Owner = ir.Workload | ir.External


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The block of one port."""

    key: PortKey
    settings: tuple[Setting, ...]
    routes: tuple[Line, ...]
    spans: tuple[Span, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All that it says."""
        return (*(one.text for one in self.settings), *(one.text for one in self.routes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """All blocks of a mesh, by namespace and name, the profiles that they use, and the routes that cannot be said."""

    blocks: Mapping[tuple[str, str], tuple[Block, ...]]
    profiles: tuple[Profile, ...]
    unsayable: tuple[tuple[Piece, str], ...] = field(default=())


def routed(port: ir.PortPolicy, key: PortKey) -> ir.PortPolicy:
    """The port with a last route for everything: where nobody says how calls travel, they go where they are sent."""
    port = replace(port, routes=tuple(map(_effective, port.routes)))
    if port.routes and _is_default(port.routes[-1]):
        return port
    answer: ir.Forward | ir.Respond = to_itself(key)
    if port.routes:
        answer = ir.Respond(status=404, body="", span=port.routes[-1].span)
    default = ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=answer,
        settings=ir.Settings() if port.routes else port.settings,
        span=port.span,
    )
    return replace(port, routes=(*port.routes, default))


def _effective(route: ir.Route) -> ir.Route:
    """The route without what does nothing: an answer sends nothing on."""
    if isinstance(route.action, ir.Forward):
        return route
    said = route.settings
    changes = tuple(one for one in said.header_changes if one.direction == "response")
    return replace(route, settings=ir.Settings(delays=said.delays, aborts=said.aborts, header_changes=changes))


def _is_default(route: ir.Route) -> bool:
    return (route.methods, route.path, route.condition, route.callers) == ((), ir.ANY_PATH, ir.ALWAYS, None)


def traffic_of(mesh: ir.Mesh, naming: Naming, groups: Groups) -> Traffic:
    """The blocks of a mesh; ports of which nothing is said have none."""
    owners: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    unsayable: list[tuple[Piece, str]] = []
    blocks: dict[tuple[str, str], tuple[Block, ...]] = {}
    for owner in owners:
        found = [_block(owner, port, naming, groups, unsayable) for port in owner.ports]
        blocks[(owner.namespace, owner.name)] = tuple(one for one in found if one.texts)
    said = [one.settings for some in blocks.values() for one in some]
    return Traffic(blocks=blocks, profiles=find_profiles(said), unsayable=tuple(unsayable))


def _block(
    owner: Owner, port: ir.PortPolicy, naming: Naming, groups: Groups, unsayable: list[tuple[Piece, str]]
) -> Block:
    key = (owner.namespace, owner.name, port.number)
    try:
        routes = written_routes(port, key, naming, groups)
    except UnsayableRouteError as error:
        unsayable.append((_unsayable(port, key, error.place), str(error)))
        routes = Routes(settings={}, lines=())
    settings = (*port_settings(port.settings, port.span).values(), *routes.settings.values())
    is_plain = not settings and not routes.lines
    spans = [] if is_plain else [one.span for one in settings]
    spans += [] if is_plain else [route.span for route in port.routes]
    return Block(key=key, settings=settings, routes=routes.lines, spans=tuple(spans))


def _unsayable(port: ir.PortPolicy, key: PortKey, place: int) -> Piece:
    return port_piece(key, "a route", port.routes[place].span, lambda one: without_route(one, place))


def block_lines(blocks: Sequence[Block], traffic: Traffic, naming: Naming, origins: Origins) -> Iterator[Line]:
    """The blocks of one service; one block where all of its ports say the same."""
    ports = naming.ports[blocks[0].key[:2]] if blocks else ()
    if len(blocks) == len(ports) > 1 and len({one.texts for one in blocks}) == 1:
        yield from _lines(blocks, naming.service(*blocks[0].key[:2]), traffic, origins)
        return
    for one in blocks:
        yield from _lines((one,), naming.port(one.key), traffic, origins)


def _lines(blocks: Sequence[Block], target: str, traffic: Traffic, origins: Origins) -> Iterator[Line]:
    first = blocks[0]
    used = next((one for one in traffic.profiles if one.is_used(first.settings)), None)
    own = first.settings if used is None else [one for one in first.settings if one.text not in used.texts]
    yield Line("")
    yield from origins.comment(first.spans)
    told = tuple(setting_piece(one.key, setting) for one in blocks for setting in first.settings)
    uses = "" if used is None else f" uses {used.name}"
    yield Line(f"traffic {target}{uses} {{", told if used is not None else ())
    for setting in own:
        yield Line(f"  {setting.text}", tuple(setting_piece(one.key, setting) for one in blocks))
    for place, line in enumerate(first.routes):
        yield Line(line.text, tuple(piece for one in blocks for piece in one.routes[place].pieces))
    yield Line("}")


def setting_piece(key: PortKey, setting: Setting) -> Piece:
    """A setting of a whole block: of the port, and of all routes that have it."""

    def removal(port: ir.PortPolicy) -> ir.PortPolicy:
        if setting.key in ACTIONS:
            return replace(port, routes=(*port.routes[:-1], replace(port.routes[-1], action=to_itself(key))))
        routes = tuple(replace(one, settings=setting.without(one.settings)) for one in port.routes)
        return replace(port, settings=setting.without(port.settings), routes=routes)

    return port_piece(key, f"`{setting.text}`", setting.span, removal)


def profile_lines(traffic: Traffic) -> Iterator[Line]:
    """The profiles as they are declared."""
    for profile in traffic.profiles:
        users = [one for some in traffic.blocks.values() for one in some if profile.is_used(one.settings)]
        yield Line("")
        if profile.is_unsaid:
            yield Line("## What the mesh does where its configuration says nothing.")
        yield Line(f"profile {profile.name} {{")
        for text in profile.texts:
            told = tuple(
                setting_piece(one.key, setting) for one in users for setting in one.settings if setting.text == text
            )
            yield Line(f"  {text}", told)
        yield Line("}")
