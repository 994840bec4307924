"""Index the rules of a stage, so that a decision looks at few of them.

Callers fall into finitely many classes (each identity that a rule names, each set of prefixes, nobody), and so do methods.
For each pair, on first use, a stage is cut down to the rules that can match, with sources and methods already answered, and
those are found by path: exact paths and literal prefixes in dictionaries, the rest in a short list. What is found is always
the first rule in order that matches, as a plain walk over the rules would find it; a law in the tests holds the two together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshc.ir import (
    ALWAYS,
    AllOf,
    AnyOf,
    Condition,
    ExactIdentity,
    ExactPath,
    IdentityPrefix,
    MethodIs,
    Not,
    PathIs,
    PathPattern,
    Principals,
    RegexPath,
    TemplatePath,
)
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.facts import Facts

NEVER = AnyOf(())

Entry = tuple[int, Check | None]
"""The place of a rule in its stage, and what remains to be asked; None if nothing does."""

Alternative = tuple[PathPattern | None, Condition]
"""A path and a further condition; together with others, one of which must hold, they make a condition."""


# ---- classes of callers and methods ---------------------------------------------------------------------------------


class Classes:
    """The finitely many kinds of callers and methods that some rules can tell apart."""

    def __init__(self, rules: Iterable[tuple[Principals, Condition]]) -> None:
        identities: set[str] = set()
        prefixes: set[str] = set()
        methods: set[str] = set()
        for principals, condition in rules:
            for one in (*principals.include, *principals.exclude):
                if isinstance(one, ExactIdentity):
                    identities.add(one.identity)
                elif isinstance(one, IdentityPrefix):
                    prefixes.add(one.prefix)
            methods.update(methods_of(condition))
        self._identities = frozenset(identities)
        self._prefixes = tuple(sorted(prefixes))
        self._methods = frozenset(methods)

    def of(self, facts: Facts) -> tuple[object, str | None]:
        """The class of a request: two requests of one class match the same sources and methods."""
        identity, method = facts.identity, facts.method
        caller: object = identity
        if identity is not None and identity not in self._identities:
            caller = tuple(prefix for prefix in self._prefixes if identity.startswith(prefix))
        return caller, method if method in self._methods else None


def methods_of(condition: Condition) -> Iterator[str]:
    """The methods that a condition names."""
    match condition:
        case MethodIs(methods=methods):
            yield from methods
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            for part in parts:
                yield from methods_of(part)
        case Not(condition=inner):
            yield from methods_of(inner)


def with_method(condition: Condition, method: str | None) -> Condition:
    """What remains of a condition once the method is known; None is a method that it does not name."""
    match condition:
        case MethodIs(methods=methods):
            return ALWAYS if method in methods else NEVER
        case AllOf(conditions=parts):
            left = [one for part in parts if (one := with_method(part, method)) != ALWAYS]
            return NEVER if NEVER in left else left[0] if len(left) == 1 else AllOf(tuple(left))
        case AnyOf(conditions=parts):
            left = [one for part in parts if (one := with_method(part, method)) != NEVER]
            return ALWAYS if ALWAYS in left else left[0] if len(left) == 1 else AnyOf(tuple(left))
        case Not(condition=inner):
            known = with_method(inner, method)
            return NEVER if known == ALWAYS else ALWAYS if known == NEVER else Not(known)
        case _:
            return condition


# ---- paths ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PathIndex:
    """Entries by what they ask of the path. Keys of `below` are literal prefixes of whole segments, `` not among them."""

    exact: dict[str, tuple[Entry, ...]]
    below: dict[str, tuple[Entry, ...]]
    rest: tuple[Entry, ...]

    def first(self, facts: Facts) -> int | None:
        """The place of the first rule that matches."""
        path = facts.path
        found = _first(self.rest, facts, None) if self.rest else None
        if path is None:
            return found
        if (entries := self.exact.get(path)) is not None:
            found = _first(entries, facts, found)
        if self.below:
            get = self.below.get
            at = path.find("/", 1)
            while at > 0:
                if (entries := get(path[:at])) is not None:
                    found = _first(entries, facts, found)
                at = path.find("/", at + 1)
            if (entries := get(path)) is not None:
                found = _first(entries, facts, found)
        return found


def _first(entries: tuple[Entry, ...], facts: Facts, best: int | None) -> int | None:
    """The lower of `best` and the first entry that holds; entries are in order."""
    for place, check in entries:
        if best is not None and place >= best:
            return best
        if check is None or check(facts):
            return place
    return best


def index_paths(conditions: Iterable[tuple[int, Condition]]) -> PathIndex:
    """Index conditions by path; each comes with the place of its rule, in rising order."""
    exact: dict[str, list[Entry]] = {}
    below: dict[str, list[Entry]] = {}
    rest: list[Entry] = []
    for place, condition in conditions:
        for pattern, further in alternatives(condition):
            remaining = None if further == ALWAYS else condition_check(further)
            match pattern:
                case ExactPath(path=path):
                    exact.setdefault(path, []).append((place, remaining))
                case TemplatePath():
                    prefix, is_whole = _literal_prefix(pattern)
                    check = remaining if is_whole else condition_check(AllOf((PathIs(pattern), further)))
                    (below.setdefault(prefix, []) if prefix else rest).append((place, check))
                case RegexPath():
                    rest.append((place, condition_check(AllOf((PathIs(pattern), further)))))
                case None:
                    rest.append((place, remaining))
    return PathIndex(exact=_frozen(exact), below=_frozen(below), rest=tuple(rest))


def _literal_prefix(pattern: TemplatePath) -> tuple[str, bool]:
    """The literal segments that a template starts with, and whether everything below them, and nothing else, matches."""
    literal: list[str] = []
    for segment in pattern.segments:
        if segment is None:
            return "".join(f"/{one}" for one in literal), False
        literal.append(segment)
    prefix = "".join(f"/{one}" for one in literal)
    # Only paths have a method or path at all: on connections even `/**` holds nowhere, so an empty prefix stays a check.
    return prefix, pattern.rest and bool(prefix)


def _frozen(entries: dict[str, list[Entry]]) -> dict[str, tuple[Entry, ...]]:
    return {key: tuple(some) for key, some in entries.items()}


def alternatives(condition: Condition) -> list[Alternative]:
    """A condition as a path and a further condition, several times; together they are as long as the condition."""
    match condition:
        case PathIs(pattern=pattern):
            return [(pattern, ALWAYS)]
        case AnyOf(conditions=parts):
            found = [one for part in parts for one in alternatives(part)]
            return found if any(path is not None for path, _ in found) else [(None, condition)]
        case AllOf(conditions=parts):
            for at, part in enumerate(parts):
                found = alternatives(part)
                if any(path is not None for path, _ in found):
                    others = parts[:at] + parts[at + 1 :]
                    return [(path, _both(further, others)) for path, further in found]
    return [(None, condition)]


def _both(further: Condition, others: tuple[Condition, ...]) -> Condition:
    parts = others if further == ALWAYS else (further, *others)
    return parts[0] if len(parts) == 1 else AllOf(parts)
