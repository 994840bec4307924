"""VirtualServices: read, and asked for the first route that matches. Source: the reference, 3 and 8."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from meshc_harness.istio.actions import (
    Redirect,
    Rewrite,
    Target,
    read_direct_response,
    read_faults,
    read_header_changes,
    read_redirect,
    read_retries,
    read_rewrite,
    read_target,
    read_weighted,
)
from meshc_harness.istio.attachment import Identity, is_subset
from meshc_harness.istio.calls import Call, Caller, Fault, HeaderChanges, Request, Retries
from meshc_harness.istio.matching import EVERYTHING, MESH_GATEWAY, HttpMatch, read_match
from meshc_harness.istio.reading import Fields, check_host, reject


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    targets: tuple[tuple[Target, int], ...]
    rewrite: Rewrite
    timeout_ms: int | None
    retries: Retries
    mirrors: tuple[tuple[Target, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """`action` is a status for a fixed answer. `matches` are alternatives, in order; never empty."""

    name: str
    matches: tuple[HttpMatch, ...]
    action: Forward | Redirect | int
    faults: tuple[Fault, ...]
    request_headers: HeaderChanges
    response_headers: HeaderChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class L4Match:
    """`sni_hosts` are those of tls routes; empty ones of tcp routes take any."""

    port: int | None
    sni_hosts: tuple[str, ...]
    source_labels: Mapping[str, str]
    source_namespace: str

    def matches(self, caller: Caller, call: Call) -> bool:
        return (
            self.port in {None, call.port}
            and is_subset(self.source_labels, caller.labels)
            and self.source_namespace in {"", caller.namespace}
            and (not self.sni_hosts or any(host_matches(one, call.sni or "") for one in self.sni_hosts))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class L4Route:
    matches: tuple[L4Match, ...]
    targets: tuple[tuple[Target, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualService:
    identity: Identity
    hosts: tuple[str, ...]
    export_to: tuple[str, ...]
    http: tuple[HttpRoute, ...]
    l4: tuple[L4Route, ...]

    def routes_for(self, caller: Caller, port: int) -> tuple[tuple[HttpRoute, HttpMatch], ...]:
        """The entries that a caller's sidecar has for a port, in order."""
        return tuple((route, match) for route in self.http for match in route.matches if match.is_for(caller, port))


def first_match(
    routes: tuple[tuple[HttpRoute, HttpMatch], ...], request: Request
) -> tuple[HttpRoute, HttpMatch] | None:
    return next(((route, match) for route, match in routes if match.matches(request)), None)


def host_matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*"):
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    return host == pattern


# ---- reading --------------------------------------------------------------------------------------------------------


def read_virtual_service(identity: Identity, spec: Fields, default_retries: Retries) -> VirtualService | None:
    """A VirtualService of the mesh's sidecars; None for one of gateways alone."""
    hosts = spec.texts("hosts")
    if not hosts:
        reject(spec.where, "no hosts")
    for number, host in enumerate(hosts):
        check_host(host, spec.where, wildcard=True)
        if any(host_matches(host, other) or host_matches(other, host) for other in hosts[:number]):
            reject(spec.where, f"host `{host}` overlaps another")
    gateways = spec.texts("gateways")
    http = tuple(_http_route(one, default_retries) for one in spec.items("http") or ())
    l4 = tuple(_l4_route(one) for name in ("tls", "tcp") for one in spec.items(name) or ())
    if not http and not l4:
        reject(spec.where, "none of http, tcp, tls")
    export_to = spec.texts("exportTo") or ("*",)
    spec.finish()
    if gateways and MESH_GATEWAY not in gateways:
        return None
    return VirtualService(identity=identity, hosts=hosts, export_to=export_to, http=http, l4=l4)


def _http_route(fields: Fields, default_retries: Retries) -> HttpRoute:
    listed = fields.items("match")
    if listed is not None and not listed:
        reject(fields.where, "empty match list")
    matches = (EVERYTHING,) if listed is None else tuple(one for item in listed if (one := read_match(item)))
    request_headers, response_headers = read_header_changes(fields.fields("headers"))
    found = HttpRoute(
        name=fields.text("name") or "",
        matches=matches,
        action=_action(fields, matches, default_retries),
        faults=read_faults(fields.fields("fault")),
        request_headers=request_headers,
        response_headers=response_headers,
    )
    fields.finish()
    return found


def _action(fields: Fields, matches: tuple[HttpMatch, ...], default_retries: Retries) -> Forward | Redirect | int:
    kinds = [name for name in ("route", "redirect", "directResponse") if name in fields]
    if len(kinds) != 1:
        reject(fields.where, f"not one of route, redirect, directResponse: {kinds}")
    if kinds != ["route"]:
        beside = [name for name in ("fault", "rewrite") if name in fields]
        if beside:
            reject(fields.where, f"{kinds[0]} beside {beside}")
        fields.ignore("timeout", "retries", "mirrors")
        redirect, fixed = fields.fields("redirect"), fields.fields("directResponse")
        if redirect is not None:
            found = read_redirect(redirect)
            if found.prefix is not None and any(one.uri is None or one.uri.kind != "prefix" for one in matches):
                reject(fields.where, "prefixRewrite without a prefix match")
            return found
        assert fixed is not None
        return read_direct_response(fixed)
    return Forward(
        targets=_targets(fields),
        rewrite=read_rewrite(fields.fields("rewrite")),
        timeout_ms=fields.duration_ms("timeout"),
        retries=read_retries(fields.fields("retries"), default_retries),
        mirrors=tuple(_mirror(one) for one in fields.items("mirrors") or ()),
    )


def _targets(fields: Fields) -> tuple[tuple[Target, int], ...]:
    found = tuple(read_weighted(one) for one in fields.items("route") or ())
    if not found:
        reject(fields.where, "no destination")
    if len(found) == 1:
        return ((found[0][0], 1),)
    if not sum(weight for _, weight in found):
        reject(fields.where, "all weights are 0")
    return tuple(one for one in found if one[1])


def _mirror(fields: Fields) -> tuple[Target, float]:
    inner, percentage = fields.fields("destination"), fields.fields("percentage")
    if inner is None:
        reject(fields.where, "no destination")
    percent = 100.0
    if percentage is not None:
        percent = percentage.number("value") or 0.0
        percentage.finish()
        if not 0 <= percent <= 100:
            reject(fields.where, f"{percent}%")
    fields.finish()
    return read_target(inner), percent


def _l4_route(fields: Fields) -> L4Route:
    matches = tuple(_l4_match(one) for one in fields.items("match") or ())
    targets = _targets(fields)
    fields.finish()
    anything = L4Match(port=None, sni_hosts=(), source_labels={}, source_namespace="")
    return L4Route(matches=matches or (anything,), targets=targets)


def _l4_match(fields: Fields) -> L4Match:
    for subnet in fields.texts("destinationSubnets"):
        ip_network(subnet, strict=False)
        reject(fields.where, "destinationSubnets are not modelled")
    found = L4Match(
        port=fields.integer("port", 1, 65535),
        sni_hosts=fields.texts("sniHosts"),
        source_labels=fields.text_map("sourceLabels"),
        source_namespace=fields.text("sourceNamespace") or "",
    )
    fields.finish()
    return found


__all__ = [
    "Forward",
    "HttpRoute",
    "VirtualService",
    "first_match",
    "host_matches",
    "read_target",
    "read_virtual_service",
]
