"""Routes of the Gateway API, as far as Linkerd reads them: the fields of version 1.2.1.

Source: gateway.networking.k8s.io, HTTPRoute v1. Fields that Linkerd admits and
ignores (`timeouts.backendRequest`, `retry`, rewrites and mirrors) are not here, so that nothing can be written with them.
"""

from typing import Final, Literal

from meshc.kubernetes import ApiModel, Resource

GROUP = "gateway.networking.k8s.io"
"""The API group of all routes of this module."""

MATCHES_OF_RULE: Final = 8
"""The most of a rule in the definitions that Linkerd ships (Gateway API 1.1.1); later ones take 64."""
RULES_OF_ROUTE: Final = 16
"""The most of a route."""
MATCHES_OF_ROUTE: Final = 127
"""The most of all rules of a route together."""


class ParentRef(ApiModel):
    """What a route is attached to; Linkerd requires `kind`. `port` is for Services and EgressNetworks alone."""

    group: str
    kind: str
    name: str
    namespace: str | None = None
    port: int | None = None


class PathMatch(ApiModel):
    """A test of the raw path; `value` has at most 1024 characters."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: str


class HeaderMatch(ApiModel):
    """A test that one line of a header passes; a name stands once in a match. `value` has 1 to 4096 characters."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: str
    value: str


class QueryMatch(ApiModel):
    """A test that one occurrence of a parameter passes; a name stands once in a match. `value` has 1 to 1024 characters."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: str
    value: str


Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
"""The methods that a match can name."""


class HttpMatch(ApiModel):
    """Requests that pass every test; without a test, all of them."""

    path: PathMatch | None = None
    headers: tuple[HeaderMatch, ...] | None = None
    query_params: tuple[QueryMatch, ...] | None = None
    method: Method | None = None


class HeaderValue(ApiModel):
    """A header to set or add."""

    name: str
    value: str


class HeaderModifier(ApiModel):
    """Changes of headers, applied in the order add, set, remove."""

    set: tuple[HeaderValue, ...] | None = None
    add: tuple[HeaderValue, ...] | None = None
    remove: tuple[str, ...] | None = None


class PathModifier(ApiModel):
    """What a redirect does to the path; `replace_prefix_match` needs the one match to be a PathPrefix."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class RequestRedirect(ApiModel):
    """An answer that sends the client elsewhere; a rule with one has no backends."""

    scheme: Literal["http", "https"] | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: int | None = None
    status_code: int


class Filter(ApiModel):
    """One filter; the field that `type` names is set, and no other."""

    type: Literal["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"]
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_redirect: RequestRedirect | None = None


class BackendRef(ApiModel):
    """Where requests go. Linkerd ignores the weight of an only backend."""

    group: str
    kind: str
    name: str
    namespace: str | None = None
    port: int | None = None
    weight: int | None = None
    filters: tuple[Filter, ...] | None = None


class Timeouts(ApiModel):
    """`request` is one whole number and one unit, such as `1500ms`: Linkerd takes a compound for no timeout at all."""

    request: str


class HttpRule(ApiModel):
    """At most 8 matches in the definitions that Linkerd ships, 64 in later ones; the most specific match of all routes decides."""

    matches: tuple[HttpMatch, ...] | None = None
    filters: tuple[Filter, ...] | None = None
    backend_refs: tuple[BackendRef, ...] | None = None
    timeouts: Timeouts | None = None


class HttpRouteSpec(ApiModel):
    """1 to 16 rules with at most 128 matches in all; at most 16 hostnames, none for any host."""

    parent_refs: tuple[ParentRef, ...]
    hostnames: tuple[str, ...] | None = None
    rules: tuple[HttpRule, ...]


class HttpRoute(Resource):
    """gateway.networking.k8s.io/v1 HTTPRoute."""

    api_version: str = f"{GROUP}/v1"
    kind: str = "HTTPRoute"
    spec: HttpRouteSpec


class GrpcRule(ApiModel):
    """A rule without matches takes every call. It has no timeouts: those of its route's annotations count."""

    filters: tuple[Filter, ...] | None = None
    backend_refs: tuple[BackendRef, ...]


class GrpcRouteSpec(ApiModel):
    """1 to 16 rules."""

    parent_refs: tuple[ParentRef, ...]
    rules: tuple[GrpcRule, ...]


class GrpcRoute(Resource):
    """gateway.networking.k8s.io/v1 GRPCRoute: where a port has one, its HTTPRoutes do not count."""

    api_version: str = f"{GROUP}/v1"
    kind: str = "GRPCRoute"
    spec: GrpcRouteSpec
