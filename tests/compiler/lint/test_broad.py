"""Allows of everybody that the program's own tests do not need."""

import pytest

from meshc_harness.compare import analyze_text

SERVICES = "namespace shop\n" + "".join(f"service s{number} in shop\n" for number in range(5))


def _findings(rules: str, tests: str, services: str = SERVICES) -> list[str]:
    text = f"{services}service cart in shop {{ port 8080 http }}\naccess cart {{ {rules} }}\n"
    text += f'test "needs" {{ {tests} }}\n' if tests else ""
    found = analyze_text(text).diagnostics
    return [one.message for one in found if one.name == "over-broad-allow"]


def test_everybody_is_let_in_and_few_need_it() -> None:
    (message,) = _findings("allow authenticated", "allow s0 GET cart:8080 /")
    assert message == "this rule lets in all 5 other services, and tests expect it of 1: shop.s0"


@pytest.mark.parametrize(
    ("rules", "tests"),
    [
        ("allow authenticated", ""),
        ("allow authenticated", "deny s0 GET cart:8080 /"),
        ("allow authenticated to GET", "allow s0 GET cart:8080 /"),
        ("allow s0, s1, s2, s3, s4", "allow s0 GET cart:8080 /"),
        ("allow authenticated", "allow s0 GET cart:8080 / allow s1 GET cart:8080 / allow s2 GET cart:8080 /"),
        ("allow authenticated deny s2, s3, s4", "allow s0 GET cart:8080 /"),
        ("shadow allow authenticated allow s0", "allow s0 GET cart:8080 /"),
    ],
)
def test_what_says_nothing(rules: str, tests: str) -> None:
    assert not _findings(rules, tests)


def test_a_small_mesh_says_nothing() -> None:
    assert not _findings(
        "allow anyone", "allow a GET cart:8080 /", "namespace shop\nservice a in shop\nservice b in shop\n"
    )
