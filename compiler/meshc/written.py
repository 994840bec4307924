"""Written: a piece of a program as its author wrote it, on one line, without its comments."""

import re
from collections.abc import Mapping
from typing import Final

from meshc.source import SourceFile, Span

_PIECE: Final = re.compile(r'(?P<text>"(?:[^"\\\n]|\\[^\n])*")|(?P<gap>(?:\s|#[^\n]*)+)')


def written(span: Span, sources: Mapping[str, SourceFile]) -> str | None:
    """What stands at a place; None where its text is not known, or where it is not of a `.mesh` file."""
    source = sources.get(span.path)
    if source is None or not span.path.endswith(".mesh"):
        return None
    piece = source.text[span.start : span.end]
    return _PIECE.sub(lambda found: found["text"] or " ", piece).strip() or None
