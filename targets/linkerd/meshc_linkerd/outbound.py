"""Outbound: how calls to a workload travel -> HTTPRoutes on its Service, and Services of its versions.

Routes with other retries are objects of their own, since Linkerd reads retries from an object's annotations. A last rule takes
what no other does: without it, Linkerd would answer 404. Statuses of gRPC are looked at on GRPCRoutes alone, so that a port which is
retried on them has one of these instead.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from meshc import ir
from meshc.kubernetes import Placed, metadata, object_name, span_anchor
from meshc.semantics.texts import fullmatcher
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.grpc_retries import WORDS as GRPC_WORDS
from meshc_linkerd.resources.core import Service, ServicePort, ServiceSpec
from meshc_linkerd.resources.gateway import (
    MATCHES_OF_ROUTE,
    MATCHES_OF_RULE,
    RULES_OF_ROUTE,
    BackendRef,
    Filter,
    GrpcRoute,
    GrpcRouteSpec,
    GrpcRule,
    HeaderModifier,
    HeaderValue,
    HttpMatch,
    HttpRoute,
    HttpRouteSpec,
    HttpRule,
    ParentRef,
    PathModifier,
    RequestRedirect,
    Timeouts,
)
from meshc_linkerd.routing import EVERY_PATH, routed

_APP_PROTOCOLS: Final = {
    ir.Protocol.HTTP: "http",
    ir.Protocol.HTTP2: "kubernetes.io/h2c",
    ir.Protocol.GRPC: "kubernetes.io/h2c",
    ir.Protocol.TCP: "linkerd.io/opaque",
    ir.Protocol.TLS: "linkerd.io/opaque",
}
_CODES: Final = frozenset({301, 302})
_HTTP_WORDS: Final = {"5xx": "5xx", "gateway-error": "gateway-error", "retriable-4xx": "409"}

Annotations = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A rule to be, and the annotations that its object needs."""

    route: ir.Route
    matches: tuple[HttpMatch, ...]
    annotations: Annotations


VersionKey = tuple[str, str, str | None]
"""Namespace and name of a service, and the name of a version."""


def outbound_objects(workload: ir.Workload, named: frozenset[VersionKey]) -> Iterator[Placed]:
    """The objects of a workload; `named` are the versions that some route leads to.

    Raises InexpressibleError, which the checks have found before.
    """
    for version in workload.versions:
        if (workload.namespace, workload.name, version.name) in named:
            yield _version_service(workload, version)
    for port in workload.ports:
        if port.protocol.is_http and not _is_plain(workload, port):
            yield from routes_of(workload, port)


def named_versions(mesh: ir.Mesh) -> frozenset[VersionKey]:
    """The versions that some route of the mesh leads to."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    actions = (route.action for owner in owners for port in owner.ports for route in port.routes)
    return frozenset(
        (one.namespace, one.service, one.version)
        for action in actions
        if isinstance(action, ir.Forward)
        for one in action.destinations
    )


def _version_service(workload: ir.Workload, version: ir.Version) -> Placed:
    ports = tuple(
        ServicePort(
            name=port.name or f"{port.protocol.value}-{port.number}",
            port=port.number,
            target_port=port.target,
            app_protocol=_APP_PROTOCOLS[port.protocol],
        )
        for port in workload.ports
    )
    name = object_name(workload.name, version.name)
    anchor = span_anchor(version.span, f"service-{workload.namespace}.{workload.name}")
    labels = dict(sorted({**workload.labels, **version.labels}.items()))
    return Placed(
        owner=(workload.namespace, workload.name),
        resource=Service(
            metadata=metadata(name, workload.namespace, [anchor]), spec=ServiceSpec(selector=labels, ports=ports)
        ),
        sources=(version.span,),
    )


def _is_plain(workload: ir.Workload, port: ir.PortPolicy) -> bool:
    """Whether calls simply go to the service: then Linkerd's own defaults, which try once and wait, are right."""
    own = ir.Forward(
        destinations=(ir.Destination(namespace=workload.namespace, service=workload.name, port=port.number),)
    )
    return all(route.action == own and not _says_something(route.settings) for route in port.routes)


def _says_something(settings: ir.Settings) -> bool:
    return bool(
        settings.timeout_ms is not None
        or settings.idle_timeout_ms is not None
        or (settings.retry and _retry_notes(settings.retry))
        or settings.header_changes
    )


# ---- routes ---------------------------------------------------------------------------------------------------------


def routes_of(workload: ir.Workload, port: ir.PortPolicy) -> Iterator[Placed]:
    """The routes of a port. Raises InexpressibleError."""
    if any(one.settings.retry is not None and GRPC_WORDS & {*one.settings.retry.conditions} for one in port.routes):
        yield _calls(workload, port)
        return
    planned = _plan(port)
    groups: dict[Annotations, list[_Planned]] = {}
    for one in planned:
        groups.setdefault(one.annotations, []).append(one)
    default = planned[-1].annotations
    for own, listed in groups.items():
        if own != default and any(_takes_root(match) for one in listed for match in one.matches):
            reason = "Linkerd cannot tell a route for `/` from the rest, and reads retries from whole objects"
            raise InexpressibleError(reason, "give the route for `/` the retries of all others")
        suffix = () if own == default else (_short(own),)
        name = object_name(workload.name, str(port.number), *suffix)
        spans = tuple(dict.fromkeys(one.route.span for one in listed))
        anchors = [span_anchor(span, f"traffic-{workload.namespace}.{workload.name}") for span in spans]
        yield Placed(
            owner=(workload.namespace, workload.name),
            resource=HttpRoute(
                metadata=metadata(name, workload.namespace, anchors, dict(own)),
                spec=HttpRouteSpec(
                    parent_refs=(ParentRef(group="core", kind="Service", name=workload.name, port=port.number),),
                    rules=_rules(workload.namespace, listed),
                ),
            ),
            sources=spans,
        )


def _calls(workload: ir.Workload, port: ir.PortPolicy) -> Placed:
    """The GRPCRoute of a port that is retried on statuses of gRPC, which holds for all of its calls."""
    route = port.routes[0]
    retry = route.settings.retry
    if port.protocol is not ir.Protocol.GRPC:
        raise InexpressibleError(
            "Linkerd looks at statuses of gRPC on routes of gRPC alone",
            "write `port … grpc`, or retry on `5xx`",
            route.span,
        )
    if len(port.routes) > 1:
        reason = "retries on statuses of gRPC hold for all calls of a port on Linkerd"
        raise InexpressibleError(reason, "say it once for the port, without routes", route.span)
    if retry is not None and (retry.statuses or _HTTP_WORDS.keys() & {*retry.conditions}):
        reason = "Linkerd retries on statuses of gRPC or on those of HTTP, not on both"
        raise InexpressibleError(reason, "leave one of them out", retry.span)
    made = _rule(workload.namespace, route)
    notes = dict(annotations_of(route.settings))
    if route.settings.timeout_ms is not None:
        notes["timeout.linkerd.io/request"] = duration(route.settings.timeout_ms)
    anchor = span_anchor(route.span, f"traffic-{workload.namespace}.{workload.name}")
    rule = GrpcRule(filters=made.filters, backend_refs=made.backend_refs or ())
    return Placed(
        owner=(workload.namespace, workload.name),
        resource=GrpcRoute(
            metadata=metadata(
                object_name(workload.name, str(port.number)), workload.namespace, [anchor], dict(sorted(notes.items()))
            ),
            spec=GrpcRouteSpec(
                parent_refs=(ParentRef(group="core", kind="Service", name=workload.name, port=port.number),),
                rules=(rule,),
            ),
        ),
        sources=(route.span,),
    )


def check_route(namespace: str, route: ir.Route) -> None:
    """Raises InexpressibleError for a route whose action or settings no rule can say."""
    _rule(namespace, route)
    annotations_of(route.settings)


def _short(annotations: Annotations) -> str:
    said = dict(annotations)
    parts = [f"retry{said['retry.linkerd.io/limit']}"] if "retry.linkerd.io/limit" in said else []
    parts += [
        value.replace(",", "-") for key, value in annotations if key.endswith(("/http", "/grpc", "/idle", "/timeout"))
    ]
    return object_name("-".join(parts) or "plain")


def _plan(port: ir.PortPolicy) -> list[_Planned]:
    """The rules, the one for everything else last."""
    found = routed(port)
    places = [*(place for place in found.matches if place != found.rest), found.rest]
    matches = {**found.matches, found.rest: (*found.matches.get(found.rest, ()), HttpMatch(path=EVERY_PATH))}
    return [
        _Planned(route=route, matches=matches[place], annotations=annotations_of(route.settings))
        for place in places
        for route in (port.routes[place],)
    ]


def _takes_root(match: HttpMatch) -> bool:
    """Whether a match is no more specific than that of everything, which it shares `/` with."""
    if match.headers or match.query_params or match.method or match.path is None or match.path == EVERY_PATH:
        return False
    if match.path.type == "Exact":
        return match.path.value == "/"
    return fullmatcher(match.path.value)("/")


def _rules(namespace: str, listed: list[_Planned]) -> tuple[HttpRule, ...]:
    found = []
    for one in listed:
        for start in range(0, len(one.matches), MATCHES_OF_RULE):
            part = one.matches[start : start + MATCHES_OF_RULE]
            found.append(_rule(namespace, one.route).model_copy(update={"matches": part}))
    if len(found) > RULES_OF_ROUTE or sum(len(one.matches) for one in listed) > MATCHES_OF_ROUTE:
        reason = f"these routes come to more than {RULES_OF_ROUTE} rules or {MATCHES_OF_ROUTE} matches, which is what an HTTPRoute holds"
        raise InexpressibleError(reason, "use fewer routes, or fewer that overlap")
    return tuple(found)


def _rule(namespace: str, route: ir.Route) -> HttpRule:
    settings = route.settings
    filters = tuple(_filters(settings.header_changes))
    match route.action:
        case ir.Redirect():
            return HttpRule(filters=(*filters, _redirect(route.action)))
        case ir.Respond():
            raise InexpressibleError(
                "Linkerd's proxies answer nothing themselves but redirects", "answer in the application"
            )
        case ir.Forward(destinations=destinations):
            timeout = None if settings.timeout_ms is None else Timeouts(request=duration(settings.timeout_ms))
            return HttpRule(filters=filters or None, backend_refs=_backends(namespace, destinations), timeouts=timeout)


def _backends(namespace: str, destinations: tuple[ir.Destination, ...]) -> tuple[BackendRef, ...]:
    found = [one for one in destinations if one.weight > 0]
    scale = 1 if len(found) == 1 else _scale([one.weight for one in found])
    return tuple(
        BackendRef(
            group="",
            kind="Service",
            name=one.service if one.version is None else object_name(one.service, one.version),
            namespace=None if one.namespace == namespace else one.namespace,
            port=one.port,
            weight=None if len(found) == 1 else round(one.weight * scale),
        )
        for one in found
    )


def _scale(weights: list[float]) -> int:
    for scale in (1, 10, 100, 1000, 10_000):
        if all(abs(weight * scale - round(weight * scale)) < 1e-9 for weight in weights):
            return scale
    raise InexpressibleError("Linkerd's weights are whole numbers up to a million", "round the shares")


def duration(milliseconds: int) -> str:
    """One number and one unit: Linkerd ignores a timeout that has more."""
    return (
        f"{milliseconds // 1000}s"
        if milliseconds % 1000 == 0 and milliseconds < 100_000_000
        else _milliseconds(milliseconds)
    )


def _milliseconds(milliseconds: int) -> str:
    if milliseconds > 99_999:
        raise InexpressibleError("Linkerd takes durations of five digits", "round it to whole seconds")
    return f"{milliseconds}ms"


def annotations_of(settings: ir.Settings) -> Annotations:
    """What an HTTPRoute's annotations say of its rules."""
    found = dict(_retry_notes(settings.retry)) if settings.retry is not None else {}
    if settings.idle_timeout_ms is not None:
        found["timeout.linkerd.io/idle"] = duration(settings.idle_timeout_ms)
    return tuple(sorted(found.items()))


def _retry_notes(retry: ir.Retry) -> Mapping[str, str]:
    http = [_HTTP_WORDS[one] for one in retry.conditions if one in _HTTP_WORDS] + [str(one) for one in retry.statuses]
    grpc = [one for one in retry.conditions if one in GRPC_WORDS]
    if not (http or grpc):
        return {}
    found = {"retry.linkerd.io/limit": str(retry.attempts)}
    if http:
        found["retry.linkerd.io/http"] = ",".join(http)
    if grpc:
        found["retry.linkerd.io/grpc"] = ",".join(grpc)
    if retry.per_try_ms is not None:
        found["retry.linkerd.io/timeout"] = duration(retry.per_try_ms)
    return found


# ---- filters --------------------------------------------------------------------------------------------------------


def _filters(changes: tuple[ir.HeaderChange, ...]) -> Iterator[Filter]:
    names = [(one.direction, one.name) for one in changes]
    twice = next((one for place, one in enumerate(changes) if names[place] in names[:place]), None)
    if twice is not None:
        reason = "Linkerd changes a header once in a rule"
        raise InexpressibleError(reason, "set it to the value that it is to have in the end", twice.span)
    request = _modifier([one for one in changes if one.direction == "request"])
    response = _modifier([one for one in changes if one.direction == "response"])
    if request is not None:
        yield Filter(type="RequestHeaderModifier", request_header_modifier=request)
    if response is not None:
        yield Filter(type="ResponseHeaderModifier", response_header_modifier=response)


def _modifier(changes: list[ir.HeaderChange]) -> HeaderModifier | None:
    if not changes:
        return None
    empty = next((one for one in changes if one.operation != "remove" and not one.value), None)
    if empty is not None:
        raise InexpressibleError("Linkerd gives a header no empty value", "remove the header", empty.span)
    values = {
        verb: tuple(HeaderValue(name=one.name, value=one.value or "") for one in changes if one.operation == verb)
        for verb in ("set", "add")
    }
    removed = tuple(one.name for one in changes if one.operation == "remove")
    return HeaderModifier(set=values["set"] or None, add=values["add"] or None, remove=removed or None)


def _redirect(action: ir.Redirect) -> Filter:
    parts = urlsplit(action.target)
    if parts.scheme not in {"", "http", "https"}:
        raise InexpressibleError(
            f"Linkerd redirects to http and https, not to `{parts.scheme}`", "leave the scheme out"
        )
    scheme: Literal["http", "https"] | None = None
    if parts.scheme:
        scheme = "https" if parts.scheme == "https" else "http"
    if "{" in action.target or action.target.endswith("/**") or parts.query:
        raise InexpressibleError("Linkerd redirects to a fixed path", "leave captures and the query out")
    if action.status not in _CODES:
        raise InexpressibleError(f"Linkerd redirects with 301 or 302, not with {action.status}", "write `status 301`")
    return Filter(
        type="RequestRedirect",
        request_redirect=RequestRedirect(
            scheme=scheme,
            hostname=parts.hostname,
            # Without a path, Linkerd would keep that of the request.
            path=PathModifier(type="ReplaceFullPath", replace_full_path=parts.path or "/"),
            port=parts.port,
            status_code=action.status,
        ),
    )
