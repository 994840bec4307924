"""Programs that would grow without bound, and those that refer deeper than is sane: an answer, soon, and no traceback."""

import pytest

from meshc_envoy import TARGET
from meshc_harness.compare import analyze_text

HEAD = "namespace a\nservice s in a\nservice t in a { port 80 http }\n"


def chain(first: str, link: str, last: str, length: int) -> str:
    """A program of definitions, each of which refers to the one before."""
    links = "".join(link.format(number, number - 1) for number in range(1, length))
    return HEAD + first + links + last.format(length - 1)


CASES = {
    "groups that double": (
        chain("group g0 = s\n", "group g{0} = group g{1}, group g{1}\n", "access t {{ allow group g{} }}", 40),
        set(),
    ),
    "lets that double": (
        chain("let g0 = 1.0.0.0/8\n", "let g{0} = $g{1}, $g{1}\n", "access t {{ allow s from $g{} }}", 40),
        {"value-out-of-range"},
    ),
    "profiles that double": (
        chain(
            "access t { allow s }\nprofile g0 { timeout 1s }\n",
            "profile g{0} uses g{1}, g{1} {{}}\n",
            "traffic t uses g{} {{}}",
            40,
        ),
        {"value-out-of-range"},
    ),
    "a long chain of groups": (
        chain("group g0 = s\n", "group g{0} = group g{1}\n", "access t {{ allow group g{} }}", 3000),
        {"nesting-too-deep"},
    ),
    "a long chain of lets": (
        chain("let g0 = 1.0.0.0/8\n", "let g{0} = $g{1}\n", "access t {{ allow s from $g{} }}", 3000),
        {"nesting-too-deep"},
    ),
    "a decent chain of profiles": (
        chain(
            "access t { allow s }\nprofile g0 { timeout 1s }\n",
            "profile g{0} uses g{1} {{}}\n",
            "traffic t uses g{} {{}}",
            50,
        ),
        set(),
    ),
    "a number of 5000 digits": (
        HEAD + "access t { allow s }\ntraffic t { timeout " + "9" * 5000 + "s }\n",
        {"type-mismatch"},
    ),
    "an expression that is not whole": (
        HEAD + 'access t { allow s when header "x" matches re"\\Qevil" }\n',
        {"invalid-regex"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_comes(name: str) -> None:
    text, expected = CASES[name]
    found = {one.name for one in analyze_text(text).diagnostics if one.severity.value == "error"}
    assert found == expected


def test_a_condition_that_would_make_a_billion_policies() -> None:
    tests = " and ".join(f'(sni == "a{n}" or source ip in (10.0.{n}.0/24))' for n in range(30))
    mesh = analyze_text(
        f"namespace a\nservice t in a {{ port 80 tls }}\naccess t {{ allow anyone when {tests} }}\n"
    ).mesh
    assert mesh is not None
    assert [one.name for one in TARGET.emit(mesh, {}).diagnostics] == ["unsupported-by-target"]
