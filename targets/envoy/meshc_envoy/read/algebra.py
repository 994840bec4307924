"""Conditions put together, with what is plainly always or never true left out and `or`s of one thing made one test."""

from collections.abc import Iterable, Sequence
from typing import Final

from meshc import ir
from meshc_envoy.read.patterns import literal, quoted

NEVER: Final = ir.AnyOf(())
ANY_TEXT: Final = ir.Matches(r"\C*")


def every(parts: Iterable[ir.Condition]) -> ir.Condition:
    """All of them hold."""
    found = [part for part in parts if part != ir.ALWAYS]
    if NEVER in found:
        return NEVER
    return found[0] if len(found) == 1 else ir.AllOf(tuple(found))


def negated(condition: ir.Condition) -> ir.Condition:
    """It does not hold."""
    if condition == ir.ALWAYS:
        return NEVER
    if condition == NEVER:
        return ir.ALWAYS
    return condition.condition if isinstance(condition, ir.Not) else ir.Not(condition)


def some(parts: Iterable[ir.Condition]) -> ir.Condition:
    """Any of them holds."""
    found = [part for part in parts if part != NEVER]
    if ir.ALWAYS in found:
        return ir.ALWAYS
    found = _with_claims(_with_prefixes(_with_addresses(_with_methods(found))))
    return found[0] if len(found) == 1 else ir.AnyOf(tuple(found))


def _with_methods(parts: Sequence[ir.Condition]) -> list[ir.Condition]:
    methods = [method for part in parts if isinstance(part, ir.MethodIs) for method in part.methods]
    others = [part for part in parts if not isinstance(part, ir.MethodIs)]
    merged: list[ir.Condition] = [ir.MethodIs(tuple(dict.fromkeys(methods)))] if methods else []
    return [*merged, *others]


def _with_addresses(parts: Sequence[ir.Condition]) -> list[ir.Condition]:
    found: list[ir.Condition] = [part for part in parts if not isinstance(part, ir.AddressIn)]
    for kind in ir.AddressOf:
        same = [part for part in parts if isinstance(part, ir.AddressIn) and part.address is kind]
        blocks = tuple(dict.fromkeys(block for part in same for block in part.blocks))
        if blocks:
            found.append(ir.AddressIn(kind, blocks))
    return found


def _with_prefixes(parts: Sequence[ir.Condition]) -> list[ir.Condition]:
    r"""`/a` or what begins with `/a/` is the template `/a/**`."""
    exact = {
        part.pattern.path for part in parts if isinstance(part, ir.PathIs) and isinstance(part.pattern, ir.ExactPath)
    }
    whole = {stem for part in parts if (stem := _stem(part)) is not None and stem in exact}
    if not whole:
        return list(parts)
    kept: list[ir.Condition] = []
    for part in parts:
        if (stem := _stem(part)) in whole and stem is not None:
            kept.append(ir.PathIs(ir.TemplatePath(tuple(stem[1:].split("/")), (), rest=True)))
        elif not (
            isinstance(part, ir.PathIs) and isinstance(part.pattern, ir.ExactPath) and part.pattern.path in whole
        ):
            kept.append(part)
    return kept


def _stem(part: ir.Condition) -> str | None:
    r"""Of a test for what begins with `/a/`, the `/a`."""
    if not isinstance(part, ir.PathIs) or not isinstance(part.pattern, ir.RegexPath):
        return None
    pattern = part.pattern.pattern
    text = literal(pattern[:-4]) if pattern.endswith(r"/\C*") else None
    return text if text and text.startswith("/") else None


def list_holds(path: tuple[str, ...], test: ir.Contains | ir.IsPresent) -> ir.Condition:
    """Some string of a list of strings passes; a claim that is a text itself does not."""
    if isinstance(test, ir.Contains) and " " in test.value:
        return ir.ClaimIs(path, test)  # no part between blanks of a text holds one
    return ir.AllOf((ir.ClaimIs(path, test), ir.Not(ir.ClaimIs(path, ANY_TEXT))))


def _with_claims(parts: Sequence[ir.Condition]) -> list[ir.Condition]:
    """A list that holds it, or a text that does: together they are one test."""
    found = list(parts)
    for part in parts:
        match part:
            case ir.AllOf((ir.ClaimIs(path, ir.Contains(value) as test), ir.Not())) if part == list_holds(path, test):
                text = [ir.ClaimIs(path, one) for one in _parts_of(value)]
            case ir.AllOf((ir.ClaimIs(path, ir.IsPresent() as test), ir.Not())) if part == list_holds(path, test):
                text = [ir.ClaimIs(path, ANY_TEXT)]
            case _:
                continue
        if (both := next((one for one in text if one in found), None)) is not None:
            found[found.index(part)] = ir.ClaimIs(path, test)
            found.remove(both)
    return found


def _parts_of(value: str) -> tuple[ir.Matches, ...]:
    return (ir.Matches(rf"(?:\C* )?{quoted(value)}(?: \C*)?"),)
