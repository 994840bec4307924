"""Addresses of peers, cut by every block that a port's rules name: sets of them as bits, and back as blocks.

Blocks are nested or apart, so they form a tree. Class i is what lies in block i and in none below it; a set of addresses is
an integer with bit i set where it holds class i. Of a block that others cover, nothing is left, and its bit means nothing.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from meshc.ir import IpBlock
from meshc_linkerd.resources.policy import Network

ROOTS: Final[tuple[IpBlock, ...]] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


class Networks:
    """The classes of addresses of one port."""

    def __init__(self, blocks: Iterable[IpBlock]) -> None:
        named = {*blocks, *ROOTS}
        self._blocks = sorted(named, key=lambda block: (block.version, int(block.network_address), block.prefixlen))
        self._numbers = {block: number for number, block in enumerate(self._blocks)}
        self._children: dict[int, list[int]] = {number: [] for number in range(len(self._blocks))}
        self._below = [0] * len(self._blocks)
        self._nest()
        self.everywhere: int = sum(1 << number for number in self._numbers.values() if not self._is_covered(number))

    def _nest(self) -> None:
        open_blocks: list[int] = []
        for number, block in enumerate(self._blocks):
            while open_blocks and not _holds(self._blocks[open_blocks[-1]], block):
                open_blocks.pop()
            if open_blocks:
                self._children[open_blocks[-1]].append(number)
            open_blocks.append(number)
            for outer in open_blocks:
                self._below[outer] |= 1 << number

    def _is_covered(self, number: int) -> bool:
        block = self._blocks[number]
        return list(_collapse(self._blocks[child] for child in self._children[number])) == [block]

    def bits(self, blocks: Iterable[IpBlock]) -> int:
        """The addresses in any of some blocks, all of which were named."""
        found = 0
        for block in blocks:
            found |= self._below[self._numbers[block]]
        return found & self.everywhere

    def entries(self, bits: int) -> tuple[Network, ...]:
        """A set of addresses, not empty, as blocks with exceptions."""
        return tuple(entry for root in ROOTS for entry in self._entries(self._numbers[root], bits))

    def _entries(self, number: int, bits: int) -> Iterator[Network]:
        if bits >> number & 1:
            holes: list[int] = []
            self._collect_holes(number, bits, holes)
            blocks = tuple(str(block) for block in _collapse(self._blocks[hole] for hole in holes))
            yield Network(cidr=str(self._blocks[number]), except_=blocks or None)
            starts = holes
        else:
            starts = [number]
        for start in starts:
            for child in self._children[start]:
                yield from self._entries(child, bits)

    def _collect_holes(self, number: int, bits: int, holes: list[int]) -> None:
        for child in self._children[number]:
            if not self.everywhere >> child & 1 or bits >> child & 1:
                self._collect_holes(child, bits, holes)
            else:
                holes.append(child)


def _holds(outer: IpBlock, inner: IpBlock) -> bool:
    if isinstance(outer, IPv4Network) and isinstance(inner, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _collapse(blocks: Iterable[IpBlock]) -> Iterator[IpBlock]:
    some = list(blocks)
    yield from collapse_addresses(block for block in some if isinstance(block, IPv4Network))
    yield from collapse_addresses(block for block in some if isinstance(block, IPv6Network))
