"""The graph: nodes, and edges from a caller to a port that lets some request of that caller through.

A node stands for one service or identity, or for a set of callers that rules speak of as one. At each port, a caller is
spoken for by the narrowest node there that includes it: `edge_for` says which edge that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from meshc.ir import Destination, ExactIdentity, IdentityPrefix, Mesh, Mirror, MtlsMode, Protocol
from meshc.request import Request
from meshc.source import Span
from meshc.target import PortKey

NodeId = str
"""Stable under unrelated edits: the kind, a colon, and the name, such as `service:shop.cart`."""


class NodeKind(Enum):
    """What a node stands for. The last five are sets of callers; AUTHENTICATED is any verified identity.

    NAMESPACE is everybody whose identity lies in one namespace, UNVERIFIED everybody without a verified identity.
    """

    SERVICE = "service"
    EXTERNAL = "external"
    IDENTITY = "identity"
    NAMESPACE = "namespace"
    PREFIX = "prefix"
    AUTHENTICATED = "authenticated"
    UNVERIFIED = "unverified"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """A route of the callers: how their requests travel, which is no matter of access. `text` is in the language's words."""

    text: str
    destinations: tuple[Destination, ...]
    mirrors: tuple[Mirror, ...]
    place: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that can be called. `mtls` is None for externals; `providers` are the names of those whose tokens it reads."""

    number: int
    name: str | None
    protocol: Protocol
    mtls: MtlsMode | None
    providers: tuple[str, ...]
    is_token_required: bool
    travels: tuple[Travel, ...]
    place: Span

    @property
    def is_plaintext(self) -> bool:
        """Whether a caller may do without mTLS; on `tls` ports the application has a TLS of its own."""
        return self.mtls in {MtlsMode.OFF, MtlsMode.PERMISSIVE} and self.protocol is not Protocol.TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A service, an external or some callers.

    `namespace` is where it is drawn, None for nowhere. `caller` is the identity or prefix that tells its callers, None for
    externals, which never call, and for the kinds that need none. `members` are the services that a set of callers includes.
    """

    id: NodeId
    kind: NodeKind
    label: str
    namespace: str | None = None
    caller: ExactIdentity | IdentityPrefix | None = None
    members: tuple[NodeId, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    doc: str | None = None
    place: Span | None = None

    @property
    def is_declared(self) -> bool:
        """Whether the program has it for its own sake; other nodes are there for what they may call."""
        return self.kind in {NodeKind.SERVICE, NodeKind.EXTERNAL}

    def includes(self, identity: str | None) -> bool:
        """Whether it stands for the caller with this identity; None is one without."""
        match self.kind:
            case NodeKind.ANYONE:
                return True
            case NodeKind.UNVERIFIED:
                return identity is None
            case NodeKind.AUTHENTICATED:
                return identity is not None
            case _:
                return self._is_told(identity)

    def _is_told(self, identity: str | None) -> bool:
        if identity is None:
            return False
        match self.caller:
            case ExactIdentity(identity=exact):
                return identity == exact
            case IdentityPrefix(prefix=prefix):
                return identity.startswith(prefix)
            case None:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What a rule asks of a request, in the language's words, without its sources; all parts empty: nothing.

    `operations` are alternatives. `addresses` follows `from`, `condition` follows `when`.
    """

    addresses: str = ""
    operations: tuple[str, ...] = ()
    condition: str = ""
    rule: str
    """The whole rule, such as `allow shop.web to GET /x`."""
    because: str | None = None
    place: Span

    @property
    def is_always(self) -> bool:
        return not (self.addresses or self.operations or self.condition)


class Reach(Enum):
    """ALLOWED: some request is let through, exactly as `allows` and `denies` say. UNDECIDED: too complex to say whether any is."""

    ALLOWED = "allowed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A request that is let through, as `decide` agrees, and the same in the words of the language."""

    request: Request
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A caller, and a port that lets some request of it through, or may do so.

    A request passes if it fulfils some clause of each group of `allows`, and none of `denies`; a port without an allow-list
    has no group. Rules that add nothing for this caller are left out, but not of an UNDECIDED edge, where `reason` says why
    it is none. Of a set of callers, this edge speaks neither for those of `apart`, which have edges of their own here, nor
    for those of `refused`, which have none.
    """

    source: NodeId
    target: NodeId
    port: int
    reach: Reach
    reason: str = ""
    allows: tuple[tuple[Clause, ...], ...] = ()
    denies: tuple[Clause, ...] = ()
    apart: tuple[NodeId, ...] = ()
    refused: tuple[NodeId, ...] = ()
    example: Example | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All of it, or the part that was asked for. Nodes are in order: what is declared by name, then the other callers.

    `subjects` are those that were asked for, with or without an edge. Of the others, some may be there only because an edge
    does not speak for them.
    """

    mesh: Mesh = field(repr=False)
    environment: str | None = None
    nodes: Mapping[NodeId, Node]
    edges: tuple[Edge, ...]
    subjects: frozenset[NodeId]

    @property
    def drawn(self) -> tuple[Node, ...]:
        """The nodes that a picture has: those that were asked for, and those with an edge."""
        ends = {end for edge in self.edges for end in (edge.source, edge.target)}
        return tuple(node for node in self.nodes.values() if node.id in self.subjects or node.id in ends)

    def port(self, edge: Edge) -> Port:
        """The port that an edge leads to."""
        return next(one for one in self.nodes[edge.target].ports if one.number == edge.port)

    def speaks_for(self, edge: Edge, identity: str | None) -> bool:
        """Whether an edge says what the caller with this identity may do; None is a caller without."""
        others = (*edge.apart, *edge.refused)
        return self.nodes[edge.source].includes(identity) and not any(
            self.nodes[other].includes(identity) for other in others
        )

    def edge_for(self, identity: str | None, key: PortKey) -> Edge | None:
        """The edge that speaks for a caller at a port; None where nothing of it is let through.

        Services that share an identity have edges that are alike; this is the first.
        """
        namespace, name, number = key
        targets = {f"{kind.value}:{namespace}.{name}" for kind in (NodeKind.SERVICE, NodeKind.EXTERNAL)}
        found = (
            edge
            for edge in self.edges
            if edge.port == number and edge.target in targets and self.speaks_for(edge, identity)
        )
        return next(found, None)
