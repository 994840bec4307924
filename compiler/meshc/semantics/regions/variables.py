"""Variables: the ways in which requests differ, each cut into classes that no rule tells apart inside.

Classes are numbered from 0. Which class a request is in follows from the tests of the variable: no two classes pass the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from meshc.ir import Atom, ClaimIs, ExactIdentity, IdentityPrefix
from meshc.semantics.regions.forest import Bits, bits_of


@dataclass(frozen=True, slots=True)
class HasIdentity:
    """The caller has a verified SPIFFE id."""


@dataclass(frozen=True, slots=True)
class InTrustDomain:
    """The caller's SPIFFE id is one of this trust domain."""

    domain: str


@dataclass(frozen=True, slots=True)
class HasToken:
    """The request carries a well-signed, unexpired token."""


@dataclass(frozen=True, slots=True)
class HasClaim:
    """The token holds this claim, of whatever type."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsText:
    """The claim is a string."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsList:
    """The claim is a list that holds strings."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamesAudience:
    """The token's `aud` is this text, or a list that holds it."""

    audience: str


CallerTest = HasIdentity | InTrustDomain | ExactIdentity | IdentityPrefix

ClaimTest = HasClaim | IsText | IsList | NamesAudience | ClaimIs

Test = CallerTest | HasToken | ClaimTest | Atom
"""What a class says of a request: something that a rule tests, or that a connection or token depends on.

A `MethodIs` names one method, an `AddressIn` one block. Claims are those that the token holds, no default filled in.
"""

YES: Bits = 0b10
"""The class of a variable with one test that passes it; class 0 does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable.

    `holds[i]` are the classes that pass `tests[i]`. `values` are texts that a request of each class may have there, None for
    none at all. `preferred` is the class that an example takes if it may. `subject` is what is looked at, in the language's words.
    """

    level: int
    subject: str
    tests: tuple[Test, ...]
    holds: tuple[Bits, ...]
    values: tuple[str | None, ...]
    preferred: int = 0
    _places: dict[Test, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._places.update((test, place) for place, test in enumerate(self.tests))

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def full(self) -> Bits:
        return (1 << len(self.values)) - 1

    def bits(self, test: Test) -> Bits:
        """The classes that pass a test of this variable."""
        return self.holds[self._places[test]]


Passing = tuple[int, str | None]
"""What one class passes, bit i for test i, and its value."""


def classes_to_variable(
    level: int, subject: str, tests: Sequence[Test], classes: Iterable[Passing], preferred: str | None = None
) -> Variable:
    """A variable by its classes; `preferred` is the value of the class that examples take if they may."""
    values: list[str | None] = []
    holds = [0] * len(tests)
    for number, (passed, value) in enumerate(classes):
        values.append(value)
        for test in bits_of(passed):
            holds[test] |= 1 << number
    return Variable(
        level=level,
        subject=subject,
        tests=tuple(tests),
        holds=tuple(holds),
        values=tuple(values),
        preferred=values.index(preferred) if preferred in values else 0,
    )


def yes_or_no(level: int, subject: str, test: Test) -> Variable:
    """A variable with two classes: 0 fails a test, 1 passes it."""
    return Variable(level=level, subject=subject, tests=(test,), holds=(YES,), values=(None, None))
