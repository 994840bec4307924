"""ServiceEntries, Sidecars, Telemetry and EnvoyFilters. Source: the reference, 5 and 8.

Telemetry decides nothing about requests, and an EnvoyFilter is only looked at for its shape: local rate limits are the one
thing that it may be for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from meshc_harness.istio.attachment import Identity, read_selector
from meshc_harness.istio.reading import Fields, check_host, reject

PROTOCOLS = frozenset({"HTTP", "HTTPS", "GRPC", "HTTP2", "MONGO", "TCP", "TLS"})
HTTP = frozenset({"HTTP", "GRPC", "HTTP2"})
RATE_LIMIT = "envoy.filters.http.local_ratelimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPort:
    number: int
    target: int
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """`endpoints` are their labels; none for hosts that resolve themselves."""

    identity: Identity
    hosts: tuple[str, ...]
    ports: tuple[EntryPort, ...]
    in_mesh: bool
    resolution: str
    endpoints: tuple[Mapping[str, str], ...]
    export_to: tuple[str, ...]


def read_service_entry(identity: Identity, spec: Fields) -> ServiceEntry:
    hosts = spec.texts("hosts")
    if not hosts:
        reject(spec.where, "no hosts")
    resolution = spec.choice("resolution", "NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS") or "NONE"
    for host in hosts:
        check_host(host, spec.where, wildcard=resolution in {"NONE", "STATIC", "DYNAMIC_DNS"})
    ports = tuple(_entry_port(one) for one in spec.items("ports") or ())
    names = [one.needed_text("name") for one in spec.items("ports") or ()]
    if len({port.number for port in ports}) < len(ports) or len(set(names)) < len(names) or not ports:
        reject(spec.where, "no ports, or one twice")
    if len(hosts) > 1 and any(port.protocol == "TCP" for port in ports):
        reject(spec.where, "several hosts and a TCP port")
    if resolution == "DYNAMIC_DNS" and any(port.protocol in {"TCP", "HTTPS", "MONGO"} for port in ports):
        reject(spec.where, "DYNAMIC_DNS takes HTTP, TLS, GRPC and HTTP2 alone")
    addresses = spec.texts("addresses")
    for address in addresses:
        ip_network(address, strict=False)
        if "/" in address and resolution not in {"NONE", "STATIC"}:
            reject(spec.where, f"CIDR `{address}` with {resolution}")
    endpoints = tuple(_endpoint(one, resolution) for one in spec.items("endpoints") or ())
    selector = spec.fields("workloadSelector")
    if (endpoints or addresses) and resolution == "DYNAMIC_DNS":
        reject(spec.where, "DYNAMIC_DNS takes no addresses and no endpoints")
    if (endpoints and (resolution == "NONE" or selector is not None)) or (
        resolution == "STATIC" and not endpoints and selector is None
    ):
        reject(spec.where, f"endpoints with {resolution} or a selector, or none")
    if selector is not None:
        selector.text_map("labels")
        selector.finish()
    found = ServiceEntry(
        identity=identity,
        hosts=hosts,
        ports=ports,
        in_mesh=spec.choice("location", "MESH_EXTERNAL", "MESH_INTERNAL") == "MESH_INTERNAL",
        resolution=resolution,
        endpoints=endpoints,
        export_to=spec.texts("exportTo") or ("*",),
    )
    spec.texts("subjectAltNames")
    spec.finish()
    return found


def _entry_port(fields: Fields) -> EntryPort:
    number = fields.integer("number", 1, 65535)
    target = fields.integer("targetPort", 1, 65535)
    protocol = (fields.text("protocol") or "TCP").upper()
    fields.needed_text("name")
    fields.finish()
    if number is None or protocol not in PROTOCOLS:
        reject(fields.where, f"port {number} of {protocol}")
    return EntryPort(number=number, target=target or number, protocol=protocol)


def _endpoint(fields: Fields, resolution: str) -> Mapping[str, str]:
    address = fields.needed_text("address")
    if resolution == "STATIC":
        try:
            ip_address(address)
        except ValueError:
            reject(fields.where, f"`{address}` is no address, and STATIC resolves nothing")
    ports = fields.fields("ports")
    if ports is not None:
        for name, _ in ports.pairs():
            ports.integer(name, 1, 65535)
    fields.integer("weight", 1)
    fields.text("locality")
    fields.text("serviceAccount")
    found = fields.text_map("labels")
    fields.finish()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """`hosts` are pairs (namespace, host) that its workloads see, None for all; `registry_only` is None for the mesh's."""

    identity: Identity
    selector: Mapping[str, str]
    hosts: tuple[tuple[str, str], ...] | None
    registry_only: bool | None

    def sees(self, namespace: str, host: str) -> bool:
        def fits(pattern: str, text: str) -> bool:
            return pattern in {"*", text} or (pattern.startswith("*.") and text.endswith(pattern[1:]))

        own = self.identity.namespace
        return self.hosts is None or any(
            fits(own if owner == "." else owner, namespace) and fits(pattern, host) for owner, pattern in self.hosts
        )


def read_sidecar(identity: Identity, spec: Fields) -> Sidecar:
    if not len(spec):
        reject(spec.where, "empty Sidecar")
    policy = spec.fields("outboundTrafficPolicy")
    mode = None
    if policy is not None:
        mode = policy.choice("mode", "REGISTRY_ONLY", "ALLOW_ANY") or "REGISTRY_ONLY"
        policy.finish()
    hosts: list[tuple[str, str]] | None = None
    for one in spec.items("egress") or ():
        hosts = [] if hosts is None else hosts
        for text in one.texts("hosts"):
            namespace, slash, host = text.partition("/")
            if not slash or not namespace or not host:
                reject(one.where, f"`{text}` is no namespace/host")
            hosts.append((namespace, host))
        one.finish()
    found = Sidecar(
        identity=identity,
        selector=read_selector(spec, "workloadSelector", "labels"),
        hosts=None if hosts is None else tuple(hosts),
        registry_only=None if mode is None else mode == "REGISTRY_ONLY",
    )
    spec.finish()
    return found


# ---- what decides nothing -------------------------------------------------------------------------------------------


def check_telemetry(spec: Fields, providers: frozenset[str]) -> None:
    """Providers that the mesh does not know are ignored in silence: nobody who names one means that."""
    read_selector(spec)
    for part in ("accessLogging", "metrics", "tracing"):
        for one in spec.items(part) or ():
            for provider in one.items("providers") or ():
                name = provider.needed_text("name")
                provider.finish()
                if name not in providers and name not in {"envoy", "prometheus"}:
                    reject(provider.where, f"no extensionProvider `{name}`")
            _check_reports(one)
    spec.finish()


def _check_reports(fields: Fields) -> None:
    if (percent := fields.number("randomSamplingPercentage")) is not None and not 0 <= percent <= 100:
        reject(fields.where, f"{percent}%")
    if (match := fields.fields("match")) is not None:
        match.choice("mode", "CLIENT_AND_SERVER", "CLIENT", "SERVER")
        match.finish()
    if (condition := fields.fields("filter")) is not None:
        condition.needed_text("expression")
        condition.finish()
    fields.flag("disabled")
    fields.flag("disableSpanReporting")
    fields.ignore("customTags", "overrides")
    fields.finish()


def check_envoy_filter(spec: Fields) -> None:
    read_selector(spec, "workloadSelector", "labels")
    patches = spec.items("configPatches")
    spec.integer("priority", -(2**31), 2**31 - 1)
    spec.finish()
    if not patches:
        reject(spec.where, "no patches")
    for patch in patches:
        applies = patch.choice("applyTo", "HTTP_FILTER", "HTTP_ROUTE", "VIRTUAL_HOST")
        match, change = patch.fields("match"), patch.fields("patch")
        patch.finish()
        if applies is None or match is None or change is None or "value" not in change:
            reject(patch.where, "no applyTo, match, or patch with a value")
        value = change.fields("value")
        if applies == "HTTP_FILTER" and (value is None or value.value("name") != RATE_LIMIT):
            reject(patch.where, f"a filter other than {RATE_LIMIT}")
