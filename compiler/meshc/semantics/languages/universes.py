"""The strings that each place of a request can hold, as regular expressions over bytes.

They say what `semantics.normalize` and `semantics.paths` can return, and the tests hold them to it. Texts on the wire are
bytes; a byte that is no UTF-8 is a lone surrogate in a `str` (PEP 383), so that each byte string has exactly one text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from meshc.semantics.languages.model import Universe
from meshc.semantics.texts import fullmatcher

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789-_.~ABCDEFGHIJKLMNOPQRSTUVWXYZ!$'()*+,;:@=&%/"
"""Characters by how well they read in a witness; all others come after them."""

METHOD_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + LETTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The strings of a universe: those that match `pattern` (RE2, byte by byte) and are not `excluded`.

    Literals with one of `entangled` cannot be put together freely: what else a string holds then counts. Without them,
    literals and visible ASCII letters that may stand side by side may do so anywhere. `free` is False where that is not so.
    `letters` are the characters that witnesses are made of, the most readable first.
    """

    pattern: str
    letters: str = LETTERS
    entangled: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    free: bool = True


# ---- paths ----------------------------------------------------------------------------------------------------------

_HEX = "[0-9A-Fa-f]"
_OTHER = r"!$&'()*+,\-:;=@\[\]G-Z_g-z~"
"""What stands in paths for itself, hexadecimal digits, the dot, the slash and `%` aside."""
_KEPT = "%(?:0[1-9A-Fa-f]|1[0-9A-Fa-f]|2[0-9A-Ca-c]|3[A-Fa-f]|40|5[BDEbde]|60|7[BCDFbcdf]|[89A-Fa-f][0-9A-Fa-f])"
"""Escapes that stay as they are: all but those of unreserved characters, and the refused `%00`, `%2F` and `%5C`."""
_STRAY = f"(?:%{_HEX}?)"
"""A `%` that starts no escape; no hexadecimal digit may follow, except where it takes one and then none."""
_UNIT = rf"(?:{_HEX}|{_STRAY}*(?:[.{_OTHER}]|{_KEPT}))"
_TAIL = f"{_UNIT}*{_STRAY}*"
_NO_DOT = rf"(?:{_HEX}|{_STRAY}*(?:[{_OTHER}]|{_KEPT})|{_STRAY}+\.)"

SEGMENT: Final = rf"\.{{0,2}}(?:{_NO_DOT}{_TAIL}|{_STRAY}+)|\.\.\.{_TAIL}"
"""One segment of a normalized path, not empty, and neither `.` nor `..`."""

_PATH = f"/(?:(?:{SEGMENT})/)*(?:{SEGMENT})?|//"

# ---- all ------------------------------------------------------------------------------------------------------------

_VALUE_END = r"[^\x00-\x20\x7f]"
_UTF8 = (
    r"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]"
    r"|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    r"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
"""Source: RFC 3629, 4."""
_IN_HOST = r"!$%&'()*+\-.0-9;=_a-z~"

_SHAPES: Final[Mapping[Universe, Shape]] = {
    Universe.HEADER_VALUE: Shape(
        pattern=rf"(?:{_VALUE_END}(?:[^\x00-\x08\x0a-\x1f\x7f]*{_VALUE_END})?)?",
    ),
    # No colon before the first `[`; one that the text starts with is closed at its end, or never.
    Universe.HOST: Shape(
        pattern=rf"[{_IN_HOST}\]]*|[{_IN_HOST}\]]+\[[{_IN_HOST}:\[\]]*|\[[{_IN_HOST}:\[]*\]?",
        letters="".join(letter for letter in LETTERS if letter not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ,:@/"),
        entangled=frozenset(":[]"),
    ),
    Universe.QUERY_VALUE: Shape(pattern=r'[!"$%\x27-\x7e]*', letters=LETTERS.replace("&", "")),
    Universe.CLAIM: Shape(pattern=f"(?:{_UTF8})*"),
    # Server names are ASCII. Source: RFC 6066, 3. BoringSSL refuses those that hold a NUL.
    Universe.SERVER_NAME: Shape(
        pattern=r"[\x01-\x40\x5b-\x7f]*",
        letters="".join(letter for letter in LETTERS if letter == letter.lower()),
    ),
    Universe.PATH: Shape(pattern=_PATH, free=False),
    Universe.METHOD: Shape(
        pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+",
        letters="".join(letter for letter in METHOD_LETTERS if letter not in "()*,;:@=/"),
        excluded=frozenset({"CONNECT"}),
    ),
}


def shape_of(universe: Universe) -> Shape:
    return _SHAPES[universe]


@cache
def membership(universe: Universe) -> Callable[[str], bool]:
    """A test for the texts of a universe."""
    shape = _SHAPES[universe]
    matches = fullmatcher(shape.pattern)
    return lambda text: is_wire_text(text) and matches(text) and text not in shape.excluded


def is_wire_text(text: str) -> bool:
    """Whether a text is what its bytes read as: lone surrogates in it stand for bytes that are no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
    except UnicodeEncodeError:
        return False


def preference(shape: Shape) -> tuple[int, ...]:
    """All bytes, those that read well first."""
    visible = range(ord("!"), ord("~") + 1)
    return tuple(dict.fromkeys((*shape.letters.encode(), *visible, *range(256))))
