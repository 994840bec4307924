"""The universes hold what normalization can return, and nothing else: all short texts of some letters, one by one."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import pytest

from meshc.request import Request
from meshc.semantics import Malformed, normalize
from meshc.semantics.facts import Facts
from meshc.semantics.languages import Universe, as_sent
from meshc.semantics.languages.universes import is_wire_text, membership, shape_of
from meshc.semantics.normalize import connection_facts, normalize_host
from meshc.semantics.paths import RefusedError, normalize_path, split_target

ONE_BYTE = [bytes((byte,)).decode("utf-8", "surrogateescape") for byte in range(256)]


def words(letters: Iterable[str], longest: int) -> Iterator[str]:
    some = list(letters)
    return ("".join(word) for length in range(longest + 1) for word in product(some, repeat=length))


def seen(**fields: object) -> Facts | None:
    facts = normalize(
        Request(
            **{"identity": None, "namespace": "n", "service": "s", "port": 80, "method": "GET", "path": "/", **fields}
        ),
        default_host="h",
    )
    return None if isinstance(facts, Malformed) else facts


def header(text: str) -> str | None:
    facts = seen(headers=(("x", text),))
    return None if facts is None else facts.headers["x"][0]


def query(text: str) -> str | None:
    facts = seen(path=f"/?q={text}")
    return None if facts is None else facts.query["q"]


def method(text: str) -> str | None:
    facts = seen(method=text)
    return None if facts is None else facts.method


def host(text: str) -> str | None:
    try:
        return normalize_host(text)
    except RefusedError:
        return None


def path(text: str) -> str | None:
    try:
        return normalize_path(split_target(text)[0])
    except RefusedError:
        return None


def server_name(text: str) -> str | None:
    return connection_facts(Request(identity=None, namespace="n", service="s", port=443, sni=text)).sni


@pytest.mark.parametrize(
    ("universe", "normalized", "letters", "longest"),
    [
        (Universe.HEADER_VALUE, header, "a \t\x0b\udc80é", 5),
        (Universe.HEADER_VALUE, header, ONE_BYTE, 1),
        (Universe.QUERY_VALUE, query, "a=?+%2", 5),
        (Universe.QUERY_VALUE, query, ONE_BYTE, 1),
        (Universe.METHOD, method, "GETa_()", 4),
        (Universe.METHOD, method, ["CONN", "ECT", "E", "C"], 4),
        (Universe.METHOD, method, ONE_BYTE, 1),
        (Universe.HOST, host, "aB.:1[]", 5),
        (Universe.HOST, host, ONE_BYTE, 1),
        (Universe.SERVER_NAME, server_name, "aB.-1", 5),
        (Universe.SERVER_NAME, server_name, ONE_BYTE[1:0x80], 1),
        (Universe.PATH, path, [f"/{one}" for one in ONE_BYTE], 1),
        (Universe.PATH, path, ["/", "\\", "%", "2", "F", "a", "?"], 5),
        (Universe.PATH, path, ["/", ".", "%2e", ";", "a"], 5),
        (Universe.PATH, path, ["/", "%", "4", "%31", "%5", "g"], 5),
    ],
)
def test_what_normalization_returns_is_possible(
    universe: Universe, normalized: Callable[[str], str | None], letters: Iterable[str], longest: int
) -> None:
    is_possible = membership(universe)
    start = "/" if universe is Universe.PATH else ""
    found = {result for word in words(letters, longest) if (result := normalized(start + word)) is not None}
    assert len(found) > 1
    assert [one for one in found if not is_possible(one)] == []


@pytest.mark.parametrize(
    ("universe", "normalized", "letters", "longest"),
    [
        (Universe.HEADER_VALUE, header, "a \t\x0b\udc80é", 5),
        (Universe.HEADER_VALUE, header, ONE_BYTE, 1),
        (Universe.QUERY_VALUE, query, "a=?&#% 2", 4),
        (Universe.QUERY_VALUE, query, ONE_BYTE, 1),
        (Universe.METHOD, method, "GETa_()", 4),
        (Universe.METHOD, method, ["CONN", "ECT", "E", "C"], 4),
        (Universe.METHOD, method, ONE_BYTE, 1),
        (Universe.HOST, host, "ab.:1[]", 5),
        (Universe.HOST, host, ONE_BYTE, 1),
        (Universe.SERVER_NAME, server_name, "aB.-1", 5),
        (Universe.SERVER_NAME, server_name, ONE_BYTE[1:0x80], 1),
        (Universe.PATH, path, ["/", ".", ";", "a", "%"], 5),
        (Universe.PATH, path, ["/", "%", "2", "F", "a", "4", "g"], 5),
        (Universe.PATH, path, ONE_BYTE, 1),
    ],
)
def test_what_is_possible_can_be_sent(
    universe: Universe, normalized: Callable[[str], str | None], letters: Iterable[str], longest: int
) -> None:
    """And what is not does not come out of normalization unchanged."""
    is_possible = membership(universe)
    start = "/" if universe is Universe.PATH else ""
    for text in (start + word for word in words(letters, longest)):
        sent = as_sent(text, universe) if is_possible(text) else text
        assert (normalized(sent) == text) is is_possible(text), text


def test_every_escape_of_a_path() -> None:
    is_possible = membership(Universe.PATH)
    for digits in ("%02x", "%02X"):
        for byte in range(256):
            text = "/%" + digits % byte
            assert is_possible(text) is (path(text) == text), text


@pytest.mark.parametrize("code", [0x61, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0x10000, 0x10FFFF])
def test_a_claim_holds_every_character(code: int) -> None:
    assert membership(Universe.CLAIM)(chr(code) * 2)


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC80, 0xDFFF])
def test_a_claim_holds_no_lone_surrogate(code: int) -> None:
    assert not membership(Universe.CLAIM)(f"a{chr(code)}")


def test_a_text_from_the_wire_reads_in_one_way() -> None:
    """The two halves of an `é`, each by itself, would have the bytes of an `é`."""
    assert is_wire_text("\udcc3")
    assert not is_wire_text("\udcc3\udca9")
    assert not membership(Universe.HEADER_VALUE)("\udcc3\udca9")


@pytest.mark.parametrize("universe", [one for one in Universe if shape_of(one).free])
def test_letters_may_stand_anywhere(universe: Universe) -> None:
    """What `combinations` builds on: a letter at either side of a possible text leaves it possible."""
    shape, is_possible = shape_of(universe), membership(universe)
    texts = [text for text in words("aA. é:[\t1", 3) if is_possible(text) and shape.entangled.isdisjoint(text)]
    assert all(
        is_possible(one + letter + other) for letter in shape.letters[::9] for one in texts[:9] for other in texts
    )
