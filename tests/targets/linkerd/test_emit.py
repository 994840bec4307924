"""The target as a whole: a table that is total and careful, files that are stable, and no output beside an error."""

import pytest
import yaml

from linkerd_lab import compile_mesh
from meshc.diagnostics import Severity
from meshc.features import Feature
from meshc.target import Exactness
from meshc.targets import find_target
from meshc.yaml_printer import print_yaml
from meshc_linkerd import SUPPORT, TARGET, EmitOptions, emit

PROGRAM = """
mesh shop { }
namespace shop
namespace bank
service frontend in shop { port 80 http target 8080 probe GET /healthz on 8080 }
service payments in bank { port 8080 http port 5432 tcp }
access frontend { allow payments }
access payments:8080 { allow frontend to POST /charge deny anyone from 10.66.0.0/16 }
access payments:5432 { allow frontend }
"""
MAY_OMIT = {Feature.RULE_SHADOW, Feature.RATE_LIMIT_PER_HEADER, Feature.RATE_LIMIT_CONDITION}
AREAS = (
    "PORT MTLS TRUST DEFAULT RULE SOURCE REMOTE CONDITION METHOD PATH HOST HEADER QUERY CLAIM SNI JWT PROBE RATE_LIMIT"
)
SERVER_SIDE = [feature for feature in Feature if feature.name.startswith(tuple(AREAS.split()))]


def test_the_target_is_found_and_total() -> None:
    assert find_target("linkerd") is TARGET
    assert set(SUPPORT) == set(Feature)


@pytest.mark.parametrize("feature", SERVER_SIDE)
def test_every_row_says_what_differs(feature: Feature) -> None:
    row = SUPPORT[feature]
    assert row.may_omit == (feature in MAY_OMIT)
    if row.exactness is not Exactness.EXACT:
        assert row.note
    if row.exactness is Exactness.IMPOSSIBLE:
        assert row.instead


def test_only_probes_let_more_through() -> None:
    approximate = {one for one in SERVER_SIDE if SUPPORT[one].exactness is Exactness.APPROXIMATE}
    assert approximate == {Feature.PROBE_HTTP, Feature.PROBE_GRPC}


def test_files_are_laid_out_and_stable() -> None:
    emission = emit(compile_mesh(PROGRAM))
    assert [one.path for one in emission.documents] == [
        "bank/payments.yaml",
        "kustomization.yaml",
        "shop/frontend.yaml",
    ]
    again = emit(compile_mesh(PROGRAM))
    assert again.documents == emission.documents
    for document in emission.documents:
        for resource in document.resources:
            assert yaml.safe_load(print_yaml(resource)) == resource


def test_one_edited_rule_changes_one_file() -> None:
    before = {one.path: one.resources for one in emit(compile_mesh(PROGRAM)).documents}
    edited = PROGRAM.replace("POST /charge", "POST /charges")
    after = {one.path: one.resources for one in emit(compile_mesh(edited)).documents}
    assert [path for path in before | after if before.get(path) != after.get(path)] == ["bank/payments.yaml"]


def test_probes_are_told_on_every_compile() -> None:
    (found,) = [one for one in emit(compile_mesh(PROGRAM)).diagnostics if "probe" in one.message]
    assert found.severity is Severity.WARNING
    assert found.span.line == 5


@pytest.mark.parametrize(
    "rule",
    [
        'allow frontend when claim "a" == "b"',
        "allow frontend when remote ip in (10.0.0.0/8)",
        'allow frontend when host starts with "a"',
        'deny frontend when query "q" ends with "a"',
        "allow frontend to PURGE9 /a",
    ],
)
def test_what_is_impossible_is_one_error_and_no_output(rule: str) -> None:
    jwt = 'authenticate payments { jwt c { issuer "https://i" audiences "a" jwks file "k.json" } }'
    text = PROGRAM.replace("mesh shop { }", "mesh shop { trusted-hops 1 }") + (jwt if "claim" in rule else "")
    line = text.count("\n") + 3
    emission = emit(compile_mesh(f"{text}\naccess payments:8080 {{\n{rule}\n}}\n"))
    errors = [one for one in emission.diagnostics if one.severity is Severity.ERROR]
    assert not emission.documents
    assert len([one for one in errors if one.span.line == line]) == 1, errors


def test_shadow_rules_may_be_left_out() -> None:
    mesh = compile_mesh(f"{PROGRAM}access payments {{ shadow deny frontend }}")
    assert not emit(mesh).documents
    emission = emit(mesh, EmitOptions(omit=True))
    plain = emit(compile_mesh(PROGRAM))
    assert [one.path for one in emission.documents] == [one.path for one in plain.documents]
    specs = [[one["spec"] for one in document.resources if "spec" in one] for document in emission.documents]
    assert specs == [[one["spec"] for one in document.resources if "spec" in one] for document in plain.documents]
