"""Who may send a request, and from where: sets of callers × addresses, and as the products that Linkerd can authorize.

An authorization of Linkerd is identities × networks, and several on one target add up. A set is a row for each class of
callers: the addresses, as bits, that such a caller may come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc import ir
from meshc_linkerd.identities import Account, Everyone, Group, Identities
from meshc_linkerd.networks import Networks
from meshc_linkerd.resources.policy import Network

Rows = tuple[int, ...]
"""For each class of callers the addresses that they may come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """One product: callers in any of `groups`, None for anybody, from any of `networks`, None for everywhere."""

    groups: tuple[Group, ...] | None
    networks: tuple[Network, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """A set as products; none lets nobody in.

    `is_closed` is set where accounts that the program does not declare were left out, `lacks_plaintext` where callers
    without an identity would have to be let in and some with one not: that cannot be said, and nobody is let in.
    """

    clients: tuple[Clients, ...]
    is_closed: bool = False
    lacks_plaintext: bool = False


class Callers:
    """All callers of one port, from all addresses, cut by what its rules name."""

    def __init__(
        self, port: ir.PortPolicy, blocks: frozenset[ir.IpBlock], accounts: Mapping[Group, tuple[Account, ...]]
    ):
        rules = [rule for stage in port.access if not stage.shadow for rule in stage.rules]
        named = (one for rule in rules for one in rule.principals.include + rule.principals.exclude)
        self.identities = Identities(named, accounts)
        self.networks = Networks(blocks)
        count, everywhere = len(self.identities), self.networks.everywhere
        self.nobody: Rows = (0,) * count
        self.hides_identities = port.protocol is ir.Protocol.TLS or port.mtls is ir.MtlsMode.OFF
        if self.hides_identities:
            self.connected: Rows = (everywhere, *(0,) * (count - 1))
        elif port.mtls is ir.MtlsMode.STRICT:
            self.connected = (0, *(everywhere,) * (count - 1))
        else:
            self.connected = (everywhere,) * count

    def product(self, classes: int, networks: int) -> Rows:
        """Callers of some classes from some addresses."""
        return tuple(networks if classes >> number & 1 else 0 for number in range(len(self.nobody)))

    def authorize(self, rows: Rows) -> Authorized:
        """A set as the products that Linkerd adds up."""
        everywhere = self.networks.everywhere
        plain = rows[0]
        found = [self._product((), plain, anybody=True)] if plain else []
        if self.hides_identities:
            return Authorized(clients=tuple(found))
        identified = [row | plain for row in rows]
        if any(row & plain != plain for row in rows[1:]):
            return Authorized(clients=(), lacks_plaintext=True)
        is_closed = False
        for networks in sorted(
            {row for row in identified[1:] if row & ~plain}, key=lambda one: (one != everywhere, one)
        ):
            wanted = sum(1 << number for number, row in enumerate(identified) if row & networks == networks)
            covered = sum(1 << number for number, row in enumerate(identified) if row != networks)
            spelled = self.identities.spell(wanted & ~1, covered)
            is_closed |= spelled.is_closed
            if spelled.groups:
                found.append(self._product(spelled.groups, networks, anybody=False))
        return Authorized(clients=tuple(found), is_closed=is_closed)

    def _product(self, groups: tuple[Group, ...], networks: int, *, anybody: bool) -> Clients:
        blocks = None if networks == self.networks.everywhere else self.networks.entries(networks)
        return Clients(groups=None if anybody else groups, networks=blocks)


def union(one: Rows, other: Rows) -> Rows:
    """Who is in either set."""
    return tuple(left | right for left, right in zip(one, other, strict=True))


def both(one: Rows, other: Rows) -> Rows:
    """Who is in both sets."""
    return tuple(left & right for left, right in zip(one, other, strict=True))


def without(one: Rows, other: Rows) -> Rows:
    """Who is in one set and not in the other."""
    return tuple(left & ~right for left, right in zip(one, other, strict=True))


def is_within(one: Rows, other: Rows) -> bool:
    """Whether a set holds nobody that another lacks."""
    return all(not left & ~right for left, right in zip(one, other, strict=True))


__all__ = ["Authorized", "Callers", "Clients", "Everyone", "Rows", "both", "is_within", "union", "without"]
