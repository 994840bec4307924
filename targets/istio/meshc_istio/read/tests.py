"""The `when` of a rule: keys and values -> conditions."""

import re
from collections.abc import Iterable
from typing import Final

from meshc import ir
from meshc.reading.plain import mapping, texts
from meshc.target import Json
from meshc_istio.read.account import ONE_LINE, PLAIN_CLAIMS
from meshc_istio.read.forms import NotSayableError, Said, all_of, any_of, text_test
from meshc_istio.read.sources import blocks

_HEADER: Final = re.compile(r"request\.headers\[([^\[\]]+)\]")
_CLAIM: Final = re.compile(r"request\.auth\.claims((?:\[[^\[\]]+\])+)")
_SPLIT: Final = frozenset({"scope", "permission"})
"""Claims whose texts Istio splits at blanks."""


def is_http(key: str) -> bool:
    """Whether a key is about requests, which are seen on HTTP ports alone."""
    return key.startswith("request.")


def when(test: Json) -> Said:
    """One of `values` and none of `notValues`. Raises NotSayableError."""
    fields = mapping(test)
    key = fields.get("key")
    if not isinstance(key, str) or set(fields) - {"key", "values", "notValues"}:
        raise NotSayableError("a `when` with other fields than `key`, `values`, `notValues`")
    named, excepted = texts(fields.get("values")), texts(fields.get("notValues"))
    if not named and not excepted:
        raise NotSayableError("a `when` without values, which Istio refuses,")
    found: list[ir.Condition] = []
    assumptions: tuple[str, ...] = ()
    if named:
        said = _values(key, named)
        found.append(said.condition)
        assumptions += said.assumptions
    if excepted:
        said = _values(key, excepted)
        found.append(ir.Not(said.condition))
        assumptions += said.assumptions
    return Said(all_of(found), assumptions)


def _values(key: str, values: Iterable[str]) -> Said:
    if (header := _HEADER.fullmatch(key)) is not None:
        name = header[1].lower()
        tests = [text_test(one) for one in values]
        is_plain = all(isinstance(one, ir.IsPresent) for one in tests)
        return Said(any_of(ir.HeaderIs(name, one) for one in tests), () if is_plain else (ONE_LINE,))
    if (claim := _CLAIM.fullmatch(key)) is not None:
        return _claim(tuple(claim[1][1:-1].split("][")), values)
    match key:
        case "source.ip":
            return Said(ir.AddressIn(ir.AddressOf.PEER, blocks(values)))
        case "remote.ip":
            return Said(ir.AddressIn(ir.AddressOf.CLIENT, blocks(values)))
        case "connection.sni":
            return Said(any_of(ir.SniIs(text_test(one)) for one in values))
        case _:
            raise NotSayableError(f"the key `{key}`")


def _claim(path: tuple[str, ...], values: Iterable[str]) -> Said:
    is_split = len(path) == 1 and path[0] in _SPLIT
    found: list[ir.Condition] = []
    for value in values:
        test = text_test(value)
        if isinstance(test, ir.Equals) and is_split:
            found.append(ir.ClaimIs(path, ir.Contains(test.value)))
        elif is_split and not isinstance(test, ir.IsPresent):
            raise NotSayableError(f"words of the claim `{path[0]}` by a pattern")
        else:
            found.append(ir.ClaimIs(path, test))
    return Said(any_of(found), () if is_split else (PLAIN_CLAIMS,))
