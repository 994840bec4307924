"""Objects that change proxies beyond what Istio's own policies say: EnvoyFilter, WasmPlugin, ProxyConfig, and listeners that a Sidecar
defines. They may decide anything; so may workloads that are no pods, and what is said of pods (`pods`, `markings`).

Filters of gateways are passed over, those of clusters of calls that leave say nothing of access, and local rate limits are read by `limits`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import items, mapping
from meshc.target import Json
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.markings import check_markings
from meshc_istio.read.pods import Bare, Pods

_LIMIT: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_INSERTS: Final = frozenset({"INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"})


_LIMIT_FIELDS: Final = frozenset(
    {
        "@type", "stat_prefix", "status", "token_bucket", "filter_enabled", "filter_enforced", "response_headers_to_add", "descriptors",
        "stage", "local_rate_limit_per_downstream_connection", "enable_x_ratelimit_headers", "vh_rate_limits",
        "always_consume_default_token_bucket", "rate_limited_as_resource_exhausted",
    }
)  # fmt: skip
"""What of a rate limit only counts and refuses. It may add headers to requests too, which policies would see."""


def check_extensions(
    objects: Iterable[ConfigObject], known: ir.Mesh, account: Account, *, is_ambient: bool
) -> list[Bare]:
    """Say of each such object that who may call may depend on it. Gives the pods that go without proxies."""
    pods = Pods(mesh=known, is_ambient=is_ambient)
    for one in objects:
        for steps, message in _doubts(one):
            account.not_understood(one, steps, message, None, *Aspect)
        for steps, message, touched in pods.doubts(one):
            account.not_understood(one, steps, message, touched, *Aspect)
        if one.kind in {"Service", "Namespace"} and not one.group:
            check_markings(one, known, account, is_ambient=is_ambient)
        if one.kind in {"WorkloadEntry", "WorkloadGroup"} and (ports := tuple(_joined(one, known))):
            message = (
                f"whether the workloads of the {one.kind} `{one.name}` have proxies, and who they are, cannot be said"
            )
            account.not_understood(one, ("spec",), message, ports, *Aspect)
        for steps in _outbound_clusters(one):
            message = f"what the EnvoyFilter `{one.name}` makes of calls cannot be said"
            account.not_understood(one, steps, message, None, Aspect.ROUTING, Aspect.SETTINGS)
    return pods.bare


def _joined(one: ConfigObject, known: ir.Mesh) -> Iterator[PortKey]:
    """The ports of the services that workloads outside of the cluster are part of."""
    spec = mapping(one.data.get("spec"))
    pods = spec if one.kind == "WorkloadEntry" else mapping(spec.get("metadata"))
    labels = {key: str(value) for key, value in mapping(pods.get("labels")).items()}
    for service in known.workloads:
        if service.namespace == (one.namespace or "default") and service.labels.items() <= labels.items():
            yield from ((service.namespace, service.name, port.number) for port in service.ports)


def _doubts(one: ConfigObject) -> Iterator[tuple[tuple[Step, ...], str]]:
    spec = mapping(one.data.get("spec"))
    match one.kind:
        case "WasmPlugin":
            yield ("spec",), f"what the WasmPlugin `{one.name}` decides cannot be said"
        case "ProxyConfig":
            yield ("spec",), f"what the ProxyConfig `{one.name}` makes of proxies cannot be said"
        case "Sidecar" if "ingress" in spec:
            yield ("spec", "ingress"), f"the listeners that the Sidecar `{one.name}` defines cannot be said"
        case "EnvoyFilter":
            yield from _filter_doubts(one, spec)
        case _:
            pass


def _filter_doubts(one: ConfigObject, spec: Mapping[str, Json]) -> Iterator[tuple[tuple[Step, ...], str]]:
    message = f"what the EnvoyFilter `{one.name}` makes of proxies cannot be said"
    if not isinstance(spec.get("configPatches"), list | tuple):
        yield ("spec",), message
    for number, patch in enumerate(items(spec.get("configPatches"))):
        if not _is_harmless(patch):
            yield ("spec", "configPatches", number), message


def _outbound_clusters(one: ConfigObject) -> Iterator[tuple[Step, ...]]:
    patches = items(mapping(one.data.get("spec")).get("configPatches")) if one.kind == "EnvoyFilter" else ()
    return (("spec", "configPatches", number) for number, patch in enumerate(patches) if _is_outbound(patch))


def _is_outbound(patch: Json) -> bool:
    fields = mapping(patch)
    return fields.get("applyTo") == "CLUSTER" and mapping(fields.get("match")).get("context") == "SIDECAR_OUTBOUND"


def _is_harmless(patch: Json) -> bool:
    context = mapping(mapping(patch).get("match")).get("context")
    return context == "GATEWAY" or _is_outbound(patch) or is_limit(patch)


def is_limit(patch: Json) -> bool:
    """Whether a patch puts a local rate limit into proxies, and nothing else."""
    fields = mapping(patch)
    change = mapping(fields.get("patch"))
    value = mapping(change.get("value"))
    config = mapping(value.get("typed_config"))
    is_inserted = fields.get("applyTo") == "HTTP_FILTER" and str(change.get("operation")) in _INSERTS
    is_plain = set(value) <= {"name", "typed_config"} and set(config) <= _LIMIT_FIELDS
    return is_inserted and is_plain and config.get("@type") == f"type.googleapis.com/{_LIMIT}"
