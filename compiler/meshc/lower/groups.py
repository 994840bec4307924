"""The groups of a program as sets of principals, for those who name sets of callers to people."""

from dataclasses import replace

from meshc import ast
from meshc.ir import Principals
from meshc.lower.context import Report
from meshc.lower.program import Lowered
from meshc.lower.sources import lower_sources


def groups_of(lowered: Lowered) -> dict[str, Principals]:
    """The groups that the program's own files see without an alias."""
    context = replace(lowered.context, report=Report())
    found: dict[str, Principals] = {}
    for path, module in context.symbols.modules.items():
        if not module.is_program:
            continue
        for names in context.symbols.visibility.own.get(path, ()):
            for name, entry in names.groups.items():
                if name not in found and isinstance(entry.declaration, ast.Group):
                    sources = _sources(entry.declaration)
                    principals = lower_sources(context.within(entry), lowered.world, sources)
                    if principals is not None:
                        found[name] = principals
    return found


def _sources(group: ast.Group) -> ast.Sources:
    return ast.Sources(include=group.members, exclude=(), span=group.span)
