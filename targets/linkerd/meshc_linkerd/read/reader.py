"""The reader: objects × known services -> who may call each port, how many calls there may be, and how they travel.

A port's Server is the one that selects the workload's pods and names the port; without one, the default policy of the cluster decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Reading
from meshc.reading.plain import items, mapping
from meshc.reading.selectors import SelectorError, is_selected
from meshc.target import Json, PortKey
from meshc_linkerd.read.access import Choice, access_of
from meshc_linkerd.read.account import (
    ANY_PATHS,
    CANONICAL,
    GRPC_SERVED,
    INSTALLED,
    LOOPBACK,
    PLAIN_PATHS,
    PORT_NAMES,
    TRAVEL,
    Account,
    NotUnderstoodError,
)
from meshc_linkerd.read.authorities import GROUP, Admitted, Authorities, server_policy
from meshc_linkerd.read.egress import read_externals
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.grpc import read_served_call
from meshc_linkerd.read.limits import is_limit_of, limits_of
from meshc_linkerd.read.matches import read_match, read_matches
from meshc_linkerd.read.outbound import parent_of
from meshc_linkerd.read.paths import EXACT
from meshc_linkerd.read.pods import decided_part, labels_of, pods_of
from meshc_linkerd.read.screening import screen
from meshc_linkerd.read.travel import Travel, make_travel
from meshc_linkerd.segments import other_raw_paths

_GATEWAY: Final = "gateway.networking.k8s.io"
_HTTP_PROTOCOLS: Final = frozenset({"unknown", "HTTP/1", "HTTP/2"})
_INSTALLED: Final = "all-unauthenticated"
_GROUPS: Final = ("linkerd.io", _GATEWAY)
_READ: Final = frozenset(
    {
        "Server", "AuthorizationPolicy", "ServerAuthorization", "MeshTLSAuthentication", "NetworkAuthentication",
        "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "ServiceProfile", "EgressNetwork", "HTTPLocalRateLimitPolicy",
        "ReferenceGrant",
    }
)  # fmt: skip


def read(objects: Sequence[ConfigObject], known: ir.Mesh, options: Mapping[str, str]) -> Reading:
    """Read Linkerd's objects; `default-inbound-policy` is the cluster's."""
    account = Account()
    travel = make_travel(objects, known, account)
    reader = _Reader(objects, known, options, account, travel)
    workloads = tuple(reader.workload(one) for one in known.workloads)
    networks = [one for one in objects if one.kind == "EgressNetwork" and one.group == GROUP]
    externals = read_externals(known, networks, account)
    reader.check(objects)
    return Reading(
        mesh=replace(known, workloads=workloads, externals=externals),
        unknown=tuple(account.unknown),
        assumptions=tuple(account.assumptions.values()),
    )


class _Reader:
    def __init__(
        self,
        objects: Sequence[ConfigObject],
        known: ir.Mesh,
        options: Mapping[str, str],
        account: Account,
        travel: Travel,
    ) -> None:
        self._known = known
        self._travel = travel
        self._account = account
        self._default = options.get("default-inbound-policy")
        self._objects: dict[tuple[str, str, str], ConfigObject] = {}
        self._servers: dict[str, list[ConfigObject]] = {}
        self._policies: dict[tuple[str, str, str], list[ConfigObject]] = {}
        self._routes: dict[tuple[str, str], list[ConfigObject]] = {}
        self._authorizations: dict[str, list[ConfigObject]] = {}
        self._limits: dict[tuple[str, str], list[ConfigObject]] = {}
        self._named: set[tuple[str, str, str, str]] = set()
        self._used: set[int] = set()
        for one in objects:
            self._sort(one)
        self._pods = pods_of(objects)
        self._authorities = Authorities(self._objects, known.trust_domain, account)

    def _sort(self, one: ConfigObject) -> None:
        screen(one, self._known, self._account)
        spec = mapping(one.data.get("spec"))
        if one.group not in {GROUP, _GATEWAY}:
            return
        if (one.group, one.kind, one.namespace, one.name) in self._named:
            self._account.not_understood(one, NotUnderstoodError("two objects of one name", "metadata"), None, *Aspect)
        self._named.add((one.group, one.kind, one.namespace, one.name))
        self._objects[one.kind, one.namespace, one.name] = one
        match one.kind:
            case "Server":
                self._servers.setdefault(one.namespace, []).append(one)
            case "AuthorizationPolicy":
                target = mapping(spec.get("targetRef"))
                name = one.namespace if target.get("kind") == "Namespace" else str(target.get("name", ""))
                key = (one.namespace, str(target.get("kind", "")), name)
                self._policies.setdefault(key, []).append(one)
            case "ServerAuthorization":
                self._authorizations.setdefault(one.namespace, []).append(one)
            case "HTTPLocalRateLimitPolicy":
                self._limits.setdefault(
                    (one.namespace, str(mapping(spec.get("targetRef")).get("name", ""))), []
                ).append(one)
            case "HTTPRoute" | "GRPCRoute":
                for parent in items(spec.get("parentRefs")):
                    fields = mapping(parent)
                    if parent_of(fields, one) == ("Server", GROUP):
                        self._routes.setdefault((one.namespace, str(fields.get("name", ""))), []).append(one)

    # ---- ports ------------------------------------------------------------------------------------------------------

    def workload(self, workload: ir.Workload) -> ir.Workload:
        """A workload with what its ports let in, and how calls travel there."""
        ports = (self._travel.port(workload, port) for port in workload.ports)
        return replace(workload, ports=tuple(self._port(workload, port) for port in ports))

    def _port(self, workload: ir.Workload, port: ir.PortPolicy) -> ir.PortPolicy:
        key = (workload.namespace, workload.name, port.number)
        servers = self._selecting(workload, port, key)
        if len(servers) > 1:
            error = NotUnderstoodError("several servers select one port, of which the oldest counts", "spec")
            self._account.not_understood(servers[1], error, (key,))
            return port
        if not servers:
            return replace(port, access=self._without_server(workload, port, key))
        server = servers[0]
        self._account.taken_for_granted(LOOPBACK, server)
        port = self._limited(port, server, key)
        try:
            return replace(port, access=(self._served(workload, port, server),))
        except NotUnderstoodError as error:
            self._account.not_understood(server, error, (key,))
            return port

    def _limited(self, port: ir.PortPolicy, server: ConfigObject, key: PortKey) -> ir.PortPolicy:
        named = self._limits.get((server.namespace, server.name), ())
        found = [one for one in named if is_limit_of(one, server)]
        if not found or mapping(server.data.get("spec")).get("proxyProtocol", "unknown") not in _HTTP_PROTOCOLS:
            return port
        try:
            return replace(port, limits=limits_of(found))
        except NotUnderstoodError as error:
            self._account.not_understood(found[0], error, (key,), Aspect.SETTINGS)
            return port

    def _selecting(self, workload: ir.Workload, port: ir.PortPolicy, key: PortKey) -> list[ConfigObject]:
        found: list[ConfigObject] = []
        for one in self._servers.get(workload.namespace, ()):
            spec = mapping(one.data.get("spec"))
            try:
                picked = self._picked(spec.get("podSelector") or {}, workload)
            except SelectorError as error:
                self._account.not_understood(one, NotUnderstoodError(str(error), "spec", "podSelector"), (key,))
                continue
            if picked == set() or not self._is_at(one, workload, port, key):
                continue
            if picked == {True}:
                found.append(one)
            else:
                message = "a server for some pods of a service alone is not understood"
                if None in picked:
                    message = "whether the pods of a service have the labels of a server is not known"
                self._account.not_understood(one, NotUnderstoodError(message, "spec", "podSelector"), (key,))
        return found

    def _picked(self, selector: Json, workload: ir.Workload) -> set[bool | None]:
        """Whether a selector picks the pods of a service; None where their labels are not known, nothing if it picks none.

        Raises SelectorError.
        """
        pods, are_all = labels_of(workload, self._pods)
        keys = frozenset(key for labels in pods for key in labels)
        part = None if are_all else decided_part(mapping(selector), keys)
        picked: set[bool | None] = set()
        for labels in pods:
            if part is not None and is_selected(part, labels):
                picked.add(None)
            else:
                picked.add(part is None and is_selected(selector, labels))
        return set() if picked == {False} else picked

    def _is_at(self, server: ConfigObject, workload: ir.Workload, port: ir.PortPolicy, key: PortKey) -> bool:
        """Whether a server's port is this one; a name is that of a pod's port, of which only the service's are known here."""
        wanted = mapping(server.data.get("spec")).get("port")
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            return wanted == port.target
        if isinstance(wanted, str) and wanted in {one.name for one in workload.ports}:
            self._account.taken_for_granted(PORT_NAMES, server, "spec", "port")
            return wanted == port.name
        error = NotUnderstoodError("the port is none that is known of the service", "spec", "port")
        self._account.not_understood(server, error, (key,))
        return False

    def _without_server(self, workload: ir.Workload, port: ir.PortPolicy, key: PortKey) -> tuple[ir.Stage, ...]:
        policy = self._default or _INSTALLED
        source = next(iter(self._objects.values()), None) or ConfigObject(data={}, file="")
        if self._default is None:
            self._account.taken_for_granted(INSTALLED, source)
        try:
            admitted = tuple(server_policy(policy, source))
        except NotUnderstoodError as error:
            self._account.not_understood(source, error, (key,))
            return port.access
        del workload
        rules = tuple(
            ir.Rule(identifier=one.by, principals=one.principals, condition=ir.ALWAYS, span=port.span)
            for one in admitted
        )
        return (ir.Stage(effect=ir.Effect.ALLOW, rules=rules, span=port.span),)

    def _served(self, workload: ir.Workload, port: ir.PortPolicy, server: ConfigObject) -> ir.Stage:
        spec = Fields.spec(server)
        spec.ignore("podSelector", "port")
        protocol = spec.text("proxyProtocol", "unknown")
        policy = spec.text("accessPolicy", "deny")
        spec.finish()
        admitted = [*server_policy(policy, server), *self._at_server(server)]
        sees_requests = protocol in _HTTP_PROTOCOLS or protocol == "gRPC"
        if port.protocol.is_http is not sees_requests:
            raise spec.error(f"`{protocol}` on a port that speaks {port.protocol.value}", "proxyProtocol")
        if not sees_requests:
            return access_of(admitted, None, server)
        is_grpc = protocol == "gRPC"
        if is_grpc:
            self._account.taken_for_granted(GRPC_SERVED, server)
        routes = self._attached(server, is_grpc=is_grpc)
        if not routes:
            # Without routes Linkerd lets the kubelet's probes in by itself.
            return access_of([*admitted, *_probes(workload, port, server)], None, server)
        found = [choice for one in routes for choice in self._choices(one)]
        self._check_raw(found, admitted)
        choices = [one for one in found if one.match.path.patterns]
        # A path with `;` finds no route at all then, so that leaving it out is all that there is to say of it.
        is_clean = all(one.match.path.takes_clean_alone for one in choices)
        if is_clean and any(one.match.path.is_clean for one in choices):
            self._account.taken_for_granted(PLAIN_PATHS, server)
        return access_of(admitted, choices, server, is_clean=is_clean)

    def _attached(self, server: ConfigObject, *, is_grpc: bool) -> list[ConfigObject]:
        """The routes of a server that Linkerd asks: those of gRPC alone where that is its protocol, else those of HTTP alone."""
        attached = self._routes.get((server.namespace, server.name), [])
        if len({one.kind for one in attached}) > 1:
            raise NotUnderstoodError("of routes of HTTP and of gRPC on one server, Linkerd accepts some alone", "spec")
        return [one for one in attached if (one.kind == "GRPCRoute") is is_grpc]

    def _check_raw(self, choices: Sequence[Choice], server: Sequence[Admitted]) -> None:
        """Routes that let somebody in with paths that are not in normal form: everything but some single paths, or else
        what applications may read as another path than the one that was looked at.
        """
        literal = frozenset(one.match.path.value for one in choices if one.match.path.kind == EXACT)
        for choice in choices:
            path = choice.match.path
            if path.is_raw and (choice.admitted or server):
                is_rest = path.value in other_raw_paths(literal)
                self._account.taken_for_granted(ANY_PATHS if is_rest else CANONICAL, choice.route)

    def _at_server(self, server: ConfigObject) -> list[Admitted]:
        found = self._admitted((server.namespace, "Server", server.name))
        found += self._admitted((server.namespace, "Namespace", server.namespace))
        for one in self._authorizations.get(server.namespace, ()):
            chosen = mapping(mapping(one.data.get("spec")).get("server"))
            labels = {
                str(key): str(value)
                for key, value in mapping(mapping(server.data.get("metadata")).get("labels")).items()
            }
            try:
                is_meant = chosen.get("name") == server.name or (
                    chosen.get("selector") is not None and is_selected(chosen.get("selector"), labels)
                )
            except SelectorError as error:
                raise NotUnderstoodError(str(error), "spec") from error
            if is_meant:
                found.append(self._authorities.server_authorization(one))
        return found

    def _choices(self, route: ConfigObject) -> list[Choice]:
        spec = Fields.spec(route)
        for parent in spec.each("parentRefs"):
            if (
                parent.has("port")
                or parent.has("sectionName")
                or parent.text("namespace", route.namespace) != route.namespace
            ):
                raise NotUnderstoodError(
                    f"`{route.name}` names a part of its server, and Linkerd drops it whole", "spec"
                )
        admitted = tuple(self._admitted((route.namespace, route.kind, route.name), route.group))
        read_one = read_served_call if route.kind == "GRPCRoute" else read_match
        matches = list(read_matches(spec, self._account, read_one))
        spec.finish()
        return [Choice(match, admitted, route) for match in matches]

    def _admitted(self, key: tuple[str, str, str], group: str | None = None) -> list[Admitted]:
        found: list[Admitted] = []
        for one in self._policies.get(key, ()):
            self._used.add(id(one))
            target = mapping(mapping(one.data.get("spec")).get("targetRef"))
            wanted = {"Server": GROUP, "Namespace": ""}.get(key[1], group)
            if key[1] == "Namespace" and target.get("name", key[2]) != key[2]:
                raise NotUnderstoodError(f"`{one.name}` is for another namespace, which Linkerd does not take", "spec")
            if target.get("group", "") not in (wanted, "core" if key[1] == "Namespace" else wanted):
                continue  # Linkerd looks for the target in the group that is named, and finds none
            admitted = self._authorities.policy(one)
            if admitted is not None:
                found.append(admitted)
        return found

    # ---- what is left -----------------------------------------------------------------------------------------------

    def check(self, objects: Sequence[ConfigObject]) -> None:
        """What no port has asked for, and that may decide about one all the same; and what says how calls travel."""
        for one in objects:
            if one.group.endswith(_GROUPS) and one.kind not in _READ:
                self._account.not_understood(one, *_not_read(one), *TRAVEL)
        for (namespace, name), some in self._limits.items():
            for one in some:
                server = self._objects.get(("Server", namespace, name))
                if server is None or not is_limit_of(one, server):
                    error = NotUnderstoodError("a limit of no server is not understood", "spec", "targetRef")
                    self._account.not_understood(one, error, (), Aspect.SETTINGS)
        for key, some in self._policies.items():
            if key[1] not in {"Server", "HTTPRoute", "GRPCRoute", "Namespace"}:
                for one in some:
                    error = NotUnderstoodError(
                        f"a policy for `{key[1]}` is not understood", "spec", "targetRef", "kind"
                    )
                    self._account.not_understood(one, error, None)


def _not_read(one: ConfigObject) -> tuple[NotUnderstoodError, tuple[PortKey, ...] | None]:
    """Why an object of Linkerd or of the Gateway API is not read, and which ports it may touch."""
    if one.kind in {"Gateway", "GatewayClass"}:
        return NotUnderstoodError("a gateway cannot be said: it is no service of the mesh", "kind"), ()
    return NotUnderstoodError(f"what a {one.kind} makes of calls is not understood", "kind"), None


def _probes(workload: ir.Workload, port: ir.PortPolicy, server: ConfigObject) -> Iterable[Admitted]:
    """Probes by GET that Linkerd's own route lets in, whoever asks."""
    if any(probe.port == port.target and probe.method == "GET" for probe in workload.probes):
        raise NotUnderstoodError("a server without routes opens the paths of probes by itself", "spec")
    del server
    return ()
