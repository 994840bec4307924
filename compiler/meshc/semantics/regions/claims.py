"""One claim of a token: which kind of value it has, and which parts its value holds.

Of a claim that rules test for parts (`has`), each part is a variable of its own: any set of them occurs in a list. For single
strings, the class of the string says which parts it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from meshc.ir import ClaimIs, Contains, EndsWith, Equals, IsPresent, Matches, StartsWith, TextTest
from meshc.request import Claim
from meshc.semantics.languages import Universe, text_signatures
from meshc.semantics.regions.forest import Bits, Forest, Node
from meshc.semantics.regions.variables import (
    YES,
    ClaimTest,
    HasClaim,
    IsList,
    IsText,
    NamesAudience,
    Variable,
    classes_to_variable,
    yes_or_no,
)
from meshc.semantics.show import show_subject
from meshc.semantics.texts import claim_check

ISSUER: Final = ("iss",)
AUDIENCE: Final = ("aud",)

_MISSING: Final = 0
"""The class of a claim that is not there; but for `iss` and `aud`, also of one with a value that no test holds for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimVariables:
    """One claim.

    Classes of `kind`: 0 is for a claim that is missing, `listed` for lists of strings, `useless` for other values of claims that
    have a default; the rest are of strings. Of issuers no list is told from other useless values, so `listed` is None there.
    Tests of `kind` are `asked`, `parts` are by theirs. `texts` has a string for each class of strings with each set of parts that
    such a string can have, bit i standing for the i-th part.
    """

    path: tuple[str, ...]
    kind: Variable
    asked: tuple[ClaimTest, ...]
    parts: Mapping[ClaimTest, Variable]
    listed: int | None
    useless: int | None
    texts: Mapping[tuple[int, int], str]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.kind, *self.parts.values()

    @property
    def missing(self) -> Bits:
        return 1 << _MISSING

    @property
    def nests(self) -> Bits:
        """The class in which the claim may be an object, with claims of its own."""
        return 1 << (_MISSING if self.useless is None else self.useless)

    # ---- what occurs ------------------------------------------------------------------------------------------------

    def feasible(self, forest: Forest) -> Node:
        """The combinations that occur: lists may hold any parts, strings what `texts` says, and other values none."""
        kinds: dict[int, Bits] = {0: self.missing | self.nests}
        for number, passed in self.texts:
            kinds[passed] = kinds.get(passed, 0) | 1 << number
        found = [
            forest.all_of((forest.literal(self.kind.level, bits), *self._just(forest, passed)))
            for passed, bits in kinds.items()
        ]
        if self.listed is not None:
            lists = forest.literal(self.kind.level, 1 << self.listed)
            found.append(forest.all_of((lists, *self._same_parts(forest))))
        return forest.any_of(found)

    def _just(self, forest: Forest, passed: int) -> Iterable[Node]:
        for place, one in enumerate(self.parts.values()):
            yield forest.literal(one.level, YES if passed >> place & 1 else one.full ^ YES)

    def _same_parts(self, forest: Forest) -> Iterable[Node]:
        """For a list, to hold a text and to name it as an audience is the same."""
        for test, one in self.parts.items():
            held = ClaimIs(self.path, Contains(test.audience)) if isinstance(test, NamesAudience) else None
            other = None if held is None else self.parts.get(held)
            if other is not None:
                yes, also = forest.literal(one.level, YES), forest.literal(other.level, YES)
                neither = forest.all_of((forest.negate(yes), forest.negate(also)))
                yield forest.any_of((forest.all_of((yes, also)), neither))

    # ---- examples ---------------------------------------------------------------------------------------------------

    def value(self, assignment: Sequence[int]) -> Claim:
        """A value for this claim; None where it is missing. The number 0 is one that no test holds for."""
        kind = assignment[self.kind.level]
        held = [test for test, one in self.parts.items() if assignment[one.level]]
        if kind != self.listed:
            passed = sum(1 << place for place, test in enumerate(self.parts) if test in held)
            return 0 if kind == self.useless else self.texts.get((kind, passed))
        words = list(dict.fromkeys(word for test in held if (word := _word(test)) is not None))
        if not words:
            words = [_other_word(set(map(_word, self.parts)))]
        text = " ".join(words)
        return text if self._stands_for_list(text, held) else list[Claim](words)

    def _stands_for_list(self, text: str, held: Sequence[ClaimTest]) -> bool:
        """Whether a string passes the same tests as a list that holds just these parts."""
        if any(_holds(test, text) is not (test in held) for test in self.parts):
            return False
        return _passed(self.asked, text) == _passed(self.asked, None)


def has_default(path: tuple[str, ...]) -> bool:
    """Whether a provider fills in this claim where a token lacks it."""
    return path in {ISSUER, AUDIENCE}


def claim_variables(
    level: int, path: tuple[str, ...], tests: Sequence[TextTest | Contains], audiences: Sequence[str] = ()
) -> ClaimVariables:
    """The variables of one claim, from `level` on; `audiences` are looked for as well. Raises TooComplexError."""
    subject = show_subject(ClaimIs(path, IsPresent()))
    lists_count = path != ISSUER
    # Of issuers only strings count, so their classes tell the parts too.
    contained = [one for one in tests if isinstance(one, Contains) and lists_count]
    part_tests: list[ClaimTest] = [*(ClaimIs(path, one) for one in contained), *map(NamesAudience, audiences)]
    apart = not lists_count or _are_apart(tests, audiences)
    asked = dict.fromkeys((*_kinds(path, apart=apart), *(ClaimIs(path, one) for one in tests if one not in contained)))
    classes = {0: _MISSING}
    listed = classes.setdefault(_passed(asked, None), len(classes)) if lists_count else None
    texts: dict[tuple[int, int], str] = {}
    for text in _strings(tests, audiences, apart=apart):
        number = classes.setdefault(_passed(asked, text), len(classes))
        if number != listed:
            texts[number, _passed(part_tests, text)] = text
    useless = (
        classes.setdefault(1, len(classes)) if has_default(path) else None
    )  # all it passes is `HasClaim`, the first
    return ClaimVariables(
        path=path,
        kind=classes_to_variable(level, subject, tuple(asked), ((passed, None) for passed in classes)),
        asked=tuple(asked),
        parts={test: yes_or_no(level + at, subject, test) for at, test in enumerate(part_tests, start=1)},
        listed=listed,
        useless=useless,
        texts=texts,
    )


def _kinds(path: tuple[str, ...], *, apart: bool) -> list[ClaimTest]:
    """The tests that tell kinds of values apart, whatever else is asked; `HasClaim`, if any, comes first."""
    if path == ISSUER:
        return [HasClaim(path), IsText(path)]
    found: list[ClaimTest] = [HasClaim(path)] if has_default(path) else []
    return [*found, ClaimIs(path, IsPresent()), *([IsList(path)] if apart else [])]


def _are_apart(tests: Sequence[TextTest | Contains], audiences: Sequence[str]) -> bool:
    """Whether strings must be told from lists: where they can pass more than to be some text and to hold some parts."""
    if any(isinstance(one, StartsWith | EndsWith | Matches) for one in tests):
        return True
    return bool(audiences) and any(isinstance(one, Contains) for one in tests)


def _strings(tests: Sequence[TextTest | Contains], audiences: Sequence[str], *, apart: bool) -> list[str]:
    """A string for each set of tests that holds for strings; but for sets that lists stand for too, unless they are apart."""
    if apart:
        return [one.witness for one in text_signatures([*tests, *map(Equals, audiences)], Universe.CLAIM)]
    # What no test names as a whole is told by its parts alone, and any of them can be together, as in lists.
    exact = [one for one in tests if isinstance(one, Equals)]
    return [one.witness for one in text_signatures(exact, Universe.CLAIM) if one.holds]


# ---- tests ----------------------------------------------------------------------------------------------------------


def _passed(tests: Iterable[ClaimTest], text: str | None) -> int:
    """The tests that hold for a string, None standing for a list of others."""
    return sum(1 << place for place, test in enumerate(tests) if _holds(test, text))


def _holds(test: ClaimTest, text: str | None) -> bool:
    match test:
        case HasClaim() | ClaimIs(test=IsPresent()):
            return True
        case IsText():
            return text is not None
        case IsList():
            return text is None
        case NamesAudience(audience=audience):
            return text == audience
        case ClaimIs(test=claim_test):
            return text is not None and claim_check(claim_test)(text)
        case _:
            assert_never(test)


def _word(test: ClaimTest) -> str | None:
    match test:
        case ClaimIs(test=Contains(value=value)) | NamesAudience(audience=value):
            return value
        case _:
            return None


def _other_word(words: set[str | None]) -> str:
    """A text that no part asks for."""
    return next(word for word in ("other", *(f"other{number}" for number in range(len(words)))) if word not in words)
