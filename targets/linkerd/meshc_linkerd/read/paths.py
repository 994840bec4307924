"""Tests of the raw path -> what they are for paths in normal form, and whether they take any others.

Expressions made of literals and of whole segments in normal form are read as templates: that is what they say, and templates
are compared without automata. All others stay expressions.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from meshc import ir
from meshc.semantics.languages import TooComplexError, path_signatures
from meshc.semantics.languages.dfa import DEAD, Product
from meshc.semantics.languages.model import MAX_STEPS, Budget
from meshc.semantics.languages.nfa import expression_nfa
from meshc.semantics.languages.re2_syntax import read_re2
from meshc.semantics.paths import RefusedError, normalize_path
from meshc.semantics.texts import fullmatcher
from meshc_linkerd.read.account import ANY_PATHS, Account
from meshc_linkerd.read.expressions import whole_of
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.segments import ANY_RAW_PATH, CLEAN_PATH, NORMAL_PATH, SEGMENT

EXACT: Final = "Exact"
PREFIX: Final = "PathPrefix"
EXPRESSION: Final = "RegularExpression"

_SPECIAL: Final = frozenset(r"\.+*?()|[]{}^$")
_STEP: Final = re.compile(r"/(\0|(?:[^\0/\\.+*?()|\[\]{}^$]|\\[^0-9A-Za-z])+)")
_REST: Final = "(?:/\0)*/?"


@dataclass(frozen=True, slots=True)
class PathTest:
    """A test of the raw path. `patterns` are what it is for paths in normal form: any of them, none if it takes no such path.

    `is_clean`: of those, it takes only such as have no `;` either. `is_raw`: it takes others than those, too.
    """

    kind: str
    value: str
    patterns: tuple[ir.PathPattern, ...]
    is_clean: bool = False
    is_raw: bool = False

    @property
    def takes_clean_alone(self) -> bool:
        """Whether it takes no path with `;`."""
        return self.is_clean or (self.kind == EXACT and ";" not in self.value)

    def condition(self, *, is_clean: bool) -> ir.Condition:
        """The same as a condition; `is_clean` says that no path holds `;`."""
        some = tuple(ir.PathIs(one) for one in self.patterns)
        found: ir.Condition = some[0] if len(some) == 1 else ir.AnyOf(some)
        return ir.AllOf((found, ir.PathIs(ir.RegexPath(CLEAN_PATH)))) if self.is_clean and not is_clean else found


ANY: Final = PathTest(PREFIX, "/", (ir.ANY_PATH,))


def read_path(one: Fields, account: Account) -> PathTest:
    """The test of a match. Raises NotUnderstoodError."""
    if not one.has("path"):
        one.ignore("path")
        return ANY
    path = one.fields("path")
    kind, value = path.text("type", PREFIX), path.text("value", "/")
    path.finish()
    if kind != EXPRESSION and not value.startswith("/"):
        raise path.error("a path begins with a slash", "value")
    match kind:
        case "Exact":
            if is_normal(value):
                return PathTest(EXACT, value, (ir.ExactPath(value),))
            return PathTest(EXACT, value, (), is_raw=True)
        case "PathPrefix":
            return _prefix(value, path, account)
        case "RegularExpression":
            return _expression(value, path, account)
        case _:
            raise path.error(f"a path of type `{kind}` is not understood", "type")


def is_normal(path: str) -> bool:
    """Whether a path is as the language normalizes it."""
    try:
        return normalize_path(path) == path
    except RefusedError:
        return False


def _prefix(value: str, path: Fields, account: Account) -> PathTest:
    whole = value.rstrip("/")
    if not whole:
        account.taken_for_granted(ANY_PATHS, path.source, *path.steps)
        return ANY
    segments = tuple(whole[1:].split("/"))
    patterns = (ir.TemplatePath(segments, (), rest=True),) if is_normal(whole) else ()
    return PathTest(PREFIX, whole, patterns, is_raw=True)


def inner_of(value: str, where: Fields) -> str:
    """What an expression must match as a whole. Raises NotUnderstoodError."""
    inner = whole_of(value)
    if inner is None:
        raise where.error("an expression that is not anchored as `^(?:…)$` may fail on what it matches", "value")
    try:
        fullmatcher(inner)
    except ValueError:
        raise where.error(f"`{value}` is no expression that is understood", "value") from None
    return inner


def _expression(value: str, path: Fields, account: Account) -> PathTest:
    inner = inner_of(value, path)
    if inner == ANY_RAW_PATH:
        account.taken_for_granted(ANY_PATHS, path.source, *path.steps)
        return ANY
    templates = _templates(inner)
    if templates:
        return PathTest(EXPRESSION, inner, templates, is_clean=True)
    return PathTest(EXPRESSION, inner, (ir.RegexPath(inner),), is_raw=not _takes_normal_alone(inner))


def path_patterns(expression: str) -> tuple[ir.PathPattern, ...]:
    """What an expression that is matched as a whole is for paths in normal form without `;`."""
    return _templates(expression) or (ir.RegexPath(expression),)


@cache
def _templates(expression: str) -> tuple[ir.PathPattern, ...]:
    """The templates that an expression is, on paths without `;`; none if it is something else."""
    if expression == CLEAN_PATH:
        return (ir.ANY_PATH,)
    left = expression.replace(SEGMENT, "\0")
    segments: list[str | None] = []
    while (step := _STEP.match(left)) is not None:
        text = None if step[1] == "\0" else literal(step[1])
        if text is not None and not is_normal(f"/{text}"):
            return ()
        segments.append(text)
        left = left[step.end() :]
    names = tuple(f"p{number}" for number, one in enumerate(segments) if one is None)
    match left:
        case "" if segments:
            return (ir.TemplatePath(tuple(segments), names, rest=False),)
        case "/":
            return (ir.TemplatePath((*segments, ""), names, rest=False),)
        case "/?" if segments:
            return (
                ir.TemplatePath(tuple(segments), names, rest=False),
                ir.TemplatePath((*segments, ""), names, rest=False),
            )
        case other if other == _REST and segments:
            return (ir.TemplatePath(tuple(segments), names, rest=True),)
        case _:
            return ()


def literal(expression: str) -> str | None:
    """The one text that an expression stands for; None if it is more than one text."""
    found: list[str] = []
    escaped = False
    for char in expression:
        if escaped:
            if char.isalnum():
                return None
            found.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in _SPECIAL:
            return None
        else:
            found.append(char)
    return None if escaped else "".join(found)


@cache
def _takes_normal_alone(expression: str) -> bool:
    """Whether an expression matches no path but those in normal form, which nobody can read as another."""
    try:
        budget = Budget(MAX_STEPS // 10)
        automata = [expression_nfa(read_re2(one), label, budget) for label, one in ((1, expression), (2, NORMAL_PATH))]
        product = Product(automata, tuple(range(256)), budget)
        reached = {product.start: None}
        waiting = [product.start]
        while waiting:
            state = waiting.pop()
            matches, normal = product.labels(state)
            if matches and not normal:
                return False
            for after in product.step(state):
                if after[0] != DEAD and after not in reached:
                    reached[after] = None
                    waiting.append(after)
    except TooComplexError:
        return False
    return True


@cache
def paths_overlap(one: PathTest, other: PathTest) -> bool:
    """Whether some path in normal form passes both tests."""
    if not one.patterns or not other.patterns:
        return False
    if one == other or ir.ANY_PATH in {*one.patterns, *other.patterns}:
        return True
    if one.kind == other.kind == EXACT:
        return False
    count = len(one.patterns)
    try:
        found = path_signatures((*one.patterns, *other.patterns))
    except TooComplexError:
        return True
    first = (1 << count) - 1
    return any(signature.holds & first and signature.holds & ~first for signature in found)
