"""Addresses: every address is in one class, and every class has an example."""

import random
from ipaddress import ip_address, ip_network

import pytest

from meshc.ir import AddressIn, AddressOf
from meshc.semantics.addresses import read_address
from meshc.semantics.facts import Facts
from meshc.semantics.regions.networks import address_variable
from meshc_harness.cells import class_of, passes, vector

POOL = [
    *map(ip_network, ("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.1.2.3/32")),
    *map(ip_network, ("255.255.255.255/32", "0.0.0.0/1", "128.0.0.0/1", "127.0.0.1/32")),
    *map(ip_network, ("::/0", "2001:db8::/32", "2001:db8::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128")),
]  # fmt: skip
EDGES = [one for block in POOL for one in (block.network_address, block.broadcast_address)]


def facts(address):
    read = read_address(str(address))
    return Facts(identity=None, peer=read, client=read)


@pytest.mark.parametrize("seed", range(30))
def test_every_address_is_in_one_class_and_every_class_has_an_example(seed):
    chance = random.Random(seed)
    some = chance.sample(POOL, chance.randrange(1, len(POOL)))
    variable = address_variable(0, AddressOf.PEER, some)
    for number, address in enumerate(variable.values):
        assert vector(variable, number) == [passes(test, facts(address)) for test in variable.tests]
    near = [one + step for one in EDGES for step in (-1, 0, 1) if 0 <= int(one) + step < 2**one.max_prefixlen]
    for address in near:
        class_of(variable, facts(address))


def test_examples_are_of_hosts_and_well_known_where_they_can_be():
    blocks = [ip_network(text) for text in ("10.64.0.0/16", "192.0.2.0/24", "10.64.0.9/32")]
    variable = address_variable(0, AddressOf.PEER, blocks)
    assert set(variable.values) == {"127.0.0.1", "10.64.0.1", "192.0.2.1", "10.64.0.9"}
    assert variable.values[variable.preferred] == "127.0.0.1"


def test_families_are_apart():
    variable = address_variable(0, AddressOf.CLIENT, [ip_network("0.0.0.0/0")])
    assert [ip_address(one).version for one in variable.values] == [4, 6]
    assert variable.bits(AddressIn(AddressOf.CLIENT, (ip_network("0.0.0.0/0"),))) == 0b01


def test_what_lies_between_two_blocks_has_an_example():
    blocks = [ip_network(text) for text in ("10.0.0.0/8", "10.0.0.0/9", "10.192.0.0/10")]
    variable = address_variable(0, AddressOf.PEER, blocks)
    assert set(variable.values) == {"127.0.0.1", "10.0.0.1", "10.128.0.1", "10.192.0.1"}
