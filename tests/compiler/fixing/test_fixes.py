"""Quick fixes: what they take away, and that they are offered only where they change nothing."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import jsonschema
import pytest

from meshc.cli import main
from meshc.diagnostics import Diagnostic, Fix
from meshc.fixing.prove import Prover

_PROVEN = Prover.proven
HEAD = "namespace shop\nservice web in shop\nservice cart in shop { port 8080 http }\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        file = tmp_path / "a.mesh"
        file.write_text(HEAD + text, encoding="utf-8")
        return file

    return write


def _fixed(file: Path) -> str:
    main(["check", "a.mesh", "--fix", "-q"])
    return file.read_text(encoding="utf-8").removeprefix(HEAD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("access cart {\n  allow web\n  allow web to GET\n}\n", "access cart {\n  allow web\n}\n"),
        ("access cart { allow web allow web to GET }\n", "access cart { allow web }\n"),
        ("access cart {\n  deny web\n  allow web to GET\n  allow shop.cart\n}\n", "access cart {\n  deny web\n  allow shop.cart\n}\n"),
        ('access cart { allow web }\nlet x = "1"\ngroup g = web\n', "access cart { allow web }\n"),
        ("access cart { allow web }\n# meshc: allow(covered-rule)\n", "access cart { allow web }\n"),
        (
            'traffic cart {\n  route /a when header "x" == "1" and header "x" != "1" { timeout 1s }\n}\n',
            "traffic cart {\n}\n",
        ),
    ],
)  # fmt: skip
def test_what_does_nothing_is_taken_away(program: Callable[[str], Path], before: str, after: str) -> None:
    assert _fixed(program(before)) == after


@pytest.mark.parametrize(
    "text",
    [
        "access cart {\n  allow web\n  # why\n  allow web to GET\n}\n",
        "access cart {\n  allow web\n  allow web to GET  # why\n}\n",
        # The only allow closes the port, so that it does something although it lets nobody in.
        'mesh m { default access allow }\naccess cart {\n  deny web to GET\n  allow web to GET\n}\n',
        # A reason would be lost with its rule.
        'access cart {\n  allow web\n  allow web to GET because "the shop reads it"\n}\n',
        # The last of several names in one comment.
        "access cart { allow web }\n# meshc: allow(covered-rule, denied-allow)\n",
    ],
)  # fmt: skip
def test_what_is_left_alone(program: Callable[[str], Path], text: str) -> None:
    assert _fixed(program(text)) == text


def test_of_two_rules_that_say_the_same_one_stays(program: Callable[[str], Path]) -> None:
    assert _fixed(program("access cart {\n  allow web\n  allow web\n}\n")) == "access cart {\n  allow web\n}\n"


def test_a_rule_that_another_environment_needs_stays(
    program: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the environment the wider rule covers it; without one it is all there is."""
    text = "access cart { allow web to GET }\nenvironment open {\n  access cart { allow web }\n}\n"
    file = program(text)
    assert main(["check", "a.mesh", "--env", "open"]) == 0
    assert "covered-rule" in capsys.readouterr().err
    assert _fixed(file) == text


def test_a_difference_is_shown_and_nothing_written(
    program: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = program("access cart {\n  allow web\n  allow web to GET\n}\n")
    before = file.read_text(encoding="utf-8")
    assert main(["check", "a.mesh", "--fix", "--diff"]) == 1
    assert "-  allow web to GET\n" in capsys.readouterr().out
    assert file.read_text(encoding="utf-8") == before


def test_machines_get_the_edits(program: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    program("access cart {\n  allow web\n  allow web to GET\n}\n")
    main(["check", "a.mesh", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    schema = Path(__file__).parents[3] / "compiler/meshc/schemas/diagnostics.schema.json"
    jsonschema.validate(document, json.loads(schema.read_text(encoding="utf-8")))
    (found,) = document["diagnostics"]
    (edit,) = found["fix"]["edits"]
    assert (edit["line"], edit["column"], edit["end_line"], edit["end_column"], edit["text"]) == (6, 1, 7, 1, "")
    main(["check", "a.mesh", "--format", "sarif"])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "a.mesh"}
    assert change["replacements"][0]["deletedRegion"]["startLine"] == 6


def test_a_file_that_changed_since_it_was_read_is_left_alone(
    program: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = program("access cart {\n  allow web\n  allow web to GET\n}\n")

    def proven(self: Prover, found: Iterable[Diagnostic]) -> tuple[Fix, ...]:
        fixes = _PROVEN(self, found)
        file.write_text(f"# mine\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
        return fixes

    monkeypatch.setattr(Prover, "proven", proven)
    assert main(["check", "a.mesh", "--fix"]) == 2
    assert "has changed meanwhile" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8").startswith("# mine\n")
