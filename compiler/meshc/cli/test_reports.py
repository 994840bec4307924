"""Reports of test runs: text for people, JSON and JUnit for machines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console
from meshc.diagnostics.render.xml_text import attribute, element_text
from meshc.source import Span
from meshc.target import Json

_GREEN, _RED, _END = "\x1b[32m", "\x1b[31m", "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case: what was expected and found, in words; `place` is the rule or route that decided."""

    span: Span
    request: str
    expected: str
    found: str
    place: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One test block in one environment."""

    title: str
    environment: str | None
    span: Span
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether all cases are as expected."""
        return all(result.passed for result in self.results)

    @property
    def name(self) -> str:
        """The title, with the environment where there is one."""
        return f"{self.title} [{self.environment}]" if self.environment else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What was asked for beside the results: coverage and suggested tests, each as text and as plain data."""

    coverage: str = ""
    coverage_data: Json = None
    suggestions: str = ""
    suggestions_data: Json = None
    properties: Mapping[str, str] = field(default_factory=dict)


def print_report(suites: Sequence[Suite], arguments: Arguments, console: Console, extras: Extras | None = None) -> None:
    """Print results in the format that was asked for.

    Suggested tests are a result that can be appended to a file: as text they are all that is printed to standard output.
    """
    match arguments.format:
        case "json":
            console.print(print_json(suites, extras))
        case "junit":
            console.print(print_junit(suites, extras))
        case _:
            texts = [print_text(suites, coloured=console.colors("stdout"), verbose=console.verbose)]
            if extras is not None and extras.coverage:
                texts.append(extras.coverage)
            if extras is None or extras.suggestions_data is None:
                console.print("\n\n".join(texts))
                return
            console.say("\n\n".join(texts))
            console.print(extras.suggestions)


def print_text(suites: Sequence[Suite], *, coloured: bool, verbose: bool) -> str:
    """A line a block, and every failed case; with `verbose` every case."""
    good, bad, end = (_GREEN, _RED, _END) if coloured else ("", "", "")
    lines = []
    for suite in suites:
        mark = f"{good}✓{end}" if suite.passed else f"{bad}✗{end}"
        count = len(suite.results)
        lines.append(f"{mark} {suite.name} ({count} case{'' if count == 1 else 's'})")
        for result in suite.results:
            if result.passed and verbose:
                lines.append(f"    {good}✓{end} {result.expected}: {result.request}")
            if not result.passed:
                place = f", by {result.place}" if result.place else ""
                lines.append(f"    {bad}✗{end} {result.span}: {result.request}")
                lines.append(f"        expected {result.expected}, found {result.found}{place}")
    failed = sum(not result.passed for suite in suites for result in suite.results)
    passed = sum(result.passed for suite in suites for result in suite.results)
    lines.append(f"{passed} passed, {failed} failed" if suites else 'no tests: write `test "…" { allow … }`')
    return "\n".join(lines)


def print_json(suites: Sequence[Suite], extras: Extras | None = None) -> str:
    """The whole report. Schema: `schemas/test-report.schema.json`."""
    report: dict[str, Json] = {
        "version": 1,
        "passed": sum(result.passed for suite in suites for result in suite.results),
        "failed": sum(not result.passed for suite in suites for result in suite.results),
        "suites": [
            {
                "title": suite.title,
                "environment": suite.environment,
                "file": suite.span.path,
                "line": suite.span.line,
                "cases": [
                    {
                        "line": result.span.line,
                        "request": result.request,
                        "expected": result.expected,
                        "found": result.found,
                        "decided_by": result.place or None,
                        "passed": result.passed,
                    }
                    for result in suite.results
                ],
            }
            for suite in suites
        ],
    }
    if extras is not None and extras.coverage_data is not None:
        report["coverage"] = extras.coverage_data
    if extras is not None and extras.suggestions_data is not None:
        report["suggestions"] = extras.suggestions_data
    return json.dumps(report, indent=2)


def print_junit(suites: Sequence[Suite], extras: Extras | None = None) -> str:
    """JUnit XML, one `testsuite` a block; coverage and suggested tests are one more, without cases."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for suite in suites:
        failed = sum(not result.passed for result in suite.results)
        name = attribute(suite.name)
        lines.append(f'  <testsuite name={name} tests="{len(suite.results)}" failures="{failed}">')
        for result in suite.results:
            attributes = (
                f"name={attribute(f'{result.expected}: {result.request}')} classname={name} "
                f"file={attribute(result.span.path)} line={attribute(str(result.span.line))}"
            )
            if result.passed:
                lines.append(f"    <testcase {attributes}/>")
                continue
            message = f"expected {result.expected}, found {result.found}"
            place = f"decided by {result.place}" if result.place else ""
            lines.append(f"    <testcase {attributes}>")
            lines.append(f"      <failure message={attribute(message)}>{element_text(place)}</failure>")
            lines.append("    </testcase>")
        lines.append("  </testsuite>")
    lines += () if extras is None else _extra_suite(extras)
    lines.append("</testsuites>")
    return "\n".join(lines)


def _extra_suite(extras: Extras) -> Iterator[str]:
    yield '  <testsuite name="coverage" tests="0" failures="0">'
    if extras.properties:
        yield "    <properties>"
        for name, value in extras.properties.items():
            yield f"      <property name={attribute(name)} value={attribute(value)}/>"
        yield "    </properties>"
    shown = "\n\n".join(text for text in (extras.coverage, extras.suggestions) if text)
    yield f"    <system-out>{element_text(shown)}</system-out>"
    yield "  </testsuite>"
