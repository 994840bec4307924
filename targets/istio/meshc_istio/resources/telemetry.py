"""telemetry.istio.io/v1 Telemetry, and networking.istio.io/v1alpha3 EnvoyFilter."""

from collections.abc import Mapping

from meshc.kubernetes import ApiModel, Resource
from meshc_istio.resources.security import Selector


class Provider(ApiModel):
    """One of the mesh's `extensionProviders`, by name; Istio ignores one that is not there."""

    name: str


class AccessLogging(ApiModel):
    providers: tuple[Provider, ...]


class Tracing(ApiModel):
    providers: tuple[Provider, ...]
    random_sampling_percentage: float


class Metrics(ApiModel):
    providers: tuple[Provider, ...]


class TelemetrySpec(ApiModel):
    selector: Selector | None = None
    access_logging: tuple[AccessLogging, ...] | None = None
    tracing: tuple[Tracing, ...] | None = None
    metrics: tuple[Metrics, ...] | None = None


class Telemetry(Resource):
    api_version: str = "telemetry.istio.io/v1"
    kind: str = "Telemetry"
    spec: TelemetrySpec


class WorkloadSelector(ApiModel):
    labels: Mapping[str, str]


class ConfigPatch(ApiModel):
    """A patch of what Istio would have made; `match` and `patch` are Envoy's own terms."""

    apply_to: str
    match: Mapping[str, object]
    patch: Mapping[str, object]


class EnvoyFilterSpec(ApiModel):
    workload_selector: WorkloadSelector
    config_patches: tuple[ConfigPatch, ...]


class EnvoyFilter(Resource):
    api_version: str = "networking.istio.io/v1alpha3"
    kind: str = "EnvoyFilter"
    spec: EnvoyFilterSpec
