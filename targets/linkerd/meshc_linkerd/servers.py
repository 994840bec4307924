"""Which ports of pods there are, and what their health checkers ask: `ir.Mesh` -> `PodPort`s.

Linkerd has policy for a port of pods, not of a service. Of two Servers that select one pod's port it heeds the older, so
there must be one only: services with the same pods share it, and must say the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.errors import InternalError
from meshc.kubernetes import object_name
from meshc.semantics.texts import fullmatcher
from meshc_linkerd.resources.policy import GROUP, LocalRef, PodSelector, ProxyProtocol, ServerSpec
from meshc_linkerd.segments import PLAIN_PATH

_HEALTH_CHECK: Final = ("POST", "/grpc.health.v1.Health/Check")
"""What a gRPC health check asks. Source: grpc/grpc, doc/health-checking.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPort:
    """A port of the pods of a workload, with the policy of one of the service ports that lead to it.

    `probes` are the methods and paths of what health checkers ask there.
    """

    workload: ir.Workload
    port: ir.PortPolicy
    probes: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name of its Server."""
        return object_name(self.workload.name, str(self.port.number))

    @property
    def ref(self) -> LocalRef:
        """Its Server, as authorizations and limits name it."""
        return LocalRef(group=GROUP, kind="Server", name=self.name)


def server_spec(pod_port: PodPort) -> ServerSpec:
    """The Server: nothing is let in but by authorizations."""
    return ServerSpec(
        pod_selector=PodSelector(match_labels=dict(sorted(pod_port.workload.labels.items()))),
        port=pod_port.port.target,
        proxy_protocol=_proxy_protocol(pod_port.port.protocol),
    )


def _proxy_protocol(protocol: ir.Protocol) -> ProxyProtocol:
    """How Linkerd reads a port. A `gRPC` one would hear of no path, so that gRPC is read as the HTTP/2 that it is."""
    match protocol:
        case ir.Protocol.HTTP:
            return "HTTP/1"
        case ir.Protocol.HTTP2 | ir.Protocol.GRPC:
            return "HTTP/2"
        case ir.Protocol.TCP:
            return "opaque"
        case ir.Protocol.TLS:
            return "TLS"
        case ir.Protocol.HTTPS:
            raise InternalError("a workload with an https port")
        case _:
            assert_never(protocol)


def pod_ports(mesh: ir.Mesh) -> tuple[tuple[PodPort, ...], tuple[Diagnostic, ...]]:
    """The ports of all pods, each once, in the order of the mesh; and what keeps Linkerd from telling them apart."""
    found: list[PodPort] = []
    diagnostics: list[Diagnostic] = []
    by_target: dict[tuple[str, int], list[tuple[ir.Workload, ir.PortPolicy]]] = {}
    for workload in mesh.workloads:
        if workload.ports and not workload.labels:
            message = f"linkerd selects pods by labels, and `{workload.name}` names none"
            advice = 'write the labels of its pods, such as `labels app = "web"`'
            diagnostics.append(diagnose("unsupported-by-target", workload.span, message, advice=advice))
        for port in workload.ports:
            by_target.setdefault((workload.namespace, port.target), []).append((workload, port))
    for some in by_target.values():
        found += _distinct(some, diagnostics)
    order = {(one.namespace, one.name): place for place, one in enumerate(mesh.workloads)}
    found.sort(key=lambda one: (order[one.workload.namespace, one.workload.name], one.port.number))
    return tuple(found), tuple(diagnostics)


def _distinct(some: Sequence[tuple[ir.Workload, ir.PortPolicy]], diagnostics: list[Diagnostic]) -> Iterator[PodPort]:
    """One of those that lead to the same pods, the one whose selector is widest."""
    chosen: list[tuple[ir.Workload, ir.PortPolicy]] = []
    for workload, port in sorted(some, key=lambda one: (len(one[0].labels), one[0].name, one[1].number)):
        same = [one for one in chosen if one[0].labels.items() <= workload.labels.items()]
        if not same:
            chosen.append((workload, port))
        for other, other_port in same:
            if _policy(port) != _policy(other_port):
                diagnostics.append(_conflict(workload, port, other, other_port))
    for workload, port in chosen:
        sharing = [one for one, _ in some if workload.labels.items() <= one.labels.items()]
        probes = dict.fromkeys(probe for one in sharing for probe in one.probes)
        asked = dict.fromkeys(one for probe in probes for one in _asked(probe, port, diagnostics))
        yield PodPort(workload=workload, port=port, probes=tuple(sorted(asked)))


def _conflict(workload: ir.Workload, port: ir.PortPolicy, other: ir.Workload, other_port: ir.PortPolicy) -> Diagnostic:
    shown = f"`{other.name}:{other_port.number}`"
    message = f"linkerd has one policy for a port of a pod, and {shown} has another one for port {port.target}"
    return diagnose(
        "unsupported-by-target",
        port.span,
        message,
        labels=(Label(span=other_port.span, text="leads to the same port of the same pods"),),
        advice=f"give `{workload.name}` and `{other.name}` the same rules and settings, or pods of their own",
    )


_Said = tuple[ir.Effect, bool, frozenset[tuple[ir.Principals, ir.Condition]]]


def _policy(port: ir.PortPolicy) -> tuple[object, ...]:
    """What a port says to its callers, whatever it is called."""
    access: list[_Said] = [
        (stage.effect, stage.shadow, frozenset((rule.principals, rule.condition) for rule in stage.rules))
        for stage in port.access
    ]
    return port.protocol, port.mtls, tuple(access), port.jwts, port.limits


# ---- probes ---------------------------------------------------------------------------------------------------------

_is_normal = fullmatcher(PLAIN_PATH)


def _asked(probe: ir.Probe, port: ir.PortPolicy, diagnostics: list[Diagnostic]) -> Iterator[tuple[str, str]]:
    """The method and path that a probe asks of a port, if it does; a mere connection is accepted before any policy."""
    if probe.port != port.target or probe.method == "TCP":
        return
    method, path = _HEALTH_CHECK if probe.method == "GRPC" else (probe.method, _path_of(probe))
    if not port.protocol.is_http:
        message = f"linkerd cannot let a probe through to port {port.target}, which speaks {port.protocol.value}"
        advice = f"probe an http port, or declare port {port.number} as one"
        diagnostics.append(diagnose("unsupported-by-target", probe.span, message, advice=advice))
    elif not _is_normal(path):
        message = f"linkerd cannot let the probe of `{path}` through, which is no path in normal form without escapes"
        diagnostics.append(diagnose("unsupported-by-target", probe.span, message, advice="probe a plainer path"))
    else:
        yield method, path


def _path_of(probe: ir.Probe) -> str:
    return (probe.path or "/").partition("?")[0]
