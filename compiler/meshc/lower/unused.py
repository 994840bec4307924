"""Definitions: those that nothing uses are reported, and every one is checked, used or not."""

from collections.abc import Iterator

from meshc import ast
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.profiles import check_profile, expand_uses
from meshc.lower.settings import lower_setting
from meshc.lower.sources import lower_sources
from meshc.lower.world import World
from meshc.resolve import BASE, Module
from meshc.resolve.modules import declarations


def check_definitions(context: Context, world: World) -> None:
    """Report unused lets, groups and profiles of the program's own files, and mistakes in those that nothing expands."""
    for module in context.symbols.modules.values():
        inside = context.inside(module.path)
        for definition in _definitions(module):
            if not context.report.is_used(definition) and _counts(context, module, definition):
                _check_unused(inside, world, definition)
                if module.is_program:
                    kind = type(definition).__name__.lower()
                    message = f"nothing uses {kind} `{definition.name.text}`"
                    context.report.add(
                        "unused-declaration", definition.name.span, message, advice="remove it, or use it"
                    )
            if isinstance(definition, ast.Profile):
                check_profile(inside, definition)


def _counts(context: Context, module: Module, definition: ast.Let | ast.Group | ast.Profile) -> bool:
    """Whether a definition is the one that its name means: a second one of the name has been reported already."""
    tables = context.symbols.visibility.own.get(module.path, ())
    found = [names.table(definition).get(definition.name.text) for names in tables]
    return any(entry is not None and entry.declaration is definition for entry in found)


def _definitions(module: Module) -> Iterator[ast.Let | ast.Group | ast.Profile]:
    for layer, declaration in declarations(module.file, None):
        if layer == BASE and isinstance(declaration, ast.Let | ast.Group | ast.Profile):
            yield declaration


def _check_unused(context: Context, world: World, definition: ast.Let | ast.Group | ast.Profile) -> None:
    match definition:
        case ast.Let():
            for literal in definition.values:
                for value in values.expand(context, literal):
                    if isinstance(value, ast.Quantity):
                        values.quantity(context, value, f"`{definition.name.text}`", "int")
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
                lower_setting(inside, world, setting, None)


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
