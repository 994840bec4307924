"""Sets of callers × addresses: cut, combined, and back as what Linkerd's objects say."""

from ipaddress import ip_address, ip_network
from random import Random

import pytest

from linkerd_lab import compile_mesh, inbound
from meshc import ir
from meshc_linkerd.identities import Account, Domain, Everyone, Foreign, Identities, Namespace, group_of
from meshc_linkerd.networks import Networks

A, B, C = (Account("d", "n", name) for name in "abc")


def _exact(account: Account) -> ir.ExactIdentity:
    return ir.ExactIdentity(f"spiffe://{account.domain}/ns/{account.namespace}/sa/{account.account}")


@pytest.mark.parametrize(
    ("principal", "group"),
    [
        (ir.AnyPeer(), Everyone.ANYBODY),
        (ir.AnyIdentity(), Everyone.IDENTIFIED),
        (_exact(A), A),
        (ir.ExactIdentity("spiffe://d/other"), Foreign("spiffe://d/other")),
        (ir.IdentityPrefix("spiffe://d/ns/n/sa/"), Namespace("d", "n")),
        (ir.IdentityPrefix("spiffe://d/ns/n/"), Namespace("d", "n")),
        (ir.IdentityPrefix("spiffe://d/ns/"), Domain("d")),
        (ir.IdentityPrefix("spiffe://d/"), Domain("d")),
        (ir.IdentityPrefix("spiffe://d/ns/n/sa/a/"), None),
        (ir.IdentityPrefix("spiffe://d/x/"), None),
    ],
)
def test_principals_are_groups(principal: ir.Principal, group: object) -> None:
    assert group_of(principal) == group


def _identities() -> Identities:
    principals = [_exact(A), _exact(B), ir.IdentityPrefix("spiffe://d/ns/n/sa/")]
    return Identities(principals, {Namespace("d", "n"): (A, B, C), Everyone.IDENTIFIED: (A, B, C)})


def test_a_whole_group_is_spelled_as_one() -> None:
    identities = _identities()
    wanted = identities.meant(ir.Principals((ir.IdentityPrefix("spiffe://d/ns/n/sa/"),)))
    spelled = identities.spell(wanted, 0)
    assert spelled.groups == (Namespace("d", "n"),)
    assert not spelled.is_closed


def test_a_group_without_a_member_is_listed() -> None:
    identities = _identities()
    wanted = identities.meant(ir.Principals((ir.IdentityPrefix("spiffe://d/ns/n/sa/"),), (_exact(A),)))
    spelled = identities.spell(wanted, 0)
    assert spelled.groups == (B, C)
    assert spelled.is_closed


def test_everybody_but_some_is_listed() -> None:
    identities = _identities()
    wanted = identities.meant(ir.Principals((ir.AnyIdentity(),), (_exact(B),))) & ~1
    spelled = identities.spell(wanted, 0)
    assert spelled.is_closed
    assert A in spelled.groups
    assert C in spelled.groups
    assert B not in spelled.groups


def test_who_is_covered_is_left_out() -> None:
    identities = _identities()
    wanted = identities.meant(ir.Principals((_exact(A), _exact(B))))
    covered = identities.meant(ir.Principals((_exact(A),)))
    assert identities.spell(wanted, covered).groups == (B,)


def test_networks_come_back_as_they_were_cut() -> None:
    """Any union of classes, as blocks with exceptions, holds the addresses of just those classes."""
    chance = Random(3)
    pool = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/15", "0.0.0.0/1", "128.0.0.0/1", "10.1.2.3/32"]
    pool += ["2001:db8::/32", "2001:db8:1::/48", "::/1"]
    probes = ["10.1.2.3", "10.1.2.4", "10.1.9.9", "10.2.1.1", "10.9.9.9", "11.0.0.1", "200.1.1.1"]
    probes += ["2001:db8:1::1", "2001:db8::1", "2002::1", "ff00::1"]
    for _ in range(300):
        blocks = [ip_network(one) for one in chance.sample(pool, chance.randint(0, 6))]
        networks = Networks(blocks)
        bits = 0
        for block in blocks:
            if chance.random() < 0.5:
                bits |= networks.bits([block])
            if chance.random() < 0.4:
                bits &= ~networks.bits([block])
        if not bits:
            continue
        entries = networks.entries(bits)
        for probe in probes:
            address = ip_address(probe)
            inside = any(
                address in ip_network(one.cidr) and not any(address in ip_network(hole) for hole in one.except_ or ())
                for one in entries
            )
            classes = networks.everywhere
            for block in blocks:
                here = networks.bits([block])
                classes &= here if address in block else ~here
            family = networks.bits([ip_network("0.0.0.0/0" if address.version == 4 else "::/0")])
            assert inside == bool(classes & family & bits), (blocks, probe, entries)


def test_a_covered_block_means_nothing() -> None:
    networks = Networks([ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")])
    halves = networks.bits([ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")])
    assert halves == networks.bits([ip_network("0.0.0.0/0")])


def test_identities_are_spelled_as_the_cluster_has_them() -> None:
    text = """
    mesh m { also "ops.example" }
    namespace a
    service web in a { port 80 http port 5432 tcp }
    service front in a
    access web {
      allow front, identity "spiffe://ops.example/ns/x/sa/y", identity "spiffe://ops.example/ns/z/sa/*"
    }
    """
    found = inbound(text.replace("also", 'trust-domain "cluster.local" also'))
    specs = [one.resource for one in found.placed if one.resource.kind == "MeshTLSAuthentication"]
    shown = " ".join(one.model_dump_json() for one in specs)
    assert '"kind":"ServiceAccount","name":"front","namespace":"a"' in shown
    assert "y.x.serviceaccount.identity.linkerd.ops.example" in shown
    assert "spiffe://ops.example/ns/x/sa/y" in shown
    assert "*.z.serviceaccount.identity.linkerd.ops.example" in shown
    assert compile_mesh(text.replace("also", 'trust-domain "cluster.local" also')).trust_domains[1] == "ops.example"
