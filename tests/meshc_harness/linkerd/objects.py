"""The objects of a cluster, by kind, with the checks of admission: what would be refused or silently ignored is RejectedError."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

Object = Mapping[str, Any]

POLICY = "policy.linkerd.io"
GATEWAY = "gateway.networking.k8s.io"
ROUTES = {"HTTPRoute": {POLICY, GATEWAY}, "GRPCRoute": {GATEWAY}, "TLSRoute": {GATEWAY}, "TCPRoute": {GATEWAY}}
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
PROTOCOLS = {"unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS"}
ACCESS = {
    "deny",
    "all-authenticated",
    "all-unauthenticated",
    "cluster-authenticated",
    "cluster-unauthenticated",
    "audit",
}
KNOWN = {
    "Server",
    "AuthorizationPolicy",
    "MeshTLSAuthentication",
    "NetworkAuthentication",
    "HTTPLocalRateLimitPolicy",
    "EgressNetwork",
    "Service",
    "Kustomization",
    "Component",
    *ROUTES,
}
_DURATION = re.compile(r"[0-9]{1,5}(?:h|m|s|ms)")


class RejectedError(Exception):
    """What no emitted configuration may hold."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The pods of a service: `ports` maps the service's ports to theirs."""

    namespace: str
    service: str
    labels: Mapping[str, str]
    ports: Mapping[int, int]
    probes: tuple[tuple[str, int], ...] = ()


def require(holds: object, reason: str) -> None:
    """Refuse a configuration."""
    if not holds:
        raise RejectedError(reason)


def group_of(one: Object) -> str:
    """The API group of an object; the core's is empty."""
    version = str(one["apiVersion"])
    return version.rpartition("/")[0]


def name_of(one: Object) -> tuple[str, str]:
    """Namespace and name."""
    return str(one["metadata"].get("namespace", "")), str(one["metadata"]["name"])


def shown(one: Object) -> str:
    """An object for messages."""
    return f"{one['kind']} {'/'.join(name_of(one))}"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """All objects that were applied, each under its kind, and the pods."""

    objects: Mapping[str, tuple[Object, ...]]
    pods: Mapping[tuple[str, str], Pod]
    identity_suffix: str = "serviceaccount.identity.linkerd.cluster.local"
    by_name: Mapping[tuple[str, str, str], Object] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Object], pods: Iterable[Pod], identity_suffix: str) -> "Cluster":
        """Sort and check the objects."""
        found: dict[str, list[Object]] = {}
        names: dict[tuple[str, str, str], Object] = {}
        for one in documents:
            kind = str(one.get("kind"))
            require(kind in KNOWN, f"nobody knows {kind}")
            if kind in {"Kustomization", "Component"}:
                continue
            key = (f"{group_of(one)}/{kind}", *name_of(one))
            require(key not in names, f"{shown(one)} is there twice")
            names[key] = one
            _check(one)
            found.setdefault(kind, []).append(one)
        cluster = cls(
            objects={kind: tuple(listed) for kind, listed in found.items()},
            pods={(pod.namespace, pod.service): pod for pod in pods},
            identity_suffix=identity_suffix,
            by_name=names,
        )
        for policy in cluster.all("AuthorizationPolicy"):
            cluster.check_policy(policy)
        return cluster

    def all(self, kind: str) -> tuple[Object, ...]:
        """The objects of a kind."""
        return self.objects.get(kind, ())

    def check_policy(self, policy: Object) -> None:
        """References that lead nowhere drop a policy, or a route, in silence."""
        namespace, _ = name_of(policy)
        target = policy["spec"]["targetRef"]
        key = (f"{target['group']}/{target['kind']}", namespace, str(target["name"]))
        require(target["kind"] == "Namespace" or key in self.by_name, f"{shown(policy)}: no target {key}")
        for one in policy["spec"]["requiredAuthenticationRefs"]:
            place = (f"{one.get('group', '')}/{one['kind']}", str(one.get("namespace", namespace)), str(one["name"]))
            require(one["kind"] == "ServiceAccount" or place in self.by_name, f"{shown(policy)}: no {place}")

    def policies_on(self, kind: str, group: str, namespace: str, name: str) -> Iterator[Object]:
        """The authorization policies of a target."""
        for policy in self.all("AuthorizationPolicy"):
            target = policy["spec"]["targetRef"]
            if name_of(policy)[0] == namespace and (target["kind"], target["group"], target["name"]) == (
                kind,
                group,
                name,
            ):
                yield policy

    def routes_of(self, kind: str, parent: Object, namespace: str) -> Iterator[Object]:
        """Routes whose parents hold `parent`: group, kind, name, and for services the port."""
        for route in self.all(kind):
            for ref in route["spec"]["parentRefs"]:
                group = {"core": ""}.get(str(ref.get("group", GATEWAY)), str(ref.get("group", GATEWAY)))
                if (
                    (group, ref.get("kind"), ref["name"]) == (parent["group"], parent["kind"], parent["name"])
                    and ref.get("namespace", name_of(route)[0]) == namespace
                    and ("port" not in ref or ref["port"] == parent.get("port", ref["port"]))
                ):
                    yield route


def _check(one: Object) -> None:
    match one["kind"]:
        case "Server":
            spec = one["spec"]
            require("podSelector" in spec and "externalWorkloadSelector" not in spec, f"{shown(one)}: selector")
            require(set(spec["podSelector"]) == {"matchLabels"}, f"{shown(one)}: only labels are understood here")
            require(isinstance(spec["port"], int), f"{shown(one)}: a named port")
            require(spec.get("proxyProtocol") in PROTOCOLS, f"{shown(one)}: protocol")
            require(spec.get("accessPolicy", "deny") in ACCESS, f"{shown(one)}: access policy")
        case "AuthorizationPolicy":
            _check_policy(one)
        case "MeshTLSAuthentication":
            spec = one["spec"]
            require(("identities" in spec) != ("identityRefs" in spec), f"{shown(one)}: both lists or none")
            require(spec.get("identities") or spec.get("identityRefs"), f"{shown(one)}: empty")
            for name in spec.get("identities", ()):
                require("*" not in name.removeprefix("*"), f"{shown(one)}: wildcard in {name}")
                require(name == "*" or not name.startswith("*") or name.startswith("*."), f"{shown(one)}: {name}")
            for ref in spec.get("identityRefs", ()):
                require(ref["kind"] in {"ServiceAccount", "Namespace"}, f"{shown(one)}: {ref}")
                require(ref["kind"] != "Namespace" or "namespace" not in ref, f"{shown(one)}: {ref}")
        case "NetworkAuthentication":
            require(one["spec"].get("networks"), f"{shown(one)}: empty")
        case "HTTPLocalRateLimitPolicy":
            require(one["spec"]["targetRef"]["kind"] == "Server", f"{shown(one)}: target")
            total = one["spec"].get("total", {}).get("requestsPerSecond")
            own = one["spec"].get("identity", {}).get("requestsPerSecond")
            require(total != 0 and own != 0, f"{shown(one)}: zero")
            require(total is None or own is None or own <= total, f"{shown(one)}: identity above total")
        case kind if kind in ROUTES:
            _check_route(one)
        case _:
            pass


def _check_policy(one: Object) -> None:
    spec = one["spec"]
    target = spec["targetRef"]
    require("group" in target, f"{shown(one)}: a target without group")
    require("namespace" not in target or target["namespace"] == name_of(one)[0], f"{shown(one)}: another namespace")
    allowed = {
        ("Server", POLICY),
        ("HTTPRoute", POLICY),
        ("HTTPRoute", GATEWAY),
        ("GRPCRoute", GATEWAY),
        ("Namespace", ""),
        ("Namespace", "core"),
    }
    require((target["kind"], target["group"]) in allowed, f"{shown(one)}: target {target}")
    refs = spec["requiredAuthenticationRefs"]
    require(refs, f"{shown(one)} allows everyone")
    kinds = [ref["kind"] for ref in refs]
    require(
        set(kinds) <= {"MeshTLSAuthentication", "NetworkAuthentication", "ServiceAccount"}, f"{shown(one)}: {kinds}"
    )
    require(kinds.count("NetworkAuthentication") <= 1, f"{shown(one)}: several networks")
    require(
        kinds.count("MeshTLSAuthentication") + kinds.count("ServiceAccount") <= 1, f"{shown(one)}: several identities"
    )


def _check_route(one: Object) -> None:
    require(group_of(one) in ROUTES[one["kind"]], f"{shown(one)}: group")
    spec = one["spec"]
    rules = spec["rules"]
    require(1 <= len(rules) <= 16, f"{shown(one)}: {len(rules)} rules")
    require(1 <= len(spec["parentRefs"]) <= 32, f"{shown(one)}: parents")
    require(len(spec.get("hostnames", ())) <= 16, f"{shown(one)}: hostnames")
    matches = [match for rule in rules for match in rule.get("matches", ())]
    require(len(matches) < 128, f"{shown(one)}: {len(matches)} matches")
    if one["kind"] in {"TCPRoute", "TLSRoute"}:
        require(len(rules) == 1, f"{shown(one)}: rules")
    for ref in spec["parentRefs"]:
        if ref.get("kind") == "Server":
            require(set(ref) <= {"group", "kind", "name"}, f"{shown(one)}: parent {ref}")
        require(ref.get("kind") != "EgressNetwork" or "port" in ref, f"{shown(one)}: parent without port")
    for rule in rules:
        require(len(rule.get("matches", ())) <= 64, f"{shown(one)}: matches of a rule")
        for name, value in rule.get("timeouts", {}).items():
            require(name == "request", f"{shown(one)}: {name} is not read")
            require(_DURATION.fullmatch(value), f"{shown(one)}: duration {value}")
        require("retry" not in rule, f"{shown(one)}: retry is not read")
        _check_filters(one, rule)
    for match in matches:
        _check_match(one, match)


def _check_filters(one: Object, rule: Object) -> None:
    inbound = any(ref.get("kind") == "Server" for ref in one["spec"]["parentRefs"])
    known = {"RequestHeaderModifier", "RequestRedirect"} | (set() if inbound else {"ResponseHeaderModifier"})
    kinds = [each["type"] for each in rule.get("filters", ())]
    require(set(kinds) <= known, f"{shown(one)}: the whole route is ignored for {kinds}")
    require(len(kinds) == len(set(kinds)), f"{shown(one)}: a filter twice")
    require(not (inbound and rule.get("backendRefs")), f"{shown(one)}: an inbound route with backends")
    require("RequestRedirect" not in kinds or not rule.get("backendRefs"), f"{shown(one)}: redirect and backends")
    for backend in rule.get("backendRefs", ()):
        require(backend.get("kind", "Service") != "Service" or "port" in backend, f"{shown(one)}: backend without port")
        require(0 <= backend.get("weight", 1) <= 1_000_000, f"{shown(one)}: weight")


def _check_match(one: Object, match: Object) -> None:
    if one["kind"] == "GRPCRoute":
        require("method" in match, f"{shown(one)}: headers without method make every request fail")
        require(match["method"].get("type", "Exact") == "Exact", f"{shown(one)}: a regex method drops the route")
        require({"service", "method"} & set(match["method"]), f"{shown(one)}: neither service nor method")
    else:
        path = match.get("path", {"type": "PathPrefix", "value": "/"})
        require(len(path["value"]) <= 1024, f"{shown(one)}: long path")
        if path["type"] == "RegularExpression":
            _check_regex(one, path["value"])
        else:
            value = path["value"]
            require(
                value.startswith("/") and re.fullmatch(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+", value),
                f"{shown(one)}: {value}",
            )
            odd = ("//", "/./", "/../", "%2f", "%2F", "#")
            require(
                not any(part in value for part in odd) and not value.endswith(("/.", "/..")), f"{shown(one)}: {value}"
            )
        require(
            match.get("method") is None or match["method"] in METHODS, f"{shown(one)}: method {match.get('method')}"
        )
    for kind in ("headers", "queryParams"):
        names = [test["name"].lower() if kind == "headers" else test["name"] for test in match.get(kind, ())]
        require(len(names) == len(set(names)) <= 16, f"{shown(one)}: {kind} {names}")
        for test in match.get(kind, ()):
            require(1 <= len(test["value"]) <= (4096 if kind == "headers" else 1024), f"{shown(one)}: value {test}")
            if test.get("type", "Exact") == "RegularExpression":
                _check_regex(one, test["value"])


def _check_regex(one: Object, pattern: str) -> None:
    try:
        re2.compile(pattern)
    except re2.error as error:
        raise RejectedError(f"{shown(one)}: {pattern}: {error}") from error
