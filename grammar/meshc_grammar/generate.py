"""Have lark derive the parse tables, and take them over as plain data.

This is the only module that imports lark. It reads lark's table of states, which has no public name: the version of lark is
bounded in the project file, and the tests compare a parse by these tables with lark's own.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lark import Lark, Token
from lark.lexer import PatternStr
from lark.parsers.lalr_analysis import Shift

from meshc_grammar.tables import RuleShape, Tables

if TYPE_CHECKING:
    from lark import Transformer
    from lark.grammar import Rule
    from lark.lexer import TerminalDef


class _WholeWords:
    """Makes lark's lexer accept a whole NAME in every state, so that no keyword is cut off a longer word."""

    always_accept = ("NAME",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


def build(grammar: str, *, strict: bool, transformer: "Transformer[object, object] | None") -> Lark:
    """The parser that lark makes of a grammar. Raises lark's own errors if the grammar is wrong or, with `strict`, has a conflict."""
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        strict=strict,
        keep_all_tokens=True,
        maybe_placeholders=True,
        postlex=_WholeWords(),
        transformer=transformer,
    )


def tables_from_lark(parser: Lark) -> Tables:
    """The tables of a parser that `build` made."""
    table = parser.parser.parser._parse_table
    names = {terminal.name: _kind(terminal) for terminal in parser.terminals}
    names["$END"] = "$END"
    rules = {rule: number for number, rule in enumerate(parser.rules)}
    numbers = {state: number for number, state in enumerate(table.states)}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for row in table.states.values():
        actions.append({})
        gotos.append({})
        for symbol, (action, argument) in row.items():
            target = numbers[argument] if action is Shift else ~rules[argument]
            (actions if symbol in names else gotos)[-1][names.get(symbol, str(symbol))] = target
    ordered = _by_preference(parser)
    return Tables(
        patterns=tuple((t.name, t.pattern.to_regexp()) for t in ordered if not isinstance(t.pattern, PatternStr)),
        punctuation=tuple(kind for kind in map(_kind, ordered) if not (kind[0].isalpha() or kind.startswith("_"))),
        actions=tuple(actions),
        gotos=tuple(gotos),
        rules=tuple(_shape(rule) for rule in parser.rules),
        start=numbers[table.start_states["start"]],
        accept=numbers[table.end_states["start"]],
    )


def _kind(terminal: "TerminalDef") -> str:
    return terminal.pattern.value if isinstance(terminal.pattern, PatternStr) else terminal.name


def _by_preference(parser: Lark) -> "list[TerminalDef]":
    """The order in which lark's lexer tries terminals."""
    kept: Iterable[TerminalDef] = (t for t in parser.terminals if t.name not in parser.ignore_tokens)
    return sorted(kept, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))


def _shape(rule: "Rule") -> RuleShape:
    """How lark arranges the children of a rule: see `lark.parse_tree_builder.maybe_create_child_filter`."""
    size = len(rule.expansion)
    absent = rule.options.empty_indices or (False,) * size
    children: list[int | None] = []
    position = 0
    for is_absent in absent:
        if is_absent:
            children.append(None)
            continue
        symbol = rule.expansion[position]
        children.append(~position if not symbol.is_term and symbol.name.startswith("_") else position)
        position += 1
    name = rule.alias or rule.origin.name
    if rule.options.expand1 and not rule.alias and len(children) == 1:
        name = ""
    plain = children == list(range(size))
    return RuleShape(
        origin=str(rule.origin.name), name=str(name), size=size, children=None if plain else tuple(children)
    )
