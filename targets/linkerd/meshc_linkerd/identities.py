"""Who callers can be, cut by every principal that a port's rules name: sets of them, and back as Linkerd spells identities.

Principals are nested or apart, so they form a tree: anybody, whoever has an identity, a trust domain, a namespace, one
account. Class i is who is in group i and in none below it. Linkerd has no `but not`: where a group lacks some member, it is
written as the accounts that the program declares in it, and others are refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from meshc import ir

_ACCOUNT: Final = re.compile(r"spiffe://(?P<domain>[^/]+)/ns/(?P<namespace>[^/]+)/sa/(?P<account>[^/]+)")
_NAMESPACE: Final = re.compile(r"spiffe://(?P<domain>[^/]+)/ns/(?P<namespace>[^/]+)/(?:sa/)?")
_DOMAIN: Final = re.compile(r"spiffe://(?P<domain>[^/]+)/(?:ns/)?")


class Everyone(Enum):
    """The groups that name nobody."""

    ANYBODY = "anybody"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True, order=True)
class Domain:
    """All accounts of a trust domain."""

    domain: str


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """All accounts of a namespace."""

    domain: str
    namespace: str


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """A service account."""

    domain: str
    namespace: str
    account: str


@dataclass(frozen=True, slots=True, order=True)
class Foreign:
    """A SPIFFE id that is of no service account; it stands for itself alone."""

    identity: str


Group = Everyone | Domain | Namespace | Account | Foreign


def group_of(principal: ir.Principal) -> Group | None:
    """The group that a principal means; None for a prefix that Linkerd cannot spell."""
    match principal:
        case ir.AnyPeer():
            return Everyone.ANYBODY
        case ir.AnyIdentity():
            return Everyone.IDENTIFIED
        case ir.ExactIdentity(identity):
            found = _ACCOUNT.fullmatch(identity)
            return Account(found["domain"], found["namespace"], found["account"]) if found else Foreign(identity)
        case ir.IdentityPrefix(prefix):
            if (found := _DOMAIN.fullmatch(prefix)) is not None:
                return Domain(found["domain"])
            found = _NAMESPACE.fullmatch(prefix)
            return Namespace(found["domain"], found["namespace"]) if found else None
        case _:
            assert_never(principal)


def _around(group: Group) -> Iterator[Group]:
    """The groups that hold a group, from the inside to the outside."""
    match group:
        case Account(domain, namespace, _):
            yield from (Namespace(domain, namespace), Domain(domain), Everyone.IDENTIFIED, Everyone.ANYBODY)
        case Namespace(domain, _):
            yield from (Domain(domain), Everyone.IDENTIFIED, Everyone.ANYBODY)
        case Domain() | Foreign():
            yield from (Everyone.IDENTIFIED, Everyone.ANYBODY)
        case Everyone.IDENTIFIED:
            yield Everyone.ANYBODY
        case Everyone.ANYBODY:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """A set of callers as groups; `is_closed` is set where some were left out because the program does not declare them."""

    groups: tuple[Group, ...]
    is_closed: bool


class Identities:
    """The classes of callers of one port. Class 0 is who has no identity, class 1 whoever has one that no rule names."""

    def __init__(self, principals: Iterable[ir.Principal], declared: Mapping[Group, tuple[Account, ...]]) -> None:
        named = {found for one in principals if (found := group_of(one)) is not None} - {*Everyone}
        self.groups: tuple[Group, ...] = (*Everyone, *sorted(named, key=_place))
        self._numbers = {group: number for number, group in enumerate(self.groups)}
        self._below = [1 << number for number in range(len(self.groups))]
        self._parents = [-1] * len(self.groups)
        self._declared = declared
        for number, group in enumerate(self.groups):
            outer = [self._numbers[one] for one in _around(group) if one in self._numbers]
            self._parents[number] = outer[0] if outer else -1
            for one in outer:
                self._below[one] |= 1 << number

    def __len__(self) -> int:
        """How many classes there are."""
        return len(self.groups)

    def meant(self, principals: ir.Principals) -> int:
        """The classes of who is meant, as bits."""
        return self._any_of(principals.include) & ~self._any_of(principals.exclude)

    def _any_of(self, principals: Iterable[ir.Principal]) -> int:
        found = 0
        for one in principals:
            group = group_of(one)
            if group is not None:
                found |= self._below[self._numbers[group]]
        return found

    def spell(self, wanted: int, covered: int) -> Spelled:
        """Groups that hold just the classes `wanted`, those without an identity aside; who is `covered` may be left out."""
        groups: list[Group] = []
        is_closed = self._spell(1, wanted, covered, groups)
        return Spelled(groups=tuple(sorted(groups, key=_place)), is_closed=is_closed)

    def _spell(self, number: int, wanted: int, covered: int, groups: list[Group]) -> bool:
        below = self._below[number]
        if not below & wanted & ~covered:
            return False
        if not below & ~wanted:
            groups.append(self.groups[number])
            return False
        is_closed = bool(wanted & ~covered & 1 << number)
        if is_closed:
            declared = self._declared.get(self.groups[number], ())
            groups += (account for account in declared if self._class_of(account) == number)
        for child, parent in enumerate(self._parents):
            if parent == number:
                is_closed |= self._spell(child, wanted, covered, groups)
        return is_closed

    def _class_of(self, account: Account) -> int:
        return next(self._numbers[one] for one in (account, *_around(account)) if one in self._numbers)


def declared_accounts(mesh: ir.Mesh) -> Mapping[Group, tuple[Account, ...]]:
    """The accounts of the mesh's services, by each group that holds them."""
    found: dict[Group, dict[Account, None]] = {}
    for workload in mesh.workloads:
        account = group_of(ir.ExactIdentity(workload.identity))
        if isinstance(account, Account):
            for group in _around(account):
                found.setdefault(group, {})[account] = None
    return {group: tuple(accounts) for group, accounts in found.items()}


def _place(group: Group) -> tuple[str, ...]:
    match group:
        case Everyone():
            return ("", group.value)
        case Domain(domain):
            return ("domain", domain)
        case Namespace(domain, namespace):
            return ("namespace", domain, namespace)
        case Account(domain, namespace, account):
            return ("account", domain, namespace, account)
        case Foreign(identity):
            return ("foreign", identity)
        case _:
            assert_never(group)
