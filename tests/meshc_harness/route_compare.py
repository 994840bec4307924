"""The comparison of routing: what the caller's real sidecar and those behind it do, beside what the model says."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc.engine.errands import Errand, Way
from meshc.engine.observation import Observation
from meshc.engine.session import observe
from meshc.ir import ALWAYS, Destination, Discovery, Effect, Forward, HeaderChange, Mesh, PortPolicy, Route
from meshc.request import Decision, Request
from meshc.semantics.decide import CompiledPort, Evaluator, destinations_of, first_route
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import Malformed
from meshc.semantics.principals import principals_check
from meshc.semantics.routing import leaving_request
from meshc_envoy.joined_headers import JOINED
from meshc_harness.compare import is_refused_as_malformed, may_be_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What the model says of one request: its decision, and for each destination what happens there."""

    decision: Decision
    route: Route | None
    leaving: Facts | None
    outcomes: tuple["_Outcome", ...]
    reaches_nothing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """Served by one of these names, or answered with this status."""

    names: frozenset[str] = frozenset()
    status: int | None = None


def route_differences(
    mesh: Mesh, requests: Sequence[Request], engine: str = "envoy", *, run: Mesh | None = None
) -> list[str]:
    """Send requests through their callers' sidecars, of an engine; a line for each that does not go as the model says.

    `run` is what the sidecars run, if it is not the mesh itself.
    """
    model = _Model(mesh)
    notes: list[str] = []
    errands = [Errand(request=request, way=Way.ROUTED) for request in requests]
    observations = observe(run or mesh, engine, errands, warn=notes.append)
    assert not notes, notes
    found = []
    for request, observation in zip(requests, observations, strict=True):
        expected = model.expect(request)
        complaint = _complaint(request, expected, observation, model.protocols(request, expected.route))
        if complaint is not None:
            found.append(f"{complaint}: {request}\n  model: {expected}\n  {engine}: {observation}")
    return found


class _Model:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._evaluator = Evaluator(mesh)
        self._workloads = {(one.namespace, one.name): one for one in mesh.workloads}

    def _port(self, request: Request) -> CompiledPort:
        port = self._evaluator.port((request.namespace, request.service, request.port))
        assert port is not None
        return port

    def protocols(self, request: Request, route: Route | None) -> set[str]:
        """Those that a request is sent in on its way."""
        ports = [self._evaluator.port(_key(one)) for one in destinations_of(route, request)]
        return {port.policy.protocol.value for port in (self._port(request), *ports) if port is not None}

    def expect(self, request: Request) -> _Expected:
        port = self._port(request)
        decision = self._evaluator.decide(request)
        facts = self._evaluator.observe(port, request)
        compiled = None if isinstance(facts, Malformed) else first_route(port, facts)
        route = None if compiled is None else compiled.route
        leaving = None if route is None or isinstance(facts, Malformed) else _leaving(route, facts)
        destinations = [one for one in destinations_of(route, request) if one.weight > 0]
        return _Expected(
            decision=decision,
            route=route,
            leaving=leaving,
            outcomes=() if leaving is None else tuple(self._outcome(one, leaving) for one in destinations),
            reaches_nothing=self._reaches_nothing(request.identity or "", port.policy),
        )

    def _outcome(self, destination: Destination, leaving: Facts) -> _Outcome:
        names = self._running(destination)
        if not names:
            return _Outcome(status=503)
        judged = self._evaluator.judge(_key(destination), leaving, None)
        return _Outcome(names=names) if judged.decision.allowed else _Outcome(status=judged.decision.status)

    def _running(self, destination: Destination) -> frozenset[str]:
        """The stubs that may serve a destination; none for a version that the program leaves without endpoints."""
        workload = self._workloads[destination.namespace, destination.service]
        versions: set[str | None] = {endpoint.version for endpoint in workload.endpoints}
        if workload.discovery is not Discovery.STATIC:
            versions = {version.name for version in workload.versions} or {None}
        service = f"{destination.namespace}.{destination.service}"
        return frozenset(
            service if version is None else f"{service}@{version}"
            for version in versions
            if destination.version in {None, version}
        )

    def _reaches_nothing(self, identity: str, port: PortPolicy) -> bool:
        """Whether the caller can pass the rules of no port that some route of this one leads to, whatever it sends."""
        destinations = [
            one
            for route in port.routes
            if route.callers is None or principals_check(route.callers)(identity)
            for one in (route.action.destinations if isinstance(route.action, Forward) else ())
        ]
        policies = [self._evaluator.port(_key(one)) for one in destinations]
        return not any(one is not None and _may_pass(identity, one.policy) for one in policies)


def _key(destination: Destination) -> tuple[str, str, int]:
    return destination.namespace, destination.service, destination.port


def _leaving(route: Route, facts: Facts) -> Facts | None:
    leaving = leaving_request(route.settings, route.path, facts)
    return None if isinstance(leaving, Malformed) else leaving


def _may_pass(identity: str, port: PortPolicy) -> bool:
    for stage in port.access:
        mine = [rule for rule in stage.rules if principals_check(rule.principals)(identity)]
        is_passable = bool(mine) if stage.effect is Effect.ALLOW else all(rule.condition != ALWAYS for rule in mine)
        if not is_passable and not stage.shadow:
            return False
    return True


def _complaint(request: Request, expected: _Expected, observed: Observation, protocols: set[str]) -> str | None:
    """What is wrong, in a few words; None if nothing is.

    Where Envoy's support table says that more is refused, its refusal will do: a 400 as `may_be_refused` says, and a 404
    for a caller that may reach nothing behind the port, where the model refuses or the caller's own sidecar would answer.
    """
    decision = expected.decision
    if is_refused_as_malformed(observed) and any(may_be_refused(request, one) for one in protocols):
        return None
    if decision.status == 400:
        is_refused = observed.served_by is None and (observed.shows_status(400) or observed.status is None)
        return None if is_refused else "should be refused with 400"
    if expected.reaches_nothing and decision.allowed is not True and observed.shows_status(404):
        return None
    if decision.allowed is None:
        return _own_answer_complaint(expected, observed)
    for outcome in expected.outcomes:
        if outcome.status is not None and observed.served_by is None and observed.shows_status(outcome.status):
            return None
        if observed.served_by in outcome.names:
            return _sent_complaint(request, expected, observed)
    return f"should be one of {expected.outcomes}"


def _own_answer_complaint(expected: _Expected, observed: Observation) -> str | None:
    decision, route = expected.decision, expected.route
    if observed.served_by is not None or decision.status is None or not observed.shows_status(decision.status):
        return f"should be answered {decision.status} by the caller's sidecar"
    if (decision.redirect is None) != (observed.redirect is None):
        return "a redirect or none, by mistake"
    if observed.redirect is not None and not observed.redirect.leads_to(decision.redirect or ""):
        return f"should lead to {decision.redirect}"
    return None if route is None else _answer_headers_complaint(route, observed)


def _sent_complaint(request: Request, expected: _Expected, observed: Observation) -> str | None:
    """Compare what the service received, where it tells, and what came back."""
    leaving, received = expected.leaving, observed.received
    if received is not None and leaving is not None:
        query = "" if leaving.query_text is None else f"?{leaving.query_text}"
        wanted = (leaving.method, f"{leaving.path}{query}", leaving.host)
        got = (received.method, received.path, (received.host or "").lower())
        if wanted != got:
            return f"should arrive as {wanted}, arrived as {got}"
        for name in _names_spoken_of(request, expected.route):
            values = tuple(value.strip() for key, value in received.headers if key == name)
            if values != leaving.headers.get(name, ()):
                return f"`{name}` should arrive as {leaving.headers.get(name, ())}, arrived as {values}"
    return None if expected.route is None else _answer_headers_complaint(expected.route, observed)


def _names_spoken_of(request: Request, route: Route | None) -> list[str]:
    """Headers that the request or its route speaks of. Lines of those that Envoy joins cannot be told apart."""
    changes: tuple[HeaderChange, ...] = () if route is None else route.settings.header_changes
    names = {name.lower() for name, _ in request.headers} | {
        change.name for change in changes if change.direction == "request"
    }
    return sorted(names - JOINED)


def _answer_headers_complaint(route: Route, observed: Observation) -> str | None:
    """Compare the changes of the response, which without them has none of these headers."""
    wanted: dict[str, tuple[str, ...]] = {}
    for change in route.settings.header_changes:
        if change.direction == "response":
            before = wanted.get(change.name, ()) if change.operation == "add" else ()
            wanted[change.name] = () if change.operation == "remove" else (*before, change.value or "")
    for name, values in wanted.items():
        got = tuple(value for key, value in observed.headers if key == name)
        if got != values:
            return f"`{name}` of the answer should be {values}, is {got}"
    return None
