"""Traffic blocks: the settings and the ordered routes of each port.

Later wins: a service's block, then a port's; in each, profiles before the block's own lines, and an environment's lines
over the program's. A route starts from all of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from meshc import ast, ir
from meshc.diagnostics import Label
from meshc.ir import Protocol
from meshc.lower.assemble import Chosen, assemble_action, assemble_settings, check_route_settings, refuse_unsent
from meshc.lower.conditions import lower_condition, lower_operation, read_path, read_rpc
from meshc.lower.context import Context
from meshc.lower.destinations import lower_destinations
from meshc.lower.layers import Layered
from meshc.lower.profiles import expand_uses
from meshc.lower.scopes import Target, check_rpc, has_ports, lower_service_scope
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.settings import ENDPOINT_KEYS, Setting, lower_setting, needing_requests
from meshc.lower.sources import lower_callers
from meshc.lower.world import World

_OWN = 99
"""The layer of a block's own lines; its profiles are below, by how deep they are nested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedTraffic:
    """One block with its scope."""

    target: Target
    node: ast.Traffic
    layer: int
    module: str


def lower_traffic_scope(context: Context, world: World, node: ast.Traffic, layer: int) -> ScopedTraffic | None:
    """Resolve the scope of one block; None after a report."""
    target = lower_service_scope(context, world, node.service)
    if target is None or not has_ports(context, target):
        return None
    check_rpc(context, target, [operation for route in node.routes for operation in route.operations])
    if node.routes and not any(port.protocol.is_http for port in target.named_ports()):
        message = f"there are no requests to route on `{target.shown}`"
        context.report.add("protocol-mismatch", node.routes[0].span, message)
    return ScopedTraffic(target=target, node=node, layer=layer, module=context.module)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTraffic:
    """What the blocks of one port come to."""

    settings: ir.Settings
    routes: tuple[ir.Route, ...]


@dataclass(frozen=True, slots=True)
class _RouteKey:
    methods: tuple[str, ...]
    path: ir.PathPattern
    condition: ir.Condition
    callers: ir.Principals | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    key: _RouteKey
    rank: tuple[object, ...]
    layer: int
    chosen: Chosen
    node: ast.Route
    is_rpc: bool


def lower_port_traffic(
    context: Context, world: World, blocks: Sequence[ScopedTraffic], service: ServiceInfo, port: PortInfo
) -> PortTraffic:
    """Settings and routes of one port, from all blocks whose scope contains it."""
    return _PortLowering(context, world, service, port).lower(
        [block for block in blocks if block.target.covers(service, port)]
    )


@dataclass(slots=True)
class _PortLowering:
    context: Context
    world: World
    service: ServiceInfo
    port: PortInfo
    defaults: Chosen = field(init=False)
    drafts: dict[_RouteKey, _Draft] = field(default_factory=dict)

    def lower(self, blocks: Sequence[ScopedTraffic]) -> PortTraffic:
        layered: Layered[Setting] = Layered(self.context.report)
        for block in blocks:
            self._add_settings(block, layered)
        self.defaults = {key: given.value for key, given in layered.given.items()}
        for block in blocks:
            context = self.context.inside(block.module)
            for node in block.node.routes if self.port.protocol.is_http else ():
                self._add_route(context, block, node)
        settings = assemble_settings(self.defaults)
        self._check_answer(layered)
        ordered = sorted(self.drafts.values(), key=lambda draft: draft.rank)
        routes = [self._finish(draft) for draft in ordered]
        routes.append(self._default_route(blocks, settings))
        return PortTraffic(settings=settings, routes=tuple(routes))

    def _check_answer(self, layered: Layered[Setting]) -> None:
        """Report what does nothing beside an answer of the block; what an answer replaces, of a profile say, is no mistake."""
        answer = layered.given.get("answer")
        if answer is None:
            return
        own = {key: given.value for key, given in layered.given.items() if given.layer == answer.layer}
        if "destinations" in own:
            message = "this block answers by itself and splits requests as well"
            self.context.report.add(
                "duplicate-setting", own["destinations"].span, message, advice="keep one of the two"
            )
        if all("answer" in draft.chosen for draft in self.drafts.values()):
            # Other services may send here by routes of their own: what says how endpoints are used still counts for them.
            refuse_unsent(self.context, {key: one for key, one in own.items() if one.kind not in ENDPOINT_KEYS})

    def _near(self) -> ast.Ref:
        namespace, name = self.service.key
        return ast.Ref(name=name, scope=namespace, port=str(self.port.number), span=self.port.span)

    def _add_settings(self, block: ScopedTraffic, layered: Layered[Setting]) -> None:
        node = block.node
        context = self.context.inside(block.module)
        base = (int(block.target.nearness) * 10 + block.layer) * 100
        for depth, inner, setting in expand_uses(context, node.uses):
            self._give(inner, setting, base + depth, layered)
        for setting in node.settings:
            self._give(context, setting, base + _OWN, layered)

    def _give(self, context: Context, node: ast.Setting, layer: int, layered: Layered[Setting]) -> None:
        setting = lower_setting(context, self.world, node, self._near())
        if setting is None:
            return
        if not self.port.protocol.is_http and (found := needing_requests(setting)) is not None:
            message = f"{found} needs requests, and `{self._shown()}` carries {self.port.protocol.value}"
            self.context.report.add("protocol-mismatch", setting.span, message)
            return
        if setting.kind == "tls" and self.port.protocol is not Protocol.HTTPS:
            message = "`tls` says how the caller's proxy originates TLS, which it does for `https` ports of externals"
            self.context.report.add("protocol-mismatch", setting.span, message)
            return
        layered.give(setting.key, setting, layer, setting.span, shown=setting.shown)

    def _shown(self) -> str:
        return f"{self.service.shown}:{self.port.number}"

    def _add_route(self, context: Context, block: ScopedTraffic, node: ast.Route) -> None:
        chosen = self._route_settings(context, block, node)
        condition = self._route_condition(context, node)
        callers = lower_callers(context, self.world, node.by) if node.by else None
        for operation in node.operations:
            if lower_operation(context, operation) is None:
                continue
            methods, path = _split(context, operation)
            if path is None:
                continue
            key = _RouteKey(methods, path, condition, callers)
            layer = int(block.target.nearness) * 10 + block.layer
            draft = _Draft(
                key=key,
                rank=_rank(key, node),
                layer=layer,
                chosen=chosen,
                node=node,
                is_rpc=isinstance(operation, ast.RpcOperation),
            )
            self._add_draft(draft)

    def _add_draft(self, draft: _Draft) -> None:
        present = self.drafts.get(draft.key)
        if present is not None and present.layer == draft.layer and present.node is not draft.node:
            self.context.report.add(
                "duplicate-declaration",
                draft.node.span,
                "two routes match the same requests",
                labels=(Label(span=present.node.span, text="the other one"),),
                advice="merge them, or remove one",
            )
        if present is None or present.layer < draft.layer:
            self.drafts[draft.key] = draft

    def _route_settings(self, context: Context, block: ScopedTraffic, node: ast.Route) -> Chosen:
        layered: Layered[Setting] = Layered(context.report)
        near = self._near()
        if node.destinations:
            found = lower_destinations(context, self.world, node.destinations, near, node.span)
            if found is not None:
                span = node.destinations[0].span
                layered.give(
                    "destinations", Setting(key="destinations", kind="destinations", value=found, span=span), 0, span
                )
        for one in node.settings:
            setting = lower_setting(context, self.world, one, near)
            if setting is None:
                continue
            if setting.kind in ENDPOINT_KEYS:
                advice = f"move it up into the block of `{block.target.shown}`"
                message = f"`{setting.kind}` belongs to the connections of a port, and not to one route"
                context.report.add("misplaced-setting", setting.span, message, advice=advice)
                continue
            layered.give(setting.key, setting, 0, setting.span, shown=setting.shown)
        own = {key: given.value for key, given in layered.given.items()}
        if "answer" in own:
            refuse_unsent(context, own)
        if "answer" in own and "destinations" in own:
            message = "this route answers by itself and sends requests on as well"
            context.report.add("duplicate-setting", own["answer"].span, message, advice="keep one of the two")
        inherited = dict(self.defaults)
        if "answer" in own:
            inherited.pop("destinations", None)
        if "destinations" in own:
            inherited.pop("answer", None)
        return {**inherited, **own}

    def _route_condition(self, context: Context, node: ast.Route) -> ir.Condition:
        for test in _tests(context, node.condition):
            if test.subject.kind not in {"header", "query", "host"}:
                message = "a route is chosen by `header`, `query` and `host` alone"
                advice = "who may call is said in an `access` block; callers are chosen with `by`"
                context.report.add("misplaced-setting", test.span, message, advice=advice)
                return ir.ALWAYS
        return lower_condition(context, node.condition)

    def _finish(self, draft: _Draft) -> ir.Route:
        settings = assemble_settings(draft.chosen)
        action = assemble_action(draft.chosen, self.service.key, self.port.number)
        check_route_settings(
            self.context,
            draft.chosen,
            path=draft.key.path,
            methods=draft.key.methods,
            is_grpc=draft.is_rpc or self.port.protocol is Protocol.GRPC,
        )
        return ir.Route(
            methods=draft.key.methods,
            path=draft.key.path,
            condition=draft.key.condition,
            callers=draft.key.callers,
            action=action,
            settings=settings,
            doc=draft.node.doc,
            span=draft.node.span,
        )

    def _default_route(self, blocks: Sequence[ScopedTraffic], settings: ir.Settings) -> ir.Route:
        nearest = max(blocks, key=lambda block: block.target.nearness, default=None)
        check_route_settings(
            self.context,
            self.defaults,
            path=ir.ANY_PATH,
            methods=(),
            is_grpc=self.port.protocol is Protocol.GRPC or not self.port.protocol.is_http,
        )
        return ir.Route(
            methods=(),
            path=ir.ANY_PATH,
            condition=ir.ALWAYS,
            callers=None,
            action=assemble_action(self.defaults, self.service.key, self.port.number),
            settings=settings,
            span=self.port.span if nearest is None else nearest.target.span,
        )


def _split(context: Context, operation: ast.Operation) -> tuple[tuple[str, ...], ir.PathPattern | None]:
    if isinstance(operation, ast.RpcOperation):
        return ("POST",), read_rpc(context, operation)
    methods = tuple(sorted({name.text for name in operation.methods}))
    return methods, ir.ANY_PATH if operation.path is None else read_path(context, operation.path)


def _tests(context: Context, condition: ast.Condition | None) -> Iterator[ast.Test]:
    match condition:
        case None:
            return
        case ast.Test():
            yield condition
        case ast.AllOf(conditions=parts):
            for part in parts:
                yield from _tests(context, part)
        case ast.AnyOf() | ast.NotTest():
            advice = "write two routes for `or`, and `!=` or `is absent` for `not`"
            message = "the tests of a route are joined by `and` alone"
            context.report.add("misplaced-setting", condition.span, message, advice=advice)


def _rank(key: _RouteKey, node: ast.Route) -> tuple[object, ...]:
    """What the language's order of specificity says of a route, most specific first; the place in the source decides ties."""
    kinds = [test.subject.kind for test in _plain_tests(node.condition)]
    return (
        *path_rank(key.path),
        "host" not in kinds,
        not key.methods,
        -kinds.count("header"),
        -kinds.count("query"),
        key.callers is None,
        node.span.path,
        node.span.start,
        repr(key.path),
        key.methods,
    )


def _plain_tests(condition: ast.Condition | None) -> Iterator[ast.Test]:
    match condition:
        case ast.Test():
            yield condition
        case ast.AllOf(conditions=parts):
            for part in parts:
                yield from _plain_tests(part)
        case _:
            return


def path_rank(path: ir.PathPattern) -> tuple[int, int, int]:
    """How specific a path is by the order of the language; the smaller, the more."""
    match path:
        case ir.ExactPath():
            return 0, 0, 0
        case ir.TemplatePath(segments=segments, rest=False):
            return 1, -sum(segment is not None for segment in segments), 0
        case ir.RegexPath():
            return 2, 0, 0
        case ir.TemplatePath(segments=segments):
            return 3, -len(segments), -sum(segment is not None for segment in segments)
