"""What is around the emitted objects: the mesh's settings, and the workloads that its objects speak of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from meshc_harness.istio.reading import Fields, reject

HTTP_PROTOCOLS = frozenset({"http", "http2", "grpc", "grpc-web"})
TCP_PROTOCOLS = frozenset({"tcp", "tls", "https", "mongo", "redis", "mysql"})


class Normalization(Enum):
    """MeshConfig `pathNormalization.normalization`; DEFAULT is BASE."""

    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What of MeshConfig decides anything here. `default_retries` is None for Istio's own default policy.

    `joins_lines` tells releases of Envoy apart: those of Istio before Envoy 1.40 compare the lines of a header as one value,
    with commas between; later ones compare each.
    """

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    normalization: Normalization = Normalization.BASE
    registry_only: bool = False
    auto_mtls: bool = True
    trusted_proxies: int = 0
    default_retries: Fields | None = None
    joins_lines: bool = True
    providers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Kubernetes Service, with the protocol that it declares, and the workload port behind it."""

    number: int
    target: int
    protocol: str

    @property
    def is_http(self) -> bool:
        return self.protocol in HTTP_PROTOCOLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Pods of a Service of the same name: `versions` are the labels, beside `labels`, of each kind of pod."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    service_account: str
    ports: tuple[ServicePort, ...]
    versions: Mapping[str, Mapping[str, str]]

    def port_by_target(self, target: int) -> ServicePort | None:
        return next((port for port in self.ports if port.target == target), None)

    def pods(self) -> tuple[Mapping[str, str], ...]:
        """The labels of each kind of pod that there is."""
        found = tuple({**self.labels, **more} for more in self.versions.values())
        return found or (self.labels,)


_IGNORED = (
    "accessLogFile",
    "accessLogFormat",
    "accessLogEncoding",
    "enableTracing",
    "defaultProviders",
    "enablePrometheusMerge",
)
_DOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


def read_settings(
    config: Mapping[str, object], *, cluster_domain: str = "cluster.local", joins_lines: bool = True
) -> MeshSettings:
    """A fragment of MeshConfig; Istio's defaults stand for what it leaves out."""
    fields = Fields(config, "MeshConfig")
    domains = (fields.text("trustDomain") or "cluster.local", *fields.texts("trustDomainAliases"))
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            reject("MeshConfig", f"`{domain}` is no trust domain")
    settings = MeshSettings(
        trust_domain=domains[0],
        trust_domain_aliases=domains[1:],
        cluster_domain=cluster_domain,
        root_namespace=fields.text("rootNamespace") or "istio-system",
        normalization=_normalization(fields.fields("pathNormalization")),
        registry_only=_outbound_mode(fields.fields("outboundTrafficPolicy")) == "REGISTRY_ONLY",
        auto_mtls=fields.flag("enableAutoMtls") is not False,
        trusted_proxies=_trusted_proxies(fields.fields("defaultConfig")),
        default_retries=fields.fields("defaultHttpRetryPolicy"),
        joins_lines=joins_lines,
        providers=_providers(fields),
    )
    inbound = fields.fields("defaultInboundHttpRetryPolicy")
    if inbound is not None and len(inbound) not in {0, 1}:
        reject(inbound.where, "only `{}` or `attempts` is known")
    fields.ignore(*_IGNORED)
    fields.finish()
    return settings


def _normalization(fields: Fields | None) -> Normalization:
    if fields is None:
        return Normalization.BASE
    found = fields.choice("normalization", "DEFAULT", *(one.value for one in Normalization)) or "DEFAULT"
    fields.finish()
    return Normalization.BASE if found == "DEFAULT" else Normalization(found)


def _outbound_mode(fields: Fields | None) -> str:
    if fields is None:
        return "ALLOW_ANY"
    found = fields.choice("mode", "ALLOW_ANY", "REGISTRY_ONLY") or "ALLOW_ANY"
    fields.finish()
    return found


def _trusted_proxies(fields: Fields | None) -> int:
    if fields is None:
        return 0
    topology = fields.fields("gatewayTopology")
    fields.ignore("holdApplicationUntilProxyStarts", "tracing", "proxyMetadata")
    fields.finish()
    if topology is None:
        return 0
    found = topology.integer("numTrustedProxies") or 0
    topology.finish()
    return found


def _providers(fields: Fields) -> frozenset[str]:
    return frozenset(one.needed_text("name") for one in fields.items("extensionProviders") or ())
