"""Definitions: those that nothing uses are reported, and every one is checked, used or not."""

from collections.abc import Iterator
from dataclasses import replace

from meshc import ast
from meshc.ast.walk import nodes
from meshc.literals import LiteralError, read_quantity
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.profiles import check_profile, expand_uses
from meshc.lower.settings import lower_setting
from meshc.lower.sources import lower_sources
from meshc.lower.world import World
from meshc.resolve import Module


def check_definitions(context: Context, world: World) -> None:
    """Report unused lets, groups and profiles of the program's own files, and mistakes in those that nothing expands."""
    elsewhere = _named_by_environments(context)
    for module in context.symbols.modules.values():
        inside = context.inside(module.path)
        for definition in _definitions(module):
            if not _counts(context, module, definition):
                continue
            if not context.report.is_used(definition):
                _check_unused(inside, world, definition)
                kind = type(definition).__name__.lower()
                if module.is_program and (kind, definition.name.text) not in elsewhere:
                    message = f"nothing uses {kind} `{definition.name.text}`"
                    context.report.add(
                        "unused-declaration", definition.name.span, message, advice="remove it, or use it"
                    )
            if isinstance(definition, ast.Profile):
                check_profile(inside, definition)


def _counts(context: Context, module: Module, definition: ast.Let | ast.Group | ast.Profile) -> bool:
    """Whether a definition is the one that its name means: not a second one, which has been reported already, nor one that an
    environment replaces, nor one of another environment.
    """
    tables = context.symbols.visibility.own.get(module.path, ())
    found = [names.table(definition).get(definition.name.text) for names in tables]
    return any(entry is not None and entry.declaration is definition for entry in found)


def _definitions(module: Module) -> Iterator[ast.Let | ast.Group | ast.Profile]:
    """All of a file, those of its environments too."""
    for declaration in module.file.declarations:
        inner = declaration.declarations if isinstance(declaration, ast.Environment) else (declaration,)
        yield from (one for one in inner if isinstance(one, ast.Let | ast.Group | ast.Profile))


def _named_by_environments(context: Context) -> set[tuple[str, str]]:
    """Kinds and names of what some environment uses, the present one or another."""
    named: set[tuple[str, str]] = set()
    for module in context.symbols.modules.values():
        for declaration in module.file.declarations:
            for node in nodes(declaration) if isinstance(declaration, ast.Environment) else ():
                match node:
                    case ast.Var(name=name):
                        named.add(("let", name))
                    case ast.GroupSource(group=ref):
                        named.add(("group", ref.name))
                    case ast.Use(profile=ref):
                        named.add(("profile", ref.name))
    return named


def _check_unused(context: Context, world: World, definition: ast.Let | ast.Group | ast.Profile) -> None:
    match definition:
        case ast.Let():
            for literal in definition.values:
                for value in values.expand(context, literal):
                    if isinstance(value, ast.Quantity):
                        _check_quantity(context, value)
        case ast.Group():
            lower_sources(context, world, ast.Sources(include=definition.members, span=definition.span))
        case ast.Profile():
            use = ast.Use(
                profile=ast.Ref(name=definition.name.text, span=definition.name.span),
                arguments=tuple(
                    ast.Argument(name=one.name, value=_example(one), span=one.span)
                    for one in definition.parameters
                    if one.default is None
                ),
                span=definition.name.span,
            )
            for _, inside, setting in expand_uses(context, (use,)):
                _check_setting(inside, world, setting)


def _check_quantity(context: Context, value: ast.Quantity) -> None:
    try:
        read_quantity(value.text)
    except LiteralError as error:
        context.report.add("type-mismatch", value.span, error.message, advice=error.advice)


def _check_setting(context: Context, world: World, setting: ast.Setting) -> None:
    """Report mistakes in a setting; where a parameter decides its value, only what no argument could mend."""
    scratch = replace(context.report, found={})
    lower_setting(replace(context, report=scratch), world, setting, None)
    is_open = any(
        isinstance(node, ast.Var) and node.scope is None and node.name in context.parameters for node in nodes(setting)
    )
    for found in scratch.found:
        if not is_open or found.name == "type-mismatch" or found.name.startswith("unknown-"):
            context.report.found[found] = None


def _example(parameter: ast.Parameter) -> ast.Literal:
    """Any value of a parameter's type, so that the settings of an unused profile can be checked."""
    text = _EXAMPLES.get(parameter.type.text)
    if text is None:
        return ast.String(value="example", span=parameter.span)
    return ast.Quantity(text=text, span=parameter.span)


_EXAMPLES = {
    "duration": "1s",
    "percent": "1%",
    "rate": "1/s",
    "size": "1KiB",
    "int": "1",
    "cidr": "127.0.0.1",
    "status": "503",
}
