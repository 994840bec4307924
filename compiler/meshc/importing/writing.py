"""A mesh -> the lines of its files: one file for the mesh as a whole, and one for each namespace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.importing.declarations import authenticate_block, external_block, mesh_block, service_block
from meshc.importing.defaults import AllDefaults, Defaults, find_defaults
from meshc.importing.groups import Groups, find_groups
from meshc.importing.naming import Naming, naming_of
from meshc.importing.origins import Origins
from meshc.importing.pieces import Line, Piece, port_piece
from meshc.importing.reports import (
    NOTHING,
    Reported,
    limit_lines,
    own_report,
    reported,
    telemetry_lines,
    within,
)
from meshc.importing.rules import Written, is_open, written_rules
from meshc.importing.traffic import Owner, Traffic, block_lines, profile_lines, traffic_of
from meshc.importing.unsayable import NotSayableError

MESH_FILE: Final = "mesh.mesh"


@dataclass(frozen=True, slots=True)
class Draft:
    """Files by their paths, and pieces of the mesh that the language is known to have no words for."""

    files: Mapping[str, Sequence[Line]]
    unsayable: Sequence[tuple[Piece, str]]

    def texts(self) -> Mapping[str, str]:
        """The files as texts."""
        return {path: "".join(f"{line.text}\n" for line in lines) for path, lines in self.files.items()}


def write(mesh: ir.Mesh, name: str, origins: Origins) -> Draft:
    """The files of a mesh of which every port has a last route."""
    naming = naming_of(mesh)
    groups = find_groups(mesh, naming.identities)
    traffic = traffic_of(mesh, naming, groups)
    writer = _Writer(mesh, naming, groups, traffic, find_defaults(mesh), origins, list(traffic.unsayable))
    owners: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    namespaces = sorted({one.namespace for one in owners})
    files = {f"{one}.mesh": list(writer.namespace(one)) for one in namespaces}
    return Draft({_mesh_file(namespaces): list(writer.whole(name)), **files}, writer.unsayable)


def _mesh_file(namespaces: Sequence[str]) -> str:
    return MESH_FILE if "mesh" not in namespaces else "the-mesh.mesh"


def closed(port: ir.PortPolicy) -> ir.PortPolicy:
    """The port with nobody let in."""
    return replace(port, access=(ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=port.span),))


@dataclass(frozen=True, slots=True)
class _Writer:
    mesh: ir.Mesh
    naming: Naming
    groups: Groups
    traffic: Traffic
    defaults: AllDefaults
    origins: Origins
    unsayable: list[tuple[Piece, str]]

    def whole(self, name: str) -> Iterator[Line]:
        """The mesh, and what its namespaces share."""
        lines = tuple(self.defaults.mesh.lines(Defaults()))
        yield from _plain(mesh_block(self.mesh, name, lines))
        if self.groups.declared:
            yield Line("")
            yield from _plain("".join(self.groups.declarations()))
        yield from profile_lines(self.traffic)
        workloads = self.mesh.workloads
        yield from telemetry_lines("mesh", workloads, self._report(), NOTHING, self.origins)

    def _report(self) -> Reported:
        return reported(self.mesh.workloads)

    def namespace(self, namespace: str) -> Iterator[Line]:
        """The lines of one namespace's file."""
        own = self.defaults.namespaces[namespace]
        said = "".join(f"  {one}\n" for one in own.lines(self.defaults.mesh))
        yield from _plain(f"namespace {namespace} {{\n{said}}}\n" if said else f"namespace {namespace}\n")
        workloads = [one for one in self.mesh.workloads if one.namespace == namespace]
        externals = [one for one in self.mesh.externals if one.namespace == namespace]
        yield Line("")
        for one in workloads:
            yield from _plain(service_block(one))
        for other in externals:
            yield from _plain(external_block(other))
        report = reported(workloads)
        yield from telemetry_lines(f"namespace {namespace}", workloads, report, self._report(), self.origins)
        inside = within(report, self._report())
        owners: tuple[Owner, ...] = (*workloads, *externals)
        for owner in owners:
            yield from self._owner(owner, own, inside)

    def _owner(self, owner: Owner, own: Defaults, report: Reported) -> Iterator[Line]:
        name = self.naming.service(owner.namespace, owner.name)
        yield from self._access(owner, own)
        if isinstance(owner, ir.Workload):
            yield from _plain(authenticate_block(owner, name, own.mtls))
        blocks = self.traffic.blocks[(owner.namespace, owner.name)]
        yield from block_lines(blocks, self.traffic, self.naming, self.origins)
        if isinstance(owner, ir.Workload):
            yield from limit_lines(owner, self.naming, self.origins, self.unsayable)
            yield from telemetry_lines(name, [owner], own_report(owner), report, self.origins)

    # ---- access -----------------------------------------------------------------------------------------------------

    def _access(self, owner: Owner, own: Defaults) -> Iterator[Line]:
        blocks: dict[tuple[str, ...], list[tuple[ir.PortPolicy, tuple[Written, ...]]]] = {}
        for port in owner.ports:
            rules = self._rules(owner, port, own)
            blocks.setdefault(tuple(one.text for one in rules), []).append((port, rules))
        for texts, ports in blocks.items():
            if not texts:
                continue  # what the default is
            name = self.naming.service(owner.namespace, owner.name)
            is_whole = len(ports) == len(owner.ports)
            targets = [name] if is_whole else [f"{name}:{port.number}" for port, _ in ports]
            pieces = tuple(_access_piece(owner, port) for port, _ in ports)
            for target in targets:
                yield Line("")
                yield from self.origins.comment(one.span for one in ports[0][1])
                yield Line(f"access {target} {{", pieces)
                yield from (Line(f"  {text}", pieces) for text in texts)
                yield Line("}")

    def _rules(self, owner: Owner, port: ir.PortPolicy, own: Defaults) -> tuple[Written, ...]:
        """The rules of a port; none, so that it is closed, where they cannot be said."""
        try:
            return written_rules(port, self.groups, is_allowed=own.is_allowed and is_open(port))
        except NotSayableError as error:
            piece = port_piece((owner.namespace, owner.name, port.number), "access", error.span, closed)
            self.unsayable.append((piece, f"closed: {error}"))
            return ()


def _access_piece(owner: Owner, port: ir.PortPolicy) -> Piece:
    span = next((rule.span for stage in port.access for rule in stage.rules), port.span)
    return port_piece((owner.namespace, owner.name, port.number), "access", span, closed)


def _plain(text: str) -> Iterator[Line]:
    return (Line(line) for line in text.splitlines())
