"""Rules that decide nothing because of several others: found exactly where taking them out changes nothing."""

from random import Random

import pytest

from meshc.frontend import Analysis
from meshc.semantics.regions import Space, differing_ports
from meshc.source import Span
from meshc_harness.cluster_programs import cluster_program
from meshc_harness.compare import analyze_text

BASE = """namespace a
service cart in a { port 80 http }
service web in a
service shop in a
access cart {
"""
IDLE = {"covered-rule", "denied-allow"}


def findings(text: str) -> list[tuple[int, str, tuple[int, ...]]]:
    return [
        (one.span.line - 5, one.message.partition(":")[0], tuple(label.span.line - 5 for label in one.labels))
        for one in analyze_text(text).diagnostics
        if one.name in IDLE
    ]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            ["allow web, shop to GET /c", "allow web to GET|HEAD /c", "allow shop to GET|HEAD /c"],
            [(1, "this rule changes nothing", (2, 3))],
        ),
        (
            ["deny web to GET /d", "deny web to HEAD /d", "allow web to GET|HEAD /d"],
            [(3, "this rule allows nothing", (1, 2))],
        ),
        (
            ["deny anyone to GET /d/**", "allow web to GET|HEAD /d/x", "allow web to HEAD /d/{id}", "allow shop"],
            # The deny takes the other half of what the rule matches.
            [(2, "this rule changes nothing", (3, 1))],
        ),
        (["allow web to GET /a", "allow web to GET /b", "allow web to GET|HEAD /a, GET /b"], [(1, "this rule changes nothing", (3,)), (2, "this rule changes nothing", (3,))]),
        (["allow web, shop to GET /c", "allow web to GET /c until 2026-06-01", "allow shop to GET /c"], [(3, "this rule changes nothing", (1,)), (2, "this rule changes nothing", (1,))]),
        (["allow web to GET /a", "allow web to HEAD /a", "allow shop to GET|HEAD /a"], []),
    ],
)  # fmt: skip
def test_findings_and_the_rules_to_blame(rules: list[str], expected: list[tuple[int, str, tuple[int, ...]]]) -> None:
    text = BASE + "".join(f"  {rule}\n" for rule in rules) + "}\n"
    assert sorted(findings(text)) == sorted(expected)


def test_shadow_rules_are_left_alone() -> None:
    text = BASE + "  shadow deny web\n  shadow deny shop\n  allow web, shop\n}\n"
    assert findings(text) == []


def without(text: str, spans: set[Span]) -> str:
    for span in sorted(spans, key=lambda one: one.start, reverse=True):
        text = text[: span.start] + text[span.end :]
    return text


def changes(before: Analysis, after: Analysis) -> bool:
    assert before.mesh is not None
    assert after.mesh is not None
    for pair in differing_ports(before.mesh, after.mesh):
        assert pair.before is not None
        assert pair.after is not None
        space = Space.of([pair.before, pair.after])
        if space.allowed(pair.before) != space.allowed(pair.after):
            return True
    return False


def removable(analysis: Analysis, idle: set[Span]) -> set[Span]:
    """Idle rules, but for one allow of each block that has no other: it closes the port."""
    left = set(idle)
    by_target: dict[str, list[Span]] = {}
    for one in analysis.lowered.rules:
        if one.effect.value == "allow":
            by_target.setdefault(one.target.shown, []).append(one.rule.span)
    for spans in by_target.values():
        if left.issuperset(spans):
            left.discard(spans[0])
    return left


@pytest.mark.slow
def test_what_is_found_changes_nothing_and_what_is_left_does() -> None:
    """Taking out all rules that are said to change nothing changes nothing; then taking out any other allow changes something."""
    taken = 0
    for seed in range(60):
        text, _ = cluster_program(Random(seed))
        whole = analyze_text(text)
        gone = removable(whole, {one.span for one in whole.diagnostics if one.name in IDLE})
        taken += len(gone)
        reduced = without(text, gone)
        less = analyze_text(reduced)
        assert not changes(whole, less), text
        still_idle = {one.span for one in less.diagnostics if one.name in IDLE}
        for rule in less.lowered.rules:
            # A deny of what nothing allows is a safeguard, and no mistake.
            if rule.rule.span in still_idle or rule.effect.value == "deny":
                continue
            others = [one for one in less.lowered.rules if one.target.shown == rule.target.shown and one is not rule]
            if any(one.effect is rule.effect for one in others):
                assert changes(less, analyze_text(without(reduced, {rule.rule.span}))), (rule.rule, reduced)
    assert taken >= 10
