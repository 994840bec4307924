"""Characters as terminal cells: what is shown for each, and how wide that is.

Control and invisible format characters are made visible, so that neither a source file nor a message can move the
cursor, change colours or reorder what a reader sees.
"""

from typing import Final
from unicodedata import category, combining, east_asian_width

TAB: Final = 4
"""Tab stops are this many cells apart."""

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DELETE: Final = 0x7F
_CONTROL_PICTURES: Final = 0x2400
_DELETE_PICTURE: Final = "␡"


def visible(text: str) -> str:
    r"""The text with every control, format and surrogate character shown as a picture or an escape: `␛`, `\u{202e}`."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def character(char: str, column: int) -> tuple[str, int]:
    """What is shown for a character that starts at a cell counted from 0, and its width; a tab goes to the next stop."""
    if char == "\t":
        width = TAB - column % TAB
        return " " * width, width
    shown = _shown(char)
    return shown, cell_width(shown)


def cell_width(text: str) -> int:
    """The cells that a text without tabs and control characters takes."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _shown(char: str) -> str:
    if char.isprintable() or category(char) not in _UNSAFE:
        return char
    code = ord(char)
    if code < ord(" "):
        return chr(_CONTROL_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else f"\\u{{{code:x}}}"


def _width(char: str) -> int:
    """Combining marks and the vowels and finals of composed Hangul take no cell of their own; wide characters take two."""
    if combining(char) or category(char) in {"Mn", "Me"} or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if east_asian_width(char) in {"W", "F"} else 1
