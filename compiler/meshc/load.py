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
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile, Span
from meshc.suggest import closest
from meshc.suppress import Comments

CONFIG_NAME = "meshc.yaml"
LARGEST_FILE = 32 * 1024 * 1024
"""Bytes; a larger file is refused."""

_STANDARD = "std/"


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
    start = path if path.is_dir() else path.parent
    start = start.resolve()
    for marker in (CONFIG_NAME, ".git"):
        for directory in (start, *start.parents):
            if (directory / marker).exists():
                return directory
    return start


def load(path: Path) -> Loaded:
    """Read and parse the program at `path`. Raises LoadError if there is none."""
    if not path.exists():
        raise LoadError(f"`{path}` does not exist")
    if path.is_file() and path.suffix != ".mesh":
        raise LoadError(f"`{path}` is no `.mesh` file")
    loader = _Loader(find_root(path))
    files = sorted(_mesh_files(path)) if path.is_dir() else [path]
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
        resolved = file.resolve()
        library = standard_library().resolve()
        if resolved.is_relative_to(library) and not self.root.is_relative_to(library):
            return _STANDARD + resolved.relative_to(library).as_posix()
        return resolved.relative_to(self.root).as_posix() if resolved.is_relative_to(self.root) else None

    def _read(self, file: Path, shown: str, blame: Span | None) -> SourceFile | None:
        span = blame or Span(shown, 0, 0, 1, 1)
        try:
            if file.stat().st_size > LARGEST_FILE:
                message = f"`{shown}` is larger than {LARGEST_FILE // 1024**2} MiB"
                self.found.append(diagnose("unreadable-file", span, message))
                return None
            content = file.read_bytes()
        except OSError as error:
            self.found.append(diagnose("unreadable-file", span, f"cannot read `{shown}`: {error.strerror}"))
            return None
        try:
            source = SourceFile(shown, content.decode("utf-8"))
        except UnicodeDecodeError as error:
            before = content[: error.start].decode("utf-8")
            place = SourceFile(shown, before).span(len(before), len(before))
            message = f"`{shown}` is not UTF-8: byte {content[error.start]:#04x} on line {place.line}"
            self.found.append(diagnose("invalid-encoding", place, message, advice="save the file as UTF-8"))
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
        if text.startswith(_STANDARD):
            file = standard_library() / text.removeprefix(_STANDARD)
        else:
            file = importer.parent / text
        if "://" in text or "\\" in text or "\0" in text:
            message = f"`{text}` is no relative path"
            self.found.append(diagnose("import-not-found", span, message, advice="files are imported from the project"))
            return None
        shown = self._shown(file)
        if shown is None:
            message = f"`{text}` leads out of the project's root"
            advice = f"the root is the folder of `{CONFIG_NAME}`: `{self.root.name}/`"
            self.found.append(diagnose("import-outside-root", span, message, advice=advice))
            return None
        if not file.is_file():
            self.found.append(diagnose("import-not-found", span, f"there is no file `{text}`", advice=_near_file(file)))
            return None
        return file, shown

    def _inventory(self, node: ast.Inventory, importer: Path) -> None:
        pattern, span = node.pattern.value, node.pattern.span
        if pattern.startswith("/") or "\0" in pattern or not pattern:
            message = f"`{pattern}` is no relative pattern"
            self.found.append(diagnose("import-outside-root", span, message, advice='write it like `"k8s/**/*.yaml"`'))
            return
        try:
            files = sorted(file for file in importer.parent.glob(pattern) if file.is_file())
        except (ValueError, OSError) as error:
            message = f"`{pattern}` is no pattern of files: {error}"
            self.found.append(diagnose("inventory-empty", span, message))
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


def _near_file(file: Path) -> str:
    try:
        names = [one.name for one in file.parent.iterdir() if one.suffix == ".mesh"]
    except OSError:
        return "paths are relative to this file"
    near = closest(file.name, names)
    return f"did you mean `{near}`?" if near else "paths are relative to this file"
