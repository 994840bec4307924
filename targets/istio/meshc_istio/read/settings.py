"""MeshConfig: what of it decides who may call, and what of it nobody reads.

Settings that are known to say nothing of access are passed over; any other may change what policies are for, whom they name or whether a
proxy stands before a workload at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import mapping
from meshc_istio.read.account import NORMALIZED, ON_PURPOSE, Account

_SAFE: Final = frozenset({"MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"})
_READ: Final = frozenset({"trustDomain", "trustDomainAliases", "pathNormalization", "rootNamespace", "defaultConfig"})
_HARMLESS: Final = frozenset(
    {
        "accessLogEncoding", "accessLogFile", "accessLogFormat", "certificates", "connectTimeout", "defaultDestinationRuleExportTo",
        "defaultHttpRetryPolicy", "defaultInboundHttpRetryPolicy", "defaultProviders", "defaultServiceExportTo",
        "defaultVirtualServiceExportTo", "disableEnvoyListenerLog", "dnsRefreshRate", "enableAutoMtls", "enableEnvoyAccessLogService",
        "enablePrometheusMerge", "enableTracing", "extensionProviders", "h2UpgradePolicy", "hboneIdleTimeout", "ingressClass",
        "ingressControllerMode", "ingressSelector", "ingressService", "localityLbSetting", "meshMTLS", "outboundTrafficPolicy",
        "protocolDetectionTimeout", "proxyHttpPort", "proxyInboundListenPort", "proxyListenPort", "tcpKeepalive", "tlsDefaults",
        "verifyCertificateAtClient",
    }
)  # fmt: skip
_TRAVEL: Final = frozenset(
    {
        "connectTimeout", "enableAutoMtls", "enableEnvoyAccessLogService", "enableTracing", "h2UpgradePolicy", "localityLbSetting", "verifyCertificateAtClient",
    }
)  # fmt: skip
"""What says nothing of access, and may say something of how calls travel or of what is reported."""

_NETWORKING: Final = "networking.istio.io"
_HARMLESS_DEFAULTS: Final = frozenset(
    {
        "binaryPath", "concurrency", "configPath", "controlPlaneAuthPolicy", "discoveryAddress", "drainDuration", "envoyAccessLogService",
        "envoyMetricsService", "extraStatTags", "holdApplicationUntilProxyStarts", "image", "meshId", "parentShutdownDuration",
        "proxyAdminPort", "proxyStatsMatcher", "readinessProbe", "serviceCluster", "statNameLength", "statusPort",
        "terminationDrainDuration", "tracing", "tracingServiceName",
    }
)  # fmt: skip
_HARMLESS_METADATA: Final = ("ISTIO_META_DNS_", "ISTIO_META_HTTP10")


def configured(known: ir.Mesh, objects: Sequence[ConfigObject], root: str, account: Account) -> ir.Mesh:
    """The mesh as MeshConfig has its identities and the addresses behind proxies; says what of it is not understood."""
    given = [one for one in objects if "meshConfig" in one.data]
    if not given:
        if objects:
            account.taken_for_granted(NORMALIZED, objects[0])
        return known
    for other in given[1:]:
        _not_understood(account, other, "MeshConfig is given twice, and Istio has one")
    one = given[0]
    settings = mapping(one.data["meshConfig"])
    for message in (*_problems(settings, root), *_default_problems(settings)):
        _not_understood(account, one, message)
    return _with_settings(known, settings)


def check_travel(objects: Sequence[ConfigObject], config: ConfigObject | None, account: Account) -> None:
    """What MeshConfig says of how calls travel and of what is reported, as far as nobody reads it."""
    if config is None:
        for one in objects:
            if one.group == _NETWORKING:
                account.taken_for_granted(ON_PURPOSE, one)
        return
    settings = mapping(config.data["meshConfig"])
    if settings.get("defaultInboundHttpRetryPolicy") != {}:
        account.taken_for_granted(ON_PURPOSE, config, "meshConfig")
    for name in sorted(_TRAVEL & set(settings)):
        message = f"what `{name}` of MeshConfig makes of calls cannot be said"
        account.not_understood(config, ("meshConfig", name), message, None, Aspect.ROUTING, Aspect.SETTINGS)


def _with_settings(known: ir.Mesh, settings: Mapping[str, object]) -> ir.Mesh:
    domain = settings.get("trustDomain")
    hops = _hops(settings)
    domains = (domain, *known.trust_domains[1:]) if isinstance(domain, str) else known.trust_domains
    return replace(known, trust_domains=domains, trusted_hops=hops if isinstance(hops, int) else 0)


def _problems(settings: Mapping[str, object], root: str) -> Iterator[str]:
    if settings.get("trustDomainAliases"):
        yield "identities of aliases of the trust domain pass for its own, which cannot be said"
    if not isinstance(settings.get("trustDomain", ""), str):
        yield "the trust domain is no text"
    normalization = settings.get("pathNormalization")
    if str(normalization.get("normalization") if isinstance(normalization, Mapping) else None) not in _SAFE:
        yield "rules see paths with repeated slashes; set `pathNormalization` to MERGE_SLASHES"
    named = settings.get("rootNamespace", root)
    if named != root:
        yield f"the root namespace is `{named}`, not `{root}`; say so in `meshc.yaml`, as `root-namespace` of istio"
    for name in sorted(set(settings) - _READ - _HARMLESS):
        yield f"what `{name}` of MeshConfig makes of who may call cannot be said"


def _default_problems(settings: Mapping[str, object]) -> Iterator[str]:
    """Of `defaultConfig`, which every proxy starts from."""
    defaults = settings.get("defaultConfig", {})
    if not isinstance(defaults, Mapping):
        yield "`defaultConfig` of MeshConfig is no mapping"
        return
    for name in sorted(set(defaults) - _HARMLESS_DEFAULTS - {"gatewayTopology", "proxyMetadata"}):
        yield f"what `{name}` of proxies makes of who may call cannot be said"
    for name in _strange_metadata(defaults.get("proxyMetadata", {})):
        yield f"what `{name}` of proxies makes of who may call cannot be said"
    hops = _hops(settings)
    if hops is not None and (isinstance(hops, bool) or not isinstance(hops, int) or hops < 0):
        yield "`numTrustedProxies` is no number of proxies"


def harmless_default(name: str, value: object) -> bool:
    """Whether a field of a ProxyConfig says nothing of who may call, nor of how calls travel."""
    if name == "proxyMetadata":
        return not any(_strange_metadata(value))
    return name in _HARMLESS_DEFAULTS - {"tracing", "tracingServiceName"}


def _strange_metadata(metadata: object) -> Iterator[str]:
    for name in sorted(metadata) if isinstance(metadata, Mapping) else ("proxyMetadata",):
        if not name.startswith(_HARMLESS_METADATA):
            yield name


def _hops(settings: Mapping[str, object]) -> object:
    defaults = settings.get("defaultConfig")
    topology = defaults.get("gatewayTopology") if isinstance(defaults, Mapping) else None
    return topology.get("numTrustedProxies") if isinstance(topology, Mapping) else None


def _not_understood(account: Account, one: ConfigObject, message: str) -> None:
    account.not_understood(one, ("meshConfig",), message, None, Aspect.ACCESS)
