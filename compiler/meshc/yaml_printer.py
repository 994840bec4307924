"""Print plain data as YAML: one layout, block style, every string read back as the very same string.

Mappings keep the order in which they were built, which emitters choose to read well and build the same way every time;
so equal data built equally gives equal bytes. A string stands plain only where no YAML 1.1 or 1.2 reader could take it for
anything else, else in single quotes, else, with characters that YAML cannot hold raw, in double quotes with escapes.
Source: YAML 1.2.2, sections 5.1 (printable characters), 5.7 (escapes), 7.3.3 (plain scalars); PyYAML's resolver.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from meshc.target import Json

_PLAIN: Final = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./+@-]|:(?=[A-Za-z0-9_./+@-]))*")
_WORDS: Final = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)
_RAW: Final = re.compile("[\x20-\x7e]*")
_ESCAPED: Final = re.compile(
    r"[^\x20\x21\x23-\x5b\x5d-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_SHORT: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", '"': '\\"', "\\": "\\\\"}
_LONGEST_SIMPLE_KEY: Final = 1000
"""YAML 1.2.2, 7.4.2: an implicit key has at most 1024 characters, its quotes and escapes included."""


def print_yaml(value: Json) -> str:
    """One document, ending in a line feed."""
    lines: list[str] = []
    if isinstance(value, str) or not value or not isinstance(value, Mapping | Sequence):
        lines.append(_leaf(value))
    elif isinstance(value, Mapping):
        _print_mapping(value, "", lines)
    else:
        _print_sequence(value, "", lines)
    lines.append("")
    return "\n".join(lines)


def print_documents(values: Iterable[Json]) -> str:
    """A stream of documents, each after the first opened by `---`."""
    return "---\n".join(map(print_yaml, values))


# In both loops the questions are asked in the order of how often the answer is yes, and of exact classes before abstract
# ones, which cost ten times as much: that makes the printer fast.


def _print_mapping(value: Mapping[str, Json], pad: str, lines: list[str]) -> None:
    deeper = pad + "  "
    for key, item in value.items():
        if type(item) is str:
            lines.append(f"{pad}{_key(key, pad)} {_text(item)}")
        elif not item:
            lines.append(f"{pad}{_key(key, pad)} {_leaf(item)}")
        elif type(item) is dict or isinstance(item, Mapping):
            lines.append(pad + _key(key, pad))
            _print_mapping(item, deeper, lines)
        elif type(item) is list or (isinstance(item, Sequence) and not isinstance(item, str)):
            lines.append(pad + _key(key, pad))
            _print_sequence(item, pad, lines)
        else:
            lines.append(f"{pad}{_key(key, pad)} {_leaf(item)}")


def _print_sequence(value: Sequence[Json], pad: str, lines: list[str]) -> None:
    deeper = pad + "  "
    for item in value:
        first = len(lines)
        if type(item) is str or not item:
            lines.append(f"{pad}- {_leaf(item)}")
        elif type(item) is dict or isinstance(item, Mapping):
            _print_mapping(item, deeper, lines)
            lines[first] = f"{pad}- {lines[first][len(deeper) :]}"
        elif isinstance(item, Sequence) and not isinstance(item, str):
            _print_sequence(item, deeper, lines)
            lines[first] = f"{pad}- {lines[first][len(deeper) :]}"
        else:
            lines.append(f"{pad}- {_leaf(item)}")


def _leaf(value: Json) -> str:
    """Whatever has no lines of its own: a scalar, or an empty collection."""
    match value:
        case str():
            return _text(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case Mapping():
            return "{}"
        case _:
            return "[]"


def _number(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 readers take an exponent for a number only after a decimal point.
    return text if "." in text else text.replace("e", ".0e")


@lru_cache(maxsize=65536)
def _key(key: str, pad: str) -> str:
    """The key and its colon; a long one is spelled out on a line of its own."""
    text = _text(key)
    return f"{text}:" if len(text) <= _LONGEST_SIMPLE_KEY else f"? {text}\n{pad}:"


@lru_cache(maxsize=65536)
def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text):
        return text
    if _RAW.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
