"""JSON for programs, annotations for GitHub, SARIF and JUnit."""

import json
import xml.etree.ElementTree as ET
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from meshc.diagnostics import RULES, Diagnostic, Label, diagnose
from meshc.diagnostics.render import render_github, render_json, render_junit, render_sarif
from meshc.source import BUILTIN, SourceFile, Span

SOURCE = SourceFile("a.mesh", "access paymens {\n}\n")
SOURCES = {"a.mesh": SOURCE}
NAMED = diagnose(
    "unknown-service",
    SOURCE.span(7, 14),
    "no service is named `paymens`",
    label="not found",
    labels=(Label(span=Span("b.mesh", 4, 9, 2, 3), text="declared"), Label(span=BUILTIN, text="default")),
    advice=("did you mean `payments`?",),
)
BLOCK = diagnose("unused-declaration", SOURCE.span(0, 18), "m")


def validator() -> Draft202012Validator:
    schema = json.loads(files("meshc").joinpath("schemas/diagnostics.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_json() -> None:
    document = json.loads(render_json((NAMED,), SOURCES))
    validator().validate(document)
    nowhere = {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}
    assert document == {
        "version": 1,
        "diagnostics": [
            {
                "name": "unknown-service",
                "severity": "error",
                "message": "no service is named `paymens`",
                "file": "a.mesh",
                "line": 1,
                "column": 8,
                "end_line": 1,
                "end_column": 15,
                "label": "not found",
                "labels": [
                    {
                        "file": "b.mesh",
                        "line": 2,
                        "column": 3,
                        "end_line": None,
                        "end_column": None,
                        "text": "declared",
                    },
                    {**nowhere, "text": "default"},
                ],
                "help": ["did you mean `payments`?"],
                "fix": None,
            }
        ],
    }


def test_json_of_nothing_is_a_whole_document() -> None:
    assert json.loads(render_json((), {})) == {"version": 1, "diagnostics": []}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            NAMED,
            (
                "::error file=a.mesh,line=1,col=8,endLine=1,endColumn=15,title=unknown-service::"
                "no service is named `paymens` (not found)%0Ab.mesh:2: declared%0Adefault%0Ahelp: did you mean `payments`?\n"
            ),
        ),
        (BLOCK, "::warning file=a.mesh,line=1,endLine=2,title=unused-declaration::m\n"),
        (diagnose("syntax-error", BUILTIN, "m"), "::error title=syntax-error::m\n"),
        (
            diagnose("split-not-100", Span("x,y:z%.mesh", 0, 0, 1, 1), "90%\n::error::x\r\x1b", advice="a\nb"),
            "::error file=x%2Cy%3Az%25.mesh,line=1,col=1,title=split-not-100::90%25␊::error::x␍␛%0Ahelp: a%0Ahelp: b\n",
        ),
    ],
)
def test_github(found: Diagnostic, expected: str) -> None:
    assert render_github((found,), SOURCES) == expected


def test_sarif() -> None:
    log = json.loads(render_sarif((NAMED, BLOCK, NAMED), SOURCES))
    assert log["version"] == "2.1.0"
    run = log["runs"][0]
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["unknown-service", "unused-declaration"]
    assert [one["level"] for one in run["results"]] == ["error", "warning", "error"]
    named = run["results"][0]
    assert named["message"]["text"] == "no service is named `paymens` (not found)\nhelp: did you mean `payments`?"
    assert named["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a.mesh"},
                "region": {"startLine": 1, "startColumn": 8, "endLine": 1, "endColumn": 15},
            }
        }
    ]
    # What no file declares has no location.
    assert [one["message"]["text"] for one in named["relatedLocations"]] == ["declared"]


def test_sarif_tells_findings_of_two_files_apart() -> None:
    found = [diagnose("syntax-error", Span(path, 0, 0, 1, 1), "m") for path in ("a.mesh", "b c.mesh")]
    results = json.loads(render_sarif(found, SOURCES))["runs"][0]["results"]
    assert len({one["partialFingerprints"]["meaning/v1"] for one in results}) == 2
    assert results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "b%20c.mesh"


def test_junit() -> None:
    suites = ET.fromstring(
        render_junit((NAMED, BLOCK, diagnose("split-not-100", Span("b.mesh", 0, 0, 2, 1), "m")), SOURCES)
    )
    assert [(one.get("name"), one.get("tests"), one.get("failures")) for one in suites] == [
        ("a.mesh", "2", "1"),
        ("b.mesh", "1", "1"),
    ]
    error, warning = suites[0]
    failure = error.find("failure")
    assert failure is not None
    assert (error.get("classname"), error.get("line"), failure.get("message")) == (
        "unknown-service",
        "1",
        "no service is named `paymens`",
    )
    assert failure.text == "not found\nb.mesh:2: declared\ndefault\nhelp: did you mean `payments`?"
    assert warning.find("failure") is None
    assert warning.findtext("system-out", "").startswith("warning: m")


def test_junit_of_nothing_is_one_case_that_passes() -> None:
    suites = ET.fromstring(render_junit((), {}))
    assert [(one.get("tests"), one.get("failures"), len(one)) for one in suites] == [("1", "0", 1)]


SPANS = st.builds(
    lambda path, start, length: (
        SOURCE.span(start, start + length) if path == "a.mesh" else Span(path, start, start + length, 1, 1)
    ),
    st.sampled_from(("a.mesh", "other", BUILTIN.path)),
    st.integers(0, 18),
    st.integers(0, 30),
)
FOUND = st.builds(
    lambda name, span, message, labels, advice: diagnose(
        name, span, message, labels=tuple(Label(span=place, text=text) for place, text in labels), advice=tuple(advice)
    ),
    st.sampled_from(sorted(RULES)),
    SPANS,
    st.text(),
    st.lists(st.tuples(SPANS, st.text()), max_size=2),
    st.lists(st.text(), max_size=2),
)


@given(st.lists(FOUND, max_size=4))
def test_any_diagnostics(found: list[Diagnostic]) -> None:
    """Whatever the texts: JSON obeys its schema and is ASCII; GitHub gets one command a line and no other line."""
    text = render_json(found, SOURCES)
    assert text.isascii()
    validator().validate(json.loads(text))
    commands = render_github(found, SOURCES).splitlines()
    assert len(commands) == len(found)
    assert all(line.startswith(("::error ", "::warning ")) for line in commands)
    run = json.loads(render_sarif(found, SOURCES))["runs"][0]
    rules = [one["id"] for one in run["tool"]["driver"]["rules"]]
    assert [rules[one["ruleIndex"]] for one in run["results"]] == [one.name for one in found]
    suites = ET.fromstring(render_junit(found, SOURCES))
    assert sum(len(suite) for suite in suites) == max(1, len(found))
