"""Expressions of routes -> what they must match as a whole.

Linkerd looks for the expression from the left, takes the first match by the order of alternatives and of repetitions, and
asks only then whether that is all of the text: without an end, an expression may fail on what it could match as a whole.
`/a*(ab)*` finds `/a` in `/ab`.
"""

import re
from dataclasses import dataclass
from typing import Final

_ANCHORED: Final = re.compile(r"\^\(\?:(.*)\)\$", re.DOTALL)
_REPEATS: Final = frozenset("*+?{")


@dataclass(slots=True)
class _Shape:
    """What stands outside of classes and escapes: whether parentheses match, and where alternatives and repetitions are."""

    is_balanced: bool = True
    is_split: bool = False
    """There are alternatives that no parentheses hold together."""
    has_alternatives: bool = False
    repeats: tuple[int, ...] = ()
    has_end: bool = False
    """The last character is `$`, and means the end."""


def whole_of(expression: str) -> str | None:
    """What a text must match from its start to its end for the expression to match it; None where that is not known."""
    found = _ANCHORED.fullmatch(expression)
    if found is not None and _shape_of(found[1]).is_balanced:
        return found[1]
    body = expression.removeprefix("^")
    shape = _shape_of(body)
    if not shape.is_balanced or shape.is_split:
        return None
    if shape.has_end:
        return body[:-1]
    return body if _takes_the_longest(body, shape) else None


def _takes_the_longest(body: str, shape: _Shape) -> bool:
    """Whether there is but one way to match from a start, up to a last repetition that takes all it can."""
    if shape.has_alternatives or body.endswith(")") or "(?" in body:
        return False
    return all(place == len(body) - 1 and body[place] in "*+" for place in shape.repeats)


def _shape_of(text: str) -> _Shape:
    shape, depth, place = _Shape(), 0, 0
    while place < len(text):
        char = text[place]
        match char:
            case "\\":
                place += 1
            case "[":
                place = _after_class(text, place) - 1
            case "(":
                depth += 1
                # Flags and names of groups are no repetitions.
                place += text[place + 1 : place + 2] == "?"
            case ")":
                depth -= 1
                shape.is_balanced = shape.is_balanced and depth >= 0
            case "|":
                shape.has_alternatives = True
                shape.is_split = shape.is_split or depth == 0
            case "$":
                shape.has_end = place == len(text) - 1
            case _ if char in _REPEATS:
                shape.repeats = (*shape.repeats, place)
            case _:
                pass
        place += 1
    shape.is_balanced = shape.is_balanced and depth == 0
    return shape


def _after_class(text: str, start: int) -> int:
    """The place after a class of characters; a bracket right at its start stands for itself, and one that names letters is passed over."""
    place = start + 1
    place += text[place : place + 1] == "^"
    place += text[place : place + 1] == "]"
    while place < len(text) and text[place] != "]":
        if text[place] == "\\":
            place += 1
        elif text.startswith("[:", place) and (end := text.find(":]", place)) > 0:
            place = end + 1
        place += 1
    return place + 1
