"""Classes of paths: each path in normal form is matched by the matches of its own class, and of no other."""

from itertools import product
from random import Random
from typing import Final

import pytest
import re2

from meshc import ir
from meshc.path_patterns import read_path_pattern
from meshc.semantics.paths import normalize_path, path_matcher
from meshc_linkerd.path_automaton import PathAutomaton
from meshc_linkerd.path_classes import cut_paths, path_classes
from meshc_linkerd.path_tree import PathTree, TooManyPathsError
from meshc_linkerd.regular import UnprintableError
from meshc_linkerd.resources.gateway import PathMatch

POOL: Final = (
    *("/a", "/a/", "/a/**", "/a/b", "/a/b/**", "/a/{x}", "/a/{x}/c", "/{x}", "/{x}/b/**", "/", "/{x}/{y}/", "/b/c"),
    *("/ab", "/a/%20", "/a/b;v", "/{x}/**", "/a/{x}/**"),
)
REGEXES: Final = ("/a/[bc]", "/(a|b)(/.*)?", ".*b", "/a/.{1,2}", "(?i)/AB?", "/[^/]+/c")
SEGMENTS: Final = ("a", "b", "c", "ab", "%20", "b;v", "...", ".b")


def _paths() -> list[str]:
    found = {"/"}
    for size in (1, 2, 3):
        found |= {"/" + "/".join(some) for some in product(SEGMENTS, repeat=size)}
    return sorted(found | {f"{path}/" for path in found if path != "/"})


PATHS: Final = _paths()
RAW: Final = (
    "//a",
    "/a//b",
    "/./a",
    "/a/..",
    "/a/../b",
    "/%61",
    "/a/%2e",
    "/a/%",
    "/a/%2",
    "/{a}",
    "/a\\b",
    "/a/;",
    "/a/%00",
)


def _matches(match: PathMatch, path: str) -> bool:
    if match.type == "Exact":
        return match.value == path
    found = re2.search(match.value, path)
    return found is not None and found.span() == (0, len(path))


def _check(patterns: list[ir.PathPattern], *, escapes: bool) -> None:
    paths = cut_paths(patterns)
    labels = sorted(paths.labels())
    kinds = {label: number for number, label in enumerate(labels)}
    matches = paths.matches(kinds, kinds.values())
    checks = [path_matcher(pattern) for pattern in patterns]
    for path in PATHS:
        label = sum(check(path) << number for number, check in enumerate(checks))
        found = {kind for kind, some in matches.items() if any(_matches(one, path) for one in some)}
        is_plain = ";" not in path and (escapes or "%" not in path)
        assert found <= ({kinds[label]} if label in kinds else set()), (patterns, path)
        assert found or not is_plain or _names(patterns, "%"), (patterns, path)
    for path in RAW:
        assert not any(_matches(one, path) for some in matches.values() for one in some), (patterns, path)


def _names(patterns: list[ir.PathPattern], mark: str) -> bool:
    return any(mark in repr(pattern) for pattern in patterns)


def test_templates() -> None:
    chance = Random(5)
    for _ in range(2):
        _check([read_path_pattern(one) for one in chance.sample(POOL, chance.randint(1, 3))], escapes=True)


@pytest.mark.slow
def test_many_templates() -> None:
    chance = Random(6)
    for _ in range(40):
        _check([read_path_pattern(one) for one in chance.sample(POOL, chance.randint(1, 6))], escapes=True)


@pytest.mark.slow
def test_expressions() -> None:
    chance = Random(7)
    checked = 0
    for _ in range(60):
        patterns: list[ir.PathPattern] = [ir.RegexPath(one) for one in chance.sample(REGEXES, chance.randint(1, 2))]
        patterns += [read_path_pattern(one) for one in chance.sample(POOL, chance.randint(0, 2))]
        try:
            _check(patterns, escapes=False)
        except UnprintableError:
            continue
        checked += 1
    assert checked > 20


def test_a_prefix_beside_nothing_is_one_match() -> None:
    paths = cut_paths([read_path_pattern("/a/**")])
    ((match,),) = paths.matches({0: 0, 1: 1}, [1]).values()
    assert match.value.startswith("^(?:/a(?:/")
    assert match.value.endswith(")*/?)$")


def test_an_exact_path_stays_exact() -> None:
    paths = cut_paths([read_path_pattern("/a/b;v")])
    ((match,),) = paths.matches({0: 0, 1: 1}, [1]).values()
    assert match == PathMatch(type="Exact", value="/a/b;v")


def test_equal_outcomes_share_a_match() -> None:
    """Patterns inside of another add nothing where they say the same."""
    patterns = [read_path_pattern(one) for one in ("/a/**", "/a/b", "/a/{x}/c/**")]
    found = path_classes(patterns, {}, lambda label: bool(label & 1), lambda _probed, _common: None)
    assert len(found.matches[True]) == 1
    assert found.are_normal


def test_paths_that_do_not_matter_may_be_anything() -> None:
    found = path_classes([read_path_pattern("/a")], {}, lambda _label: "open", lambda _probed, _common: None)
    (match,) = found.matches["open"]
    assert all(_matches(match, path) for path in ("/a//b", "/x/../a", "/a;b", "/{a}"))
    assert not any(_matches(match, path) for path in ("/a%2Fb", "/%00", "/a%5cb"))
    assert not found.are_normal


def test_expressions_never_make_paths_not_matter() -> None:
    """An automaton does not know paths with escapes, which may be refused by a pattern that names one."""
    patterns: list[ir.PathPattern] = [read_path_pattern("/%20"), ir.RegexPath("/x")]
    found = path_classes(patterns, {}, lambda label: not label & 1, lambda _probed, _common: None)
    assert not any(_matches(one, "/%20") for one in found.matches[True])


def test_probes_are_apart_where_methods_matter() -> None:
    patterns = [read_path_pattern("/healthz")]
    found = path_classes(patterns, {"/healthz": 0}, lambda label: f"kind {label}", lambda _probed, _common: None)
    assert [one.value for one in found.matches["kind 1"]] == ["/healthz"]
    assert not any(_matches(one, "/healthz") for one in found.matches["kind 0"])
    assert any(_matches(one, "//healthz") for one in found.matches["kind 0"])


def test_too_many_paths_are_refused() -> None:
    # Every prefix of 14 segments may have any of them named or not, so that there are 2**14 places.
    patterns = [
        read_path_pattern("/" + "/".join("s" if place == one else f"{{x{place}}}" for place in range(14)))
        for one in range(14)
    ]
    with pytest.raises(TooManyPathsError):
        PathTree([one for one in patterns if isinstance(one, ir.TemplatePath)])


def test_long_expressions_are_refused() -> None:
    automaton = PathAutomaton([ir.RegexPath("(a|b|/)*a(a|b|/){7}")])
    kinds = {label: number for number, label in enumerate(sorted(automaton.labels()))}
    with pytest.raises(UnprintableError):
        automaton.matches(kinds, kinds.values())


def test_the_pool_is_in_normal_form() -> None:
    assert all(normalize_path(path) == path for path in PATHS)
