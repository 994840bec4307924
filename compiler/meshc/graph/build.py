"""Build: `ir.Mesh` -> `model.Graph`, with an edge wherever the destination lets some request of a caller through.

Asked is what a destination lets through; callers' routes do not count, since whoever holds a certificate may send what it likes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from meshc.graph.access import Verdict, verdicts_of
from meshc.graph.callers import NamedCaller, Unseen, Unverified
from meshc.graph.model import Edge, Graph, Node, NodeId, NodeKind, Port, Travel
from meshc.ir import (
    AnyIdentity,
    ExactIdentity,
    External,
    Forward,
    IdentityPrefix,
    Mesh,
    PortPolicy,
    Route,
    Workload,
)
from meshc.semantics.regions.ports import PortSide, sides_of
from meshc.semantics.show import Names, identity_names, show_route

_ANYONE = Node(id="anyone", kind=NodeKind.ANYONE, label="anyone")
_AUTHENTICATED = Node(id="authenticated", kind=NodeKind.AUTHENTICATED, label="any identity")
_UNVERIFIED = Node(id="unverified", kind=NodeKind.UNVERIFIED, label="no identity")


def build(mesh: Mesh, environment: str | None = None) -> Graph:
    """The graph of a mesh; `environment` is the one it is for. Raises ValueError for a pattern that is not RE2 syntax."""
    return replace(_Builder(mesh).graph(), environment=environment)


class _Builder:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._names = identity_names(mesh)
        self._by_identity: dict[str, list[Node]] = {}
        self._declared = {node.id: node for node in self._declare()}
        self._callers: dict[NodeId, Node] = {}

    def graph(self) -> Graph:
        edges = [edge for side in sides_of(self._mesh).values() for edge in self._edges(side)]
        callers = sorted(self._callers.values(), key=lambda node: (_ORDER[node.kind], node.id))
        nodes = {**self._declared, **{node.id: replace(node, members=self._members(node)) for node in callers}}
        places = {name: place for place, name in enumerate(nodes)}
        edges.sort(key=lambda edge: (places[edge.source], places[edge.target], edge.port))
        return Graph(mesh=self._mesh, nodes=nodes, edges=tuple(edges), subjects=frozenset(self._declared))

    def _declare(self) -> Iterator[Node]:
        owners: tuple[Workload | External, ...] = (*self._mesh.workloads, *self._mesh.externals)
        for owner in sorted(owners, key=lambda one: (one.namespace, one.name)):
            node = _declared(owner, self._names)
            if isinstance(owner, Workload):
                self._by_identity.setdefault(owner.identity, []).append(node)
            yield node

    def _members(self, node: Node) -> tuple[NodeId, ...]:
        """The services that a set of callers includes."""
        if node.kind is NodeKind.IDENTITY:
            return ()
        found = (one.id for identity, some in self._by_identity.items() if node.includes(identity) for one in some)
        return tuple(sorted(found))

    # ---- edges ------------------------------------------------------------------------------------------------------

    def _edges(self, side: PortSide) -> Iterator[Edge]:
        verdicts = verdicts_of(side, self._names)
        named: dict[NamedCaller | AnyIdentity | Unverified | Unseen, Verdict] = {
            one.caller.who: one for one in verdicts
        }
        identities, nobody = named.get(AnyIdentity()), named.get(Unverified())
        is_anyone = identities is not None and nobody is not None and identities.says_the_same(nobody)
        target = f"{_kind(side.owner).value}:{side.owner.namespace}.{side.owner.name}"
        for verdict in verdicts:
            if verdict.reach is None or (is_anyone and verdict is nobody):
                continue
            sources = (_ANYONE,) if is_anyone and verdict is identities else self._nodes(verdict.caller.who)
            narrower = [(other, named[other].reach is not None) for other in verdict.caller.narrower]
            for source in sources:
                self._remember(source)
                yield Edge(
                    source=source.id,
                    target=target,
                    port=side.port.number,
                    reach=verdict.reach,
                    reason=verdict.reason,
                    allows=verdict.allows,
                    denies=verdict.denies,
                    apart=self._ids(other for other, may in narrower if may),
                    refused=self._ids(other for other, may in narrower if not may),
                    example=verdict.example,
                )

    def _ids(self, callers: Iterable[NamedCaller]) -> tuple[NodeId, ...]:
        nodes = [node for caller in callers for node in self._nodes(caller)]
        for node in nodes:
            self._remember(node)
        return tuple(node.id for node in sorted(nodes, key=lambda node: (_ORDER[node.kind], node.id)))

    def _remember(self, node: Node) -> None:
        if node.id not in self._declared:
            self._callers[node.id] = node

    def _nodes(self, who: NamedCaller | AnyIdentity | Unverified | Unseen) -> tuple[Node, ...]:
        """The nodes that stand for callers: several where services share an identity."""
        match who:
            case ExactIdentity(identity=identity):
                return tuple(self._by_identity.get(identity, ())) or (_identity(who),)
            case IdentityPrefix():
                return (_prefix(who, self._names),)
            case AnyIdentity():
                return (_AUTHENTICATED,)
            case Unverified():
                return (_UNVERIFIED,)
            case Unseen():
                return (_ANYONE,)
            case _:
                assert_never(who)


_ORDER: Mapping[NodeKind, int] = {kind: place for place, kind in enumerate(NodeKind)}


# ---- nodes ----------------------------------------------------------------------------------------------------------


def _kind(owner: Workload | External) -> NodeKind:
    return NodeKind.SERVICE if isinstance(owner, Workload) else NodeKind.EXTERNAL


def _declared(owner: Workload | External, names: Names) -> Node:
    kind = _kind(owner)
    return Node(
        id=f"{kind.value}:{owner.namespace}.{owner.name}",
        kind=kind,
        label=owner.name,
        namespace=owner.namespace,
        caller=ExactIdentity(owner.identity) if isinstance(owner, Workload) else None,
        hosts=owner.hosts if isinstance(owner, External) else (),
        ports=tuple(_port(port, names, is_external=isinstance(owner, External)) for port in owner.ports),
        doc=owner.doc,
        place=owner.span,
    )


def _port(port: PortPolicy, names: Names, *, is_external: bool) -> Port:
    return Port(
        number=port.number,
        name=port.name,
        protocol=port.protocol,
        mtls=None if is_external else port.mtls,
        providers=tuple(jwt.name for jwt in port.jwts),
        is_token_required=any(jwt.required for jwt in port.jwts),
        travels=tuple(_travel(route, names) for route in port.routes),
        place=port.span,
    )


def _travel(route: Route, names: Names) -> Travel:
    return Travel(
        text=show_route(route, names),
        destinations=route.action.destinations if isinstance(route.action, Forward) else (),
        mirrors=route.settings.mirrors,
        place=route.span,
    )


def _identity(who: ExactIdentity) -> Node:
    return Node(id=f"identity:{who.identity}", kind=NodeKind.IDENTITY, label=who.identity, caller=who)


def _prefix(who: IdentityPrefix, names: Names) -> Node:
    name = names.get(who.prefix)
    if name is None:
        return Node(id=f"prefix:{who.prefix}*", kind=NodeKind.PREFIX, label=f"{who.prefix}*", caller=who)
    namespace = name.removeprefix("namespace ")
    return Node(id=f"namespace:{namespace}", kind=NodeKind.NAMESPACE, label=name, namespace=namespace, caller=who)
