"""SPIFFE ids: every spelling but the one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc_proxy.wire.spiffe import SpiffeError, SpiffeId


def test_an_id_is_read_and_written_back() -> None:
    one = SpiffeId.parse("spiffe://mesh.local/ns/shop/sa/cart")
    assert (one.trust_domain, one.path) == ("mesh.local", "/ns/shop/sa/cart")
    assert str(one) == "spiffe://mesh.local/ns/shop/sa/cart"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe://a",
        "spiffe://a/",
        "spiffe:///a",
        "spiffe://A/b",
        "spiffe://mesh.Local/b",
        "SPIFFE://a/b",
        "https://a/b",
        "spiffe://a:80/b",
        "spiffe://u@a/b",
        "spiffe://a/b?c",
        "spiffe://a/b#c",
        "spiffe://a/b%2fc",
        "spiffe://a/b//c",
        "spiffe://a/b/",
        "spiffe://a/./b",
        "spiffe://a/../b",
        "spiffe://a/b\0",
        "spiffe://a/b\n",
        "spiffe://a/b c",
        "spiffe://a/\u00e9",
        "spiffe://\u00e9/a",
        "spiffe://a%00/b",
        "spiffe://" + "a" * 256 + "/b",
        "spiffe://a/" + "b" * 2048,
        " spiffe://a/b",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(SpiffeError):
        SpiffeId.parse(text)


@given(text=st.one_of(st.text(max_size=30), st.text(max_size=20).map("spiffe://a/".__add__)))
def test_what_is_read_is_what_was_written(text: str) -> None:
    try:
        one = SpiffeId.parse(text)
    except SpiffeError:
        return
    assert str(one) == text
