"""`parse` on texts with mistakes: each common slip with its place, its message and how to mend it."""

import pytest

from meshc import ast
from meshc.parse import parse
from meshc.source import SourceFile
from meshc.syntax.recover import MAX_ERRORS
from slips import SLIPS, Finding


def findings(text: str) -> list[Finding]:
    found = parse(SourceFile("p.mesh", text)).diagnostics
    return [(d.name, d.span.line, d.span.column, d.message, " / ".join(d.help)) for d in found]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in SLIPS], ids=[case[0] for case in SLIPS])
def test_slip(text: str, expected: list[Finding]) -> None:
    assert findings(text) == expected


def test_what_is_mended_or_whole_is_still_read() -> None:
    text = "service a in b { port: 80 http; }\nnonsense here\nservice c in d { port 81 http nonsense }\naccess c {\n  allow a\n  nonsense\n  deny b\n}"
    declarations = parse(SourceFile("p.mesh", text)).file.declarations
    assert [type(declaration).__name__ for declaration in declarations] == ["Service", "Service", "Access"]
    service, other, access = declarations
    assert isinstance(service, ast.Service)
    assert isinstance(other, ast.Service)
    assert isinstance(access, ast.Access)
    assert len(service.items) == len(other.items) == 1
    assert [rule.action for rule in access.rules] == ["allow", "deny"]


def test_what_had_to_be_invented_is_left_out() -> None:
    assert parse(SourceFile("p.mesh", "service x { port 80 http }")).file.declarations == ()


def test_the_opening_brace_of_an_unclosed_block_is_shown() -> None:
    (found,) = parse(SourceFile("p.mesh", "environment e {\n  access a {\n    allow b\n")).diagnostics
    assert (found.span.line, found.span.column) == (2, 12)
    assert [(label.span.line, label.span.column, label.text) for label in found.labels] == [
        (1, 15, "this one is not closed either"),
        (4, 1, "expected `}` before this"),
    ]


def test_merge_markers_are_shown_together() -> None:
    (found,) = parse(SourceFile("p.mesh", "<<<<<<< a\nlet x = 1\n=======\nlet x = 2\n>>>>>>> b\n")).diagnostics
    assert [label.span.line for label in found.labels] == [3, 5]


def test_comments_in_skipped_text_are_kept() -> None:
    parsed = parse(SourceFile("p.mesh", "access a {\n  nonsense # one\n  # two\n  allow b\n}"))
    assert [comment.text for comment in parsed.comments] == ["# one", "# two"]


@pytest.mark.parametrize("opening", ["(", "not ", "not ("])
@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_nesting_is_refused(opening: str, depth: int) -> None:
    text = f"access a {{\n  allow b when {opening * depth}\n  deny c\n}}\nservice d in e\n"
    parsed = parse(SourceFile("p.mesh", text))
    assert [d.name for d in parsed.diagnostics] == ["nesting-too-deep"]
    assert [type(d).__name__ for d in parsed.file.declarations] == ["Access", "Service"]


def test_nesting_within_the_limit_is_read() -> None:
    """One level is the block itself."""
    depth = 63
    text = f'access a {{ allow b when {"(" * depth}host == "a"{")" * depth} }}'
    assert findings(text) == []
    assert [name for name, *_ in findings(text.replace("when ", "when not "))] == ["nesting-too-deep"]


def test_the_number_of_errors_is_bounded() -> None:
    found = findings("service a in b;\n" * 1000)
    assert len(found) == MAX_ERRORS + 1
    assert found[-1][3] == "more than 100 syntax errors: the rest of the file is not read"


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        "{",
        "}",
        "@\n",
        "a.",
        "a-",
        "'",
        "/",
        "/*",
        "<<<<<<< a\n",
        "\0",
        "not ",
        "$",
        "\u201c",
        "# x\n",
        "access a {\n",
        're"',
        ":",
    ],
)
@pytest.mark.parametrize("start", ["", "access a { allow b when ", "let x = "])
def test_repeated_garbage_is_read_in_bounded_time(start: str, piece: str) -> None:
    text = start + piece * (30_000 // len(piece))
    parsed = parse(SourceFile("p.mesh", text))
    assert len(parsed.diagnostics) <= MAX_ERRORS + 2


def test_reading_on_from_an_earlier_line_keeps_places_and_comments() -> None:
    parsed = parse(SourceFile("p.mesh", "service x in\nservice # one\n\ny in z\nlet a == 1 # two"))
    assert [(d.span.line, d.span.column) for d in parsed.diagnostics] == [(2, 1), (5, 7)]
    assert [(c.text, c.span.line, c.span.column) for c in parsed.comments] == [("# one", 2, 9), ("# two", 5, 12)]
    assert [d.span.line for d in parsed.file.declarations] == [2, 5]
