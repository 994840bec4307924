"""Linkerd's own policy objects: who may send what to a port of a workload.

Source: policy.linkerd.io, Server v1beta3, the others v1alpha1.
"""

from collections.abc import Mapping
from typing import Literal

from meshc.kubernetes import ApiModel, Resource

GROUP = "policy.linkerd.io"
"""The API group of all objects of this module."""


ProxyProtocol = Literal["HTTP/1", "HTTP/2", "opaque", "TLS"]
"""How the proxy reads a port, as far as we write it."""


class PodSelector(ApiModel):
    """The pods that have all of these labels."""

    match_labels: Mapping[str, str]


class ServerSpec(ApiModel):
    """A port of some pods. Without a route, `access_policy` and authorizations of the server decide alone."""

    pod_selector: PodSelector
    port: int
    proxy_protocol: ProxyProtocol
    access_policy: Literal["deny"] = "deny"


class Server(Resource):
    """policy.linkerd.io/v1beta3 Server."""

    api_version: str = f"{GROUP}/v1beta3"
    kind: str = "Server"
    spec: ServerSpec


class LocalRef(ApiModel):
    """An object in the same namespace."""

    group: str
    kind: str
    name: str


class AuthorizationPolicySpec(ApiModel):
    """Every authentication must hold. An empty list would let everybody in, so that there is at least one."""

    target_ref: LocalRef
    required_authentication_refs: tuple[LocalRef] | tuple[LocalRef, LocalRef]


class AuthorizationPolicy(Resource):
    """policy.linkerd.io/v1alpha1 AuthorizationPolicy."""

    api_version: str = f"{GROUP}/v1alpha1"
    kind: str = "AuthorizationPolicy"
    spec: AuthorizationPolicySpec


class IdentityRef(ApiModel):
    """The identity of a ServiceAccount, or those of a whole Namespace, which has no `namespace` of its own."""

    kind: Literal["ServiceAccount", "Namespace"]
    name: str
    namespace: str | None = None


class MeshTLSAuthenticationSpec(ApiModel):
    """One of the lists, which is not empty: the caller's verified identity is one of these."""

    identities: tuple[str, ...] | None = None
    identity_refs: tuple[IdentityRef, ...] | None = None


class MeshTLSAuthentication(Resource):
    """policy.linkerd.io/v1alpha1 MeshTLSAuthentication."""

    api_version: str = f"{GROUP}/v1alpha1"
    kind: str = "MeshTLSAuthentication"
    spec: MeshTLSAuthenticationSpec


class Network(ApiModel):
    """A block of addresses without some that lie in it."""

    cidr: str
    except_: tuple[str, ...] | None = None


class NetworkAuthenticationSpec(ApiModel):
    """The address of the peer is in one of these; never empty."""

    networks: tuple[Network, ...]


class NetworkAuthentication(Resource):
    """policy.linkerd.io/v1alpha1 NetworkAuthentication."""

    api_version: str = f"{GROUP}/v1alpha1"
    kind: str = "NetworkAuthentication"
    spec: NetworkAuthenticationSpec


class Rate(ApiModel):
    """Tokens of a bucket that holds one second's; at least 1."""

    requests_per_second: int


class HTTPLocalRateLimitPolicySpec(ApiModel):
    """The limit of all requests to a server, and the limit of each client; `identity` is not above `total`."""

    target_ref: LocalRef
    total: Rate | None = None
    identity: Rate | None = None


class HTTPLocalRateLimitPolicy(Resource):
    """policy.linkerd.io/v1alpha1 HTTPLocalRateLimitPolicy."""

    api_version: str = f"{GROUP}/v1alpha1"
    kind: str = "HTTPLocalRateLimitPolicy"
    spec: HTTPLocalRateLimitPolicySpec
