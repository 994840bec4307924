"""Comments that silence warnings."""

import pytest

from meshc_harness.compare import analyze_text

PROGRAM = """namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart { allow web }
"""


def found(text: str) -> list[tuple[int, str, str]]:
    return [(one.span.line - 4, one.name, one.message) for one in analyze_text(PROGRAM + text).diagnostics]


def test_a_warning_is_silenced_on_the_next_line() -> None:
    assert found("# meshc: allow(unused-declaration)\nlet a = 1s\n") == []


def test_it_must_be_the_line_before() -> None:
    names = [name for _, name, _ in found("# meshc: allow(unused-declaration)\n\nlet a = 1s\n")]
    assert names == ["unused-suppression", "unused-declaration"]


def test_several_names() -> None:
    assert found('# meshc: allow(unused-declaration, secret-literal)\nlet a = "AKIAABCDEFGHIJKLMNOP"\n') == []


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("allow(unused-declaration)", "nothing on the next line is reported as `unused-declaration`"),
        ("allow(unused-declarations)", "there is no diagnostic `unused-declarations`"),
        ("allow(unknown-service)", "`unknown-service` is an error, which no comment silences"),
        ("allow unused-declaration", "this comment to meshc is not understood"),
        ("", "this comment to meshc is not understood"),
    ],
)
def test_a_comment_that_silences_nothing_is_a_warning(comment: str, message: str) -> None:
    assert found(f"# meshc: {comment}\n") == [(1, "unused-suppression", message)]


def test_errors_are_never_silenced() -> None:
    names = [name for _, name, _ in found("# meshc: allow(unknown-service)\naccess crat { allow web }\n")]
    assert "unknown-service" in names


def test_nothing_is_said_of_silence_while_lints_have_not_run() -> None:
    names = [name for _, name, _ in found("# meshc: allow(secret-literal)\naccess crat { allow web }\n")]
    assert names == ["unknown-service"]
