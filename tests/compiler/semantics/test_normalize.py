"""The request model without a proxy at hand; `test_normalize_envoy.py` holds it against a real one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc.request import Request
from meshc.semantics import Malformed, is_comparable, normalize, normalize_path
from meshc.semantics.facts import Facts
from meshc.semantics.paths import RefusedError

PATHS = [
    ("/a/b", "/a/b"),
    ("//a/./b/../c//", "/a/c/"),
    ("/x\\..\\admin", "/admin"),
    ("/%61%2D%7e", "/a-~"),
    ("/%20%ff%3b%252e", "/%20%ff%3b%252e"),
    ("/{a}|<b>", "/%7Ba%7D%7C%3Cb%3E"),
    ("/%%32e", "/%252e"),
    ("/..", "/"),
    ("/a/..;x/b", "/b"),
]


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_paths(path: str, expected: str) -> None:
    assert normalize_path(path) == expected


@pytest.mark.parametrize("path", ["", "a", "*", "/%00", "/%2F", "/a%2fb", "/%5c"])
def test_refused_paths(path: str) -> None:
    with pytest.raises(RefusedError):
        normalize_path(path)


pieces = st.sampled_from(["/", ".", "%", "%2e", "%61", "%25", "2", "e", "a", ";", "\\", "{", "%ff", "%20"])


@given(st.lists(pieces, max_size=16).map(lambda some: "/" + "".join(some)))
def test_normalization_is_idempotent(path: str) -> None:
    """N(N(p)) == N(p): a second proxy changes nothing"""
    once = normalize_path(path)
    if is_comparable(path):
        assert normalize_path(once) == once


@pytest.mark.parametrize("path", ["//", "///", "/a/..//", "/..;x", "/a/.;/b", "/%2e%2E;x", "/%2e%3bx", "\\..;x"])
def test_paths_that_targets_may_read_differently(path: str) -> None:
    assert not is_comparable(path)


@pytest.mark.parametrize("path", ["/", "/a;x", "/a/;/b", "/...;x", "//a", "/?..;x", "/%2f", "/a..;b"])
def test_paths_that_targets_read_alike(path: str) -> None:
    assert is_comparable(path)


def observed(**fields: object) -> Facts:
    facts = normalize(
        Request(
            **{"identity": None, "namespace": "n", "service": "s", "port": 80, "method": "GET", "path": "/", **fields}
        ),
        default_host="s.n",
    )
    assert isinstance(facts, Facts)
    return facts


def test_headers_repeat_and_are_trimmed() -> None:
    facts = observed(headers=(("X-A", " 1\t"), ("x-a", "2,3"), ("x-b", "")))
    assert facts.headers == {"x-a": ("1", "2,3"), "x-b": ("",)}


def test_the_first_value_of_a_query_parameter_counts_as_sent() -> None:
    facts = observed(path="/a?b&c=%31&c=2&d=", query=(("b", "x"), ("e", "5")))
    assert facts.query == {"b": "", "c": "%31", "d": "", "e": "5"}
    assert facts.query_text == "b&c=%31&c=2&d=&b=x&e=5"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"path": "/a#b"}, "raw # in the request target"),
        ({"path": "/\x00"}, "raw character U+0000 in the request target"),
        ({"path": "/a?é"}, "raw character U+00E9 in the request target"),
        ({"path": "/%2f"}, "%2f in the path"),
        ({"method": "CONNECT"}, "CONNECT"),
        ({"method": "OPTIONS", "path": "*"}, "target *"),
        ({"method": "G T"}, "method is no token"),
        ({"headers": (("x_a", "1"),)}, "underscore in a header name"),
        ({"headers": (("host", "x"),)}, "second host header"),
        ({"headers": (("x", "a\nb"),)}, "control character in a header value"),
        ({"headers": (("", "a"),)}, "malformed header name"),
        ({"host": "a/b"}, "character that no host may hold"),
    ],
)
def test_refusals_say_why(fields: dict[str, object], reason: str) -> None:
    request = Request(
        **{"identity": None, "namespace": "n", "service": "s", "port": 80, "method": "GET", "path": "/", **fields}
    )
    assert normalize(request, default_host="s.n") == Malformed(reason=reason)


texts = st.text(max_size=8)


@given(st.tuples(*(texts,) * 7))
def test_any_request_is_facts_or_malformed(parts) -> None:
    method, path, name, value, host, address, key = parts
    request = Request(
        identity=key, namespace="n", service="s", port=80, method=method, path=path, headers=((name, value),), host=host,
        query=((key, value),), source_ip=address,
    )  # fmt: skip
    assert isinstance(normalize(request, default_host="s.n", trusted_hops=1), Facts | Malformed)
