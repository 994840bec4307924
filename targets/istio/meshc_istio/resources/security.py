"""security.istio.io/v1: AuthorizationPolicy, PeerAuthentication, RequestAuthentication."""

from collections.abc import Mapping
from typing import Literal

from meshc.kubernetes import ApiModel, Resource

Texts = tuple[str, ...]
MtlsWord = Literal["STRICT", "PERMISSIVE", "DISABLE"]


class Selector(ApiModel):
    """The pods that a policy is for."""

    match_labels: Mapping[str, str]


class TargetRef(ApiModel):
    """What a policy is attached to, where a waypoint enforces it."""

    group: str = ""
    kind: str
    name: str


class Source(ApiModel):
    """Who calls: all fields given must hold, one value of each."""

    principals: Texts | None = None
    not_principals: Texts | None = None
    request_principals: Texts | None = None
    not_request_principals: Texts | None = None
    namespaces: Texts | None = None
    not_namespaces: Texts | None = None
    ip_blocks: Texts | None = None
    not_ip_blocks: Texts | None = None
    remote_ip_blocks: Texts | None = None
    not_remote_ip_blocks: Texts | None = None


class From(ApiModel):
    source: Source


class Operation(ApiModel):
    """What is called: all fields given must hold, one value of each. Ports are those of the workload."""

    hosts: Texts | None = None
    not_hosts: Texts | None = None
    ports: Texts | None = None
    methods: Texts | None = None
    not_methods: Texts | None = None
    paths: Texts | None = None
    not_paths: Texts | None = None


class To(ApiModel):
    operation: Operation


class When(ApiModel):
    """A further test; one of `values` and none of `not_values`."""

    key: str
    values: Texts | None = None
    not_values: Texts | None = None


class AccessRule(ApiModel):
    """Any of `from`, any of `to` and all of `when`; what is left out always holds."""

    from_: tuple[From, ...] | None = None
    to: tuple[To, ...] | None = None
    when: tuple[When, ...] | None = None


class AuthorizationPolicySpec(ApiModel):
    selector: Selector | None = None
    target_refs: tuple[TargetRef, ...] | None = None
    action: Literal["ALLOW", "DENY"] | None = None
    rules: tuple[AccessRule, ...] | None = None


class AuthorizationPolicy(Resource):
    api_version: str = "security.istio.io/v1"
    kind: str = "AuthorizationPolicy"
    spec: AuthorizationPolicySpec


class Mtls(ApiModel):
    mode: MtlsWord


class PeerAuthenticationSpec(ApiModel):
    selector: Selector | None = None
    mtls: Mtls | None = None
    port_level_mtls: Mapping[str, Mtls] | None = None


class PeerAuthentication(Resource):
    api_version: str = "security.istio.io/v1"
    kind: str = "PeerAuthentication"
    spec: PeerAuthenticationSpec


class JwtHeader(ApiModel):
    name: str
    prefix: str | None = None


class JwtRule(ApiModel):
    issuer: str
    audiences: Texts | None = None
    jwks_uri: str | None = None
    jwks: str | None = None
    from_headers: tuple[JwtHeader, ...] | None = None
    forward_original_token: bool | None = None


class RequestAuthenticationSpec(ApiModel):
    selector: Selector | None = None
    target_refs: tuple[TargetRef, ...] | None = None
    jwt_rules: tuple[JwtRule, ...]


class RequestAuthentication(Resource):
    api_version: str = "security.istio.io/v1"
    kind: str = "RequestAuthentication"
    spec: RequestAuthenticationSpec
