"""Read a whole text, whatever its mistakes: report each, mend or skip it, and go on.

A slip that is understood is mended, and reading goes on in the middle of the statement. Of any other, the statement is left out, and
reading goes on with the next one of the same block; a statement is found by line starts, braces and the words that may start one. Each
stop moves on in the text, so the time is linear in its length.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import SourceFile
from meshc.syntax import explain
from meshc.syntax.comments import Comment
from meshc.syntax.machine import Machine
from meshc.syntax.mend import Mend, Place
from meshc.syntax.run import END, MAX_NESTING, Run, Token
from meshc.syntax.skip import indent, is_first_on_line, skip_statement
from meshc.syntax.slips import SLIPS

MAX_ERRORS: Final = 100
"""After so many syntax errors the rest of a file is not read."""
_MAX_STOPS: Final = 10 * MAX_ERRORS
"""Stops that are not worth a message of their own count too, so that no text takes long."""


@dataclass(slots=True)
class Reading:
    """What reading a text gave; errors are collected on the way."""

    source: SourceFile
    run: Run
    diagnostics: list[Diagnostic] = field(default_factory=list)
    invented: list[int] = field(default_factory=list)
    mended_statement: int = -1
    last_stop: int = -1

    def error(
        self, name: str, start: int, end: int, message: str, *, advice: str = "", labels: tuple[Label, ...] = ()
    ) -> None:
        """Report an error at a range of offsets."""
        span = self.source.span(start, max(end, start))
        self.diagnostics.append(diagnose(name, span, message, advice=advice, labels=labels))


def read(
    machine: Machine, source: SourceFile, text: str
) -> tuple[tuple[ast.Declaration, ...], tuple[Comment, ...], list[Diagnostic]]:
    """The declarations of `text`, which is that of `source` with some characters blanked out, its comments, and its syntax errors."""
    run = Run(machine, source.path, text)
    reading = Reading(source, run)
    declarations: tuple[Any, ...] = ()
    stops = 0
    while (stop := run.run()) is not None:
        stops += 1
        if len(reading.diagnostics) >= MAX_ERRORS or stops > _MAX_STOPS:
            reading.error(
                "syntax-error",
                stop.start,
                stop.end,
                f"more than {MAX_ERRORS} syntax errors: the rest of the file is not read",
            )
            declarations = tuple(run.values[0]) if run.values and type(run.values[0]) is list else ()
            break
        _handle(reading, stop)
    else:
        declarations = run.values[0]
    for start, end, message, advice in run.problems[:MAX_ERRORS]:
        reading.error("syntax-error", start, end, message, advice=advice)
    kept = tuple(
        d for d in declarations if not any(d.span.start <= offset <= d.span.end for offset in reading.invented)
    )
    _check_reserved(reading, kept)
    return kept, tuple(run.comments), reading.diagnostics


def _handle(reading: Reading, stop: Token) -> None:
    """Report a stop, and bring the run to where it can go on."""
    run = reading.run
    if run.is_too_deep:
        run.is_too_deep = False
        message = f"conditions and blocks are nested deeper than {MAX_NESTING} levels here"
        reading.error(
            "nesting-too-deep",
            stop.start,
            stop.end,
            message,
            advice="split the rule: several rules of one block are joined by `or`",
        )
        skip_statement(run, stop)
        return
    expected = run.expected()
    is_repeated = stop.start <= reading.last_stop
    if not is_repeated and (_swallowed(reading) or _close_blocks(reading, stop) or _stray_brace(reading, stop)):
        reading.last_stop = stop.start
        return
    place = Place(run=run, token=stop, expected=expected, word=explain.raw(run, stop))
    mend = None if is_repeated else next((found for slip in SLIPS if (found := slip(place)) is not None), None)
    if mend is not None:
        reading.last_stop = max(stop.start, mend.resume - 1)
        _apply(reading, mend)
        return
    statement = _statement_start(run, stop)
    if not is_repeated and statement != reading.mended_statement:
        _report(reading, place)
    reading.last_stop = stop.start
    skip_statement(run, stop)


def _apply(reading: Reading, mend: Mend) -> None:
    run = reading.run
    reading.error("syntax-error", mend.start, mend.end, mend.message, advice=mend.help)
    if mend.is_invented:
        reading.invented.append(mend.start)
    reading.mended_statement = _statement_start(run, Token(kind="", text="", start=mend.start, end=mend.end))
    run.pending = list(mend.tokens)
    run.seek(mend.resume)


def _statement_start(run: Run, stop: Token) -> int:
    """Where the unfinished statement starts."""
    _, size = run.frame()
    return run.places[size][0] if size < len(run.places) else stop.start


def _report(reading: Reading, place: Place) -> None:
    """The general message: what was expected, and what was found."""
    run, stop = reading.run, place.token
    run_is_complete = is_first_on_line(run.text, stop.start) and run.finish_statement()
    expected = run.expected() if run_is_complete else place.expected
    brace, size = run.frame()
    block = explain.opener(run, brace)
    home = explain.HOMES.get(stop.text)
    if len(run.values) == size and home is not None and stop.text not in expected and block != "option":
        where = f"in {_article(block)} `{block}` block" if block else "outside of a block"
        message = f"`{stop.text}` does not belong {where}"
        reading.error("syntax-error", stop.start, stop.end, message, advice=f"it stands in {home} block")
        return
    if len(run.values) == size and stop.text in explain.DECLARATIONS and brace >= 0:
        message = f"`{stop.text}` does not belong in {_article(block)} `{block}` block"
        reading.error("syntax-error", stop.start, stop.end, message, advice="close the block with `}` before it")
        return
    message = f"expected {explain.expectation(run, expected)}, found {explain.shown(place.word)}"
    reading.error("syntax-error", stop.start, place.end, message, advice=_advice(place, expected, block))


def _advice(place: Place, expected: frozenset[str], block: str) -> str:
    """How to mend what no slip explains, if anything can be said."""
    run, word = place.run, place.token.text
    _, size = run.frame()
    if len(run.values) == size:
        meant = explain.near(word, explain.HOMES) if place.token.kind == "NAME" and block != "option" else None
        return f"did you mean `{meant}`? it stands in {explain.HOMES[meant]} block" if meant else ""
    first = "limit" if block == "rate-limit" else run.values[size]
    order = explain.ORDERS.get(first, ()) if type(first) is str else ()
    if word in order:
        return f"its parts come in this order: {', '.join(f'`{part}`' for part in order)}"
    is_text_due = expected >= {"STRING", "QUANTITY"} and run.values[-1] not in explain.VALUES
    if is_text_due and place.token.kind == "NAME" and place.is_on_line_of_last():
        return f'a string stands in quotes: `"{place.word}"`'
    return ""


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def _swallowed(reading: Reading) -> bool:
    """A declaration's first word that was taken for a name, because the line before ends where a name is due."""
    run = reading.run
    last = run.values[-1] if run.values else None
    if not (
        isinstance(last, ast.Name) and last.text in explain.DECLARATIONS and is_first_on_line(run.text, last.span.start)
    ):
        return False
    run.truncate(len(run.values) - 1)
    message = f"expected {explain.expectation(run, run.expected())}, found `{last.text}`"
    reading.error("syntax-error", last.span.start, last.span.end, message)
    skip_statement(run, Token(kind="NAME", text=last.text, start=last.span.start, end=last.span.end))
    return True


def _close_blocks(reading: Reading, stop: Token) -> bool:
    """Blocks that were not closed before a declaration starts, or before the file ends: report them, and close them."""
    run = reading.run
    is_end = stop.kind == END
    if not is_end and not (stop.text.isidentifier() or "-" in stop.text):
        return False
    if not is_end and not is_first_on_line(run.text, stop.start):
        return False
    column = -1 if is_end else indent(run.text, stop.start)
    open_braces = (
        place[0] for place, value in zip(run.places, run.values, strict=True) if type(value) is str and value == "{"
    )
    unclosed = [start for start in open_braces if indent(run.text, start) >= column]
    if not unclosed or not (is_end or stop.text in explain.DECLARATIONS or _belongs_outside(run, stop, len(unclosed))):
        return False
    if not run.finish_statement():
        run.truncate(run.frame()[1])
    span = reading.source.span
    where = "before the end of the file" if is_end else f"before `{stop.text}` in line {run.line}"
    written = [
        start for start in unclosed if run.text.startswith("{", start)
    ]  # others were put in, and reported, before
    if written:
        reading.error(
            "unclosed-block",
            written[-1],
            written[-1] + 1,
            f"this block is not closed {where}",
            advice="close it with `}`",
            labels=(
                *(Label(span=span(start, start + 1), text="this one is not closed either") for start in written[:-1]),
                Label(span=span(stop.start, stop.end), text="expected `}` before this"),
            ),
        )
    run.pending = [Token(kind="}", text="}", start=stop.start, end=stop.start) for _ in unclosed]
    return True


def _belongs_outside(run: Run, stop: Token, blocks: int) -> bool:
    """Whether a word could stand here if so many blocks were closed before it."""
    size = None if run.accepts("}") else run.frame()[1]
    return run.accepts(*("}",) * blocks, stop.text, size=size)


def _stray_brace(reading: Reading, stop: Token) -> bool:
    run = reading.run
    if stop.kind != "}" and run.text[stop.start : stop.start + 1] != "}":
        return False
    if run.frame()[0] >= 0:
        return False
    if not run.finish_statement():
        run.truncate(run.frame()[1])
    reading.error(
        "syntax-error",
        stop.start,
        stop.start + 1,
        "this `}` closes nothing",
        advice="delete it, or open its block with `{`",
    )
    run.seek(stop.start + 1)
    return True


_RESERVED: Final = frozenset(("mesh", "namespace", "group", "identity", "anyone", "authenticated"))


def _check_reserved(reading: Reading, declarations: tuple[Any, ...]) -> None:
    """Services and externals may not be called by a word that means something where sources stand."""
    for declaration in declarations:
        if isinstance(declaration, ast.Environment):
            _check_reserved(reading, declaration.declarations)
        elif isinstance(declaration, ast.Service | ast.External) and declaration.name.text in _RESERVED:
            name = declaration.name
            message = f"`{name.text}` is a word of the language and cannot be a service's name"
            advice = f"choose another name, such as `{name.text}-service`"
            reading.error("syntax-error", name.span.start, name.span.end, message, advice=advice)
