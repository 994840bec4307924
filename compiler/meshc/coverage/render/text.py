"""Coverage as text: counts for each service, then what no test exercises, the first so many places unless all are asked for."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from meshc.coverage.model import Coverage, Entry, Kind, count, percent
from meshc.coverage.suggest import Suggestions
from meshc.coverage.wording import describe, headline, percent_text
from meshc.diagnostics.render.cells import visible

LIMIT: Final = 20
"""How many services, and how many places, are listed unless all are asked for."""

_TOLD: Final = 4
"""How many things are named of one place unless all are asked for."""

_WIDE: Final = 100


def render_text(coverage: Coverage, *, everything: bool = False) -> str:
    """The report, without a line end. With `everything` nothing is left out."""
    limit = None if everything else LIMIT
    lines = [headline(coverage), *_services(coverage, limit)]
    if coverage.missing:
        lines += ["", "never exercised:", *_missing(coverage.missing, limit)]
    if coverage.dead:
        lines += ["", "decides nothing, whatever is asked, and does not count:"]
        lines += _cut([f"  {one.item.span}: {_short(one.item.text)}" for one in coverage.dead], limit, "places")
    if coverage.untestable:
        lines += [
            "",
            "no test can show, and does not count:",
            *_cut(list(untestable(coverage.untestable)), limit, "places"),
        ]
    for one in coverage.undecided:
        where = f" in environment `{one.environment}`" if one.environment else ""
        lines.append(f"not decided{where}: {one.port[0]}.{one.port[1]}:{one.port[2]}: {one.reason}")
    return "\n".join(map(visible, lines))


def render_suggestions(suggestions: Suggestions) -> str:
    """The tests as `.mesh` text; what no test can show follows in comments."""
    told = [f"#{line[1:]}" for line in map(visible, untestable(suggestions.untestable))]
    comments = ["# No test can show:", *told] if told else []
    parts = (suggestions.text.rstrip("\n"), "\n".join(comments))
    return "\n\n".join(part for part in parts if part)


def untestable(entries: Sequence[Entry]) -> Iterator[str]:
    """A line for each point that requests show, and no test can."""
    for one in entries:
        for edge in one.untestable:
            yield f"  {one.item.span}: {describe(one.item, (edge,))}: {one.reasons[edge]}"


def _services(coverage: Coverage, limit: int | None) -> Iterator[str]:
    """A row for each service, those with the least coverage first."""
    found = sorted(coverage.by_subject().items(), key=lambda one: percent(one[1]))
    rows = [("", "", *(f"{kind.value}s" for kind in Kind))]
    for name, entries in found[:limit]:
        counts = [count(entries, kind) for kind in Kind]
        cells = (f"{one.exercised}/{one.total}" if one.total else "-" for one in counts)
        rows.append((name, percent_text(percent(entries)), *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if found:
        for first, *rest in rows:
            cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
            yield "  ".join(("", first.ljust(widths[0]), *cells)).rstrip()
    if limit is not None and len(found) > limit:
        yield f"  … and {len(found) - limit} more; -v lists them"


def _missing(entries: Sequence[Entry], limit: int | None) -> list[str]:
    """Two lines for each place: what stands there, and what of it is missing."""
    blocks = []
    for place, found in groupby(entries, key=lambda one: str(one.item.span)):
        mine = list(found)
        told = list(dict.fromkeys(describe(one.item, one.unshown) for one in mine))
        rule = next((one.item.rule or one.item.text for one in mine if one.item.kind in {Kind.CLAUSE, Kind.RULE}), "")
        shown = told if limit is None else told[:_TOLD]
        more = f"; and {len(told) - len(shown)} more" if len(shown) < len(told) else ""
        blocks.append(f"  {place}: {_short(rule)}".rstrip(": ") + f"\n      {'; '.join(shown)}{more}")
    return [line for block in _cut(blocks, limit, "places") for line in block.split("\n")]


def _cut(lines: list[str], limit: int | None, what: str) -> list[str]:
    if limit is None or len(lines) <= limit:
        return lines
    return [*lines[:limit], f"  … and {len(lines) - limit} more {what}; -v lists them, and --suggest writes tests"]


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
