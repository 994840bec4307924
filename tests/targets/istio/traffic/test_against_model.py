"""Random programs and requests: the VirtualServices lead them where the model says."""

from dataclasses import dataclass
from random import Random

import pytest

from istio_traffic_lab import Object, Pod, http_route, matching, redirected, rewritten, shares
from meshc import ir
from meshc.diagnostics import Severity
from meshc.frontend import Analysis
from meshc.kubernetes import resource_data
from meshc.request import Request
from meshc.semantics.decide import Evaluator, destinations_of, first_route
from meshc.semantics.normalize import Malformed
from meshc.semantics.paths import capture, substitute
from meshc_harness.compare import analyze_text
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import RoutedProgram, routed_program
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic

PROGRAMS = 40
REQUESTS = 25


def _expressible(program: RoutedProgram) -> RoutedProgram:
    """The program without the routes that Istio cannot express."""
    text, mesh = program.text, program.mesh
    while wrong := {one.span.line for one in check_traffic(mesh)}:
        # What is left of a route may be a setting that only what is gone made use of.
        while wrong:
            lines = text.splitlines()
            kept = [line for number, line in enumerate(lines, 1) if number not in wrong]
            assert len(kept) < len(lines)
            text = "\n".join(kept) + "\n"
            analysis: Analysis = analyze_text(text)
            wrong = {one.span.line for one in analysis.diagnostics if one.severity is Severity.ERROR}
        assert analysis.mesh is not None, (text, analysis.diagnostics)
        mesh = analysis.mesh
    return RoutedProgram(text=text, mesh=mesh, ports=program.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One request: the route that the model takes, the one that the VirtualService takes, and the match that took it."""

    route: ir.Route
    found: Object
    match: Object
    path: str
    authority: str


def _complaint(program: RoutedProgram, services: dict[tuple[str, str], Object], request: Request) -> str | None:
    evaluator = Evaluator(program.mesh)
    compiled = evaluator.port((request.namespace, request.service, request.port))
    assert compiled is not None
    facts = evaluator.observe(compiled, request)
    if isinstance(facts, Malformed):
        return None
    expected = first_route(compiled, facts)
    assert expected is not None
    caller = next(one for one in program.mesh.workloads if one.identity == request.identity)
    pod = Pod(namespace=caller.namespace, labels=caller.labels)
    authority = request.host or f"{request.service}.{request.namespace}"
    found = http_route(services[request.namespace, request.service], request.port, facts, authority, pod)
    if found is None:
        return f"no route instead of {expected}"
    match = matching(found, request.port, facts, authority, pod)
    seen = _Seen(route=expected.route, found=found, match=match, path=facts.path or "/", authority=authority)
    return _differs(seen, program.mesh, request)


def _differs(seen: _Seen, mesh: ir.Mesh, request: Request) -> str | None:
    match seen.route.action:
        case ir.Respond(status=status):
            answered = seen.found.get("directResponse", {}).get("status")
            return None if answered == status else f"answers {answered} instead of {status}"
        case ir.Redirect():
            return _redirect_differs(seen, seen.route.action)
        case ir.Forward():
            return _sent_differs(seen, mesh, request)


def _redirect_differs(seen: _Seen, redirect: ir.Redirect) -> str | None:
    if "redirect" not in seen.found:
        return "does not redirect"
    wanted = substitute(redirect.target, capture(seen.route.path, seen.path))
    if "://" in wanted and wanted.count("/") == 2:
        wanted += "/"
    got = redirected(seen.found, seen.match, seen.path)
    is_same = (wanted, redirect.status) == (got, seen.found["redirect"]["redirectCode"])
    return None if is_same else f"redirects to {got} and not {wanted}"


def _sent_differs(seen: _Seen, mesh: ir.Mesh, request: Request) -> str | None:
    if "route" not in seen.found:
        return "does not send the request on"
    wanted = sorted(
        (f"{one.service}.{one.namespace}.svc.{mesh.cluster_domain}:{one.port}", one.version or "", one.weight)
        for one in destinations_of(seen.route, request)
        if one.weight > 0
    )
    got = sorted((host, subset or "", share) for host, subset, share in shares(seen.found))
    if got != wanted:
        return f"sends to {got} instead of {wanted}"
    settings, path = seen.route.settings, seen.path
    leaving = (
        path if settings.rewrite_path is None else substitute(settings.rewrite_path, capture(seen.route.path, path))
    )
    if rewritten(seen.found, path) != leaving:
        return f"sends {rewritten(seen.found, path)} instead of {leaving}"
    timeout = None if settings.timeout_ms is None else f"{settings.timeout_ms // 1000}s"
    return None if seen.found.get("timeout") == timeout else "has another timeout"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_requests_go_where_the_model_says(seed: int) -> None:
    rng = Random(seed)
    program = _expressible(routed_program(rng))
    services: dict[tuple[str, str], Object] = {}
    for placed in traffic_objects(program.mesh):
        if placed.resource.kind == "VirtualService":
            assert placed.owner is not None
            services[placed.owner] = resource_data(placed.resource)
    for _ in range(REQUESTS):
        port = rng.choice(program.ports)
        request = routed_request(rng, program, port)
        complaint = _complaint(program, services, request)
        assert complaint is None, f"{complaint}\n{request}\n{program.text}"
