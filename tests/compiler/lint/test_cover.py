"""Rules that decide nothing: which are found, and beside which rule; and the rules that only look like it."""

import pytest

from meshc_harness.compare import analyze_text

SHOP = """namespace shop
service web in shop
service job in shop
service cart in shop { port 8080 http port 5432 tcp as raw }
"""


def findings(policy: str) -> list[tuple[str, str, str | None]]:
    """The name of each finding, the text of its rule, and that of the rule that covers it."""
    text = SHOP + policy
    return [
        (
            one.name,
            text[one.span.start : one.span.end],
            next((text[label.span.start : label.span.end] for label in one.labels), None),
        )
        for one in analyze_text(text).diagnostics
        if one.name in {"covered-rule", "denied-allow"}
    ]


@pytest.mark.parametrize(
    ("policy", "name", "rule", "other"),
    [
        ("access cart { allow web } access mesh { allow web }", "covered-rule", "allow web", "allow web"),
        ("access cart:8080 { allow web } access cart { allow anyone }", "covered-rule", "allow web", "allow anyone"),
        ("access cart { deny web deny namespace shop }", "covered-rule", "deny web", "deny namespace shop"),
        (
            "access cart { allow web to GET /a/{x} allow web to GET|POST /a/** }",
            "covered-rule",
            "allow web to GET /a/{x}",
            "allow web to GET|POST /a/**",
        ),
        (
            "access cart { allow web from 10.1.0.0/16 allow web from 10.0.0.0/8 }",
            "covered-rule",
            "allow web from 10.1.0.0/16",
            "allow web from 10.0.0.0/8",
        ),
        (
            'access cart { allow web when header "x" == "1" allow web when header "x" is present }',
            "covered-rule",
            'allow web when header "x" == "1"',
            'allow web when header "x" is present',
        ),
        (
            "access cart { allow web allow namespace shop except job }",
            "covered-rule",
            "allow web",
            "allow namespace shop except job",
        ),
        ("access cart { allow web except web }", "covered-rule", "allow web except web", None),
        (
            "access cart { allow web to GET /a/b deny anyone to /a/** }",
            "denied-allow",
            "allow web to GET /a/b",
            "deny anyone to /a/**",
        ),
    ],
)
def test_a_rule_that_decides_nothing_is_found(policy: str, name: str, rule: str, other: str | None) -> None:
    assert findings(policy) == [(name, rule, other)]


def test_of_two_equal_rules_the_first_is_kept() -> None:
    (found,) = analyze_text(f"{SHOP}access cart {{ allow web, job }}\naccess cart {{ allow job, web }}\n").diagnostics
    assert (found.name, found.span.line, found.labels[0].span.line) == ("covered-rule", 6, 5)


@pytest.mark.parametrize(
    "policy",
    [
        "access mesh { allow web to GET } access cart { allow web }",
        "access cart { allow web } access cart { allow web, job to GET }",
        "access cart { shadow deny web allow web }",
        "access cart { allow namespace shop except job allow web, job }",
        "access cart { allow web to GET deny anyone to GET until 2030-01-01 }",
        "access cart { allow web to GET allow web until 2030-01-01 }",
        "access cart { allow web to /a/{x} allow web to /a/b/c }",
        "access cart { allow web to /a/** allow web to /ab }",
        "access cart { deny web allow namespace shop }",
        "access cart { allow anyone except authenticated }",
    ],
)
def test_a_rule_that_decides_something_is_left_alone(policy: str) -> None:
    assert findings(policy) == []
