"""Load: from a path to all files of a program, parsed. With `output` and the command line, the only reader of files.

A program is one `.mesh` file, or every `.mesh` file below a directory, with what they import and the manifests that their
inventories name. Nothing outside the project's root is read, symbolic links followed, but the library that ships with meshc.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from meshc import ast
from meshc.diagnostics import Diagnostic, diagnose
from meshc.files import read_source, reason
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile, Span
from meshc.suggest import closest
from meshc.suppress import Comments

CONFIG_NAME = "meshc.yaml"

_STANDARD = "std/"
_SHOWN_STANDARD = "<std>/"
"""How the library's files are shown; a project's own folder `std/` never looks like that."""
_HOW_TO_IMPORT = 'write it like `"lib/common.mesh"`, relative to this file, or `"std/resilience.mesh"`'


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A program's files. Paths in it are relative to `root`, with forward slashes; `sources` has every text that was read."""

    root: Path
    modules: Mapping[str, Module]
    inventory: tuple[ast.Namespace | ast.Service, ...]
    comments: Comments
    sources: Mapping[str, SourceFile]
    diagnostics: tuple[Diagnostic, ...]


class LoadError(Exception):
    """There is no program at a path; the text is meant for the user."""


def find_root(path: Path) -> Path:
    """The project's root: the nearest directory above with a `meshc.yaml`, else with a `.git`, else the path's own."""
    start = _resolved(path if path.is_dir() else path.parent)
    for marker in (CONFIG_NAME, ".git"):
        for directory in (start, *start.parents):
            if (directory / marker).exists():
                return directory
    return start


def load(path: Path) -> Loaded:
    """Read and parse the program at `path`. Raises LoadError if there is none."""
    try:
        is_directory, exists = path.is_dir(), path.exists() or path.is_symlink()
    except OSError as error:
        raise LoadError(f"cannot read `{path}`: {reason(error)}") from error
    if not exists:
        raise LoadError(f"`{path}` does not exist")
    if not is_directory and path.suffix != ".mesh":
        raise LoadError(f"`{path}` is no `.mesh` file")
    loader = _Loader(find_root(path))
    files = sorted(_mesh_files(path)) if is_directory else [path]
    if not files:
        raise LoadError(f"there is no `.mesh` file in `{path}`; `meshc init` makes a project to start from")
    loader.read_program(files)
    return loader.finish()


def _mesh_files(directory: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in files:
            if name.endswith(".mesh") and not name.startswith("."):
                yield Path(folder, name)


def _resolved(file: Path) -> Path:
    """The path with its symbolic links followed, as far as they lead anywhere; those that lead to themselves stay."""
    return Path(os.path.realpath(file))


def standard_library() -> Path:
    """Where the files importable as `std/…` are: in the installed package, or in the repository it runs from."""
    package = Path(__file__).parent
    installed = package / "std"
    return installed if installed.is_dir() else package.parents[1] / "policies" / "std"


@dataclass(slots=True)
class _Loader:
    root: Path
    modules: dict[str, Module] = field(default_factory=dict)
    sources: dict[str, SourceFile] = field(default_factory=dict)
    comments: dict[str, list[tuple[str, Span]]] = field(default_factory=dict)
    manifests: dict[str, SourceFile] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def read_program(self, files: Sequence[Path]) -> None:
        for file in files:
            shown = self._shown(file)
            if shown is None:
                span = Span(file.as_posix(), 0, 0, 1, 1)
                self.found.append(diagnose("import-outside-root", span, f"`{file}` lies outside of `{self.root}`"))
            elif shown not in self.modules:
                self._read_module(file, shown, None, is_program=True)
            else:
                self._make_program(shown)

    def _make_program(self, shown: str) -> None:
        """A file that was imported first and is one of the program's own as well."""
        module = self.modules[shown]
        self.modules[shown] = Module(file=module.file, imports=module.imports, is_program=True)

    def _shown(self, file: Path) -> str | None:
        """A file's path as users know it; None outside of the root."""
        resolved, library = _resolved(file), _resolved(standard_library())
        if resolved.is_relative_to(library) and not self.root.is_relative_to(library):
            return _SHOWN_STANDARD + resolved.relative_to(library).as_posix()
        return resolved.relative_to(self.root).as_posix() if resolved.is_relative_to(self.root) else None

    def _read(self, file: Path, shown: str, blame: Span | None) -> SourceFile | None:
        source = read_source(file, shown, blame)
        if isinstance(source, Diagnostic):
            self.found.append(source)
            return None
        self.sources[shown] = source
        return source

    def _read_module(self, file: Path, shown: str, blame: Span | None, *, is_program: bool) -> None:
        """Parse a file and everything that it imports; imports of imports wait in a list, so depth is no matter."""
        waiting: list[tuple[Path, str, Span | None, bool]] = [(file, shown, blame, is_program)]
        while waiting:
            path, name, span, own = waiting.pop()
            if name in self.modules:
                continue
            source = self._read(path, name, span)
            if source is None:
                self.modules[name] = Module(file=ast.File(path=name, declarations=()), imports={}, is_program=own)
                continue
            parsed = parse(source)
            self.found.extend(parsed.diagnostics)
            self.comments[name] = [(comment.text, comment.span) for comment in parsed.comments]
            imports: dict[str, str] = {}
            for declaration in parsed.file.declarations:
                match declaration:
                    case ast.Import():
                        target = self._import(declaration, path)
                        if target is not None:
                            imports[declaration.path.value] = target[1]
                            waiting.append((*target, declaration.span, False))
                    case ast.Inventory():
                        self._inventory(declaration, path)
                    case _:
                        pass
            self.modules[name] = Module(file=parsed.file, imports=imports, is_program=own)

    def _import(self, node: ast.Import, importer: Path) -> tuple[Path, str] | None:
        text, span = node.path.value, node.path.span
        problem = _problem_of_import(text)
        if problem:
            self.found.append(diagnose("import-not-found", span, f"`{text}` {problem}", advice=_HOW_TO_IMPORT))
            return None
        if text.startswith(_STANDARD):
            file = standard_library() / text.removeprefix(_STANDARD)
        else:
            file = importer.parent / text
        shown = self._shown(file)
        if shown is None:
            message = f"`{text}` leads out of the project's root"
            advice = f"the root is the folder of `{CONFIG_NAME}`: `{self.root.name}/`"
            self.found.append(diagnose("import-outside-root", span, message, advice=advice))
            return None
        if text.startswith("/"):
            message = f"`{text}` is not relative to this file, so it is there on this machine alone"
            self.found.append(diagnose("import-not-found", span, message, advice=_HOW_TO_IMPORT))
            return None
        if not _is_there(file):
            self.found.append(diagnose("import-not-found", span, f"there is no file `{text}`", advice=_near_file(file)))
            return None
        return file, shown

    def _inventory(self, node: ast.Inventory, importer: Path) -> None:
        pattern, span = node.pattern.value, node.pattern.span
        if pattern.startswith("/") or "\0" in pattern or not pattern:
            message = f"`{pattern}` is no relative pattern"
            self.found.append(diagnose("import-outside-root", span, message, advice='write it like `"k8s/**/*.yaml"`'))
            return
        if any("**" in part and part != "**" for part in pattern.split("/")):
            message = f"`**` stands for whole folders, not for a part of a name as in `{pattern}`"
            self.found.append(diagnose("inventory-empty", span, message, advice='write it like `"k8s/**/*.yaml"`'))
            return
        try:
            files = sorted(file for file in importer.parent.glob(pattern) if file.is_file())
        except (ValueError, OSError) as error:
            self.found.append(diagnose("inventory-empty", span, f"cannot look for `{pattern}`: {reason(error)}"))
            return
        if not files:
            message = f"no file matches `{pattern}`"
            self.found.append(diagnose("inventory-empty", span, message, advice="patterns are relative to this file"))
        for file in files:
            shown = self._shown(file)
            if shown is None:
                message = f"`{pattern}` leads out of the project's root"
                self.found.append(diagnose("import-outside-root", span, message))
            elif shown not in self.manifests:
                source = self._read(file, shown, span)
                if source is not None:
                    self.manifests[shown] = source

    def finish(self) -> Loaded:
        inventory: tuple[ast.Namespace | ast.Service, ...] = ()
        if self.manifests:
            from meshc.inventory import read_inventory  # noqa: PLC0415  YAML is slow to load, and few programs need it

            read = read_inventory([self.manifests[path] for path in sorted(self.manifests)])
            inventory = read.declarations
            self.found.extend(read.diagnostics)
        return Loaded(
            root=self.root,
            modules=dict(sorted(self.modules.items())),
            inventory=inventory,
            comments=self.comments,
            sources=self.sources,
            diagnostics=tuple(self.found),
        )


def _problem_of_import(text: str) -> str:
    """Why a text cannot name a file to import; empty if it can."""
    if not text or "\0" in text or "\\" in text or "://" in text:
        return "is no path with forward slashes"
    return "" if text.endswith(".mesh") or text.startswith("/") else "is no `.mesh` file"


def _is_there(file: Path) -> bool:
    """Whether there is something to read; a directory is not, and neither is what the system cannot even look for."""
    try:
        return file.exists() and not file.is_dir()
    except OSError:
        return False


def _near_file(file: Path) -> str:
    try:
        names = [one.name for one in file.parent.iterdir() if one.suffix == ".mesh"]
    except OSError:
        return "paths are relative to this file"
    near = closest(file.name, names)
    return f"did you mean `{near}`?" if near else "paths are relative to this file"
