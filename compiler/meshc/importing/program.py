"""A reading -> the files of a program, one for each namespace, read again and compared with the reading.

What the language cannot say leaves its port closed, with the reason: an import never lets in more than was read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Difference, Side
from meshc.format import format_source
from meshc.frontend import analyze
from meshc.importing.declarations import authenticate_block, mesh_block, service_block, with_issuer_names
from meshc.importing.groups import Groups, find_groups
from meshc.importing.rules import NotSayableError, Written, written_rules
from meshc.parse import parse
from meshc.reading import Aspect, Reading
from meshc.resolve import Module
from meshc.source import BUILTIN, SourceFile, Span
from meshc.verification.narrowed import narrowed

MESH_FILE: Final = "mesh.mesh"

PortKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Omitted:
    """What was not imported, and why."""

    what: str
    reason: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A program. Where `omitted` is empty and `difference` too, it means what was read; `diagnostics` are its own errors."""

    files: Mapping[str, str]
    omitted: tuple[Omitted, ...]
    difference: Difference
    diagnostics: tuple[Diagnostic, ...] = ()


def import_program(reading: Reading, name: str) -> Imported:
    """The program of a reading, and how it compares with what was read. `name` is the mesh's."""
    workloads = tuple(map(with_issuer_names, reading.mesh.workloads))
    reading = replace(reading, mesh=replace(reading.mesh, workloads=workloads))
    writer = _Writer(reading, find_groups(reading.mesh))
    files = {MESH_FILE: _formatted(MESH_FILE, mesh_block(reading.mesh, name))}
    for namespace in sorted({one.namespace for one in reading.mesh.workloads}):
        path = f"{namespace}.mesh"
        files[path] = _formatted(path, "".join(writer.namespace(namespace)))
    if writer.groups.declared:
        files[MESH_FILE] += "\n" + "".join(writer.groups.declarations())
    mesh, errors = _read_again(files)
    closed = {key for key, _ in writer.closed}
    expected = replace(reading.mesh, workloads=tuple(_without(one, closed) for one in reading.mesh.workloads))
    difference = Comparer().compare(
        Side(mesh=narrowed(expected, {Aspect.ACCESS})), Side(mesh=narrowed(mesh, {Aspect.ACCESS}))
    )
    unknown = tuple(
        Omitted(what=", ".join(f"{one[0]}.{one[1]}:{one[2]}" for one in found.ports or ()) or "the mesh",
                reason=found.message, span=found.span)
        for found in reading.unknown
    )  # fmt: skip
    omitted = (*unknown, *(one for _, one in writer.closed))
    return Imported(files=files, omitted=omitted, difference=difference, diagnostics=errors)


@dataclass(slots=True)
class _Writer:
    reading: Reading
    groups: Groups
    closed: list[tuple[PortKey, Omitted]] = field(default_factory=list)

    def namespace(self, namespace: str) -> Iterator[str]:
        """The text of one namespace's file."""
        yield f"namespace {namespace}\n\n"
        workloads = [one for one in self.reading.mesh.workloads if one.namespace == namespace]
        for one in workloads:
            yield service_block(one)
        for one in workloads:
            yield from self._access(one)
            yield authenticate_block(one)

    def _access(self, workload: ir.Workload) -> Iterator[str]:
        blocks: dict[tuple[str, ...], list[tuple[ir.PortPolicy, tuple[Written, ...]]]] = {}
        for port in workload.ports:
            rules = self._rules(workload, port)
            blocks.setdefault(tuple(one.text for one in rules), []).append((port, rules))
        for texts, ports in blocks.items():
            if not texts:
                continue  # closed, which is the default
            is_whole = len(ports) == len(workload.ports)
            targets = [f"{workload.name}"] if is_whole else [f"{workload.name}:{port.number}" for port, _ in ports]
            origin = _origin(one.span for one in ports[0][1])
            body = "".join(f"  {text}\n" for text in texts)
            for target in targets:
                yield f"\n{origin}access {target} {{\n{body}}}\n"

    def _rules(self, workload: ir.Workload, port: ir.PortPolicy) -> tuple[Written, ...]:
        """The rules of a port; none, so that it is closed, where something of it is not known or cannot be said."""
        key = (workload.namespace, workload.name, port.number)
        shown = f"{key[0]}.{key[1]}:{key[2]}"
        for unknown in self.reading.unknown:
            if Aspect.ACCESS in unknown.aspects and (unknown.ports is None or key in unknown.ports):
                found = Omitted(what=shown, reason="closed, since not all that decides is known", span=unknown.span)
                self.closed.append((key, found))
                return ()
        try:
            return written_rules(port, self.groups)
        except NotSayableError as error:
            self.closed.append((key, Omitted(what=shown, reason=f"closed: {error}", span=error.span)))
            return ()


def _origin(spans: Iterable[Span]) -> str:
    places = dict.fromkeys(str(span) for span in spans if span.path != BUILTIN.path)
    return f"# from {', '.join(places)}\n" if places else ""


def _formatted(path: str, text: str) -> str:
    return format_source(SourceFile(path, text)).text or text


def _without(workload: ir.Workload, closed: set[PortKey]) -> ir.Workload:
    """A workload whose ports that could not be imported are closed."""
    return replace(
        workload,
        ports=tuple(
            _closed(port) if (workload.namespace, workload.name, port.number) in closed else port
            for port in workload.ports
        ),
    )


def _closed(port: ir.PortPolicy) -> ir.PortPolicy:
    return replace(port, access=(ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=port.span),))


def _read_again(files: Mapping[str, str]) -> tuple[ir.Mesh, tuple[Diagnostic, ...]]:
    """The mesh that the files mean, and their errors."""
    found: list[Diagnostic] = []
    modules: dict[str, Module] = {}
    for path, text in files.items():
        parsed = parse(SourceFile(path, text))
        found += parsed.diagnostics
        modules[path] = Module(file=parsed.file, imports={})
    analysis = analyze(modules, (), {}, environment=None, today=date.min, earlier=tuple(found))
    errors = tuple(one for one in analysis.diagnostics if one.severity is Severity.ERROR)
    return analysis.lowered.mesh, errors
