"""References, values and lists of them."""

from collections.abc import Mapping
from typing import Any, Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.machine import Children, Documented, Node, Part


def first(c: Children) -> Any:
    """The only child, as it is."""
    return c[0]


def second(c: Children) -> Any:
    """What follows a keyword."""
    return c[1]


def all_but_commas(c: Children) -> tuple[Any, ...]:
    """A list whose items are parted by commas or bars."""
    return tuple(c[0::2])


def after_keyword(c: Children) -> tuple[Any, ...]:
    """A list as `all_but_commas`, after a keyword."""
    return tuple(c[1::2])


def name_to_ref(name: ast.Name | ast.Ref) -> ast.Ref:
    """A plain name in a place where a qualified one might stand."""
    return ast.Ref(name=name.text, span=name.span) if isinstance(name, ast.Name) else name


def reference(c: Children) -> ast.Ref:
    return name_to_ref(c[0])


def path(c: Children) -> ast.Path | ast.Regex:
    found = c[0]
    return ast.Path(text=found.value, span=found.span) if isinstance(found, ast.String) else found


def use(c: Children, span: Span) -> ast.Use:
    return ast.Use(profile=name_to_ref(c[0]), arguments=c[1] or (), span=span)


def arguments(c: Children) -> tuple[ast.Argument, ...]:
    return tuple(child for child in c if isinstance(child, ast.Argument))


def argument(c: Children, span: Span) -> ast.Argument:
    return ast.Argument(name=c[0], value=c[1], span=span)


def value_range(c: Children, span: Span) -> ast.Range:
    return ast.Range(low=c[0], high=c[2], span=span)


def option(c: Children, span: Span) -> ast.Option:
    return ast.Option(name=c[0], value=c[1], span=span)


def options(c: Children) -> tuple[ast.Option, ...]:
    return tuple(c[1:-1])


def destination(c: Children, span: Span) -> ast.Destination:
    return ast.Destination(target=c[0], share=c[1], span=span)


PARTS: Final[Mapping[str, Part]] = {
    "service_name": reference,
    "service_ref": reference,
    "destination_ref": reference,
    "path": path,
    "text": first,
    "value": first,
    "port_number": first,
    "amount": first,
    "rate": first,
    "literal": first,
    "direction": first,
    "uses": after_keyword,
    "arguments": arguments,
    "argument_name": first,
    "options": options,
}
NODES: Final[Mapping[str, Node]] = {
    "use": use,
    "argument": argument,
    "range": value_range,
    "option": option,
    "destination": destination,
}
DOCUMENTED: Final[Mapping[str, Documented]] = {}
