"""Typed values: variables are replaced by what they stand for, and each literal is checked against the type its place needs."""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import TypeVar

from meshc import ast
from meshc.diagnostics import Label
from meshc.ir import IpBlock
from meshc.literals import (
    KINDS,
    Cidr,
    Day,
    Duration,
    Integer,
    LiteralError,
    Percent,
    Rate,
    Typed,
    kind_of,
    read_quantity,
)
from meshc.lower.context import Context
from meshc.path_patterns import PatternError, read_regex
from meshc.source import Span

MAX_VALUES = 10_000
"""The most values that one list of literals may grow to once its variables are replaced."""

Wanted = TypeVar("Wanted", bound=Typed)


def expand(context: Context, literal: ast.Literal) -> tuple[ast.Literal, ...]:
    """What a literal stands for: itself, or for a variable the literals of its `let` or argument; empty after a report."""
    if not isinstance(literal, ast.Var):
        return (literal,)
    if literal.scope is None and literal.name in context.parameters:
        return context.parameters[literal.name]
    entry = context.definition("let", literal.scope, literal.name, literal.span)
    if entry is None or not isinstance(entry.declaration, ast.Let):
        return ()
    if context.is_expanding(entry):
        lets = (one.declaration for one in (*context.expanding, entry) if isinstance(one.declaration, ast.Let))
        chain = " → ".join(f"${let.name.text}" for let in lets)
        context.report.add("cyclic-definition", literal.span, f"`${literal.name}` refers to itself", advice=chain)
        return ()
    if not context.may_descend(literal.span, "lets"):
        return ()
    known = context.report.expanded.get(id(entry.declaration))
    if known is not None:
        return known
    inner = context.within(entry)
    values = tuple(value for part in entry.declaration.values for value in expand(inner, part))
    if len(values) > MAX_VALUES:
        context.report.add(
            "value-out-of-range", literal.span, f"`${literal.name}` grows to more than {MAX_VALUES} values"
        )
        values = ()
    context.report.expanded[id(entry.declaration)] = values
    return values


def one(context: Context, literal: ast.Literal, what: str) -> ast.Literal | None:
    """The single literal that a place takes, or a report: a list in a variable does not fit there."""
    values = expand(context, literal)
    if len(values) > 1:
        context.report.add(
            "type-mismatch",
            literal.span,
            f"{what} takes one value, and {_shown(literal)} holds {len(values)}",
            labels=(Label(span=values[1].span, text="the second value"),),
        )
        return None
    return values[0] if values else None


def duration_ms(context: Context, literal: ast.Literal, what: str, *, least: int = 1) -> int | None:
    """Whole milliseconds, at least `least`."""
    value = _typed(context, literal, what, Duration, "duration")
    if value is None:
        return None
    if value.milliseconds < least:
        context.report.add(
            "value-out-of-range", literal.span, f"{what} must be longer than 0", advice=_NEVER.get(what, "")
        )
        return None
    return value.milliseconds


_NEVER = {"timeout": "leave `timeout` out for no timeout"}


def percent(context: Context, literal: ast.Literal, what: str) -> Fraction | None:
    """A share between 0 and 100."""
    value = _typed(context, literal, what, Percent, "percent")
    return None if value is None else value.value


def rate(context: Context, literal: ast.Literal, what: str) -> Rate | None:
    return _typed(context, literal, what, Rate, "rate")


def integer(context: Context, literal: ast.Literal, what: str, *, least: int = 0, most: int = 2**31 - 1) -> int | None:
    """A whole number in `[least, most]`."""
    value = _typed(context, literal, what, Integer, "int")
    if value is None:
        return None
    if not least <= value.value <= most:
        context.report.add(
            "value-out-of-range", literal.span, f"{what} must be between {least} and {most}, found `{value.value}`"
        )
        return None
    return value.value


def status(context: Context, literal: ast.Literal, what: str, *, least: int = 200, most: int = 599) -> int | None:
    """A single HTTP status in `[least, most]`."""
    value = _typed(context, literal, what, Integer, "status")
    if value is None:
        return None
    if not least <= value.value <= most:
        context.report.add(
            "value-out-of-range",
            literal.span,
            f"{what} must be between {least} and {most}, found `{value.value}`",
        )
        return None
    return value.value


def day(context: Context, literal: ast.Literal, what: str) -> date | None:
    value = _typed(context, literal, what, Day, "date")
    return None if value is None else value.day


def blocks(context: Context, literals: tuple[ast.Literal, ...], what: str) -> tuple[IpBlock, ...]:
    """Address blocks, variables replaced; those that are none are reported and left out."""
    result: dict[IpBlock, None] = {}
    for literal in literals:
        for value in expand(context, literal):
            typed = _quantity(context, value, literal.span, what, "cidr")
            if isinstance(typed, Cidr):
                result[typed.block] = None
            elif typed is not None:
                mismatch(context, value, literal.span, what, "cidr")
    return tuple(result)


def text(context: Context, literal: ast.Literal, what: str) -> str | None:
    """A string."""
    value = one(context, literal, what)
    if value is None:
        return None
    if isinstance(value, ast.String):
        return value.value
    mismatch(context, value, literal.span, what, "string")
    return None


def texts(context: Context, literals: tuple[ast.Literal, ...], what: str) -> Iterator[tuple[str, Span]]:
    """Strings with the places they are used at, variables replaced; what is no string is reported and left out."""
    for literal in literals:
        for value in expand(context, literal):
            if isinstance(value, ast.String):
                yield value.value, literal.span
            else:
                mismatch(context, value, literal.span, what, "string")


def regex(context: Context, literal: ast.Literal, what: str) -> str | None:
    """A regular expression that RE2 accepts, without the anchors at its ends."""
    value = one(context, literal, what)
    if value is None:
        return None
    if not isinstance(value, ast.Regex):
        mismatch(context, value, literal.span, what, "regex")
        return None
    try:
        return read_regex(value.pattern)
    except PatternError as error:
        name = "regex-too-large" if "instructions" in error.message else "invalid-regex"
        context.report.add(name, value.span, error.message, advice=error.advice)
        return None


def quantity(context: Context, literal: ast.Literal, what: str, kind: str) -> Typed | None:
    """Any quantity; `kind` is the one that messages ask for."""
    value = one(context, literal, what)
    return None if value is None else _quantity(context, value, literal.span, what, kind)


def mismatch(context: Context, value: ast.Literal, used: Span, what: str, kind: str) -> None:
    """Report that a literal has the wrong type for its place."""
    labels = () if value.span == used else (Label(span=value.span, text="this is its value"),)
    advice = _mend(value, kind)
    found = _shown(value)
    context.report.add(
        "type-mismatch", used, f"{what} must be {KINDS[kind]}, found {found}", labels=labels, advice=advice
    )


def _typed(context: Context, literal: ast.Literal, what: str, wanted: type[Wanted], kind: str) -> Wanted | None:
    value = one(context, literal, what)
    if value is None:
        return None
    typed = _quantity(context, value, literal.span, what, kind)
    if typed is None or isinstance(typed, wanted):
        return typed
    mismatch(context, value, literal.span, what, kind)
    return None


def _quantity(context: Context, value: ast.Literal, used: Span, what: str, kind: str) -> Typed | None:
    if not isinstance(value, ast.Quantity):
        mismatch(context, value, used, what, kind)
        return None
    try:
        return read_quantity(value.text)
    except LiteralError as error:
        name = "invalid-address" if kind == "cidr" else "type-mismatch"
        message = (
            error.message
            if "no literal" not in error.message
            else f"{what} must be {KINDS[kind]}, found `{value.text}`"
        )
        context.report.add(name, value.span, message, advice=error.advice)
        return None


def _shown(value: ast.Literal) -> str:
    match value:
        case ast.Quantity():
            return f"`{value.text}`"
        case ast.String():
            return f'`"{value.value}"`'
        case ast.Regex():
            return f'`re"{value.pattern}"`'
        case ast.Var():
            return f"`${value.name}`"


def _mend(value: ast.Literal, kind: str) -> str:
    if isinstance(value, ast.String):
        try:
            found = kind_of(read_quantity(value.value))
        except LiteralError:
            found = ""
        if found == kind:
            return f"write `{value.value}` without quotes"
    if isinstance(value, ast.Quantity) and value.text.isdigit():
        number = value.text
        return {
            "duration": f"write `{number}s` or `{number}ms`",
            "percent": f"write `{number}%`",
            "rate": f"write `{number}/s`",
            "size": f"write `{number}KiB`",
            "string": f'write `"{number}"`',
        }.get(kind, "")
    if isinstance(value, ast.Quantity) and kind == "string":
        return f'write `"{value.text}"`'
    return ""
