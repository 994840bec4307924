"""The text of a compiled file: what heads it, and its documents. Whoever names a line of one counts in this text."""

from typing import Final

from meshc.target import Document
from meshc.yaml_printer import print_documents

_HEADER: Final = "# Compiled by meshc. Edits are lost: change the program instead.\n"


def compiled_text(document: Document) -> str:
    """A document as `meshc compile` writes it."""
    note = "".join(f"# {line}\n" for line in document.note.splitlines())
    return _HEADER + note + print_documents(document.resources)
