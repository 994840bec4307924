"""Diagnostics as JUnit XML, for the reports of a CI: a suite for each file, a case for each finding.

Errors fail their case. Warnings pass, with what they say as output. A program without findings is one case that passes.
Source: the Ant JUnit task's XML, as Jenkins and GitLab read it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from meshc.diagnostics.model import Diagnostic, Severity
from meshc.diagnostics.render.position import position_of
from meshc.diagnostics.render.xml_text import attribute, element_text
from meshc.source import BUILTIN, SourceFile

_PROGRAM = "program"


def render_junit(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """The whole report; findings keep their order within a file."""
    ordered = sorted(diagnostics, key=lambda one: one.span.path)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for path, found in groupby(ordered, key=lambda one: one.span.path):
        lines += _suite(_PROGRAM if path == BUILTIN.path else path, list(found), sources)
    if not ordered:
        lines += (
            f'  <testsuite name={attribute(_PROGRAM)} tests="1" failures="0">',
            '    <testcase name="no findings" classname="meshc check"/>',
            "  </testsuite>",
        )
    return "\n".join((*lines, "</testsuites>\n"))


def _suite(name: str, found: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> Iterator[str]:
    errors = sum(one.severity is Severity.ERROR for one in found)
    yield f'  <testsuite name={attribute(name)} tests="{len(found)}" failures="{errors}">'
    for one in found:
        yield from _case(one, sources)
    yield "  </testsuite>"


def _case(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> Iterator[str]:
    place = position_of(diagnostic.span, sources)
    where = "" if place.file is None else f" file={attribute(place.file)} line={attribute(str(place.line))}"
    name = f"{diagnostic.message} ({place.file}:{place.line})" if place.file is not None else diagnostic.message
    labels = (label for label in diagnostic.labels if label.text)
    told = [diagnostic.label] if diagnostic.label else []
    told += [label.text if label.span == BUILTIN else f"{label.span}: {label.text}" for label in labels]
    text = element_text("\n".join((*told, *(f"help: {line}" for line in diagnostic.help))))
    yield f"    <testcase name={attribute(name)} classname={attribute(diagnostic.name)}{where}>"
    if diagnostic.severity is Severity.ERROR:
        message, kind = attribute(diagnostic.message), attribute(diagnostic.name)
        yield f"      <failure message={message} type={kind}>{text}</failure>"
    else:
        yield f"      <system-out>{element_text(f'warning: {diagnostic.message}')}\n{text}</system-out>"
    yield "    </testcase>"
