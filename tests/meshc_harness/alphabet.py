"""Every request that the programs of `meshc_harness.edits` can tell apart, and what becomes of each, by `decide` alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from meshc import ir
from meshc.difference.model import Change
from meshc.request import Request
from meshc.semantics.conditions import condition_check
from meshc.semantics.decide import CompiledPort, Evaluator, first_route
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import Malformed
from meshc.semantics.routing import active_faults, leaving_request, redirect_target

CALLERS = (
    None,
    "spiffe://m.example/ns/a/sa/front",
    "spiffe://m.example/ns/a/sa/back",
    "spiffe://m.example/ns/b/sa/data",
    "spiffe://m.example/ns/a/sa/other",
    "spiffe://ops.example/ns/o/sa/bot",
)
SOURCE_IPS = ("10.1.2.3", "10.9.9.9", "192.168.0.1")
METHODS = ("GET", "POST", "PUT")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/x", "/a/b/c", "/b", "/c/b")
HEADERS: tuple[tuple[tuple[str, str], ...], ...] = ((), (("x-a", "1"),), (("x-a", "2"),), (("x-a", "3"),))


def requests() -> Iterator[Request]:
    """The alphabet: some 1,700 requests to `back`, as many to `front`, a few connections to `data`."""
    for caller in CALLERS:
        for address in SOURCE_IPS:
            yield Request(identity=caller, namespace="b", service="data", port=5432, source_ip=address)
            for service in ("back", "front"):
                for method in METHODS:
                    for path in PATHS:
                        for headers in HEADERS:
                            yield Request(
                                identity=caller,
                                namespace="a",
                                service=service,
                                port=80,
                                method=method,
                                path=path,
                                headers=headers,
                                source_ip=address,
                            )


ALPHABET = tuple(requests())


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a request travels: where to, or what is answered; and, by name, the settings that are in force."""

    action: object
    settings: Mapping[str, object]


Answer = tuple[bool | None, int | None, bool]
"""What a port says: allowed, status, and whether anything but the connection decided."""


class Model:
    """A mesh, asked request by request. Access is judged at the port; ways are those of the callers' proxies.

    A port is asked for as the model has it, so that ports that both of two models have alike need not be asked at all.
    """

    def __init__(self, mesh: ir.Mesh) -> None:
        self.ports = {(one.namespace, one.name, port.number): port for one in mesh.workloads for port in one.ports}
        self._direct = Evaluator(_direct(mesh))
        self._routed = Evaluator(mesh)

    def answer(self, request: Request) -> Answer:
        found = self._direct.decide(request)
        return found.allowed, found.status, found.rule is not None or found.allowed is True

    def way(self, request: Request) -> Way:
        port = self._port(request)
        facts = self._routed.observe(port, request)
        assert not isinstance(facts, Malformed)
        taken = first_route(port, facts)
        route = None if taken is None else taken.route
        settings = port.policy.settings if route is None else route.settings
        faults = active_faults(port.faults if taken is None else taken.faults, facts)
        shared = {
            "fault": sorted((one.delay_ms, one.percent) for one in faults if isinstance(one, ir.FaultDelay)),
            "fault abort": [(one.status, one.percent) for one in faults if isinstance(one, ir.FaultAbort)],
            "headers": sorted(
                ((one.direction, one.name, one.operation, one.value) for one in settings.header_changes),
                key=lambda one: one[:2],
            ),
        }
        action = _action(route, facts, request)
        if action[0] != "send":
            return Way(action=action, settings=shared)
        leaving = leaving_request(settings, ir.ANY_PATH if route is None else route.path, facts)
        assert not isinstance(leaving, Malformed)
        return Way(
            action=action,
            settings=shared
            | {
                "timeout": settings.timeout_ms,
                "idle-timeout": settings.idle_timeout_ms,
                "retry": settings.retry,
                "mirror": [(one.percent, one.destination) for one in settings.mirrors],
                "rewrite path": leaving.path,
                "rewrite host": leaving.host,
            },
        )

    def counts(self, limit: ir.RateLimit, request: Request) -> bool:
        """Whether a limit counts a request."""
        facts = self._routed.observe(self._port(request), request)
        assert not isinstance(facts, Malformed)
        return condition_check(limit.condition)(facts)

    def shadow(self, request: Request) -> tuple[bool, bool]:
        """Whether a shadow deny matches, and a shadow allow."""
        port = self._port(request)
        facts = self._routed.observe(port, request)
        assert not isinstance(facts, Malformed)
        judged = self._routed.judge((request.namespace, request.service, request.port), facts, None).facts
        if judged is None:
            return False, False
        found = {
            stage.stage.effect
            for stage in port.access.stages
            if stage.stage.shadow and stage.first_match(judged) is not None
        }
        return ir.Effect.DENY in found, ir.Effect.ALLOW in found

    def _port(self, request: Request) -> CompiledPort:
        port = self._routed.port((request.namespace, request.service, request.port))
        assert port is not None
        return port


def kind_of(old: Answer, new: Answer) -> Change:
    """What has become of a request that is answered otherwise."""
    if new[0]:
        return Change.OPENED
    return Change.CLOSED if old[0] else Change.CHANGED


def _action(route: ir.Route | None, facts: Facts, request: Request) -> tuple[str, object]:
    if route is None:
        return "send", {((request.namespace, request.service, request.port, None), 100.0)}
    match route.action:
        case ir.Forward(destinations=destinations):
            return "send", {
                ((one.namespace, one.service, one.port, one.version), one.weight)
                for one in destinations
                if one.weight > 0
            }
        case ir.Redirect(target=target, status=status):
            return "redirect", (redirect_target(target, route.path, facts), status)
        case ir.Respond(status=status, body=body):
            return "respond", (status, body)


def _direct(mesh: ir.Mesh) -> ir.Mesh:
    """The mesh without what callers' proxies do."""

    def port(one: ir.PortPolicy) -> ir.PortPolicy:
        return replace(one, routes=(), settings=ir.Settings())

    return replace(mesh, workloads=tuple(replace(one, ports=tuple(map(port, one.ports))) for one in mesh.workloads))
