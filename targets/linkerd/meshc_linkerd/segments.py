"""Paths and their segments as regular expressions that match what the language allows to be matched, and nothing else.

Linkerd matches the path as it was sent, and the language judges its normal form. So an expression for a segment matches only
what is in normal form already: no dot segment, no empty one, no escape of a character that needs none, none of those that
are refused, and no character that would be escaped. Also left out is `;`, since `..;` is a dot segment to some servers.
"""

from functools import cache
from string import ascii_letters, digits
from typing import Final

from meshc_linkerd.other_words import Alphabet
from meshc_linkerd.regular import alternatives, byte_class

_LETTERS: Final = sum(1 << ord(char) for char in ascii_letters + digits + "!$&'()*+,:=@[]_~-")
"""What stands for itself in a segment, the dot aside. Source: `meshc.semantics.languages.universes`."""
_DOT: Final = 1 << ord(".")
_LETTER: Final = byte_class(_LETTERS)
_ESCAPE: Final = (
    "%(?:0[1-9A-Fa-f]|1[0-9A-Fa-f]|2[0-9A-Ca-c]|3[AC-Fac-f]|40|5[BDEbde]|60|7[BCDFbcdf]|[89A-Fa-f][0-9A-Fa-f])"
)
"""An escape that normalization keeps, that of `;` left out."""

SEGMENT: Final = rf"(?:(?:\.*(?:{_LETTER}|{_ESCAPE}))+\.*|\.{{3,}})"
"""One segment, not empty, and neither `.` nor `..`."""

CLEAN_PATH: Final = f"/(?:{SEGMENT}/)*{SEGMENT}?"
"""Every path in normal form without `;`."""

_ANY_SEGMENT: Final = SEGMENT.replace(_LETTER, byte_class(_LETTERS | 1 << ord(";"))).replace(
    _ESCAPE, _ESCAPE.replace("3[AC-Fac-f]", "3[A-Fa-f]")
)
NORMAL_PATH: Final = f"/(?:{_ANY_SEGMENT}/)*{_ANY_SEGMENT}?"
"""Every path in normal form, as the language has it."""

_PLAIN_SEGMENT: Final = rf"(?:(?:\.*{_LETTER})+\.*|\.{{3,}})"
PLAIN_PATH: Final = f"/(?:{_PLAIN_SEGMENT}/)*{_PLAIN_SEGMENT}?"
"""Every path in normal form without escapes."""

_SEGMENTS: Final = Alphabet(letters=_LETTERS | _DOT, escape=_ESCAPE)

_RAW: Final = Alphabet(
    letters=sum(1 << byte for byte in range(0x21, 0x7F) if chr(byte) not in "#?%"),
    escape="%(?:0[1-9A-Fa-f]|2[0-9A-Ea-e]|5[0-9ABD-Fabd-f]|[1346-9A-Fa-f][0-9A-Fa-f])",
)
"""Paths that are not refused with 400, in normal form or not, without the slash that they start with."""

ANY_RAW_PATH: Final = f"/(?:{_RAW.letter}|{_RAW.escape})*"
"""Every path that is not refused with 400: for ports on which paths do not matter."""


@cache
def other_segments(words: frozenset[str]) -> tuple[str, ...]:
    """Expressions that together match every segment but some words."""
    return _SEGMENTS.others({".", "..", *words}) if words else (SEGMENT,)


@cache
def other_raw_paths(paths: frozenset[str]) -> tuple[str, ...]:
    """Expressions that together match every path that is not refused with 400, but those."""
    found = [f"/{alternatives([one])}" for one in _RAW.others({path[1:] for path in paths} - {""})]
    return tuple(found if "/" in paths else ["/", *found]) if paths else (ANY_RAW_PATH,)
