"""The server's side: mutual TLS, tokens, then DENY, then ALLOW."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from meshc_harness.istio.objects import Cluster, Object, Pod, shown
from meshc_harness.istio.requests import RawRequest

_SEGMENT = r"[A-Za-z0-9\-._~%!$&'()+,;:@=]+"
_HTTP_FIELDS = {"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"}
_HTTP_SOURCES = {"requestPrincipals", "notRequestPrincipals"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether the application gets the request; `status` is the sidecar's own answer, None for a closed connection."""

    allowed: bool
    status: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Access:
    """The inbound sidecars of a cluster. With `joins_lines`, headers are compared as releases before Envoy 1.40 do."""

    cluster: Cluster
    joins_lines: bool

    def decide(self, namespace: str, service: str, port: int, request: RawRequest) -> Answer:
        """What becomes of a request to a port of a service."""
        pod = self.cluster.pods[namespace, service]
        target = pod.ports[port]
        is_http = target in pod.http
        if self._mode(pod, target) == "STRICT" and request.identity is None:
            return Answer(allowed=False, why="plain text")
        if is_http and request.is_malformed:
            return Answer(allowed=False, status=400, why="path")
        refused = 403 if is_http else None
        policies = list(self.cluster.attached("AuthorizationPolicy", pod))
        enforced = [one for one in policies if "istio.io/dry-run" not in one["metadata"].get("annotations", {})]
        for one in (one for one in enforced if one["spec"].get("action") == "DENY"):
            if self._matches(one, target, request, is_http=is_http, is_deny=True):
                return Answer(allowed=False, status=refused, why=shown(one))
        allows = [one for one in enforced if one["spec"].get("action", "ALLOW") == "ALLOW"]
        for one in allows:
            if self._matches(one, target, request, is_http=is_http, is_deny=False):
                return Answer(allowed=True, why=shown(one))
        return Answer(allowed=not allows, status=refused if allows else None, why="no policy allows it")

    def _mode(self, pod: Pod, target: int) -> str:
        for one in self.cluster.attached("PeerAuthentication", pod):
            spec = one["spec"]
            level = spec.get("portLevelMtls", {}).get(str(target))
            return str((level or spec.get("mtls", {"mode": "PERMISSIVE"}))["mode"])
        return "PERMISSIVE"

    def _matches(self, policy: Object, target: int, request: RawRequest, *, is_http: bool, is_deny: bool) -> bool:
        return any(
            self._rule(rule, target, request, is_http=is_http, is_deny=is_deny)
            for rule in policy["spec"].get("rules") or ()
        )

    def _rule(self, rule: Object, target: int, request: RawRequest, *, is_http: bool, is_deny: bool) -> bool:
        if not is_http:
            if _needs_http(rule) and not is_deny:
                return False
            rule = _without_http(rule)
        sources = rule.get("from")
        operations = rule.get("to")
        return (
            (sources is None or any(self._source(one["source"], request) for one in sources))
            and (operations is None or any(self._operation(one["operation"], target, request) for one in operations))
            and all(self._when(one, request) for one in rule.get("when", ()))
        )

    def _source(self, source: Mapping[str, Any], request: RawRequest) -> bool:
        name = None if request.identity is None else request.identity.removeprefix("spiffe://")
        claims = request.claims
        token = None if claims is None or "sub" not in claims else f"{claims.get('iss')}/{claims['sub']}"
        return all(
            (
                _any_or_none(source, "principals", lambda values: name is not None and _texts(values, name)),
                _any_or_none(source, "requestPrincipals", lambda values: token is not None and _texts(values, token)),
                _any_or_none(source, "ipBlocks", lambda values: _inside(request.source_ip, values)),
                _any_or_none(source, "remoteIpBlocks", lambda values: _inside(request.source_ip, values)),
            )
        )

    def _operation(self, operation: Mapping[str, Any], target: int, request: RawRequest) -> bool:
        return all(
            (
                _any_or_none(operation, "ports", lambda values: str(target) in values),
                _any_or_none(operation, "methods", lambda values: _texts(values, request.method or "")),
                _any_or_none(operation, "paths", lambda values: any(_path(value, request.path) for value in values)),
                _any_or_none(
                    operation, "hosts", lambda values: _texts([one.lower() for one in values], request.host.lower())
                ),
            )
        )

    def _when(self, test: Mapping[str, Any], request: RawRequest) -> bool:
        key = str(test["key"])
        found = re.fullmatch(r"request\.headers\[(.+)\]", key)
        texts = self._header(found[1], request) if found else _claim(key, request.claims)
        has = any(_texts(test.get("values", ()), text) for text in texts)
        has_not = any(_texts(test.get("notValues", ()), text) for text in texts)
        return (has or "values" not in test) and not has_not

    def _header(self, name: str, request: RawRequest) -> list[str]:
        lines = request.header(name)
        return [",".join(lines)] if lines and self.joins_lines else lines


def _needs_http(rule: Object) -> bool:
    operations = [one["operation"] for one in rule.get("to", ())]
    sources = [one["source"] for one in rule.get("from", ())]
    return (
        any(_HTTP_FIELDS & set(one) for one in operations)
        or any(_HTTP_SOURCES & set(one) for one in sources)
        or any(one["key"].startswith("request.") for one in rule.get("when", ()))
    )


def _without_http(rule: Object) -> Object:
    found = dict(rule)
    if "to" in rule:
        found["to"] = [
            {"operation": {key: value for key, value in one["operation"].items() if key not in _HTTP_FIELDS}}
            for one in rule["to"]
        ]
    found["when"] = [one for one in rule.get("when", ()) if not one["key"].startswith("request.")]
    return found


def _any_or_none(fields: Mapping[str, Any], name: str, holds: Any) -> bool:
    negative = "not" + name[0].upper() + name[1:]
    return (name not in fields or holds(fields[name])) and (negative not in fields or not holds(fields[negative]))


def _texts(forms: Iterable[str], text: str) -> bool:
    return any(_text(form, text) for form in forms)


def _text(form: str, text: str) -> bool:
    if form == "*":
        return True
    if form.startswith("*"):
        return text.endswith(form[1:])
    if form.endswith("*"):
        return text.startswith(form[:-1])
    return form == text


def _path(form: str, path: str) -> bool:
    if "{" not in form:
        return _text(form, path)
    pattern = "/".join({"{*}": _SEGMENT, "{**}": ".*"}.get(part, re.escape(part)) for part in form.split("/"))
    return re.fullmatch(pattern, path) is not None


def _inside(address: str, blocks: Iterable[str]) -> bool:
    return any(ip_address(address) in ip_network(block) for block in blocks)


def _claim(key: str, claims: Mapping[str, Any] | None) -> list[str]:
    value: Any = claims
    names = re.findall(r"\[([^\]]+)\]", key)
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str):
        texts = value.split(" ") if names[-1] in {"scope", "permission"} and len(names) == 1 else [value]
        return [text for text in texts if text]
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str) and one]
    return []
