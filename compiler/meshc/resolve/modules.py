"""Which lets, groups and profiles each file sees.

Files of the program, and what they import without an alias, share one table. A file imported `as r` keeps its names behind
`r.`; inside, it sees its own and those of its plain imports first, then the program's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose

Definition = ast.Let | ast.Group | ast.Profile

BASE = 1
"""The layer of the program itself; an inventory is below it, an environment above."""
INVENTORY = 0
ENVIRONMENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A parsed file. `imports` maps each import's text to the path of the file it names; `is_program` is false for libraries
    that are only imported.
    """

    file: ast.File
    imports: Mapping[str, str]
    is_program: bool = True

    @property
    def path(self) -> str:
        return self.file.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A definition, the layer it stands in, and the module whose names its body sees."""

    declaration: Definition
    layer: int
    module: str


@dataclass(slots=True)
class Names:
    """One table for each kind of definition, by name."""

    lets: dict[str, Entry]
    groups: dict[str, Entry]
    profiles: dict[str, Entry]

    @classmethod
    def empty(cls) -> "Names":
        return cls({}, {}, {})

    def table(self, declaration: Definition) -> dict[str, Entry]:
        match declaration:
            case ast.Let():
                return self.lets
            case ast.Group():
                return self.groups
            case ast.Profile():
                return self.profiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """What each module sees: `own` without a prefix, nearest first, and `aliased` behind each of its aliases."""

    own: Mapping[str, tuple[Names, ...]]
    aliased: Mapping[str, Mapping[str, Names]]


def declarations(file: ast.File, environment: str | None) -> Iterator[tuple[int, ast.ScopedDeclaration]]:
    """A file's declarations with their layers: its own, and those of the chosen environment."""
    for declaration in file.declarations:
        match declaration:
            case ast.Import() | ast.Inventory():
                continue
            case ast.Environment(name=name):
                if name.text == environment:
                    for inner in declaration.declarations:
                        yield ENVIRONMENT, inner
            case _:
                yield BASE, declaration


def see(modules: Mapping[str, Module], environment: str | None) -> tuple[Visibility, tuple[Diagnostic, ...]]:
    """Build every module's tables; two definitions of one name in one table are reported."""
    found: list[Diagnostic] = []
    roots = [path for path, module in modules.items() if module.is_program]
    program_files = _plain_closure(modules, roots)
    program = _table(modules, program_files, environment, found)
    own: dict[str, tuple[Names, ...]] = {}
    units: dict[str, Names] = {}
    for path in modules:
        if path in program_files:
            own[path] = (program,)
        else:
            units[path] = _table(modules, _plain_closure(modules, [path]), environment, found)
            own[path] = (units[path], program)
    aliased: dict[str, dict[str, Names]] = {path: {} for path in modules}
    for path, module in modules.items():
        for declaration in module.file.declarations:
            if isinstance(declaration, ast.Import) and declaration.alias is not None:
                target = module.imports.get(declaration.path.value)
                if target is None or target not in modules:
                    continue
                if target not in units:
                    units[target] = _table(modules, _plain_closure(modules, [target]), environment, [])
                aliased[path][declaration.alias.text] = units[target]
    return Visibility(own=own, aliased=aliased), tuple(dict.fromkeys(found))


def _plain_closure(modules: Mapping[str, Module], start: list[str]) -> dict[str, None]:
    reached: dict[str, None] = {}
    waiting = list(start)
    while waiting:
        path = waiting.pop(0)
        if path in reached or path not in modules:
            continue
        reached[path] = None
        module = modules[path]
        for declaration in module.file.declarations:
            if isinstance(declaration, ast.Import) and declaration.alias is None:
                target = module.imports.get(declaration.path.value)
                if target is not None:
                    waiting.append(target)
    return reached


def _table(
    modules: Mapping[str, Module], paths: dict[str, None], environment: str | None, found: list[Diagnostic]
) -> Names:
    names = Names.empty()
    for path in paths:
        for layer, declaration in declarations(modules[path].file, environment):
            if isinstance(declaration, ast.Let | ast.Group | ast.Profile):
                _add(names.table(declaration), Entry(declaration=declaration, layer=layer, module=path), found)
    return names


def _add(table: dict[str, Entry], entry: Entry, found: list[Diagnostic]) -> None:
    name = entry.declaration.name
    present = table.get(name.text)
    if present is None or present.layer < entry.layer:
        table[name.text] = entry
    elif present.layer == entry.layer:
        found.append(duplicate(type(entry.declaration).__name__.lower(), name, present.declaration.name))


def duplicate(kind: str, name: ast.Name, first: ast.Name) -> Diagnostic:
    """Two declarations of one kind with one name."""
    return diagnose(
        "duplicate-declaration",
        name.span,
        f"{kind} `{name.text}` is declared twice",
        label="declared again here",
        labels=(Label(span=first.span, text="first declared here"),),
        advice="rename one of the two, or merge them",
    )
