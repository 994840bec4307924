"""The objects of a cluster, by kind, with what Istio's validation refuses, or takes and then reads otherwise."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

KNOWN = {
    "AuthorizationPolicy",
    "PeerAuthentication",
    "RequestAuthentication",
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "Sidecar",
    "Telemetry",
    "EnvoyFilter",
    "Kustomization",
}
RETRY_WORDS = {
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}  # fmt: skip


class RejectedError(Exception):
    """What no emitted configuration may hold."""


def require(holds: object, reason: str) -> None:
    """Refuse a configuration."""
    if not holds:
        raise RejectedError(reason)


def shown(one: Object) -> str:
    """An object for messages."""
    return f"{one['kind']} {one['metadata'].get('namespace')}/{one['metadata']['name']}"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The pods of a service: `ports` maps its ports to theirs, `http` are those of theirs where requests are seen."""

    namespace: str
    service: str
    labels: Mapping[str, str]
    ports: Mapping[int, int]
    http: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """All objects that were applied, by kind."""

    objects: Mapping[str, tuple[Object, ...]]
    pods: Mapping[tuple[str, str], Pod]
    domain: str = "cluster.local"

    @classmethod
    def of(cls, documents: Iterable[Object], pods: Iterable[Pod], domain: str = "cluster.local") -> "Cluster":
        """Sort and check the objects; what is no object is the mesh's configuration, and left aside."""
        found: dict[str, list[Object]] = {}
        names = set()
        for one in documents:
            if "kind" not in one:
                continue
            require(one["kind"] in KNOWN, f"nobody knows {one['kind']}")
            key = (one["kind"], one.get("metadata", {}).get("namespace"), one.get("metadata", {}).get("name"))
            require(key not in names, f"{key} is there twice")
            names.add(key)
            _check(one)
            found.setdefault(one["kind"], []).append(one)
        hosts = [host for one in found.get("VirtualService", ()) for host in one["spec"]["hosts"]]
        require(len(hosts) == len(set(hosts)), "two VirtualServices for one host: the older wins")
        return cls(
            objects={kind: tuple(listed) for kind, listed in found.items()},
            pods={(pod.namespace, pod.service): pod for pod in pods},
            domain=domain,
        )

    def all(self, kind: str) -> tuple[Object, ...]:
        """The objects of a kind."""
        return self.objects.get(kind, ())

    def attached(self, kind: str, pod: Pod) -> Iterator[Object]:
        """Those that a workload's sidecar takes: of its namespace or the root one, by its labels."""
        for one in self.all(kind):
            require("targetRefs" not in one["spec"], f"{shown(one)}: sidecars ignore targetRefs")
            labels = one["spec"].get("selector", {}).get("matchLabels", {})
            if one["metadata"]["namespace"] in {pod.namespace, "istio-system"} and labels.items() <= pod.labels.items():
                yield one


def _check(one: Object) -> None:
    spec = one.get("spec")
    if one["kind"] == "Kustomization":
        return
    require(spec is not None, f"{shown(one)}: no spec")
    match one["kind"]:
        case "AuthorizationPolicy":
            _check_policy(one)
        case "PeerAuthentication":
            require("portLevelMtls" not in spec or spec.get("selector"), f"{shown(one)}: ports without a selector")
            require(spec.get("portLevelMtls") != {}, f"{shown(one)}: no ports")
        case "RequestAuthentication":
            for rule in spec["jwtRules"]:
                require("presence" not in rule, f"{shown(one)}: nobody reads `presence`")
                require(not ("jwks" in rule and "jwksUri" in rule), f"{shown(one)}: two sets of keys")
                require(rule.get("issuer") and ("jwks" in rule or "jwksUri" in rule), f"{shown(one)}: no keys")
        case "VirtualService":
            _check_routes(one)
        case "DestinationRule":
            require(one["spec"].get("trafficPolicy") or one["spec"].get("subsets"), f"{shown(one)}: empty")
            names = [subset["name"] for subset in spec.get("subsets", ())]
            require(len(names) == len(set(names)), f"{shown(one)}: a subset twice")
            for part in spec.get("trafficPolicy", {}).get("portLevelSettings", ()):
                require(part.get("tls", {}).get("mode") != "ISTIO_MUTUAL", f"{shown(one)}: tls switches auto-mTLS off")
                require(part.get("connectionPool") != {}, f"{shown(one)}: empty pool")
        case _:
            pass


def _check_policy(one: Object) -> None:
    spec = one["spec"]
    action = spec.get("action", "ALLOW")
    require(action in {"ALLOW", "DENY"}, f"{shown(one)}: {action}")
    require(action == "ALLOW" or spec.get("rules"), f"{shown(one)}: a DENY without rules")
    for rule in spec.get("rules", ()):
        for key in ("from", "to", "when"):
            require(key not in rule or rule[key], f"{shown(one)}: empty {key}")
        for source in (entry["source"] for entry in rule.get("from", ())):
            require(source, f"{shown(one)}: an empty source")
            for field, values in source.items():
                _check_texts(one, field, values)
                if field in {"principals", "notPrincipals"}:
                    require(not any(value.startswith("spiffe://") for value in values), f"{shown(one)}: {values}")
        has_http = False
        for operation in (entry["operation"] for entry in rule.get("to", ())):
            require(operation, f"{shown(one)}: an empty operation")
            has_http |= bool(set(operation) - {"ports", "notPorts"})
            require("ports" in operation, f"{shown(one)}: an operation without ports would touch every port")
            for field, values in operation.items():
                _check_texts(one, field, values)
            for path in (*operation.get("paths", ()), *operation.get("notPaths", ())):
                _check_template(one, path)
        for test in rule.get("when", ()):
            require(test.get("values") or test.get("notValues"), f"{shown(one)}: {test}")
            for field in ("values", "notValues"):
                if field in test:
                    _check_texts(one, test["key"], test[field])
            require(
                re.fullmatch(
                    r"request\.headers\[[^\[\]]+\]|request\.auth\.claims(\[[^\[\]]+\])+|connection\.sni", test["key"]
                ),
                f"{shown(one)}: key {test['key']}",
            )


def _check_texts(one: Object, field: str, values: Iterable[str]) -> None:
    listed = list(values)
    require(listed, f"{shown(one)}: empty {field}")
    for value in listed:
        require(isinstance(value, str) and value, f"{shown(one)}: an empty text in {field}")
        inner = value.removeprefix("*").removesuffix("*")
        is_template = field in {"paths", "notPaths"} and "{" in value
        require(is_template or "*" not in inner, f"{shown(one)}: a star in the middle of {value} is a letter")
        require(
            is_template or value == "*" or not (value.startswith("*") and value.endswith("*")), f"{shown(one)}: {value}"
        )


def _check_template(one: Object, path: str) -> None:
    if "{" not in path and "}" not in path:
        return
    parts = path[1:].split("/")
    require(parts.count("{**}") <= 1, f"{shown(one)}: {path}")
    for place, part in enumerate(parts):
        if part in {"{*}", "{**}"}:
            require("{**}" not in parts[:place], f"{shown(one)}: {path}")
        else:
            require(re.fullmatch(r"(?:[A-Za-z0-9\-._~!$&'()+,;=:@]|%[0-9A-Fa-f]{2})+", part), f"{shown(one)}: {path}")


def _check_routes(one: Object) -> None:
    spec = one["spec"]
    require(spec.get("http") or spec.get("tcp") or spec.get("tls"), f"{shown(one)}: no routes")
    for route in spec.get("http", ()):
        kinds = [kind for kind in ("route", "redirect", "directResponse") if kind in route]
        require(len(kinds) == 1, f"{shown(one)}: {kinds}")
        if kinds == ["route"]:
            require("retries" in route, f"{shown(one)}: Istio would retry by itself")
            retries = route["retries"]
            require(retries["attempts"] > 0 or set(retries) == {"attempts"}, f"{shown(one)}: {retries}")
            words = [word for word in retries.get("retryOn", "").split(",") if word]
            require(all(word in RETRY_WORDS or word.isdigit() for word in words), f"{shown(one)}: {words}")
            require(retries["attempts"] == 0 or words, f"{shown(one)}: Istio's own conditions")
            weights = [target.get("weight") for target in route["route"]]
            require(len(weights) == 1 or all(weights), f"{shown(one)}: weights {weights}")
        else:
            require("fault" not in route and "rewrite" not in route, f"{shown(one)}: {kinds} with fault or rewrite")
        require(route.get("timeout") != "0s", f"{shown(one)}: timeout 0s")
        for match in route.get("match", ()):
            for test in (match.get("uri"), match.get("method"), match.get("authority")):
                require(
                    test is None or all(len(text.encode()) <= 1024 for text in test.values()), f"{shown(one)}: {test}"
                )
