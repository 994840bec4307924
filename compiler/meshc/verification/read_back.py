"""Compiled files, read back: with or without the place of everything in them."""

from collections.abc import Iterable, Mapping

from meshc.compiled import compiled_text
from meshc.diagnostics import Diagnostic
from meshc.ir import Mesh
from meshc.reading import Reader, Reading, objects_of_documents, objects_of_source, read_objects
from meshc.source import SourceFile
from meshc.target import Document, Target, TargetOptions


class ReadBackError(Exception):
    """A target that cannot be read back, or files that cannot be read; `diagnostics` say what is wrong with files."""

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics


def read_back(target: Target, mesh: Mesh, documents: Iterable[Document], options: TargetOptions) -> Reading:
    """What emitted documents say, for the services of `mesh`; every place is the start of a file. Raises ReadBackError."""
    return read_objects(_reader(target), objects_of_documents(documents, target.name), mesh, options)


def read_texts(target: Target, mesh: Mesh, texts: Mapping[str, str], options: TargetOptions) -> Reading:
    """What files say, given by their paths, for the services of `mesh`. Raises ReadBackError."""
    read = [objects_of_source(SourceFile(path, text)) for path, text in texts.items()]
    wrong = tuple(one for _, diagnostics in read for one in diagnostics)
    if wrong:
        raise ReadBackError("files of the configuration cannot be read", wrong)
    return read_objects(_reader(target), [one for objects, _ in read for one in objects], mesh, options)


def texts_of(target: Target, documents: Iterable[Document]) -> dict[str, str]:
    """The files of a target as they are written, by their paths below the output folder."""
    return {f"{target.name}/{one.path}": compiled_text(one) for one in documents}


def _reader(target: Target) -> Reader:
    if target.read is None:
        raise ReadBackError(f"{target.name} cannot be read back")
    return target.read
