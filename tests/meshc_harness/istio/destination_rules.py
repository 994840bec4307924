"""DestinationRules: which one a caller has for a host, its subsets, and its TLS. Source: the reference, 4 and 8."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshc_harness.istio.attachment import Identity
from meshc_harness.istio.reading import Fields, check_dns_label, check_host, reject
from meshc_harness.istio.virtual_services import host_matches

MAX_TABLE = 5_000_011


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What of a trafficPolicy is looked at: the TLS mode, None for automatic mTLS, and the load balancer as written."""

    tls: str | None = None
    ports: Mapping[int, "Policy"] | None = None
    balancer: object = None
    outlier: object = None
    pool: object = None

    def at(self, port: int) -> "Policy":
        """The policy of a port: that of its own settings, which replace all blocks."""
        return (self.ports or {}).get(port, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    identity: Identity
    host: str
    export_to: tuple[str, ...]
    policy: Policy | None
    subsets: Mapping[str, Mapping[str, str]]
    subset_policies: Mapping[str, Policy]


def find_rule(
    rules: Iterable[DestinationRule], host: str, *, caller: str, owner: str, root: str
) -> DestinationRule | None:
    """The rule of a host for callers of a namespace: theirs, then the service's, then the root's; the first wins whole.

    Several of one namespace are merged: subsets add up, and the oldest with a policy keeps it.
    """
    by_age = sorted(rules, key=lambda one: one.identity.age)
    for namespace in dict.fromkeys((caller, owner, root)):
        found = [
            rule
            for rule in by_age
            if rule.identity.namespace == namespace
            and host_matches(rule.host, host)
            and (namespace == caller or is_exported(rule.export_to, namespace, caller))
        ]
        if found:
            return _merged(_most_specific(found))
    return None


def is_exported(export_to: tuple[str, ...], owner: str, caller: str) -> bool:
    return "*" in export_to or caller in export_to or ("." in export_to and owner == caller)


def _most_specific(rules: list[DestinationRule]) -> list[DestinationRule]:
    longest = max(rules, key=lambda rule: (not rule.host.startswith("*"), len(rule.host)))
    return [rule for rule in rules if rule.host == longest.host]


def _merged(rules: list[DestinationRule]) -> DestinationRule:
    first = rules[0]
    subsets: dict[str, Mapping[str, str]] = {}
    policies: dict[str, Policy] = {}
    for rule in rules:
        for name, labels in rule.subsets.items():
            subsets.setdefault(name, labels)
        for name, policy in rule.subset_policies.items():
            policies.setdefault(name, policy)
    return DestinationRule(
        identity=first.identity,
        host=first.host,
        export_to=first.export_to,
        policy=next((rule.policy for rule in rules if rule.policy is not None), None),
        subsets=subsets,
        subset_policies=policies,
    )


# ---- reading --------------------------------------------------------------------------------------------------------


def read_destination_rule(identity: Identity, spec: Fields, full_name: str) -> DestinationRule:
    """`full_name` is the rule's host, made full."""
    check_host(full_name, spec.where, wildcard=True)
    spec.ignore("host")
    subsets: dict[str, Mapping[str, str]] = {}
    policies: dict[str, Policy] = {}
    for one in spec.items("subsets") or ():
        name = one.needed_text("name")
        check_dns_label(name, one.where)
        if name in subsets:
            reject(one.where, f"subset `{name}` twice")
        subsets[name] = one.text_map("labels")
        if (inner := one.fields("trafficPolicy")) is not None:
            policies[name] = _policy(inner, at_port=False)
        one.finish()
    policy = spec.fields("trafficPolicy")
    export_to = spec.texts("exportTo") or ("*",)
    if "*" in export_to and len(export_to) > 1:
        reject(spec.where, "exportTo `*` with others")
    found = DestinationRule(
        identity=identity,
        host=full_name,
        export_to=export_to,
        policy=None if policy is None else _policy(policy, at_port=False),
        subsets=subsets,
        subset_policies=policies,
    )
    spec.finish()
    return found


def _policy(fields: Fields, *, at_port: bool) -> Policy:
    if not len(fields):
        reject(fields.where, "empty trafficPolicy")
    ports: dict[int, Policy] = {}
    for one in fields.items("portLevelSettings") or ():
        port = one.fields("port")
        if at_port or port is None or len(one) == 1:
            reject(one.where, "port settings without a port, without settings, or within others")
        number = port.integer("number", 1, 65535)
        port.finish()
        if number is None or number in ports:
            reject(one.where, f"port {number}")
        ports[number] = _policy(one, at_port=True)
    tls = fields.fields("tls")
    for name, check in _CHECKS.items():
        if (part := fields.fields(name)) is not None:
            check(part)
    if at_port and "retryBudget" in fields:
        reject(fields.where, "retryBudget has no place in port settings")
    found = Policy(
        tls=None if tls is None else _tls(tls),
        ports=ports,
        balancer=fields.value("loadBalancer"),
        outlier=fields.value("outlierDetection"),
        pool=fields.value("connectionPool"),
    )
    fields.finish()
    return found


def _tls(fields: Fields) -> str:
    mode = fields.choice("mode", "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL") or "DISABLE"
    has_files = any(name in fields for name in ("clientCertificate", "privateKey", "caCertificates"))
    if mode == "MUTUAL" and not ("clientCertificate" in fields and "privateKey" in fields):
        reject(fields.where, "MUTUAL without certificate and key")
    if "credentialName" in fields and has_files:
        reject(fields.where, "credentialName beside files")
    if fields.flag("insecureSkipVerify") and ("caCertificates" in fields or "subjectAltNames" in fields):
        reject(fields.where, "insecureSkipVerify beside what it would verify")
    fields.texts("subjectAltNames")
    for name in ("sni", "caCertificates", "credentialName", "clientCertificate", "privateKey"):
        fields.text(name)
    fields.finish()
    return mode


def _check_pool(fields: Fields) -> None:
    tcp, http = fields.fields("tcp"), fields.fields("http")
    fields.finish()
    if tcp is None and http is None:
        reject(fields.where, "empty connectionPool")
    if tcp is not None:
        for name in ("connectTimeout", "idleTimeout", "maxConnectionDuration"):
            tcp.duration_ms(name)
        _positive(tcp, "maxConnections")
        tcp.finish()
    if http is not None:
        http.duration_ms("idleTimeout")
        for name in ("http1MaxPendingRequests", "http2MaxRequests", "maxRetries", "maxRequestsPerConnection"):
            _positive(http, name)
        http.choice("h2UpgradePolicy", "DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")
        http.finish()


def _positive(fields: Fields, name: str) -> None:
    """Zero means unset, so nobody who writes it gets what it says."""
    fields.integer(name, 1, 2**31 - 1)


def _check_outlier(fields: Fields) -> None:
    for name in ("consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"):
        fields.integer(name)
    fields.duration_ms("interval")
    fields.duration_ms("baseEjectionTime")
    fields.integer("maxEjectionPercent", 0, 100)
    fields.integer("minHealthPercent", 0, 100)
    if not fields.flag("splitExternalLocalOriginErrors") and "consecutiveLocalOriginFailures" in fields:
        reject(fields.where, "consecutiveLocalOriginFailures without the flag")
    fields.finish()


def _check_balancer(fields: Fields) -> None:
    fields.choice("simple", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")
    consistent, locality = fields.fields("consistentHash"), fields.fields("localityLbSetting")
    if "simple" in fields and consistent is not None:
        reject(fields.where, "simple beside consistentHash")
    if consistent is not None:
        _check_hash(consistent)
    if locality is not None:
        _check_locality(locality)
    if (warmup := fields.fields("warmup")) is not None:
        warmup.duration_ms("duration")
        warmup.finish()
    fields.finish()


def _check_hash(fields: Fields) -> None:
    keys = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
    if sum(name in fields for name in keys) != 1:
        reject(fields.where, f"not one of {keys}")
    fields.text("httpHeaderName")
    fields.text("httpQueryParameterName")
    fields.flag("useSourceIp")
    if (cookie := fields.fields("httpCookie")) is not None:
        cookie.needed_text("name")
        cookie.text("path")
        # A cookie's time to live may be 0s: a session cookie.
        cookie.text("ttl")
        cookie.finish()
    if (ring := fields.fields("ringHash")) is not None:
        ring.integer("minimumRingSize")
        ring.finish()
    if (maglev := fields.fields("maglev")) is not None:
        size = maglev.integer("tableSize")
        maglev.finish()
        if size is not None and (
            size >= MAX_TABLE or size < 2 or any(size % n == 0 for n in range(2, int(size**0.5) + 1))
        ):
            reject(maglev.where, f"table size {size}")
    fields.finish()


def _check_locality(fields: Fields) -> None:
    fields.flag("enabled")
    if "distribute" in fields and ("failover" in fields or "failoverPriority" in fields):
        reject(fields.where, "distribute beside failover")
    for one in fields.items("failover") or ():
        source, target = one.needed_text("from"), one.needed_text("to")
        one.finish()
        if source == target or "/" in source + target:
            reject(one.where, f"failover from `{source}` to `{target}`")
    fields.texts("failoverPriority")
    fields.finish()


def _check_budget(fields: Fields) -> None:
    fields.number("percent")
    fields.integer("minRetryConcurrency")
    fields.duration_ms("budgetInterval")
    fields.finish()


_CHECKS = {
    "connectionPool": _check_pool,
    "outlierDetection": _check_outlier,
    "loadBalancer": _check_balancer,
    "retryBudget": _check_budget,
}
