"""The comparison of engines: what real sidecars do, beside what the model says."""

from collections.abc import Sequence
from datetime import date

from meshc.engine.errands import Errand, Way
from meshc.engine.observation import Observation
from meshc.engine.session import observe
from meshc.features import REGISTERED_METHODS
from meshc.frontend import Analysis, analyze
from meshc.ir import Mesh
from meshc.parse import parse
from meshc.request import Decision, Request
from meshc.resolve import Module
from meshc.semantics.decide import Evaluator
from meshc.source import SourceFile

TODAY = date(2026, 1, 1)


def analyze_text(text: str, path: str = "policy.mesh", environment: str | None = None) -> Analysis:
    """Analyze a program of one file, for one of its environments or for none."""
    parsed = parse(SourceFile(path, text))
    return analyze(
        {path: Module(file=parsed.file, imports={})},
        (),
        {path: [(comment.text, comment.span) for comment in parsed.comments]},
        environment=environment,
        today=TODAY,
        earlier=parsed.diagnostics,
    )


def differences(
    mesh: Mesh, requests: Sequence[Request], engine: str = "envoy", *, run: Mesh | None = None
) -> list[str]:
    """Send requests straight to their servers' sidecars, of an engine; a line for each that is not decided as the model says.

    `run` is what the sidecars run, if it is not the mesh itself.
    """
    evaluator = Evaluator(mesh)
    protocols = {
        (workload.namespace, workload.name, port.number): port.protocol.value
        for workload in mesh.workloads
        for port in workload.ports
    }
    notes: list[str] = []
    observations = observe(
        run or mesh, engine, [Errand(request=request, way=Way.DIRECT) for request in requests], warn=notes.append
    )
    assert not notes, notes
    return [
        f"{request}\n  model: {decision}\n  {engine}: {observation}"
        for request, observation in zip(requests, observations, strict=True)
        if not agree(request, protocols[_key(request)], decision := evaluator.decide(request), observation)
    ]


def _key(request: Request) -> tuple[str, str, int]:
    return request.namespace, request.service, request.port


def agree(request: Request, protocol: str, decision: Decision, observation: Observation) -> bool:
    """Whether an observation is what the model says.

    Where Envoy's support table says that more is refused, a 400 will do: over HTTP/1 a method that nobody registered, over
    HTTP/2 a header value with blanks at an end, which a regular expression reads. Over HTTP/2, Envoy resets some streams
    that it answers with 400 over HTTP/1.
    """
    if is_refused_as_malformed(observation) and may_be_refused(request, protocol):
        return True
    if decision.allowed != observation.allowed:
        return False
    return decision.status == observation.status or (decision.status == 400 and observation.status is None)


def is_refused_as_malformed(observation: Observation) -> bool:
    """Whether it was answered with 400, or its stream reset."""
    return observation.shows_status(400) or (observation.allowed is False and observation.status is None)


def may_be_refused(request: Request, protocol: str) -> bool:
    """Whether Envoy's support table lets a request be refused with 400 that the model does not refuse."""
    if protocol == "http":
        return request.method not in REGISTERED_METHODS
    return any(value != value.strip() for _, value in request.headers)
