"""Reports of test runs: text for people, JSON and JUnit for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from meshc.source import Span

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


def print_json(suites: Sequence[Suite]) -> str:
    """The whole report. Schema: `schemas/test-report.schema.json`."""
    report = {
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
    return json.dumps(report, indent=2)


def print_junit(suites: Sequence[Suite]) -> str:
    """JUnit XML, one `testsuite` a block."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for suite in suites:
        failed = sum(not result.passed for result in suite.results)
        name = quoteattr(_plain(suite.name))
        lines.append(f'  <testsuite name={name} tests="{len(suite.results)}" failures="{failed}">')
        for result in suite.results:
            attributes = (
                f"name={quoteattr(_plain(f'{result.expected}: {result.request}'))} classname={name} "
                f"file={quoteattr(result.span.path)} line={quoteattr(str(result.span.line))}"
            )
            if result.passed:
                lines.append(f"    <testcase {attributes}/>")
                continue
            message = f"expected {result.expected}, found {result.found}"
            place = f"decided by {result.place}" if result.place else ""
            lines.append(f"    <testcase {attributes}>")
            lines.append(f"      <failure message={quoteattr(_plain(message))}>{escape(_plain(place))}</failure>")
            lines.append("    </testcase>")
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that XML can hold: other control characters become `?`."""
    return "".join(char if char >= " " or char in "\t\n" else "?" for char in text)
