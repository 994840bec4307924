"""The one layout of `.mesh` files: statements and blocks to lines of text.

Two spaces a block and one statement a line. A block that was written on one line stays there if it fits, and outside of all blocks if it
holds one statement only. A statement that does not fit is broken before its clauses, then after commas and before `and` and `or`, with four
more spaces; a break that the author made before a clause stays. Single empty lines stay; declarations of several lines are parted by one.
"""

from collections.abc import Iterable
from typing import Final

from meshc.syntax.tokens import Block, Piece, Statement

WIDTH: Final = 100
"""Columns of a line that the layout tries to keep to."""

_INDENT: Final = 2
_HANG: Final = 4
_CLAUSE_HANG: Final = 2
_CLAUSES: Final = frozenset(
    ("from", "to", "when", "except", "because", "until", "by", "->", "with", "uses", "per", "for")
)
_TIGHT_AFTER: Final = frozenset(("(", "|", ".."))
_TIGHT_BEFORE: Final = frozenset((")", ",", "|", "..", ":"))
_NAMES: Final = frozenset(("NAME", "QNAME"))


def lay_out(statements: list[Statement], end: Piece) -> str:
    """The text of a whole file."""
    lines = _lines(statements, end, 0)
    return "\n".join(lines) + "\n" if lines else ""


def _lines(statements: list[Statement], closing: Piece, indent: int) -> list[str]:
    """The lines of a block's inside; `closing` is the token after it."""
    lines: list[str] = []
    was_long = False
    for statement in statements:
        first = statement.head[0]
        group = _comment_lines(lines, first.above, indent)
        group = len(lines) if first.lines > 1 or not first.above else group
        if first.lines > 1 and lines and lines[-1]:
            lines.append("")
            group = len(lines)
        own = _statement(statement, indent)
        is_long = len(own) > 1
        if indent == 0 and group and lines[group - 1] and (is_long or was_long):
            lines.insert(group, "")
        was_long = is_long
        lines += own
    _comment_lines(lines, closing.above, indent)
    return lines


def _comment_lines(lines: list[str], comments: Iterable[tuple[str, int]], indent: int) -> int:
    """Add comments that have lines of their own; the index of the first that no empty line parts from what follows."""
    group = len(lines)
    for text, line_ends in comments:
        if line_ends > 1 and lines and lines[-1]:
            lines.append("")
            group = len(lines)
        lines.append(" " * indent + text)
    return group


def _statement(statement: Statement, indent: int) -> list[str]:
    block = statement.block
    if block is None:
        return _head(statement.head, indent, 0)
    lines = _head(statement.head, indent, 2)
    if block.opening.above or statement.head[-1].beside:
        lines += (" " * (indent + _HANG) + text for text, _ in block.opening.above)
        lines.append(" " * indent + "{")
    else:
        lines[-1] += " {"
    flat = _flat_block(block, is_outermost=indent == 0)
    if flat is not None and len(lines[-1]) + len(flat) <= WIDTH:
        lines[-1] += flat
    else:
        lines[-1] = _beside(lines[-1], block.opening)
        lines += _lines(block.statements, block.closing, indent + _INDENT)
        lines.append(" " * indent + "}")
    lines[-1] = _beside(lines[-1], block.closing)
    return lines


def _beside(line: str, piece: Piece) -> str:
    return f"{line}  {piece.beside}" if piece.beside else line


def _flat_block(block: Block, *, is_outermost: bool) -> str | None:
    """What follows `{` if the block stays on one line, or None if it may not."""
    if not block.statements:
        return None if block.was_open and (block.opening.beside or block.closing.above) else "}"
    if block.was_open or (is_outermost and len(block.statements) > 1):
        return None
    return f" {' '.join(_flat(statement) for statement in block.statements)} }}"


def _flat(statement: Statement) -> str:
    head = _joined(statement.head)
    if statement.block is None:
        return head
    inside = " ".join(_flat(inner) for inner in statement.block.statements)
    return f"{head} {{ {inside} }}" if inside else f"{head} {{}}"


def _head(head: list[Piece], indent: int, suffix: int) -> list[str]:
    """The lines of a statement's own tokens; `suffix` columns stay free at the end."""
    breaks = {i for i, piece in enumerate(head) if i and piece.lines and piece.kind in _CLAUSES}
    breaks |= {i for i, piece in enumerate(head) if i and (piece.above or head[i - 1].beside)}
    if not _fits(head, breaks, indent, suffix):
        breaks |= {i for i, piece in enumerate(head) if i and piece.kind in _CLAUSES}
    if not _fits(head, breaks, indent, suffix):
        breaks = _filled(head, breaks, indent, suffix)
    lines: list[str] = []
    for first, last in _ranges(head, breaks):
        margin = " " * (indent + _hang(head, first))
        if first:
            lines += (margin + text for text, _ in head[first].above)
        lines.append(_beside(margin + _joined(head[first:last]), head[last - 1]))
    return lines


def _hang(head: list[Piece], first: int) -> int:
    """How far a line that starts with a token of a statement hangs in: a clause less than what goes on within one."""
    if first == 0:
        return 0
    return _CLAUSE_HANG if head[first].kind in _CLAUSES else _HANG


def _ranges(head: list[Piece], breaks: set[int]) -> Iterable[tuple[int, int]]:
    ends = sorted(breaks)
    return zip([0, *ends], [*ends, len(head)], strict=True)


def _fits(head: list[Piece], breaks: set[int], indent: int, suffix: int) -> bool:
    return all(
        indent + _hang(head, first) + len(_joined(head[first:last])) + (suffix if last == len(head) else 0) <= WIDTH
        for first, last in _ranges(head, breaks)
    )


def _filled(head: list[Piece], breaks: set[int], indent: int, suffix: int) -> set[int]:
    """More breaks, where a line would be too long: at the last comma, `and` or `or` that still fits."""
    filled = set(breaks)
    column, possible = indent, 0
    for i, piece in enumerate(head):
        if i in filled:
            column, possible = indent + _hang(head, i), 0
        elif i and (head[i - 1].kind == "," or piece.kind in ("and", "or")):
            possible = i
        column += len(_gap(head[i - 1], piece) if i and i not in filled else "") + len(piece.text)
        room = (
            WIDTH - (suffix if i == len(head) - 1 else 0) - (1 if i + 1 < len(head) and head[i + 1].kind == "," else 0)
        )
        if column > room and possible:
            filled.add(possible)
            column, possible = indent + _hang(head, possible) + len(_joined(head[possible : i + 1])), 0
    return filled


def _joined(pieces: list[Piece]) -> str:
    parts: list[str] = []
    before: Piece | None = None
    for piece in pieces:
        if before is not None:
            parts.append(_gap(before, piece))
        parts.append(piece.text)
        before = piece
    return "".join(parts)


def _gap(before: Piece, piece: Piece) -> str:
    """What stands between two tokens of a line."""
    if piece.kind in _TIGHT_BEFORE or before.kind in _TIGHT_AFTER:
        return ""
    return "" if piece.kind == "(" and before.kind in _NAMES else " "
