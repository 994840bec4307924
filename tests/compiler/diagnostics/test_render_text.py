"""Text for people: each case shows the whole output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.diagnostics.render import ColorChoice, Style, choose_style, render_text, summary
from meshc.source import BUILTIN, SourceFile, Span

PLAIN = Style()


def at(source: SourceFile, words: str) -> Span:
    start = source.text.index(words)
    return source.span(start, start + len(words))


def shown(
    source: SourceFile, *diagnostics: Diagnostic, others: tuple[SourceFile, ...] = (), style: Style = PLAIN
) -> str:
    return render_text(diagnostics, {file.path: file for file in (source, *others)}, style)


def test_message_frame_and_help() -> None:
    source = SourceFile("policies/shop.mesh", "\n\naccess paymens { allow frontend }\n")
    found = diagnose(
        "unknown-service",
        at(source, "paymens"),
        "no service is named `paymens`",
        label="not found",
        advice=("did you mean `payments`?", "or declare it:\nservice paymens in shop"),
    )
    assert shown(source, found) == (
        "error[unknown-service]: no service is named `paymens`\n"
        " --> policies/shop.mesh:3:8\n"
        "  |\n"
        "3 | access paymens { allow frontend }\n"
        "  |        ^^^^^^^ not found\n"
        "  |\n"
        "  = help: did you mean `payments`?\n"
        "  = help: or declare it:\n"
        "          service paymens in shop\n"
    )


def test_labels_on_one_line_stand_below_each_other_and_lines_between_are_left_out() -> None:
    source = SourceFile("a.mesh", "mesh shop {\n}\n\naccess paymens { allow frontend, chekcout }\n")
    labels = (
        Label(span=at(source, "frontend"), text="this one is"),
        Label(span=at(source, "chekcout"), text="and this"),
        Label(span=at(source, "mesh"), text="far"),
    )
    found = diagnose("unknown-service", at(source, "paymens"), "m", label="not found", labels=labels)
    assert shown(source, found) == (
        "error[unknown-service]: m\n"
        " --> a.mesh:4:8\n"
        "  |\n"
        "1 | mesh shop {\n"
        "  | ---- far\n"
        "...\n"
        "4 | access paymens { allow frontend, chekcout }\n"
        "  |        ^^^^^^^         --------  -------- and this\n"
        "  |        |               |\n"
        "  |        |               this one is\n"
        "  |        not found\n"
    )


def test_a_single_line_between_two_is_shown() -> None:
    source = SourceFile("a.mesh", "one\ntwo\nthree\n")
    found = diagnose("unknown-service", at(source, "one"), "m", labels=(Label(span=at(source, "three"), text="t"),))
    assert shown(source, found).splitlines()[2:] == ["  |", "1 | one", "  | ^^^", "2 | two", "3 | three", "  | ----- t"]


def test_overlapping_marks_keep_every_label() -> None:
    source = SourceFile("a.mesh", "allow frontend to GET /x")
    labels = (
        Label(span=at(source, "allow frontend to GET"), text="whole"),
        Label(span=at(source, "frontend"), text="again"),
    )
    found = diagnose("unknown-service", at(source, "frontend"), "m", label="cause", labels=labels)
    assert shown(source, found).splitlines()[3:] == [
        "1 | allow frontend to GET /x",
        "  | ------^^^^^^^^-------",
        "  | |     |",
        "  | |     again",
        "  | |     cause",
        "  | whole",
    ]


def test_labels_in_other_files() -> None:
    source = SourceFile("b.mesh", "service x in y\n")
    other = SourceFile("a.mesh", "\n" * 9 + "service x in y\n")
    labels = (Label(span=at(other, "service x"), text="first declared here"),)
    found = diagnose("duplicate-declaration", at(source, "service x"), "m", labels=labels)
    assert shown(source, found, others=(other,)) == (
        "error[duplicate-declaration]: m\n"
        "  --> b.mesh:1:1\n"
        "   |\n"
        " 1 | service x in y\n"
        "   | ^^^^^^^^^\n"
        "  ::: a.mesh:10:1\n"
        "   |\n"
        "10 | service x in y\n"
        "   | --------- first declared here\n"
    )


def test_a_span_of_several_lines_shows_its_first_and_its_last() -> None:
    source = SourceFile("a.mesh", "access x {\n  allow a\n  allow b\n  }\n")
    found = diagnose("unused-declaration", source.span(7, len(source.text) - 1), "m", label="this block")
    assert shown(source, found).splitlines()[3:] == [
        "1 | access x {",
        "  |        ^^^… this block",
        "...",
        "4 |   }",
        "  |   ^",
    ]


def test_a_span_past_the_end_of_its_file() -> None:
    source = SourceFile("a.mesh", "a\n")
    assert shown(source, diagnose("syntax-error", source.span(2, 2), "m", label="here")).endswith("2 |\n  | ^ here\n")
    stale = Span("a.mesh", 500, 900, 40, 3)
    assert "^" in shown(source, diagnose("syntax-error", stale, "m"))


def test_tabs_wide_and_combining_characters_are_measured() -> None:
    source = SourceFile("a.mesh", "\tab\t世界e\u0301 x\n")
    assert shown(source, diagnose("syntax-error", at(source, "世界e\u0301"), "m", label="w")).splitlines()[3:] == [
        "1 |     ab  世界e\u0301 x",
        "  |         ^^^^^ w",
    ]


def test_a_long_line_is_cut_around_what_is_meant() -> None:
    source = SourceFile("a.mesh", "x" * 50 + "needle" + "y" * 1000)
    found = diagnose("syntax-error", at(source, "needle"), "m", label="here")
    assert shown(source, found, style=Style(width=30)).splitlines()[3:] == [
        "1 | …xxxxxxxxxneedleyyyyyyyyyyyyyy…",
        "  |           ^^^^^^ here",
    ]


def test_marks_far_apart_on_a_long_line_are_shown_apart() -> None:
    source = SourceFile("a.mesh", "first" + " " * 200 + "second")
    found = diagnose("syntax-error", at(source, "first"), "m", labels=(Label(span=at(source, "second"), text="s"),))
    assert shown(source, found, style=Style(width=30)).splitlines()[3:] == [
        "1 | first                         …",
        "  | ^^^^^",
        "1 | …         second",
        "  |           ------ s",
    ]


def test_a_mark_longer_than_the_line_may_be_is_cut_with_it() -> None:
    source = SourceFile("a.mesh", "z" * 500)
    rows = shown(source, diagnose("syntax-error", source.span(0, 500), "m"), style=Style(width=20)).splitlines()
    assert rows[3:] == ["1 | " + "z" * 20 + "…", "  | " + "^" * 20]


def test_control_characters_of_source_message_label_path_and_help_are_shown_not_obeyed() -> None:
    source = SourceFile("a\x1b.mesh", "x\x1b[2J\u202ey\x7f")
    found = diagnose("invisible-character", source.span(1, 2), "m\x1b[31m\n", label="l\r", advice="h\x9b\ud800")
    assert shown(source, found) == (
        "error[invisible-character]: m␛[31m␊\n"
        " --> a␛.mesh:1:2\n"
        "  |\n"
        "1 | x␛[2J\\u{202e}y␡\n"
        "  |  ^ l␍\n"
        "  |\n"
        "  = help: h\\u{9b}\\u{d800}\n"
    )


def test_places_without_a_known_text() -> None:
    source = SourceFile("a.mesh", "x")
    labels = (Label(span=BUILTIN, text="the default"), Label(span=Span("gone.mesh", 5, 6, 2, 3), text="imported"))
    builtin = diagnose("duplicate-setting", BUILTIN, "m", label="why", labels=labels, advice="do")
    unreadable = diagnose("unreadable-file", Span("gone.mesh", 0, 0, 1, 1), "m")
    assert shown(source, builtin, unreadable) == (
        "error[duplicate-setting]: m\n"
        " --> built into the language\n"
        "  = note: why\n"
        "  = note: built into the language: the default\n"
        "  = note: gone.mesh:2:3: imported\n"
        "  = help: do\n"
        "\n"
        "error[unreadable-file]: m\n"
        " --> gone.mesh\n"
    )


def test_nothing_found_is_no_text() -> None:
    assert render_text((), {}, PLAIN) == ""


def test_colors_change_nothing_but_colors() -> None:
    source = SourceFile("a.mesh", "access x")
    labels = (Label(span=at(source, "access"), text="l"),)
    found = diagnose("unused-declaration", at(source, "x"), "m", label="here", labels=labels, advice="h")
    colored = shown(source, found, style=Style(color=True))
    assert colored.splitlines()[0] == "\x1b[1;33mwarning[unused-declaration]\x1b[0m\x1b[1m: m\x1b[0m"
    for code in ("\x1b[1;33m", "\x1b[1;34m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"):
        colored = colored.replace(code, "")
    assert colored == shown(source, found)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), "no errors"),
        (("syntax-error",), "1 error"),
        (("unused-declaration",) * 2, "2 warnings"),
        (("syntax-error", "unused-declaration", "syntax-error"), "2 errors, 1 warning"),
    ],
)
def test_summary(names: tuple[str, ...], expected: str) -> None:
    assert summary([diagnose(name, BUILTIN, "m") for name in names]) == expected


@pytest.mark.parametrize(
    ("color", "environment", "is_terminal", "expected"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
    ],
)
def test_choose_style(color: ColorChoice, environment: dict[str, str], is_terminal: bool, expected: bool) -> None:  # noqa: FBT001
    style = choose_style(color, environment, is_terminal)
    assert style.color is expected


TEXTS = st.text(st.sampled_from("ab \t\n\r\x1b世\u0301\u202e\ud800"), max_size=60)


@given(TEXTS, st.integers(0, 70), st.integers(0, 70), st.integers(0, 70), st.integers(8, 40))
def test_any_span_of_any_text_is_shown(text: str, start: int, end: int, other: int, width: int) -> None:
    """Every line is printable, every label is there, and nothing is left out without an ellipsis."""
    source = SourceFile("a.mesh", text)
    span = source.span(min(start, len(text)), max(start, end))
    labels = (Label(span=source.span(min(other, len(text)), other + 1), text="evidence"),)
    result = shown(source, diagnose("syntax-error", span, "m", label="cause", labels=labels), style=Style(width=width))
    assert all(char.isprintable() or char in "\n\u0301" for char in result)
    assert "cause" in result
    assert "evidence" in result
    assert "^" in result
