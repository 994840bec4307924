"""Prove compiled files equal to their program: `ir.Mesh` × files -> diagnostics, none if the proof holds.

The files are read by the target's own reader and compared with what the target was to express, on every request, for
access, routes and settings. A difference is an error at the place in the program, with a request and the line of the file.
"""

from collections.abc import Iterable, Iterator, Mapping

from meshc.diagnostics import Diagnostic, diagnose
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.ir import Mesh, Principals
from meshc.reading import Reading, Unknown
from meshc.target import Document, Target, TargetOptions
from meshc.verification.narrowed import narrowed
from meshc.verification.problems import Origins, problems
from meshc.verification.read_back import ReadBackError, read_back, read_texts, texts_of

Groups = Mapping[str, Principals]
"""What the program calls sets of sources; for messages alone."""


def verify(
    target: Target, mesh: Mesh, documents: Iterable[Document], options: TargetOptions, groups: Groups
) -> tuple[Diagnostic, ...]:
    """What is wrong with documents that were just emitted for the mesh. Raises ReadBackError where there is no reader."""
    emitted = tuple(documents)
    if _is_proven(target, mesh, read_back(target, mesh, emitted, options), options):
        return ()
    # Only now do lines matter; they cost a print and a parse of all files.
    return verify_files(target, mesh, texts_of(target, emitted), options, groups)


def verify_files(
    target: Target, mesh: Mesh, texts: Mapping[str, str], options: TargetOptions, groups: Groups
) -> tuple[Diagnostic, ...]:
    """What is wrong with files, given by their paths, as the configuration of the mesh. Raises ReadBackError."""
    reading = read_texts(target, mesh, texts, options)
    return tuple(_findings(target, mesh, reading, options, groups))


def _is_proven(target: Target, mesh: Mesh, reading: Reading, options: TargetOptions) -> bool:
    if _that_matter(target, reading) or not {one.text for one in reading.assumptions} <= set(target.assumes(options)):
        return False
    expected, found = _sides(target, mesh, reading, options)
    return Comparer().compare(Side(mesh=expected), Side(mesh=found)).is_empty


def _findings(
    target: Target, mesh: Mesh, reading: Reading, options: TargetOptions, groups: Groups
) -> Iterator[Diagnostic]:
    for unknown in _that_matter(target, reading):
        yield diagnose("not-verified", unknown.span, f"{target.name}: cannot be read back: {unknown.message}")
    for assumed in reading.assumptions:
        if assumed.text not in target.assumes(options):
            message = f"{target.name}: holds only if {assumed.text}"
            yield diagnose("not-verified", assumed.span, message)
    expected, found = _sides(target, mesh, reading, options)
    difference = Comparer().compare(Side(mesh=expected, groups=groups), Side(mesh=found, groups=groups))
    yield from problems(target.name, difference, Origins.of(expected))


def _that_matter(target: Target, reading: Reading) -> tuple[Unknown, ...]:
    """What is unknown of that which the target's reader reads."""
    return tuple(one for one in reading.unknown if one.aspects & target.reads)


def _sides(target: Target, mesh: Mesh, reading: Reading, options: TargetOptions) -> tuple[Mesh, Mesh]:
    """What the target was to express and what was read, as far as its reader goes."""
    if target.expressed is None:
        raise ReadBackError(f"{target.name} does not say what it expresses")
    expected = target.expressed(mesh, options)
    if target.expected is not None:
        expected = target.expected(expected, reading.mesh)
    return narrowed(expected, target.reads), narrowed(reading.mesh, target.reads)
