"""Regular expressions that stand for plainer tests of the language: texts, paths by segments, hosts with a port, parameters.

An expression that is none of these stays one. Expressions match the whole text.
"""

import re
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_istio.queries import target_expression

_META: Final = frozenset("\\.+*?()|[]{}^$")
_ANY_SEGMENT: Final = ("[^/]+", "([^/]+)")
_REST: Final = ("(?:/.*)?", "((?:/.*)?)", "(/.*)?")
_HOST_END: Final = r"\.?(:[0-9]+)?"
_PARAMETER: Final = re.compile(r"\[\^\?\]\*\\\?\(\?:.*&\)\*(?P<tail>.*)\(\?:&\.\*\)\?", re.DOTALL)
_ANY_VALUE: Final = "(?:=[^&]*)?"


def literal(expression: str) -> str | None:
    """The one text that matches; None if there are others."""
    found: list[str] = []
    characters = iter(expression)
    for one in characters:
        if one == "\\":
            escaped = next(characters, "")
            if not escaped or escaped.isalnum():
                return None
            found.append(escaped)
        elif one in _META:
            return None
        else:
            found.append(one)
    return "".join(found)


def alternatives(expression: str) -> tuple[str, ...]:
    """The parts between bars that stand in no group and no class."""
    found, start, depth, opened, place = [], 0, 0, -1, 0
    while place < len(expression):
        one = expression[place]
        if one == "\\":
            place += 1
        elif opened >= 0:
            # A bracket that comes first in a class is a letter of it.
            is_first = expression[opened + 1 : place] in {"", "^"}
            opened = -1 if one == "]" and not is_first else opened
        elif one == "[":
            opened = place
        elif one in "()":
            depth += 1 if one == "(" else -1
        elif one == "|" and depth == 0:
            found.append(expression[start:place])
            start = place + 1
        place += 1
    return (*found, expression[start:])


def text_test(expression: str) -> ir.TextTest:
    """An expression as the plainest test that there is."""
    if expression == "^$":
        return ir.Equals("")
    if expression == ".*":
        return ir.IsPresent()
    whole = literal(expression)
    if whole is not None:
        return ir.Equals(whole)
    if expression.endswith(".*") and (start := literal(expression[:-2])) is not None:
        return ir.StartsWith(start)
    if expression.startswith(".*") and (end := literal(expression[2:])) is not None:
        return ir.EndsWith(end)
    return ir.Matches(_bare(expression))


def _bare(expression: str) -> str:
    """Without a group around all of it."""
    inner = expression[3:-1]
    if expression.startswith("(?:") and expression.endswith(")") and len(alternatives(f"({inner})")) == 1:
        try:
            re.compile(inner)
        except re.error:
            return expression
        return inner
    return expression


# ---- hosts ----------------------------------------------------------------------------------------------------------


def host_test(expression: str) -> ir.TextTest | None:
    """A test of the host, where the expression takes every letter case, a final dot and any port; else None."""
    if expression == ".*":
        return ir.IsPresent()
    if not expression.startswith("(?i)"):
        return None
    if not expression.endswith(_HOST_END):
        start = literal(expression[4:-2]) if expression.endswith(".*") else None
        return None if start is None or ":" in start else ir.StartsWith(start.lower())
    core = expression[4 : -len(_HOST_END)]
    whole = literal(core)
    if whole is not None:
        return ir.Equals(whole.lower())
    if core.startswith("[^:]*"):
        end = literal(core[5:])
        return None if end is None else ir.EndsWith(end.lower())
    return ir.Matches(_bare(core)) if core == core.lower() and ":" not in core.replace("(?:", "") else None


# ---- query parameters -----------------------------------------------------------------------------------------------


def parameter_test(expression: str) -> ir.QueryIs | None:
    """The test of the first parameter of a name that an expression for the path and its query stands for; else None.

    What a candidate would be written as says whether it is the one.
    """
    found = _PARAMETER.fullmatch(expression)
    if found is None:
        return None
    for candidate in _candidates(found["tail"]):
        if target_expression(candidate.name, candidate.test) == expression:
            return candidate
    return None


def _candidates(tail: str) -> tuple[ir.QueryIs, ...]:
    if tail.endswith(_ANY_VALUE):
        name = literal(tail.removesuffix(_ANY_VALUE))
        return () if name is None else (ir.QueryIs(name, ir.IsPresent()),)
    if tail.endswith("=?"):
        name = literal(tail[:-2])
        return () if name is None else (ir.QueryIs(name, ir.Equals("")),)
    written, mark, value = tail.partition("=")
    name = literal(written)
    text = literal(value.removeprefix("[^&]*").removesuffix("[^&]*"))
    if name is None or text is None or not mark:
        return ()
    return tuple(ir.QueryIs(name, kind(text)) for kind in (ir.Equals, ir.StartsWith, ir.EndsWith))


# ---- paths ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """An expression for whole segments: `groups` are the places of captured ones, `has_rest` what is below, too.

    `keeps_rest`: the last group is the rest of the path, with its slash.
    """

    pattern: ir.TemplatePath
    groups: tuple[int, ...]
    keeps_rest: bool


def segments(expression: str) -> Segments | None:
    """An expression that is made of whole segments, if it is."""
    rest = next((one for one in _REST if expression.endswith(one)), "")
    stem = expression[: len(expression) - len(rest)]
    if not (stem.startswith("/") or (not stem and rest)):
        return None
    found: list[str | None] = []
    groups: list[int] = []
    for place, one in enumerate(_steps(stem)):
        if one in _ANY_SEGMENT:
            found.append(None)
            groups += [place] if one.startswith("(") else []
            continue
        text = literal(one)
        if text is None:
            return None
        found.append(text)
    names = tuple(f"p{place + 1}" for place, one in enumerate(found) if one is None)
    pattern = ir.TemplatePath(tuple(found), names, rest=bool(rest))
    return Segments(pattern=pattern, groups=tuple(groups), keeps_rest=rest.startswith(("((", "(/")))


def _steps(stem: str) -> list[str]:
    """The segments; a slash in a class is none."""
    if not stem:
        return []
    held = stem.replace("[^/]+", "\0")
    return [one.replace("\0", "[^/]+") for one in held[1:].split("/")]


def path_pattern(expression: str) -> ir.PathPattern:
    """An expression for paths as a pattern."""
    if expression in {".*", "/.*"}:
        return ir.ANY_PATH
    whole = literal(expression)
    if whole is not None and whole.startswith("/"):
        return ir.ExactPath(whole)
    found = segments(expression)
    return ir.RegexPath(expression) if found is None else found.pattern


def quoted(text: str) -> str:
    """An expression for exactly this text."""
    return "".join(f"\\{one}" if one in _META else one for one in text)
