"""policy.linkerd.io: Server, AuthorizationPolicy, MeshTLSAuthentication, NetworkAuthentication, HTTPLocalRateLimitPolicy."""

from collections.abc import Mapping

from meshc.kubernetes import ApiModel, Resource

POLICY_GROUP = "policy.linkerd.io"


class PodSelector(ApiModel):
    match_labels: Mapping[str, str]


class ServerSpec(ApiModel):
    pod_selector: PodSelector
    port: int
    proxy_protocol: str
    access_policy: str = "deny"


class Server(Resource):
    api_version: str = f"{POLICY_GROUP}/v1beta3"
    kind: str = "Server"
    spec: ServerSpec


class Reference(ApiModel):
    group: str
    kind: str
    name: str
    namespace: str | None = None


class AuthorizationPolicySpec(ApiModel):
    """All of the references must hold; without any, everybody would be let in, so there is always one."""

    target_ref: Reference
    required_authentication_refs: tuple[Reference, ...]


class AuthorizationPolicy(Resource):
    api_version: str = f"{POLICY_GROUP}/v1alpha1"
    kind: str = "AuthorizationPolicy"
    spec: AuthorizationPolicySpec


class IdentityReference(ApiModel):
    kind: str
    name: str
    namespace: str | None = None


class MeshTLSAuthenticationSpec(ApiModel):
    identities: tuple[str, ...] | None = None
    identity_refs: tuple[IdentityReference, ...] | None = None


class MeshTLSAuthentication(Resource):
    api_version: str = f"{POLICY_GROUP}/v1alpha1"
    kind: str = "MeshTLSAuthentication"
    spec: MeshTLSAuthenticationSpec


class Network(ApiModel):
    cidr: str
    except_: tuple[str, ...] | None = None


class NetworkAuthenticationSpec(ApiModel):
    networks: tuple[Network, ...]


class NetworkAuthentication(Resource):
    api_version: str = f"{POLICY_GROUP}/v1alpha1"
    kind: str = "NetworkAuthentication"
    spec: NetworkAuthenticationSpec


class RequestsPerSecond(ApiModel):
    requests_per_second: int


class RateLimitSpec(ApiModel):
    target_ref: Reference
    total: RequestsPerSecond | None = None
    identity: RequestsPerSecond | None = None


class HTTPLocalRateLimitPolicy(Resource):
    api_version: str = f"{POLICY_GROUP}/v1alpha1"
    kind: str = "HTTPLocalRateLimitPolicy"
    spec: RateLimitSpec
