"""v1 Service, EgressNetwork, and kustomize's Component."""

from collections.abc import Mapping

from meshc.kubernetes import ApiModel, Resource


class ServicePort(ApiModel):
    name: str
    port: int
    target_port: int
    protocol: str = "TCP"
    app_protocol: str


class ServiceSpec(ApiModel):
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]


class Service(Resource):
    api_version: str = "v1"
    kind: str = "Service"
    spec: ServiceSpec


class EgressNetworkSpec(ApiModel):
    traffic_policy: str


class EgressNetwork(Resource):
    api_version: str = "policy.linkerd.io/v1alpha1"
    kind: str = "EgressNetwork"
    spec: EgressNetworkSpec
