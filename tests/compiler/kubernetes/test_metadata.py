"""Names and metadata of emitted objects."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc import ir
from meshc.kubernetes import metadata, object_name, rule_anchor, span_anchor
from meshc.source import BUILTIN, Span

HERE = Span("policies/shop.mesh", 0, 1, 7, 1)


def test_names_are_readable_where_they_can_be() -> None:
    assert object_name("payments", "8080", "allow") == "payments-8080-allow"


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=3))
def test_names_are_dns_labels_and_tell_their_parts_apart(parts: list[str]) -> None:
    name = object_name(*parts)
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name)
    other = object_name(*parts[:-1], f"{parts[-1]}x")
    assert other != name


def test_long_names_end_in_a_hash_of_the_whole() -> None:
    first, second = object_name("a" * 80), object_name("a" * 81)
    assert first != second
    assert len(first) == len(second) == 63


def rule(identifier: str) -> ir.Rule:
    principals = ir.Principals(include=(ir.AnyPeer(),))
    return ir.Rule(identifier=identifier, principals=principals, condition=ir.ALWAYS, span=HERE)


@pytest.mark.parametrize(
    ("identifier", "anchor"),
    [
        ("allow.bank.payments.93bdb1d1", "policies/shop.mesh#access-bank.payments"),
        ("shadow-deny.mesh.93bdb1d1", "policies/shop.mesh#access-mesh"),
        ("deny.bank.payments-8080.93bdb1d1", "policies/shop.mesh#access-bank.payments-8080"),
    ],
)
def test_rules_are_traced_to_their_blocks(identifier: str, anchor: str) -> None:
    assert rule_anchor(rule(identifier)) == anchor


def test_metadata_says_who_wrote_an_object_and_from_what() -> None:
    found = metadata(
        "a", "b", [span_anchor(HERE, "x"), span_anchor(BUILTIN, "y"), span_anchor(HERE, "x")], {"note": "n"}
    )
    assert found.model_dump(exclude_none=True) == {
        "name": "a",
        "namespace": "b",
        "labels": {"app.kubernetes.io/managed-by": "meshc"},
        "annotations": {"meshc.dev/source": "policies/shop.mesh#x", "note": "n"},
    }
    assert metadata("a", "b", []).annotations is None
