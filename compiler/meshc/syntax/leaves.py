"""Terminals to leaves of the syntax tree: names, references and literals."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from meshc import ast
from meshc.source import Span

Problem = tuple[int, int, str, str]
"""What is wrong inside a literal: start and end offset in the file, message, help."""

Leaf = Callable[[str, Span, list[Problem]], object]

_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u\{[^}\"]*\}?|.)", re.DOTALL)
_UNICODE: Final = "\\u"
_ADVICE: Final = r"write `\"`, `\\`, `\n`, `\t` or `\u{2026}`; a lone backslash is `\\`"
_PLAIN_ESCAPES: Final[Mapping[str, str]] = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t"}


def _name(text: str, span: Span, _problems: list[Problem]) -> ast.Name:
    return ast.Name(text=text, span=span)


def _quantity(text: str, span: Span, _problems: list[Problem]) -> ast.Quantity:
    return ast.Quantity(text=text, span=span)


def _path(text: str, span: Span, _problems: list[Problem]) -> ast.Path:
    return ast.Path(text=text, span=span)


def _rpc(text: str, span: Span, _problems: list[Problem]) -> ast.String:
    return ast.String(value=text, span=span)


def _regex(text: str, span: Span, _problems: list[Problem]) -> ast.Regex:
    r"""`re"…"`: backslashes belong to the pattern, but `\"` is a quote."""
    return ast.Regex(pattern=_unquoted(text[3:-1]) if '\\"' in text else text[3:-1], span=span)


def _unquoted(pattern: str) -> str:
    return re.sub(r'\\(["\\])', lambda found: '"' if found[1] == '"' else found[0], pattern)


def _variable(text: str, span: Span, _problems: list[Problem]) -> ast.Var:
    scope, _, name = text[1:].rpartition(".")
    return ast.Var(name=name, scope=scope or None, span=span)


def _reference(text: str, span: Span, _problems: list[Problem]) -> ast.Ref:
    rest, _, version = text.partition("@")
    rest, _, port = rest.partition(":")
    scope, _, name = rest.rpartition(".")
    return ast.Ref(name=name, scope=scope or None, port=port or None, version=version or None, span=span)


def _string(text: str, span: Span, problems: list[Problem]) -> ast.String:
    if "\\" not in text:
        return ast.String(value=text[1:-1], span=span)
    return ast.String(value=_unescaped(text, span, problems), span=span)


def _unescaped(text: str, span: Span, problems: list[Problem]) -> str:
    def replace(found: re.Match[str]) -> str:
        escape = found[0]
        plain = _PLAIN_ESCAPES.get(escape)
        if plain is not None:
            return plain
        start = span.start + 1 + found.start()
        if found[1] is not None and (code := int(found[1], 16)) <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
        message = f"`{escape}` is no {'character' if escape.startswith(_UNICODE) else 'escape'}"
        problems.append((start, start + len(escape), message, _ADVICE))
        return escape

    return _ESCAPE.sub(replace, text[1:-1])


LEAVES: Final[Mapping[str, Leaf]] = {
    "NAME": _name,
    "METHOD": _name,
    "QUANTITY": _quantity,
    "ADDRESS": _quantity,
    "PATH": _path,
    "RPC": _rpc,
    "REGEX": _regex,
    "VAR": _variable,
    "QNAME": _reference,
    "PORT_REF": _reference,
    "VERSION_REF": _reference,
    "STRING": _string,
}
"""What each terminal with a pattern becomes; fixed words and punctuation stay their own text."""
