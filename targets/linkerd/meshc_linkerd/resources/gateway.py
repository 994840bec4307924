"""gateway.networking.k8s.io/v1 HTTPRoute, with the fields that Linkerd reads of version 1.2.1."""

from meshc.kubernetes import ApiModel, Resource

GATEWAY_GROUP = "gateway.networking.k8s.io"


class ParentReference(ApiModel):
    group: str
    kind: str
    name: str
    port: int | None = None


class PathMatch(ApiModel):
    type: str
    value: str


class NamedMatch(ApiModel):
    type: str
    name: str
    value: str


class HTTPRouteMatch(ApiModel):
    path: PathMatch | None = None
    headers: tuple[NamedMatch, ...] | None = None
    query_params: tuple[NamedMatch, ...] | None = None
    method: str | None = None


class Header(ApiModel):
    name: str
    value: str


class HeaderModifier(ApiModel):
    set: tuple[Header, ...] | None = None
    add: tuple[Header, ...] | None = None
    remove: tuple[str, ...] | None = None


class PathModifier(ApiModel):
    type: str = "ReplaceFullPath"
    replace_full_path: str


class RequestRedirect(ApiModel):
    scheme: str | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: int | None = None
    status_code: int


class Filter(ApiModel):
    type: str
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_redirect: RequestRedirect | None = None


class BackendReference(ApiModel):
    name: str
    namespace: str | None = None
    port: int
    weight: int | None = None


class Timeouts(ApiModel):
    request: str | None = None


class HTTPRouteRule(ApiModel):
    matches: tuple[HTTPRouteMatch, ...] | None = None
    filters: tuple[Filter, ...] | None = None
    backend_refs: tuple[BackendReference, ...] | None = None
    timeouts: Timeouts | None = None


class HTTPRouteSpec(ApiModel):
    parent_refs: tuple[ParentReference, ...]
    hostnames: tuple[str, ...] | None = None
    rules: tuple[HTTPRouteRule, ...]


class HTTPRoute(Resource):
    api_version: str = f"{GATEWAY_GROUP}/v1"
    kind: str = "HTTPRoute"
    spec: HTTPRouteSpec
