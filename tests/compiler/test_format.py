"""The one layout, case by case. That it never changes what a file says is in `test_format_laws.py`."""

import pytest

from meshc import format as formatting
from meshc.format import Formatted, format_source
from meshc.source import SourceFile
from meshc.syntax.layout import WIDTH


def formatted(text: str) -> str | None:
    return format_source(SourceFile("p.mesh", text)).text


SAME = [
    "",
    "# only a comment\n",
    "namespace shop\nnamespace bank { mtls strict }\n",
    'service payments in bank {\n  port 8080 http\n  version v1 { labels version = "v1" }\n  version v2\n}\n',
    "environment staging { traffic payments:8080 { timeout 10s } }\n",
    "access a {}\n",
    "traffic a uses p(x: 1s, 5%), q {\n  retry 2 on 5xx, reset { backoff 25ms..250ms unsafe }\n  route GET|POST /x, /y -> a@v1 90%, a@v2 10%\n}\n",
    "profile p(x: duration = 2s, y: int) {\n  timeout $x\n  retry never\n}\n",
    'access a {\n  allow b when not (host in ("a", "b") or sni == "c") and host == "d"\n}\n',
    'access a {\n  allow b\n    to GET /x\n    when host == "a"\n  deny c\n}\n',
    "# one\n\n# two\nlet x = 5s  # beside\n\n## doc\naccess a {  # opening\n  # inner\n  allow b  # rule\n\n  # last\n}  # closing\n# end\n",
    "access a {\n  allow b,  # why b\n      # why c\n      c to GET /x\n}\n",
    "access a\n    # before the block\n{\n  allow b\n}\n",
    "access a {\n  # nothing yet\n}\n",
]

CHANGED = [
    ("white space", "  let   x=5s ,6s\r\n\tgroup g=a\n", "let x = 5s, 6s\ngroup g = a\n"),
    ("statements on one line", "namespace a namespace b", "namespace a\nnamespace b\n"),
    (
        "a long one-line block",
        'external s in b { host "a" port 443 https }',
        'external s in b {\n  host "a"\n  port 443 https\n}\n',
    ),
    ("runs of empty lines", "let x = 1\n\n\n\nlet y = 2\n\n\n", "let x = 1\n\nlet y = 2\n"),
    (
        "empty lines at a block's ends",
        "access a {\n\n  allow b\n\n\n  allow c\n\n}",
        "access a {\n  allow b\n\n  allow c\n}\n",
    ),
    (
        "an empty line between long declarations",
        "access a {\n allow b\n}\n# on c\naccess c {\n allow d\n}\nlet x = 1\nlet y = 2",
        "access a {\n  allow b\n}\n\n# on c\naccess c {\n  allow d\n}\n\nlet x = 1\nlet y = 2\n",
    ),
    ("a comment's trailing space", "let x = 1 # a  \n", "let x = 1  # a\n"),
    ("a brace on the next line", "access a\n{ allow b\n}", "access a {\n  allow b\n}\n"),
    (
        "spaces inside of lists",
        'let x = re"a"\naccess a { allow b to GET | POST /x when host in( "a","b" ) }',
        'let x = re"a"\naccess a { allow b to GET|POST /x when host in ("a", "b") }\n',
    ),
    (
        "a long rule is broken before its clauses",
        f'access a {{\n allow b from 10.0.0.0/8 to GET /{"x" * 60} when host == "abc" because "def"\n}}',
        f'access a {{\n  allow b\n    from 10.0.0.0/8\n    to GET /{"x" * 60}\n    when host == "abc"\n    because "def"\n}}\n',
    ),
    (
        "a long list is broken after commas",
        f"group g = {'a' * 40}, {'b' * 40}, {'c' * 40}, d",
        f"group g = {'a' * 40}, {'b' * 40},\n    {'c' * 40}, d\n",
    ),
]


@pytest.mark.parametrize("text", SAME)
def test_this_is_the_layout(text: str) -> None:
    assert formatted(text) == text


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED])
def test_this_becomes_the_layout(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected


def test_lines_fit_where_they_can() -> None:
    condition = " and ".join(f'header "name-{n}" == "{"v" * 30}"' for n in range(8))
    text = formatted(
        f"traffic a {{ route GET /x, POST /y when {condition} -> a@v1, a@v2 {{ timeout 5s retry never }} }}"
    )
    assert text is not None
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert formatted(text) == text


def test_a_file_with_errors_is_left_alone() -> None:
    result = format_source(SourceFile("p.mesh", "let x = \n"))
    assert result.text is None
    assert [diagnostic.name for diagnostic in result.diagnostics] == ["syntax-error"]


@pytest.mark.parametrize("wrong", ["let x = 2\n", "let x = 1  # a\n# b\n", "let x =\n", "# a\nlet x = 1\n"])
def test_a_result_that_says_something_else_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lay_out_wrongly(*_: object) -> str:
        return wrong

    monkeypatch.setattr(formatting, "lay_out", lay_out_wrongly)
    result = format_source(SourceFile("p.mesh", "let x = 1 # a\n"))
    assert result == Formatted(text=None, diagnostics=result.diagnostics)
    assert [diagnostic.name for diagnostic in result.diagnostics] == ["format-unsafe"]
