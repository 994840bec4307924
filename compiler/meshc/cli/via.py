"""`--via TARGET`: answers from the compiled files, read back, instead of from the program."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshc.cli.console import Console, UsageError
from meshc.cli.project import Project, show, target_options
from meshc.ir import Mesh, PortPolicy, Workload
from meshc.lower.requests import AccessExpected, TestCase
from meshc.passes.support import has_errors
from meshc.reading import Aspect
from meshc.semantics.decide import Evaluator
from meshc.source import Span
from meshc.target import Target
from meshc.targets import TargetError, find_target
from meshc.verdicts import judge
from meshc.verification import ReadBackError, read_texts, texts_of


class NotCompiledError(Exception):
    """The target cannot express the program, which has been shown. Exit status 1."""


def mesh_via(name: str, project: Project, mesh: Mesh, console: Console) -> Mesh:
    """The mesh as the files of a target have it; what its reader does not read yet is as in the program.

    Raises UsageError and NotCompiledError.
    """
    try:
        target = find_target(name)
    except TargetError as error:
        raise UsageError(str(error)) from error
    options = target_options(project.config, name)
    emission = target.emit(mesh, options)
    if has_errors(emission.diagnostics):
        show(project, emission.diagnostics, console)
        raise NotCompiledError
    try:
        reading = read_texts(target, mesh, texts_of(target, emission.documents), options)
    except ReadBackError as error:
        raise UsageError(f"{error} yet, so nothing can be answered by way of it") from error
    unknown = [one for one in reading.unknown if one.aspects & target.reads]
    if unknown:
        first = unknown[0]
        raise UsageError(f"what was compiled cannot be read back: {first.span}: {first.message}")
    if target.reads != set(Aspect):
        console.say(f"by way of {name} is who may call the services; routes and settings are the program's")
    return as_far_as_read(mesh, reading.mesh, target)


def left_out(name: str, project: Project, mesh: Mesh, cases: Sequence[TestCase]) -> frozenset[Span]:
    """The cases that the target does not meet by its own table: what they are about is left out, or differs, as a compile has said.

    A case that expects a refusal is never among them.
    """
    target = find_target(name)
    if target.expressed is None:
        return frozenset()
    evaluator = Evaluator(target.expressed(mesh, target_options(project.config, name)))
    return frozenset(
        case.span
        for case in cases
        if case.expected != AccessExpected(allowed=False)
        and not judge(case.expected, evaluator.decide(case.request)).is_expected
    )


def as_far_as_read(mesh: Mesh, read: Mesh, target: Target) -> Mesh:
    """What was read, and where the target's reader does not go, what the program says."""
    if target.reads == set(Aspect):
        return read
    found = {(one.namespace, one.name): one for one in read.workloads}
    return replace(mesh, workloads=tuple(_overlaid(one, found) for one in mesh.workloads))


def _overlaid(workload: Workload, found: Mapping[tuple[str, str], Workload]) -> Workload:
    ports = zip(workload.ports, found[workload.namespace, workload.name].ports, strict=True)
    return replace(workload, ports=tuple(_port(one, read) for one, read in ports))


def _port(port: PortPolicy, read: PortPolicy) -> PortPolicy:
    return replace(port, access=read.access, mtls=read.mtls, jwts=read.jwts)
