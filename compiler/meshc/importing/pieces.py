"""Lines of an imported program, each with the pieces of the mesh that it says: what is wrong with a line is told of these.

A piece can be taken out of the mesh. So what the language has no way to say is found by the compiler itself, whose message is the
reason, and the rest is still compared as a whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.source import Span
from meshc.target import PortKey

Removal = Callable[[ir.PortPolicy], ir.PortPolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that is said of a port (of number None: of a workload). `what` is how people call it."""

    owner: tuple[str, str]
    port: int | None
    what: str
    span: Span
    from_port: Removal | None = field(default=None, compare=False)
    from_workload: Callable[[ir.Workload], ir.Workload] | None = field(default=None, compare=False)

    @property
    def shown(self) -> str:
        """`namespace.service:port, what`."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.owner[0]}.{self.owner[1]}{port}, {self.what}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, and what it says."""

    text: str
    pieces: tuple[Piece, ...] = ()


def port_piece(key: PortKey, what: str, span: Span, removal: Removal) -> Piece:
    """A piece of a port."""
    return Piece(owner=key[:2], port=key[2], what=what, span=span, from_port=removal)


def without(mesh: ir.Mesh, pieces: Iterable[Piece]) -> ir.Mesh:
    """The mesh without some pieces."""
    for piece in pieces:
        mesh = replace(
            mesh,
            workloads=tuple(_workload(one, piece) for one in mesh.workloads),
            externals=tuple(_external(one, piece) for one in mesh.externals),
        )
    return mesh


def _workload(one: ir.Workload, piece: Piece) -> ir.Workload:
    if (one.namespace, one.name) != piece.owner:
        return one
    if piece.from_workload is not None:
        one = piece.from_workload(one)
    return replace(one, ports=tuple(_port(port, piece) for port in one.ports))


def _external(one: ir.External, piece: Piece) -> ir.External:
    if (one.namespace, one.name) != piece.owner:
        return one
    return replace(one, ports=tuple(_port(port, piece) for port in one.ports))


def _port(port: ir.PortPolicy, piece: Piece) -> ir.PortPolicy:
    return piece.from_port(port) if piece.from_port is not None and port.number == piece.port else port
