"""Addresses, cut by the blocks that rules look at. Families are kept apart."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from meshc.ir import AddressIn, AddressOf, IpBlock
from meshc.request import DEFAULT_SOURCE_IP
from meshc.semantics.addresses import Address, read_address
from meshc.semantics.regions.variables import Passing, Variable, classes_to_variable

_USUAL: Final = (DEFAULT_SOURCE_IP, "10.0.0.1", "192.0.2.1", "2001:db8::1")
"""Examples to take where any address will do. Source of the last two: RFC 5737 and RFC 3849, documentation."""

_BITS: Final = {4: 32, 6: 128}


def address_variable(level: int, address: AddressOf, blocks: Sequence[IpBlock]) -> Variable:
    """All addresses of both families by these blocks."""
    classes: dict[int, str] = {}
    ranges = [(block.version, int(block.network_address), int(block.broadcast_address)) for block in blocks]
    usual = (found for text in _USUAL if (found := read_address(text)) is not None)
    for one in (*usual, *_starts(ranges)):
        passed = _passed(one, ranges)
        classes.setdefault(passed, _text(_second(one, passed, ranges)))
    passing: list[Passing] = list(classes.items())
    tests = [AddressIn(address, (block,)) for block in blocks]
    return classes_to_variable(level, address.value, tests, passing, DEFAULT_SOURCE_IP)


def _starts(ranges: Sequence[tuple[int, int, int]]) -> Iterator[Address]:
    """An address of each stretch between two places where a block starts or ends."""
    for family, bits in _BITS.items():
        cuts = {0, *(low for version, low, _ in ranges if version == family)}
        cuts |= {high + 1 for version, _, high in ranges if version == family}
        yield from ((family, cut) for cut in sorted(cuts) if cut < 1 << bits)


def _passed(address: Address, ranges: Sequence[tuple[int, int, int]]) -> int:
    family, number = address
    found = 0
    for place, (version, low, high) in enumerate(ranges):
        if version == family and low <= number <= high:
            found |= 1 << place
    return found


def _second(address: Address, passed: int, ranges: Sequence[tuple[int, int, int]]) -> Address:
    """The next address, where it is in the same class: that of a block's network belongs to no host."""
    family, number = address
    if _text(address) in _USUAL:
        return address
    after = (family, number + 1)
    return after if number + 1 < 1 << _BITS[family] and _passed(after, ranges) == passed else address


def _text(address: Address) -> str:
    family, number = address
    return str(ip_address(number.to_bytes(_BITS[family] // 8, "big")))
