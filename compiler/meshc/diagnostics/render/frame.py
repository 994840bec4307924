"""Source frames: the lines that a diagnostic is about, numbered, with what is meant underlined and labelled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from meshc.diagnostics.render.cells import TAB, character, visible
from meshc.diagnostics.render.style import Role, Style
from meshc.source import SourceFile, Span

_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A range of one line: characters `[start, end)` counted from 0, where `end` may lie one past the line's end.

    `is_open` marks the first line of a span that goes on below. The role says whether it is the cause or evidence.
    """

    line: int
    start: int
    end: int
    role: Role
    text: str
    is_open: bool = False

    @property
    def is_primary(self) -> bool:
        """Whether this is the cause."""
        return self.role is not Role.PLACE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A mark in terminal cells `[start, end)` of the line as it is shown."""

    start: int
    end: int
    mark: Mark


Cell = tuple[str, Role]


def marks_of(span: Span, text: str, role: Role, source: SourceFile) -> tuple[Mark, ...]:
    """The marks of a span: one, or for a span of several lines one on the first and one on the last of them."""
    start = min(max(span.start, 0), len(source.text))
    end = min(max(span.end, start), len(source.text))
    line, column = source.position(start)
    length = len(source.line_text(line))
    last_line, last_column = source.position(max(end - 1, start))
    if last_line == line:
        stop = column - 1 + max(end - start, 1)
        return (Mark(line=line, start=column - 1, end=max(column, min(stop, length)), role=role, text=text),)
    last = source.line_text(last_line)
    indent = len(last) - len(last.lstrip())
    first = Mark(line=line, start=column - 1, end=max(column, length), role=role, text=text, is_open=True)
    return first, Mark(line=last_line, start=min(indent, last_column - 1), end=last_column, role=role, text="")


def frame(source: SourceFile, marks: Sequence[Mark], digits: int, style: Style) -> Iterator[str]:
    """The marked lines in order behind a gutter for line numbers of so many digits; a left-out part is shown as `...`."""
    yield f"{' ' * digits} {style.paint(Role.PLACE, '|')}"
    before: int | None = None
    for line, on_line in groupby(sorted(marks, key=lambda mark: (mark.line, mark.start)), key=lambda mark: mark.line):
        if before is not None and line == before + 2:
            yield from _excerpt(source.line_text(before + 1), before + 1, (), digits, style)
        elif before is not None and line > before + 2:
            yield style.paint(Role.PLACE, "...")
        text = source.line_text(line)
        for cluster in _clusters(text, tuple(on_line), style.width):
            yield from _excerpt(text, line, cluster, digits, style)
        before = line


def _clusters(text: str, marks: Sequence[Mark], width: int) -> Iterator[tuple[Mark, ...]]:
    """The marks of a line in groups that one cut of it can show; all of them together where no cut is needed."""
    if len(text) <= width:
        yield tuple(marks)
        return
    cluster: list[Mark] = []
    for mark in marks:
        if cluster and mark.start - cluster[0].start > width // 4:
            yield tuple(cluster)
            cluster = []
        cluster.append(mark)
    yield tuple(cluster)


def _excerpt(text: str, line: int, marks: Sequence[Mark], digits: int, style: Style) -> Iterator[str]:
    bar = style.paint(Role.PLACE, "|")
    shown, placed = _cut(text, marks, style.width)
    yield f"{style.paint(Role.PLACE, f'{line:>{digits}}')} {bar} {shown}".rstrip()
    for row in _rows(placed, style):
        yield f"{' ' * digits} {bar} {row}"


def _cut(text: str, marks: Sequence[Mark], width: int) -> tuple[str, tuple[_Placed, ...]]:
    """The line as it is shown, at most `width` cells and an ellipsis on either side, and where the marks are in it."""
    first = _window_start(text, marks[0].start if marks else 0, width)
    shown = [_ELLIPSIS] if first else []
    column = len(shown)
    starts: dict[int, int] = {}
    index = first
    while index < len(text):
        piece, cells = character(text[index], column)
        if column + cells > width and not (index == len(text) - 1 and column + cells <= width + 1):
            break
        starts[index] = column
        shown.append(piece)
        column += cells
        index += 1
    end = column
    if index < len(text):
        shown.append(_ELLIPSIS)
    return "".join(shown), tuple(_place(mark, starts, end) for mark in marks)


def _window_start(text: str, start: int, width: int) -> int:
    """The first character to show: the line's first where all of it fits, else a little before what is marked."""
    if len(text) <= width and sum(_most_cells(char) for char in text) <= width:
        return 0
    room = width // 3
    index = min(start, len(text))
    while index and (room := room - _most_cells(text[index - 1])) > 0:
        index -= 1
    return 0 if index <= 1 else index


def _most_cells(char: str) -> int:
    return TAB if char == "\t" else character(char, 0)[1]


def _place(mark: Mark, starts: dict[int, int], end: int) -> _Placed:
    left = starts.get(mark.start, end)
    return _Placed(start=left, end=max(left + 1, starts.get(mark.end, end)), mark=mark)


def _rows(placed: Sequence[_Placed], style: Style) -> Iterator[str]:
    """The underlines, then the labels: that of the rightmost mark beside it, the others below, from right to left."""
    if not placed:
        return
    beside = max(placed, key=lambda item: (item.start, item.mark.is_primary))
    can_stand = all(item.end <= beside.end or item is beside for item in placed)
    waiting = [item for item in placed if item.mark.text and not (item is beside and can_stand)]
    waiting.sort(key=lambda item: item.start)
    yield _paint(_underlines(placed), style) + (_label(beside.mark, style, " ") if can_stand else "")
    if waiting:
        yield _paint(_pointers(waiting), style)
    while waiting:
        item = waiting.pop()
        left = _pointers([other for other in waiting if other.start < item.start])
        padding: list[Cell] = [(" ", Role.PLAIN)] * (item.start - len(left))
        yield _paint([*left, *padding], style) + _label(item.mark, style, "")


def _label(mark: Mark, style: Style, lead: str) -> str:
    return f"{lead}{style.paint(mark.role, visible(mark.text))}" if mark.text else ""


def _underlines(placed: Sequence[_Placed]) -> list[Cell]:
    cells: list[Cell] = [(" ", Role.PLAIN)] * max(item.end for item in placed)
    for item in sorted(placed, key=lambda item: item.mark.is_primary):
        sign = "^" if item.mark.is_primary else "-"
        cells[item.start : item.end] = [(sign, item.mark.role)] * (item.end - item.start)
    last = max(placed, key=lambda item: item.end)
    return [*cells, (_ELLIPSIS, last.mark.role)] if last.mark.is_open else cells


def _pointers(placed: Sequence[_Placed]) -> list[Cell]:
    cells: list[Cell] = [(" ", Role.PLAIN)] * max((item.start + 1 for item in placed), default=0)
    for item in sorted(placed, key=lambda item: item.mark.is_primary):
        cells[item.start] = ("|", item.mark.role)
    return cells


def _paint(cells: Sequence[Cell], style: Style) -> str:
    runs = groupby(cells, key=lambda cell: cell[1])
    return "".join(style.paint(role, "".join(sign for sign, _ in run)) for role, run in runs)
