"""Callers, cut by the identities, prefixes and trust domains that rules and connections look at."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice, product
from string import ascii_lowercase, digits
from typing import Final, assert_never

from meshc.ir import ExactIdentity, IdentityPrefix
from meshc.semantics.identities import trust_domain_of
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.variables import (
    CallerTest,
    HasIdentity,
    InTrustDomain,
    Passing,
    Variable,
    classes_to_variable,
)

_SCHEME: Final = "spiffe://"
_FRESH: Final = "unknown"
_NAMESPACE: Final = re.compile("ns/[^/]+/")
_ATTEMPTS: Final = 10_000


def caller_variable(level: int, tests: Sequence[CallerTest], preferred: str | None) -> Variable:
    """All callers by these tests; callers without identity are a class too, with None for a value."""
    asked: list[CallerTest] = [HasIdentity(), *(one for one in tests if one != HasIdentity())]
    checks = _Checks(asked)
    classes: dict[int, str | None] = {0: None}
    for identity in checks.named:
        classes.setdefault(checks.passed(identity), identity)
    for prefix in checks.prefixes:
        identity = checks.unnamed(prefix)
        classes.setdefault(checks.passed(identity), identity)
    for identity in checks.roots:  # last: an identity without a path is possible, but a poor example
        classes.setdefault(checks.passed(identity), identity)
    passing: list[Passing] = list(classes.items())
    return classes_to_variable(level, "caller", asked, passing, preferred)


class _Checks:
    """The tests as texts.

    An identity is one of `named`, or one of `roots`, which are trust domains without a path, or else what it passes is told by
    the longest of `prefixes` that it starts with.
    """

    def __init__(self, tests: Sequence[CallerTest]) -> None:
        self._exact: dict[str, int] = {}
        self._starts: dict[str, int] = {_SCHEME: 0}
        self._domains: dict[str, int] = {}
        self.named: dict[str, None] = {}
        self.roots: list[str] = []
        for place, test in enumerate(tests):
            self._add(test, 1 << place)
        self.prefixes = sorted(self._starts)
        self._lengths = sorted({len(one) for one in self._starts}, reverse=True)

    def _add(self, test: CallerTest, bit: int) -> None:
        match test:
            case ExactIdentity(identity=identity):
                self._exact[identity] = bit
                if identity.startswith(_SCHEME):
                    self.named[identity] = None
            case IdentityPrefix(prefix=prefix) if prefix.startswith(_SCHEME):
                self._starts[prefix] = self._starts.get(prefix, 0) | bit
            case IdentityPrefix(prefix=prefix):
                self._starts[_SCHEME] |= bit if _SCHEME.startswith(prefix) else 0
            case InTrustDomain(domain=domain):
                self._domains[domain] = bit
                self.roots.append(f"{_SCHEME}{domain}")
                self._starts.setdefault(f"{_SCHEME}{domain}/", 0)
            case HasIdentity():
                self._starts[_SCHEME] |= bit
            case _:
                assert_never(test)

    def unnamed(self, prefix: str) -> str:
        """An identity with this prefix and no longer one, and with no name.

        Raises TooComplexError where none is found, which cannot be while all prefixes end in a slash.
        """
        for one in islice(_below(prefix), _ATTEMPTS):
            longest = next(one[:size] for size in self._lengths if one[:size] in self._starts)
            if longest == prefix and one not in self.named and one not in self.roots:
                return one
        raise TooComplexError(f"no identity that starts with `{prefix}` is free of longer prefixes")

    def passed(self, identity: str) -> int:
        """The tests that an identity passes."""
        starts = (self._starts.get(identity[:size], 0) for size in self._lengths if size <= len(identity))
        domain = trust_domain_of(identity)
        found = self._exact.get(identity, 0) | (0 if domain is None else self._domains.get(domain, 0))
        return sum(starts, found)  # no bit occurs twice


def _below(prefix: str) -> Iterator[str]:
    """Identities that start with a prefix, the one that looks like any other first, without end."""
    _, slash, path = prefix.removeprefix(_SCHEME).partition("/")
    if not slash:
        yield from (f"{prefix}{word}/ns/{_FRESH}/sa/{_FRESH}" for word in _words())
    if path in {"", "ns/"}:
        yield f"{prefix}{'' if path else 'ns/'}{_FRESH}/sa/{_FRESH}"
    elif _NAMESPACE.fullmatch(path):
        yield f"{prefix}sa/{_FRESH}"
    yield from (f"{prefix}{word}" for word in _words())


def _words() -> Iterator[str]:
    shorts = (product(ascii_lowercase + digits, repeat=length) for length in count(1))
    return chain((_FRESH,), map("".join, chain.from_iterable(shorts)))
