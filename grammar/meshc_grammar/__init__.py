"""The grammar of `.mesh` files, and the parse tables that lark derives from it.

`mesh.lark` is the one definition of the syntax. `load` gives lark's own parser for it; `tables` gives the same LALR tables as
plain data, from a cache where there is one, so that a compiler's start imports no parser generator.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshc_grammar.cache import read_tables, write_tables
from meshc_grammar.tables import RuleShape, Tables

if TYPE_CHECKING:
    from lark import Lark, Transformer

__all__ = ["RuleShape", "Tables", "grammar_text", "load", "tables"]

_GRAMMAR: Final = Path(__file__).with_name("mesh.lark")


def grammar_text() -> str:
    """The text of `mesh.lark`."""
    return _GRAMMAR.read_text(encoding="utf-8")


def load(*, strict: bool = False, transformer: "Transformer[object, object] | None" = None) -> "Lark":
    """The parser that lark makes of the grammar; its callbacks, or those of `transformer`, receive every token of their rule.

    With `strict`, which needs the package `interegular`, any conflict of the grammar or of two tokens raises an error of lark.
    """
    from meshc_grammar.generate import build  # noqa: PLC0415 - importing lark takes longer than a parse

    return build(grammar_text(), strict=strict, transformer=transformer)


def tables() -> Tables:
    """The parse tables: from the user's cache, else built anew (about half a second) and written to it if that can be done."""
    text = grammar_text()
    cached = read_tables(text)
    if cached is not None:
        return cached
    from meshc_grammar.generate import tables_from_lark  # noqa: PLC0415 - only without a cache

    built = tables_from_lark(load())
    write_tables(text, built)
    return built
