"""A reading -> the files of a program, one for each namespace, read again and compared with the reading.

What the language cannot say of access leaves its port closed, with the reason: an import never lets in more than was read. What it
cannot say of anything else is left out, with the reason, and the rest is compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Difference, Side
from meshc.format import format_source
from meshc.frontend import analyze
from meshc.importing.declarations import with_issuer_names
from meshc.importing.grpc_statuses import without_grpc_statuses
from meshc.importing.origins import Describe, Origins, unknown_object
from meshc.importing.pieces import Line, Piece, port_piece, without
from meshc.importing.traffic import routed
from meshc.importing.versions import with_named_versions
from meshc.importing.writing import Draft, closed, write
from meshc.parse import parse
from meshc.reading import Aspect, Assumption, Reading, Unknown
from meshc.resolve import Module
from meshc.source import SourceFile, Span
from meshc.target import PortKey

MOST_ATTEMPTS: Final = 200
"""Times that something is left out which the language cannot say, each time all that the compiler finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Omitted:
    """What was not imported, and why."""

    what: str
    reason: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A program. Where `omitted` is empty and `difference` too, it means what was read, provided that all of `assumptions` hold.

    `diagnostics` are the program's own errors.
    """

    files: Mapping[str, str]
    omitted: tuple[Omitted, ...]
    difference: Difference
    assumptions: tuple[Assumption, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def import_program(reading: Reading, name: str, describe: Describe = unknown_object) -> Imported:
    """The program of a reading, and how it compares with what was read. `name` is the mesh's."""
    reading = with_named_versions(without_grpc_statuses(reading))
    mesh, omitted = _closed_where_unknown(_prepared(reading.mesh), reading.unknown)
    origins = Origins(describe)
    for _ in range(MOST_ATTEMPTS):
        draft = write(mesh, name, origins)
        lowered, errors = _read_again(draft)
        found = _one_of_each_port({**dict(draft.unsayable), **_blamed(draft, errors)})
        if not found:
            break
        omitted += [Omitted(what=one.shown, reason=reason, span=one.span) for one, reason in found.items()]
        mesh = _prepared(without(mesh, found))
    difference = Comparer().compare(Side(mesh=mesh), Side(mesh=_prepared(lowered)))
    return Imported(
        files={path: _formatted(path, text) for path, text in draft.texts().items()},
        omitted=tuple(omitted),
        difference=difference,
        assumptions=reading.assumptions,
        diagnostics=errors,
    )


def _prepared(mesh: ir.Mesh) -> ir.Mesh:
    """The mesh with names for its issuers, with a last route on every port, and without modes of mTLS outside of it.

    Ports that are called as what they speak have no name: manifests name all of them, and nobody writes `http as http`.
    """
    externals = [
        replace(one, ports=tuple(replace(port, mtls=ir.MtlsMode.OFF) for port in one.ports)) for one in mesh.externals
    ]
    return replace(
        mesh,
        workloads=tuple(replace(one, ports=_routed(one)) for one in map(with_issuer_names, mesh.workloads)),
        externals=tuple(replace(one, ports=_routed(one)) for one in externals),
    )


def _routed(owner: ir.Workload | ir.External) -> tuple[ir.PortPolicy, ...]:
    ports = (replace(port, name=None) if port.name == port.protocol.value else port for port in owner.ports)
    return tuple(routed(port, (owner.namespace, owner.name, port.number)) for port in ports)


def _closed_where_unknown(mesh: ir.Mesh, unknown: Sequence[Unknown]) -> tuple[ir.Mesh, list[Omitted]]:
    """The mesh with all ports closed where not all that decides is known, and what is not."""
    omitted = [
        Omitted(
            what=_touched(found.ports),
            reason=found.message,
            span=found.span,
        )
        for found in unknown
    ]
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for owner in owners:
        for port in owner.ports:
            key = (owner.namespace, owner.name, port.number)
            touching = (
                one for one in unknown if Aspect.ACCESS in one.aspects and (one.ports is None or key in one.ports)
            )
            found = next(touching, None)
            if found is not None:
                what, reason = f"{key[0]}.{key[1]}:{key[2]}", "closed, since not all that decides is known"
                omitted.append(Omitted(what=what, reason=reason, span=found.span))
                mesh = without(mesh, [port_piece(key, "access", found.span, closed)])
    return mesh, omitted


def _touched(ports: tuple[PortKey, ...] | None) -> str:
    if ports is None:
        return "the mesh"
    return ", ".join(f"{namespace}.{name}:{number}" for namespace, name, number in ports) or "no port that is known"


def _blamed(draft: Draft, errors: Iterable[Diagnostic]) -> Mapping[Piece, str]:
    """What the program has no way to say, by the compiler's own errors."""
    return {
        piece: error.message
        for error in errors
        for piece in draft.files.get(error.span.path, [Line("")])[error.span.line - 1].pieces
    }


def _one_of_each_port(found: Mapping[Piece, str]) -> Mapping[Piece, str]:
    """Routes are known by their places, which shift when one is taken out: so one at a time."""
    return dict({(one.owner, one.port): (one, reason) for one, reason in reversed(tuple(found.items()))}.values())


def _formatted(path: str, text: str) -> str:
    return format_source(SourceFile(path, text)).text or text


def _read_again(draft: Draft) -> tuple[ir.Mesh, tuple[Diagnostic, ...]]:
    """The mesh that the files mean, and their errors."""
    found: list[Diagnostic] = []
    modules: dict[str, Module] = {}
    for path, text in draft.texts().items():
        parsed = parse(SourceFile(path, text))
        found += parsed.diagnostics
        modules[path] = Module(file=parsed.file, imports={})
    analysis = analyze(modules, (), {}, environment=None, today=date.min, earlier=tuple(found))
    errors = tuple(one for one in analysis.diagnostics if one.severity is Severity.ERROR)
    return analysis.lowered.mesh, errors


__all__ = ["Imported", "Omitted", "import_program"]
