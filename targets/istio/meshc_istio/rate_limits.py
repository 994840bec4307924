"""Rate limits: one limit for all requests to a port -> an EnvoyFilter with a local rate limit filter.

It stands right before the router, so behind access: a refused request takes no token.
Source: Istio `samples/ratelimit/local-rate-limit-service.yaml`; Envoy `LocalRateLimit`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.kubernetes import Placed, metadata, object_name, span_anchor
from meshc.target import Json
from meshc_istio.resources.telemetry import ConfigPatch, EnvoyFilter, EnvoyFilterSpec, WorkloadSelector

_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_MANAGER: Final = "envoy.filters.network.http_connection_manager"
_ALWAYS: Final[Mapping[str, Json]] = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def is_plain(limit: ir.RateLimit) -> bool:
    """Whether a limit counts every request of its port together."""
    return limit.per is None and limit.condition == ir.ALWAYS


def rate_limits_of(workload: ir.Workload) -> Iterator[Placed]:
    """The filters of a workload's ports that count every request."""
    limits = [(port, limit) for port in workload.ports for limit in port.limits if is_plain(limit)]
    if not limits:
        return
    patches = [_patch(port, number, limit) for number, (port, limit) in enumerate(limits, 1)]
    anchors = [span_anchor(limit.span, f"rate-limit-{workload.namespace}.{workload.name}") for _, limit in limits]
    yield Placed(
        owner=(workload.namespace, workload.name),
        resource=EnvoyFilter(
            metadata=metadata(object_name(workload.name, "rate-limit"), workload.namespace, anchors),
            spec=EnvoyFilterSpec(
                workload_selector=WorkloadSelector(labels=workload.labels), config_patches=tuple(patches)
            ),
        ),
        sources=tuple(limit.span for _, limit in limits),
    )


def _patch(port: ir.PortPolicy, number: int, limit: ir.RateLimit) -> ConfigPatch:
    chain: Mapping[str, object] = {"filter": {"name": _MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}
    where: Mapping[str, object] = {
        "context": "SIDECAR_INBOUND",
        "listener": {"portNumber": port.target, "filterChain": chain},
    }
    config: Mapping[str, object] = {
        "@type": _TYPE,
        "stat_prefix": f"meshc_limit_{number}",
        "token_bucket": {
            "max_tokens": limit.burst,
            "tokens_per_fill": limit.tokens,
            "fill_interval": f"{limit.per_ms / 1000:g}s",
        },
        "filter_enabled": {"runtime_key": "meshc.limits_enabled", **_ALWAYS},
        "filter_enforced": {"runtime_key": "meshc.limits_enforced", **_ALWAYS},
    }
    value = {"name": f"meshc.limit-{number}", "typed_config": config}
    return ConfigPatch(apply_to="HTTP_FILTER", match=where, patch={"operation": "INSERT_BEFORE", "value": value})
