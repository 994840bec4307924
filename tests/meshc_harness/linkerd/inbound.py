"""The server's side: which Server holds a port, which route a request takes, and who authorizes it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from meshc_harness.linkerd.matching import Match, Precedence, RawRequest, best, matches_of
from meshc_harness.linkerd.objects import POLICY, Cluster, Object, Pod, group_of, name_of, require, shown

_LOOPBACK = ("127.0.0.1/32", "::1/128")
_EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether the application gets the request; `status` is the proxy's own answer, None for a closed connection."""

    allowed: bool
    status: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Inbound:
    """The inbound proxies of a cluster.

    `compares_letters` is set for those before linkerd/linkerd2-proxy#4605: a host in other letters is another host to them.
    """

    cluster: Cluster
    order: Precedence
    compares_letters: bool = False

    def decide(self, namespace: str, service: str, port: int, request: RawRequest) -> Answer:
        """What becomes of a request to a port of a service, by its service port."""
        pod = self.cluster.pods[namespace, service]
        server = self._server(pod, pod.ports[port])
        protocol = server["spec"]["proxyProtocol"]
        if protocol in {"opaque", "TLS"}:
            allowed = self._server_allows(server, request)
            return Answer(allowed=allowed, why=shown(server))
        return self._route(server, protocol, request)

    def _server(self, pod: Pod, number: int) -> Object:
        found = [
            server
            for server in self.cluster.all("Server")
            if name_of(server)[0] == pod.namespace
            and server["spec"]["port"] == number
            and server["spec"]["podSelector"]["matchLabels"].items() <= pod.labels.items()
        ]
        require(found, f"no Server for port {number} of {pod.namespace}.{pod.service}")
        require(len(found) == 1, f"{[shown(one) for one in found]} hold one port, and their age decides")
        return found[0]

    def _route(self, server: Object, protocol: str, request: RawRequest) -> Answer:
        namespace, name = name_of(server)
        parent = {"group": POLICY, "kind": "Server", "name": name}
        listed = {kind: list(self.cluster.routes_of(kind, parent, namespace)) for kind in ("HTTPRoute", "GRPCRoute")}
        family, other = ("GRPCRoute", "HTTPRoute") if protocol == "gRPC" else ("HTTPRoute", "GRPCRoute")
        require(not listed[other], f"{shown(server)}: {other}s are inert there")
        if not listed[family]:
            allowed = self._server_allows(server, request) or self._is_default_probe(server, request)
            return Answer(allowed=allowed, status=None if allowed else 403, why="the default route")
        winners = best(matches_of(listed[family], request, self.order, compares_letters=self.compares_letters))
        if not winners:
            return Answer(allowed=False, status=404, why="no route")
        answers = {self._judge(server, match, request) for match in winners}
        require(len(answers) == 1, f"{[shown(match.route) for match in winners]} tie, and their age decides")
        return answers.pop()

    def _judge(self, server: Object, match: Match, request: RawRequest) -> Answer:
        if any(one["type"] == "RequestRedirect" for one in match.rule.get("filters", ())):
            return Answer(allowed=False, status=302, why=shown(match.route))
        namespace, name = name_of(match.route)
        policies = self.cluster.policies_on(match.route["kind"], group_of(match.route), namespace, name)
        allowed = self._any(policies, request) or self._server_allows(server, request)
        return Answer(allowed=allowed, status=None if allowed else 403, why=shown(match.route))

    def _is_default_probe(self, server: Object, request: RawRequest) -> bool:
        pod = next(
            one
            for one in self.cluster.pods.values()
            if server["spec"]["podSelector"]["matchLabels"].items() <= one.labels.items()
        )
        return request.method == "GET" and (request.path, server["spec"]["port"]) in pod.probes

    # ---- authorizations ---------------------------------------------------------------------------------------------

    def _server_allows(self, server: Object, request: RawRequest) -> bool:
        namespace, name = name_of(server)
        policies = [
            *self.cluster.policies_on("Server", POLICY, namespace, name),
            *self.cluster.policies_on("Namespace", "", namespace, namespace),
            *self.cluster.policies_on("Namespace", "core", namespace, namespace),
        ]
        policy = server["spec"].get("accessPolicy", "deny")
        require(policy in {"deny", "all-authenticated", "all-unauthenticated"}, f"{shown(server)}: {policy}")
        return (
            _is_inside(request.source_ip, _LOOPBACK, ())
            or policy == "all-unauthenticated"
            or (policy == "all-authenticated" and self._has_identity(("*",), request))
            or self._any(policies, request)
        )

    def _any(self, policies: Iterable[Object], request: RawRequest) -> bool:
        return any(
            all(self._holds(name_of(policy)[0], ref, request) for ref in policy["spec"]["requiredAuthenticationRefs"])
            for policy in policies
        )

    def _holds(self, namespace: str, ref: Object, request: RawRequest) -> bool:
        place = str(ref.get("namespace", namespace))
        if ref["kind"] == "ServiceAccount":
            return self._has_identity((self._account(place, ref["name"]),), request)
        authentication = self.cluster.by_name[f"{POLICY}/{ref['kind']}", place, ref["name"]]
        spec = authentication["spec"]
        if ref["kind"] == "NetworkAuthentication":
            return any(_is_inside(request.source_ip, (one["cidr"],), one.get("except", ())) for one in spec["networks"])
        return self._has_identity((*spec.get("identities", ()), *self._referenced(place, spec)), request)

    def _referenced(self, namespace: str, spec: Object) -> Iterator[str]:
        for ref in spec.get("identityRefs", ()):
            if ref["kind"] == "Namespace":
                yield f"*.{ref['name']}.{self.cluster.identity_suffix}"
            else:
                yield self._account(str(ref.get("namespace", namespace)), str(ref["name"]))

    def _account(self, namespace: str, name: str) -> str:
        return f"{name}.{namespace}.{self.cluster.identity_suffix}"

    @staticmethod
    def _has_identity(wanted: Iterable[str], request: RawRequest) -> bool:
        return any(_fits(one, identity) for one in wanted for identity in request.identities)


def _fits(wanted: str, identity: str) -> bool:
    if identity.startswith("spiffe://"):
        return wanted == identity
    return wanted in {"*", identity} or (wanted.startswith("*.") and identity.endswith(wanted[1:]))


def _is_inside(address: str, blocks: Iterable[str], exceptions: Iterable[str]) -> bool:
    one = ip_address(address)
    for exception in exceptions:
        inner = ip_network(exception)
        require(any(_within(inner, block) for block in blocks), f"{exception} lies outside of {list(blocks)}")
    return any(one in ip_network(block) for block in blocks) and not any(
        one in ip_network(block) for block in exceptions
    )


def _within(inner: IPv4Network | IPv6Network, block: str) -> bool:
    outer = ip_network(block)
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner != outer and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner != outer and inner.subnet_of(outer)
