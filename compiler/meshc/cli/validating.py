"""`meshc compile --validate CRDS`: emitted objects, checked against the definitions of a cluster before they are written."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from meshc.cli.console import Console, UsageError
from meshc.diagnostics import Diagnostic
from meshc.files import read_source
from meshc.target import Document

try:
    from meshc.crds import Checker, CrdError, Problem, read_crds
except ModuleNotFoundError as error:
    raise UsageError(f"`--validate` needs `{error.name}`: pip install 'meshc[validate]'") from error

_SUFFIXES = {".yaml", ".yml", ".json"}
_SHOWN = 50
"""How many problems are printed; one cause often has thousands."""


def validate(place: Path, documents: Iterable[tuple[str, Document]], console: Console) -> bool:
    """Whether a cluster with the definitions at `place`, a file or a folder, takes all documents as they are.

    Documents come with the path for messages; what is wrong is printed as an error. Raises UsageError if the definitions cannot
    be read.
    """
    try:
        checker = Checker.of(read_crds(_texts(place)))
    except CrdError as error:
        raise UsageError(f"cannot validate against `{place}`: {error}") from error
    found = [(path, one) for path, document in documents for one in checker.check(document.resources)]
    for path, problem in found[:_SHOWN]:
        console.complain(_line(path, problem))
    if len(found) > _SHOWN:
        console.complain(f"and {len(found) - _SHOWN} more")
    if found:
        console.complain(f"nothing is written: the definitions in `{place}` do not take what was compiled")
    return not found


def _line(path: str, problem: Problem) -> str:
    return f"{path}: {problem}"


def _texts(place: Path) -> Iterator[tuple[str, str]]:
    files = sorted(one for one in place.rglob("*") if one.suffix in _SUFFIXES) if place.is_dir() else [place]
    if not files:
        raise UsageError(f"no YAML in `{place}`")
    for file in files:
        source = read_source(file, str(file))
        if isinstance(source, Diagnostic):
            raise UsageError(source.message)
        yield str(file), source.text
