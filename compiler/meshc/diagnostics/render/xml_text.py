"""Text for XML: characters that it cannot hold are made visible. Source: XML 1.0, section 2.2."""

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from meshc.diagnostics.render.cells import visible

_NOT_CHARACTERS: Final = {0xFFFE: "�", 0xFFFF: "�"}


def attribute(text: str) -> str:
    """An attribute's value, quoted."""
    return quoteattr(_plain(text))


def element_text(text: str) -> str:
    """What stands inside of an element."""
    return escape(_plain(text))


def _plain(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n")).translate(_NOT_CHARACTERS)
