"""Boxes in words: a product of classes as the scope of a rule, with the tests that the programs make.

What is said is exact. Where no list of tests says it, a class is told by all that it passes and fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshc.difference.covering import Part, Wanted, cover
from meshc.difference.model import Scope
from meshc.difference.naming import ANYONE, Naming
from meshc.errors import InternalError
from meshc.ir import (
    ANY_PATH,
    AddressIn,
    AnyOf,
    ClaimIs,
    Condition,
    HeaderIs,
    HostIs,
    IpBlock,
    IsPresent,
    MethodIs,
    Not,
    PathIs,
    QueryIs,
    SniIs,
)
from meshc.semantics.regions.aspects import Aspects
from meshc.semantics.regions.forest import Bits, bits_of
from meshc.semantics.regions.variables import HasClaim, HasToken, IsList, IsText, NamesAudience, Test, Variable
from meshc.semantics.show import rpc_of, show_blocks, show_condition, show_path, show_subject, show_text

Box = Sequence[Wanted]
"""For each variable the classes that a region has; without naming more than it must."""

_ATOMS: Final = (AddressIn, ClaimIs, HeaderIs, HostIs, MethodIs, PathIs, QueryIs, SniIs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The words for the cells of one space."""

    aspects: Aspects
    naming: Naming

    def scope(self, wanted: Box) -> Scope:
        """A box as the scope of a rule."""
        aspects = self.aspects
        special = [aspects.caller, aspects.method, aspects.path, aspects.peer]
        levels = {one.level for one in special if one is not None}
        return Scope(
            sources=ANYONE
            if aspects.caller is None
            else self.naming.sources(aspects.caller, wanted[aspects.caller.level]),
            addresses=_addresses(aspects.peer, wanted),
            operations=_operations(aspects.method, aspects.path, wanted),
            conditions=tuple(
                _condition(variable, wanted[variable.level])
                for variable in aspects.ordered
                if variable.level not in levels and wanted[variable.level].allowed != variable.full
            ),
        )


# ---- addresses ------------------------------------------------------------------------------------------------------


def _addresses(peer: Variable | None, wanted: Box) -> str:
    if peer is None or wanted[peer.level].allowed == peer.full:
        return ""
    blocks: dict[str, IpBlock] = {}
    parts = [Part("anywhere", peer.full)]
    for test, classes in zip(peer.tests, peer.holds, strict=True):
        if isinstance(test, AddressIn):
            name = show_blocks(test.blocks)
            blocks[name] = test.blocks[0]
            parts.append(Part(name, classes))
    found = cover(wanted[peer.level], parts)
    if found is None:
        found = cover(wanted[peer.level], [*parts, *_told_apart(peer)])
    if found is None:
        raise InternalError("a set of addresses has no name")
    include = ", ".join(found.include)
    return f"{include} except {', '.join(found.exclude)}" if found.exclude else include


def _told_apart(variable: Variable) -> Iterator[Part]:
    """Each class alone, by all tests that it passes and fails."""
    for one in bits_of(variable.full):
        yield Part(_signature(variable, one), 1 << one)


# ---- operations -----------------------------------------------------------------------------------------------------


def _operations(method: Variable | None, path: Variable | None, wanted: Box) -> str:
    methods = _methods(method, wanted)
    paths, exceptions = _paths(path, wanted)
    if not paths:
        return methods
    prefix = f"{methods} " if methods and not methods.startswith("any ") else ""
    suffix = f" by {methods}" if methods.startswith("any ") else ""
    calls = [rpc_of(methods, one) for one in paths]
    shown = ", ".join(call or f"{prefix}{one}" for call, one in zip(calls, paths, strict=True))
    if exceptions:
        named = (rpc_of(methods, one) or one for one in exceptions) if all(calls) else exceptions
        shown += f" except {', '.join(named)}"
    return f"{shown}{suffix}"


def _methods(method: Variable | None, wanted: Box) -> str:
    """`GET|POST`, or `any method but GET|POST`."""
    if method is None or wanted[method.level].allowed == method.full:
        return ""
    parts = [Part("any", method.full)]
    parts += (
        Part("|".join(test.methods), classes)
        for test, classes in zip(method.tests, method.holds, strict=True)
        if isinstance(test, MethodIs)
    )
    found = cover(wanted[method.level], parts)
    if found is None:
        raise InternalError("a set of methods has no name")
    return f"any method but {'|'.join(found.exclude)}" if found.exclude else "|".join(found.include)


def _paths(path: Variable | None, wanted: Box) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The patterns that are meant, and those that are taken away from all of them."""
    if path is None or wanted[path.level].allowed == path.full:
        return (), ()
    patterns = {
        show_path(test.pattern): classes
        for test, classes in zip(path.tests, path.holds, strict=True)
        if isinstance(test, PathIs) and classes != path.full
    }
    parts = [Part(show_path(ANY_PATH), path.full), *(Part(name, patterns[name]) for name in sorted(patterns))]
    found = cover(wanted[path.level], parts) or cover(wanted[path.level], [*parts, *_told_apart(path)])
    if found is None:
        raise InternalError("a set of paths has no name")
    return found.include, found.exclude


# ---- conditions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words for some classes; `condition` is None where the language has no test for them."""

    text: str
    condition: Condition | None
    classes: Bits

    @property
    def is_contrary(self) -> bool:
        """Whether it says what a test is not."""
        return isinstance(self.condition, Not)


def _condition(variable: Variable, wanted: Wanted) -> str:
    """What a set of the classes of one variable has in common."""
    phrases = sorted(_tests(variable), key=lambda one: (one.is_contrary, one.text))
    parts = [Part("", variable.full), *(Part(one.text, one.classes) for one in phrases)]
    found = cover(wanted, parts)
    if found is None:
        phrases += (_alone(variable, one) for one in bits_of(variable.full))
        found = cover(wanted, [*parts, *(Part(one.text, one.classes) for one in phrases)])
    if found is None:
        raise InternalError("a set of values has no name")
    named = {one.text: one for one in reversed(phrases)}
    include = _any_of([named[text] for text in found.include if text])
    excluded = [named[text] for text in found.exclude]
    denied = _contrary(_any_of([one for one in excluded if not one.is_contrary]))
    # What is not (not a test) is that test.
    wanted_too = [show_condition(one.condition.condition) for one in excluded if isinstance(one.condition, Not)]
    return " and ".join(part for part in (include, *wanted_too, denied) if part)


def _contrary(shown: str) -> str:
    if not shown:
        return ""
    return f"not {shown}" if shown.startswith("(") else f"not ({shown})"


def _any_of(phrases: Sequence[_Phrase]) -> str:
    conditions = [one.condition for one in phrases if one.condition is not None]
    if len(conditions) < len(phrases):
        shown = " or ".join(one.text for one in phrases)
    elif len(conditions) == 1:
        return show_condition(conditions[0])
    else:
        shown = show_condition(AnyOf(tuple(conditions))) if conditions else ""
    return f"({shown})" if " or " in shown else shown


def _tests(variable: Variable) -> Iterator[_Phrase]:
    """Each test of a variable, and its contrary."""
    for test, classes in zip(variable.tests, variable.holds, strict=True):
        if isinstance(test, _ATOMS):
            yield _Phrase(show_condition(test), test, classes)
            yield _Phrase(show_condition(Not(test)), Not(test), variable.full ^ classes)
        else:
            yield _Phrase(_own_words(test, holds=True), None, classes)
            yield _Phrase(_own_words(test, holds=False), None, variable.full ^ classes)


def _alone(variable: Variable, one: int) -> _Phrase:
    """One class by all that it passes and fails."""
    return _Phrase(_signature(variable, one), None, 1 << one)


def _signature(variable: Variable, one: int) -> str:
    said: list[str] = []
    for test, classes in zip(variable.tests, variable.holds, strict=True):
        holds = bool(classes >> one & 1)
        if isinstance(test, _ATOMS):
            said.append(show_condition(test if holds else Not(test)))
        else:
            said.append(_own_words(test, holds=holds))
    return said[0] if len(said) == 1 else f"({' and '.join(said)})"


def _own_words(test: Test, *, holds: bool) -> str:
    """What the language has no test for."""
    match test:
        case HasToken():
            return "a token is sent" if holds else "no token is sent"
        case NamesAudience(audience=audience):
            return f"the token is {'' if holds else 'not '}for audience {show_text(audience)}"
        case HasClaim(path=path):
            return f"the token {'has' if holds else 'lacks'} claim {' '.join(map(show_text, path))}"
        case IsText(path=path):
            return f"{show_subject(ClaimIs(path, IsPresent()))} is {'' if holds else 'not '}a single string"
        case IsList(path=path):
            return f"{show_subject(ClaimIs(path, IsPresent()))} is {'' if holds else 'not '}a list"
        case _:
            raise InternalError(f"no test of a request as a whole: {test}")
