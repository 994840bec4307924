"""Retries on statuses of gRPC: for all calls of a port, or for none; what is left out is said and not expected."""

from meshc.diagnostics import Severity
from meshc.ir import Mesh
from meshc.verification import verify
from meshc_harness.compare import analyze_text
from meshc_linkerd import TARGET

WHOLE = """namespace shop
service web in shop
service cart in shop { port 80 grpc }
access cart { allow web }
traffic cart { retry 2 on unavailable }
"""
PART = WHOLE.replace("traffic cart {", "traffic cart { route rpc shop.Cart/Get { retry never } ")
WARN = {"unsupported": "warn"}


def mesh_of(text: str) -> Mesh:
    mesh = analyze_text(text).mesh
    assert mesh is not None
    return mesh


def test_a_port_of_which_all_calls_are_retried_alike() -> None:
    emission = TARGET.emit(mesh_of(WHOLE), {})
    kinds = [resource["kind"] for one in emission.documents for resource in one.resources]
    assert "GRPCRoute" in kinds
    assert verify(TARGET, mesh_of(WHOLE), emission.documents, {}, {}) == ()


def test_others_are_an_error_or_left_out_on_request() -> None:
    mesh = mesh_of(PART)
    refused = TARGET.emit(mesh, {})
    wrong = [one.message for one in refused.diagnostics if one.severity is Severity.ERROR]
    assert len(wrong) == 1
    assert "retries on statuses of gRPC hold for all calls" in wrong[0]
    emission = TARGET.emit(mesh, WARN)
    warned = [one for one in emission.diagnostics if "retries on statuses of gRPC are left out" in one.message]
    assert [one.severity for one in warned] == [Severity.WARNING]
    assert warned[0].span.line == 5
    assert verify(TARGET, mesh, emission.documents, WARN, {}) == ()
