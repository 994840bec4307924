"""Look over a text before it is parsed: characters that nobody can see, and leftover merge markers.

Both are blanked out, so that offsets stay right and the parser reports nothing more about them.
"""

import re
import unicodedata
from typing import Final

from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import SourceFile

INVISIBLE: Final = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad"
    "\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "]|\r(?!\n)"
)
"""Format characters (Unicode category Cf), controls but tab and line ends, line and paragraph separators, surrogates, lone returns."""

_MARKER: Final = re.compile(r"^(<{7}|\|{7}|={7}|>{7})(?: [^\n]*|\r?)$", re.MULTILINE)
_NOT_LINE_END: Final = re.compile(r"[^\r\n]")
_MOST: Final = 20
"""How many invisible characters, and how many conflicts, are reported one by one."""


def screen(source: SourceFile) -> tuple[str, list[Diagnostic]]:
    """The text to parse, as long as the source's, and what is wrong with the characters of the source."""
    text, found = _screen_characters(source)
    if "<<<<<<<" in text or ">>>>>>>" in text:
        text, markers = _screen_markers(source, text)
        found += markers[:_MOST]
    return text, found


def _screen_characters(source: SourceFile) -> tuple[str, list[Diagnostic]]:
    text = source.text
    found: list[Diagnostic] = []
    for match in INVISIBLE.finditer(text):
        if len(found) == _MOST:
            break
        found.append(_invisible(source, match.start()))
    return (INVISIBLE.sub(" ", text) if found else text), found


def _invisible(source: SourceFile, offset: int) -> Diagnostic:
    character = source.text[offset]
    name = unicodedata.name(character, "a control character").lower()
    code = f"U+{ord(character):04X}"
    span = source.span(offset, offset + 1)
    if offset == 0 and character == "\ufeff":
        message = f"the file starts with a byte order mark ({code})"
        return diagnose("invisible-character", span, message, advice="save the file as UTF-8 without a byte order mark")
    message = f"an invisible character, {name} ({code}), stands here"
    return diagnose(
        "invisible-character",
        span,
        message,
        advice="delete it: text that looks different from what it says must not decide about access; in a string, write it as "
        f"`\\u{{{ord(character):x}}}`",
    )


def _screen_markers(source: SourceFile, text: str) -> tuple[str, list[Diagnostic]]:
    """Report conflicts, and keep the first side of each: it was a whole once, so it is likely to parse."""
    found: list[Diagnostic] = []
    pieces: list[str] = []
    done = 0
    conflict: list[re.Match[str]] = []
    for match in _MARKER.finditer(text):
        if match[1] == "=" * 7 and not conflict:
            continue  # alone, it is a syntax error like any other
        if match[1] == "<" * 7 and conflict:
            found.append(_conflict(source, conflict))
            conflict = []
        conflict.append(match)
        first_of_side = len(conflict) == 2 or match[1] == "<" * 7
        start = match.start() if first_of_side else conflict[1].start() if len(conflict) > 1 else match.start()
        start = max(start, done)
        pieces += (text[done:start], _NOT_LINE_END.sub(" ", text[start : match.end()]))
        done = match.end()
        if match[1] == ">" * 7:
            found.append(_conflict(source, conflict))
            conflict = []
    if conflict:
        found.append(_conflict(source, conflict))
    return "".join((*pieces, text[done:])), found


def _conflict(source: SourceFile, markers: list[re.Match[str]]) -> Diagnostic:
    first, *others = markers
    return diagnose(
        "merge-marker",
        source.span(*first.span()),
        "a merge conflict was left in the file",
        labels=tuple(Label(span=source.span(*marker.span()), text="part of the same conflict") for marker in others),
        advice="keep the side that is right, or both, and delete the marker lines",
    )
