"""What tests of Istio's callers' side share: programs compiled to plain objects."""

from collections.abc import Mapping
from typing import Any

from meshc import ir
from meshc.diagnostics import Severity
from meshc.kubernetes import resource_data
from meshc.passes.support import check_support
from meshc_harness.compare import analyze_text
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic

Object = Mapping[str, Any]


def mesh_of(program: str) -> ir.Mesh:
    """The mesh of a program without errors."""
    analysis = analyze_text(program)
    errors = [one for one in analysis.diagnostics if one.severity is Severity.ERROR]
    assert not errors, errors
    assert analysis.mesh is not None
    return analysis.mesh


def objects(program: str) -> dict[str, Object]:
    """The objects of a program that Istio can express, by `Kind/name`."""
    mesh = mesh_of(program)
    assert not list(check_traffic(mesh))
    found = [resource_data(placed.resource) for placed in traffic_objects(mesh)]
    named = {f"{one['kind']}/{one['metadata']['name']}": one for one in found}
    assert len(named) == len(found), "two objects of one name"
    return named


def spec(program: str, name: str) -> Any:
    """The spec of one object."""
    return objects(program)[name]["spec"]


def problems(program: str) -> list[tuple[int, str]]:
    """What Istio cannot express because of how it is spelled: lines and messages."""
    return [(one.span.line, one.message) for one in check_traffic(mesh_of(program))]


def unsupported(program: str, table: Mapping[Any, Any]) -> list[str]:
    """The messages of features that the table calls impossible."""
    found = check_support(mesh_of(program), "istio", table)
    return [one.message for one in found if one.severity is Severity.ERROR]
