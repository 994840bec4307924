"""The comparison of routing with Istio: what a caller's sidecar and the servers' do by the emitted documents, and the model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc import ir
from meshc.engine.observation import Redirected
from meshc.request import Request
from meshc.semantics.decide import CompiledPort, Evaluator, default_host, destinations_of, first_route, own_answer
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import Malformed, normalize_host
from meshc.semantics.routing import FaultCheck, active_faults, leaving_request
from meshc.target import Target
from meshc_harness.istio import Arrival, Call, Caller, Destination, Mtls, Outcome, Workload
from meshc_harness.istio.calls import Fault, HeaderChanges
from meshc_harness.istio.calls import Request as Leaving
from meshc_harness.istio.paths import BadTargetError, normalized
from meshc_harness.istio_compare import as_istio_reads, as_model_writes, istio_mesh, workloads_of

Place = tuple[str, str, int, frozenset[str | None]]
"""Namespace and name of a service, its port, and the versions that may serve; None for a service without versions."""

SAMPLES: tuple[Mapping[str, tuple[str, ...]], ...] = ({}, {"x-a": ("old",), "x-b": ("1", "2"), "x-new": ("",)})
"""Answers that a route's changes are tried on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    port: CompiledPort
    facts: Facts
    route: ir.Route | None
    settings: ir.Settings


class RouteComparison:
    """One mesh: requests from workloads through their own sidecars, in the model and in Istio."""

    def __init__(self, mesh: ir.Mesh, target: Target, *, joins_lines: bool) -> None:
        self.istio = istio_mesh(mesh, target, joins_lines=joins_lines)
        self.evaluator = Evaluator(mesh)
        self.unknown_hosts = 0
        """Requests whose Host means no service to Istio: these go where their address says, by no route."""

        self._workloads = {(one.namespace, one.name): one for one in workloads_of(mesh)}
        self._by_host = self.istio.caller.workloads

    def difference(self, request: Request, caller: tuple[str, str]) -> str | None:
        """What differs for a request of a workload, in words; None for nothing."""
        workload = self._workloads[caller]
        pod = Caller(namespace=workload.namespace, labels=workload.pods()[0])
        authority = default_host(request.namespace, request.service) if request.host is None else request.host
        call = Call(
            port=request.port,
            authority=authority,
            method=request.method,
            target=_target(request),
            headers=request.headers,
        )
        if self.istio.caller.host_of(pod, call) is None:
            self.unknown_hosts += 1
            return None
        outcome = self.istio.caller.send(pod, call)
        read = as_istio_reads(request, self.istio.settings)
        complaint = self._complaint(read, authority, pod, outcome)
        if complaint is None:
            return None
        return f"{complaint}\n  {request}\n  model: {self.evaluator.decide(read)}\n  istio: {outcome}"

    def _expect(self, request: Request) -> _Expected | Malformed:
        port = self.evaluator.port((request.namespace, request.service, request.port))
        assert port is not None
        facts = self.evaluator.observe(port, request)
        if isinstance(facts, Malformed):
            return facts
        compiled = first_route(port, facts)
        route = None if compiled is None else compiled.route
        settings = port.policy.settings if route is None else route.settings
        return _Expected(port=port, facts=facts, route=route, settings=settings)

    def _complaint(self, request: Request, authority: str, pod: Caller, outcome: Outcome) -> str | None:
        expected = self._expect(request)
        if isinstance(expected, Malformed):
            return None if outcome.status == 400 else "should be answered 400"
        faults = active_faults(_fault_checks(expected), expected.facts)
        answer = own_answer(expected.route, faults, expected.facts)
        if answer is not None:
            if outcome.status != answer.status:
                return f"should be answered {answer.status} by the caller's sidecar, is {outcome.status}"
            if (answer.redirect is None) != (outcome.location is None):
                return "a redirect or none, by mistake"
            if outcome.location is not None and not Redirected(
                location=as_model_writes(outcome.location, self.istio.settings),
                origin=f"http://{authority}",
                query=expected.facts.query_text,
            ).leads_to(answer.redirect or ""):
                return f"should lead to {answer.redirect}"
            # The language leaves open what changes of headers mean for an abort.
            is_abort = any(isinstance(one, ir.FaultAbort) and one.percent >= 100 for one in faults)
            return None if is_abort else _changes_complaint(expected.settings, outcome)
        if outcome.status is not None:
            return f"answered {outcome.status} by the caller's sidecar"
        return (
            _travel_complaint(expected.settings, outcome)
            or _changes_complaint(expected.settings, outcome)
            or self._shares_complaint(request, expected, pod, outcome)
            or self._mirrors_complaint(expected.settings, pod, outcome)
            or self._arrival_complaint(request, expected, pod, outcome)
        )

    # ---- where it goes ----------------------------------------------------------------------------------------------

    def _place(self, pod: Caller, destination: Destination) -> Place | None:
        """Who may serve a destination in Istio; None where nobody does."""
        backends = self.istio.caller.backends(pod, destination)
        workload = self._by_host.get(destination.host)
        if not backends or workload is None:
            return None
        return workload.namespace, workload.name, destination.port, _versions(workload, backends)

    def _model_place(self, one: ir.Destination) -> Place | None:
        workload = self._workloads[one.namespace, one.service]
        names: frozenset[str | None] = frozenset(workload.versions) or frozenset({None})
        versions = names if one.version is None else frozenset({one.version})
        return one.namespace, one.service, one.port, versions

    def _shares_complaint(self, request: Request, expected: _Expected, pod: Caller, outcome: Outcome) -> str | None:
        wanted: dict[Place | None, float] = {}
        for one in destinations_of(expected.route, request):
            if one.weight > 0:
                place = self._model_place(one)
                wanted[place] = wanted.get(place, 0.0) + one.weight / 100
        got: dict[Place | None, float] = {}
        whole = sum(weight for _, weight in outcome.destinations)
        for destination, weight in outcome.destinations:
            found = self._place(pod, destination)
            got[found] = got.get(found, 0.0) + weight / whole
        is_alike = wanted.keys() == got.keys() and all(abs(wanted[one] - got[one]) < 1e-9 for one in wanted)
        return None if is_alike else f"should go to {wanted}, goes to {got}"

    def _mirrors_complaint(self, settings: ir.Settings, pod: Caller, outcome: Outcome) -> str | None:
        wanted = [(self._model_place(one.destination), one.percent) for one in settings.mirrors if one.percent]
        got = [(self._place(pod, one), percent) for one, percent in outcome.mirrors if percent]
        return None if wanted == got else f"should be mirrored to {wanted}, is to {got}"

    # ---- what arrives -----------------------------------------------------------------------------------------------

    def _arrival_complaint(self, request: Request, expected: _Expected, pod: Caller, outcome: Outcome) -> str | None:
        """Compare the request that leaves, and what each server says to it."""
        sent, route = outcome.leaving, expected.route
        assert sent is not None
        leaving = expected.facts if route is None else leaving_request(route.settings, route.path, expected.facts)
        if isinstance(leaving, Malformed):
            return None if self._arriving_path(sent) is None else "should be refused after the rewrite"
        query = "" if leaving.query_text is None else f"?{leaving.query_text}"
        wanted = (leaving.method, f"{leaving.path}{query}", leaving.host)
        sent_query = "" if sent.query is None else f"?{sent.query}"
        path = as_model_writes(self._arriving_path(sent) or "", self.istio.settings)
        got = (sent.method, f"{path}{sent_query}", normalize_host(sent.authority))
        if wanted != got:
            return f"should arrive as {wanted}, arrives as {got}"
        wanted_headers = {name: values for name, values in leaving.headers.items() if values}
        if wanted_headers != {name: values for name, values in sent.headers.items() if values}:
            return f"should arrive with {dict(leaving.headers)}, arrives with {dict(sent.headers)}"
        for destination, _ in outcome.destinations:
            found = self._judgement_complaint(request, leaving, sent, pod, destination)
            if found is not None:
                return found
        return None

    def _arriving_path(self, sent: Leaving) -> str | None:
        """The path as the server's sidecar reads it, None for one that it refuses."""
        try:
            return normalized(sent.path, self.istio.settings.normalization)
        except BadTargetError:
            return None

    def _judgement_complaint(
        self, request: Request, leaving: Facts, sent: Leaving, pod: Caller, destination: Destination
    ) -> str | None:
        workload = self._by_host[destination.host]
        key = workload.namespace, workload.name, destination.port
        port = next(one for one in workload.ports if one.number == destination.port)
        decision = self.evaluator.judge(key, leaving, None).decision
        for labels in self.istio.caller.backends(pod, destination):
            mode = self.istio.server.mtls(workload, labels, port)
            arrival = Arrival(
                peer=request.source_ip,
                certificate=None if mode is Mtls.DISABLE else request.identity,
                method=sent.method,
                target=sent.target,
                authority=sent.authority,
                headers=tuple((name, value) for name, values in sent.headers.items() for value in values),
            )
            answer = self.istio.server.answer(workload, port, arrival, labels)
            if (decision.allowed, decision.status) != (answer.allowed, answer.status):
                return f"at {destination}: should be {decision}, is {answer}"
        return None


def _target(request: Request) -> str:
    """The request's target with all of its parameters."""
    target = request.path or ""
    for name, value in request.query:
        target += ("&" if "?" in target else "?") + f"{name}={value}"
    return target


def _versions(workload: Workload, backends: tuple[Mapping[str, str], ...]) -> frozenset[str | None]:
    found: set[str | None] = {
        name for name, labels in workload.versions.items() if {**workload.labels, **labels} in backends
    }
    return frozenset(found) or frozenset({None})


def _fault_checks(expected: _Expected) -> tuple[FaultCheck, ...]:
    compiled = first_route(expected.port, expected.facts)
    return expected.port.faults if compiled is None else compiled.faults


# ---- settings -------------------------------------------------------------------------------------------------------


def _travel_complaint(settings: ir.Settings, outcome: Outcome) -> str | None:
    """Compare timeout, retries and faults. A backoff is known by its base alone."""
    retry = settings.retry
    wanted = (
        settings.timeout_ms,
        0 if retry is None else retry.attempts,
        None if retry is None else retry.per_try_ms,
        None if retry is None or retry.backoff_ms is None else retry.backoff_ms[0],
    )
    retries = outcome.retries
    got = (outcome.timeout_ms, retries.attempts, retries.per_try_ms, retries.backoff_ms)
    if wanted != got:
        return f"timeout, retries, per-try and backoff should be {wanted}, are {got}"
    if retry is not None:
        words = {*retry.conditions, *(str(status) for status in retry.statuses)}
        if words != set(retries.on) - {"retriable-status-codes"}:
            return f"should retry on {words}, does on {retries.on}"
    faults = {*_delays(settings), *_aborts(settings)}
    return None if faults == set(outcome.faults) else f"faults should be {faults}, are {outcome.faults}"


def _delays(settings: ir.Settings) -> Iterator[Fault]:
    return (Fault(percent=one.percent, delay_ms=one.delay_ms) for one in settings.delays)


def _aborts(settings: ir.Settings) -> Iterator[Fault]:
    return (Fault(percent=one.percent, status=one.status) for one in settings.aborts)


def _changes_complaint(settings: ir.Settings, outcome: Outcome) -> str | None:
    """Compare what becomes of an answer's headers."""
    changes = outcome.response_headers or HeaderChanges()
    for sample in SAMPLES:
        wanted = dict(sample)
        for change in settings.header_changes:
            if change.direction == "response":
                before = wanted.pop(change.name, ())
                if change.operation != "remove":
                    wanted[change.name] = (*(before if change.operation == "add" else ()), change.value or "")
        got = changes.apply(sample)
        if wanted != got:
            return f"an answer with {dict(sample)} should have {wanted}, has {dict(got)}"
    return None
