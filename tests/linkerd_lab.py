"""Linkerd's inbound side in a few lines: what its objects do with a request, as its documents and code say.

Source: `Server`, `AuthorizationPolicy` and HTTPRoute as the policy controller and the proxy read them. Precedence is told
under both orders that proxies have; where routes tie, which one wins depends on names and ages, so that all must agree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import parse_qsl

import re2

from meshc import ir
from meshc.frontend import analyze
from meshc.kubernetes import resource_data
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile
from meshc_linkerd.inbound import Inbound, inbound_objects
from meshc_linkerd.options import EmitOptions

Data = dict[str, "Data"] | list["Data"] | str | int | None


def compile_mesh(text: str) -> ir.Mesh:
    """The mesh of a program of one file, which has no errors."""
    parsed = parse(SourceFile("p.mesh", text))
    modules = {"p.mesh": Module(file=parsed.file, imports={})}
    found = analyze(modules, (), {}, environment=None, today=date(2026, 1, 1), earlier=parsed.diagnostics)
    assert found.mesh is not None, [(one.message, one.span) for one in found.diagnostics]
    return found.mesh


def inbound(text: str, options: EmitOptions | None = None) -> Inbound:
    """The server's side of a program."""
    return inbound_objects(compile_mesh(text), options or EmitOptions())


def objects(found: Inbound) -> "Objects":
    """Its objects by kind and namespace."""
    return Objects([dict(resource_data(one.resource)) for one in found.placed])


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as the server's proxy gets it; `identity` is a SPIFFE id of ours, None for plaintext."""

    port: int
    identity: str | None
    source: str
    method: str = "GET"
    path: str = "/"
    host: str = "web"
    headers: Sequence[tuple[str, str]] = ()


Match = Mapping[str, object]
Ranked = tuple[tuple[object, ...], str]


@dataclass
class Objects:
    """Objects of one namespace's servers."""

    data: list[dict[str, object]]
    by_kind: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.data:
            metadata = one["metadata"]
            assert isinstance(metadata, dict)
            some = self.by_kind.setdefault(str(one["kind"]), {})
            key = f"{metadata['namespace']}/{metadata['name']}"
            assert key not in some, f"two of {one['kind']} {key}"
            some[key] = one

    def specs(self, kind: str, namespace: str) -> Iterator[tuple[str, dict[str, object]]]:
        for key, one in self.by_kind.get(kind, {}).items():
            place, name = key.split("/")
            spec = one["spec"]
            assert isinstance(spec, dict)
            if place == namespace:
                yield name, spec

    # ---- decisions --------------------------------------------------------------------------------------------------

    def answers(self, namespace: str, app: str, call: Call) -> set[bool]:
        """Whether a call is let in, for each order of precedence and each way to break ties."""
        server = next(
            name
            for name, spec in self.specs("Server", namespace)
            if spec["port"] == call.port and spec["podSelector"] == {"matchLabels": {"app": app}}
        )
        spec = dict(self.specs("Server", namespace))[server]
        assert spec["accessPolicy"] == "deny"
        at_server = self._is_authorized(namespace, "Server", server, call)
        if spec["proxyProtocol"] in {"opaque", "TLS"}:
            return {at_server}
        ranked = list(self._matching(namespace, server, call))
        if not ranked:
            return {at_server}
        found: set[bool] = set()
        for order in (_released, _reported):
            best = max(order(rank) for rank, _ in ranked)
            for rank, route in ranked:
                if order(rank) == best:
                    found.add(at_server or self._is_authorized(namespace, "HTTPRoute", route, call))
        return found

    def _matching(self, namespace: str, server: str, call: Call) -> Iterator[Ranked]:
        for name, spec in self.specs("HTTPRoute", namespace):
            parents = spec["parentRefs"]
            assert isinstance(parents, list)
            if parents != [{"group": "policy.linkerd.io", "kind": "Server", "name": server}]:
                continue
            for host in _matching_hosts(spec.get("hostnames"), call.host):
                rules = spec["rules"]
                assert isinstance(rules, list)
                for match in (match for rule in rules for match in rule["matches"]):
                    if (rank := _rank(match, call)) is not None:
                        yield (host, *rank), name

    def _is_authorized(self, namespace: str, kind: str, name: str, call: Call) -> bool:
        for _, spec in self.specs("AuthorizationPolicy", namespace):
            target = spec["targetRef"]
            assert isinstance(target, dict)
            refs = spec["requiredAuthenticationRefs"]
            assert isinstance(refs, list)
            assert refs, "an empty list lets everybody in"
            if (target["kind"], target["name"]) == (kind, name) and all(
                self._holds(namespace, ref, call) for ref in refs
            ):
                return True
        return False

    def _holds(self, namespace: str, ref: Mapping[str, str], call: Call) -> bool:
        spec = dict(self.specs(ref["kind"], namespace))[ref["name"]]
        if ref["kind"] == "NetworkAuthentication":
            networks = spec["networks"]
            assert isinstance(networks, list)
            return any(_in_network(one, call.source) for one in networks)
        return call.identity is not None and any(
            _is_meant(wanted, _dns_name(call.identity), call.identity) for wanted in _wanted(spec)
        )


LINKERD: Final = "serviceaccount.identity.linkerd"


def _dns_name(identity: str) -> str:
    domain, _, namespace, _, account = identity.removeprefix("spiffe://").split("/")
    return f"{account}.{namespace}.{LINKERD}.{domain}"


def _wanted(spec: Mapping[str, object]) -> Iterator[str]:
    identities, refs = spec.get("identities"), spec.get("identityRefs")
    assert (identities is None) != (refs is None)
    if isinstance(identities, list):
        yield from identities
    if isinstance(refs, list):
        for ref in refs:
            if ref["kind"] == "ServiceAccount":
                yield f"{ref['name']}.{ref['namespace']}.{LINKERD}.cluster.local"
            else:
                assert "namespace" not in ref
                yield f"*.{ref['name']}.{LINKERD}.cluster.local"


def _is_meant(wanted: str, name: str, identity: str) -> bool:
    if wanted == "*":
        return True
    return name.endswith(wanted[1:]) if wanted.startswith("*.") else wanted in {name, identity}


def _in_network(network: Mapping[str, object], source: str) -> bool:
    address = ip_address(source)
    excepted = network.get("except", [])
    assert isinstance(excepted, list)
    return address in ip_network(str(network["cidr"])) and not any(address in ip_network(one) for one in excepted)


def _matching_hosts(hostnames: object, host: str) -> Iterator[tuple[int, int]]:
    if hostnames is None:
        yield (0, 0)
        return
    assert isinstance(hostnames, list)
    name = host.partition(":")[0].lower().removesuffix(".")
    for one in hostnames:
        if one.startswith("*.") and name.endswith(one[1:]):
            yield (1, len(one))
        elif one == name:
            yield (2, len(one))


def _rank(match: Match, call: Call) -> tuple[object, ...] | None:
    """Matched length and exactness of the path, headers, queries, method; None where it does not match."""
    path, _, query = call.path.partition("?")
    length = _path_length(match.get("path"), path)
    headers, queries = match.get("headers", []), match.get("queryParams", [])
    assert isinstance(headers, list)
    assert isinstance(queries, list)
    method = match.get("method")
    if length is None or (method is not None and method != call.method):
        return None
    if not all(_any_value(one, (v for n, v in call.headers if n.lower() == one["name"])) for one in headers):
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    if not all(_any_value(one, (v for n, v in pairs if n == one["name"])) for one in queries):
        return None
    is_exact = isinstance(match["path"], dict) and match["path"]["type"] == "Exact"
    return (length, is_exact, len(headers), len(queries), method is not None)


def _path_length(test: object, path: str) -> int | None:
    assert isinstance(test, dict)
    match test["type"]:
        case "Exact":
            return len(path) if test["value"] == path else None
        case "RegularExpression":
            assert len(test["value"]) <= 1024
            found = re2.search(test["value"], path)
            return len(path) if found is not None and found.span() == (0, len(path)) else None
        case "PathPrefix" if test["value"] == "/":
            return 1
        case other:
            raise AssertionError(other)


def _any_value(test: Mapping[str, str], values: Iterable[str]) -> bool:
    for value in values:
        if test["type"] == "Exact":
            if value == test["value"]:
                return True
        elif value.isascii() and re2.search(test["value"], value) is not None:
            return True
    return False


def _released(rank: tuple[object, ...]) -> tuple[object, ...]:
    host, length, _, headers, queries, method = rank
    return (host, length, headers, queries, method)


def _reported(rank: tuple[object, ...]) -> tuple[object, ...]:
    """The order of linkerd/linkerd2-proxy#4604."""
    host, length, is_exact, headers, queries, method = rank
    return (is_exact, host, length, method, headers, queries)
