"""`meshc test --coverage`, `--suggest` and `--min-coverage` as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from meshc_harness.running import Ran

Meshc = Callable[..., Ran]


def test_coverage_names_what_no_test_exercises(project: Path, meshc: Meshc) -> None:
    ran = meshc("test", "--coverage")
    assert ran.status == 0
    assert "2 passed, 0 failed\n\ncoverage: 57 %, 4 of 7: 1 of 1 rule, 1 of 3 clauses, 2 of 3 regions\n" in ran.out
    assert (
        "  policies/shop.mesh:4: allow web to GET /items/{id}\n      outside `shop.web`; outside `/items/{id}`\n"
        in ran.out
    )


def test_suggested_tests_complete_the_coverage(project: Path, meshc: Meshc) -> None:
    ran = meshc("test", "--suggest")
    assert ran.status == 0
    assert ran.out.startswith('test "boundaries of shop.cart" {\n')
    assert "2 passed, 0 failed" in ran.err  # what is printed can be appended to a file as it is
    (project / "policies" / "boundaries.mesh").write_text(ran.out, encoding="utf-8")
    assert meshc("fmt", "--check", "policies/boundaries.mesh").status == 0
    assert "coverage: 100 %" in meshc("test", "--coverage").out
    again = meshc("test", "--suggest")
    assert (again.out, "nothing to suggest" in again.err) == ("", True)


@pytest.mark.parametrize(("least", "status"), [("57", 0), ("57%", 0), ("57.2", 1), ("0", 0), ("101", 2), ("x", 2)])
def test_a_least_coverage(project: Path, meshc: Meshc, least: str, status: int) -> None:
    ran = meshc("test", "--min-coverage", least)
    assert ran.status == status
    assert ("at least 57.2 % is asked for" in ran.err) == (status == 1)


def test_coverage_for_machines(project: Path, meshc: Meshc) -> None:
    report = json.loads(meshc("test", "--coverage", "--suggest", "--format", "json").out)
    assert report["coverage"]["percent"] == 57.14
    assert report["coverage"]["rules"] == {"exercised": 1, "total": 1}
    assert report["suggestions"]["text"].startswith("test ")
    assert len(report["suggestions"]["tests"]) == 3
    suites = ET.fromstring(meshc("test", "--coverage", "--format", "junit").out)
    values = {one.get("name"): one.get("value") for one in suites.iter("property")}
    assert values["coverage.percent"] == "57.14"
    assert values["coverage.clauses"] == "1/3"
    assert "coverage: 57 %" in (suites.findtext("testsuite/system-out") or "")


def test_a_failing_test_fails_whatever_is_exercised(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "t.mesh").write_text('test "wrong" { deny web GET cart /items/1 }\n', encoding="utf-8")
    assert meshc("test", "--coverage").status == 1
    ran = meshc("test", "--suggest")
    assert ran.status == 1
    assert "expected deny, found allow" in ran.err


def test_coverage_of_one_environment_suggests_tests_there(project: Path, meshc: Meshc) -> None:
    text = "environment open { access cart { allow web to /open } }\n"
    (project / "policies" / "env.mesh").write_text(text, encoding="utf-8")
    ran = meshc("test", "--suggest", "--env", "open")
    assert ran.out.startswith("environment open {\n  test ")
    (project / "policies" / "boundaries.mesh").write_text(ran.out, encoding="utf-8")
    assert "coverage: 100 %" in meshc("test", "--coverage", "--env", "open").out
