"""Names for sets of callers: services, groups and namespaces of both programs, where they are exactly what is meant."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshc.difference.covering import Cover, Part, Wanted, cover
from meshc.difference.model import Side
from meshc.errors import InternalError
from meshc.ir import AnyIdentity, AnyPeer, ExactIdentity, IdentityPrefix, Principal, Principals
from meshc.semantics.regions.forest import Bits, bits_of
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain, Variable
from meshc.semantics.show import identity_names, show_identity, show_principal, show_text

ANYONE = "anyone"
AUTHENTICATED = "authenticated"
_RANKS: Mapping[type, int] = {HasIdentity: 0, InTrustDomain: 1, IdentityPrefix: 2, ExactIdentity: 3}
"""In which order sources are named: those that hold many before single ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What identities, prefixes and sets of sources are called by one of the two programs, or by both alike."""

    names: Mapping[str, str]
    groups: Mapping[str, Principals]

    def caller(self, identity: str | None) -> str:
        """One caller in words."""
        return show_identity(identity, self.names)

    def sources(self, variable: Variable | None, wanted: Wanted) -> str:
        """A set of callers as `.mesh` text, as far as the language has words for it."""
        if variable is None or wanted.allowed == variable.full:
            return ANYONE
        parts = tuple(_distinct_parts(self._parts(variable, wanted)))
        found = cover(wanted, parts) or cover(wanted, (*parts, *self._single(variable)))
        if found is None:  # every class is a part of its own
            raise InternalError("a set of callers has no name")
        return _shown(found)

    def _parts(self, variable: Variable, wanted: Wanted) -> Iterator[Part]:
        yield Part(ANYONE, variable.full)
        known = variable.bits(HasIdentity()) if HasIdentity() in variable.tests else variable.full
        for name, principals in sorted(self.groups.items()):
            classes = _meant(variable, principals)
            if classes is not None and classes.bit_count() > 1:
                yield Part(f"group {name}", classes)
        tests = zip(variable.tests, variable.holds, strict=True)
        for test, classes in sorted(tests, key=lambda one: (_RANKS.get(type(one[0]), 0), str(one[0]))):
            match test:
                case HasIdentity():
                    lone = variable.full ^ classes
                    # Where nobody without identity gets a connection, `anyone` means any identity.
                    yield Part(ANYONE if lone & wanted.optional else AUTHENTICATED, classes)
                    yield Part("callers without identity", lone)
                case InTrustDomain(domain=domain) if known & ~classes & ~wanted.optional:
                    yield Part(f"trust domain {show_text(domain)}", classes)
                case ExactIdentity() | IdentityPrefix():
                    yield Part(show_principal(test, self.names), classes)
                case _:
                    continue

    def _single(self, variable: Variable) -> Iterator[Part]:
        """Each class by what it passes and what it fails; needed only where sources overlap in odd ways."""
        for one in bits_of(variable.full):
            passed = [test for test, bits in zip(variable.tests, variable.holds, strict=True) if bits >> one & 1]
            prefixes = [test for test in passed if isinstance(test, IdentityPrefix)]
            nearest = max(prefixes, key=lambda test: len(test.prefix), default=None)
            example = variable.values[one]
            if example is None:
                yield Part("callers without identity", 1 << one)
            elif nearest is not None:
                yield Part(f"others of {show_principal(nearest, self.names)}", 1 << one)
            else:
                yield Part(f"others such as {show_identity(example, self.names)}", 1 << one)


def _meant(variable: Variable, principals: Principals) -> Bits | None:
    """The classes that principals mean; None where the variable does not tell them from others."""
    included, excluded = (_any_of(variable, some) for some in (principals.include, principals.exclude))
    return None if included is None or excluded is None else included & ~excluded


def _any_of(variable: Variable, principals: Iterable[Principal]) -> Bits | None:
    found = 0
    for one in principals:
        test = HasIdentity() if isinstance(one, AnyIdentity) else one
        if isinstance(test, AnyPeer):
            found |= variable.full
        elif test in variable.tests:
            found |= variable.bits(test)
        else:
            return None
    return found


def _distinct_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts without those that mean what an earlier one means, or nobody."""
    seen = {0}
    for part in parts:
        if part.cells not in seen:
            seen.add(part.cells)
            yield part


def _shown(found: Cover) -> str:
    include = ", ".join(found.include) or "nobody"
    return f"{include} except {', '.join(found.exclude)}" if found.exclude else include


# ---- both sides -----------------------------------------------------------------------------------------------------


def naming_of(old: Side, new: Side) -> Naming:
    """The names of two programs. Where they call different things by one name, each says which."""
    before, after = identity_names(old.mesh), identity_names(new.mesh)
    names = dict(_distinct(before, after))
    groups = dict(new.groups)
    for name, principals in old.groups.items():
        if name not in groups:
            groups[name] = principals
        elif _as_set(groups[name]) != _as_set(principals):
            groups[f"{name} of old"] = principals
            groups[f"{name} of new"] = groups.pop(name)
    return Naming(names=names, groups=groups)


def _distinct(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    old_identities, new_identities = _inverted(before), _inverted(after)
    for identity in dict.fromkeys((*after, *before)):
        name = after.get(identity) or before[identity]
        identities = old_identities.get(name, set()) | new_identities.get(name, set())
        yield identity, name if len(identities) == 1 else f"{name} ({identity})"


def _inverted(names: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for identity, name in names.items():
        found.setdefault(name, set()).add(identity)
    return found


def _as_set(principals: Principals) -> tuple[frozenset[Principal], frozenset[Principal]]:
    return frozenset(principals.include), frozenset(principals.exclude)
