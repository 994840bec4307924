"""AuthorizationPolicies: read, attached, and asked in Istio's order. Source: the reference, 1 and 8."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshc_harness.istio import attributes
from meshc_harness.istio.arrivals import Seen
from meshc_harness.istio.attachment import Identity, read_selector
from meshc_harness.istio.attributes import Maker, Place, Term
from meshc_harness.istio.reading import Fields, reject
from meshc_harness.istio.world import MeshSettings

DRY_RUN = "istio.io/dry-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One of `sources`, one of `operations`, and every one of `conditions`; each entry is all of its terms."""

    sources: tuple[tuple[Term, ...], ...]
    operations: tuple[tuple[Term, ...], ...]
    conditions: tuple[Term, ...]

    def matches(self, seen: Seen) -> bool:
        return (
            any(all(term.matches(seen) for term in entry) for entry in self.sources)
            and any(all(term.matches(seen) for term in entry) for entry in self.operations)
            and all(term.matches(seen) for term in self.conditions)
        )

    def on_tcp(self, action: str) -> "Rule | None":
        """What a TCP chain makes of the rule: an ALLOW rule with an HTTP field is gone, others lose the field alone."""
        entries = (*self.sources, *self.operations, self.conditions)
        if action == "ALLOW" and any(term.is_http for entry in entries for term in entry):
            return None
        return Rule(
            sources=tuple(_without_http(entry) for entry in self.sources),
            operations=tuple(_without_http(entry) for entry in self.operations),
            conditions=_without_http(self.conditions),
        )


def _without_http(entry: tuple[Term, ...]) -> tuple[Term, ...]:
    return tuple(term for term in entry if not term.is_http)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPolicy:
    identity: Identity
    selector: Mapping[str, str]
    action: str
    dry_run: bool
    rules: tuple[Rule, ...]
    """Those that an HTTP chain asks."""

    tcp_rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`policy` is the one that decided: a DENY or ALLOW policy, or empty where none was attached or none matched."""

    allowed: bool
    policy: str


def decide(policies: Iterable[AuthorizationPolicy], seen: Seen, *, is_http: bool) -> Verdict:
    """The answer of all attached policies: DENY, then ALLOW where there is one. AUDIT and dry runs decide nothing."""
    enforced = [policy for policy in policies if not policy.dry_run]
    if (found := _first_match(enforced, "DENY", seen, is_http=is_http)) is not None:
        return Verdict(allowed=False, policy=found)
    if not any(policy.action == "ALLOW" for policy in enforced):
        return Verdict(allowed=True, policy="")
    found = _first_match(enforced, "ALLOW", seen, is_http=is_http)
    return Verdict(allowed=found is not None, policy=found or "")


def _first_match(policies: list[AuthorizationPolicy], action: str, seen: Seen, *, is_http: bool) -> str | None:
    for policy in policies:
        rules = policy.rules if is_http else policy.tcp_rules
        if policy.action == action:
            for number, rule in enumerate(rules):
                if rule.matches(seen):
                    return f"{policy.identity} rule {number}"
    return None


# ---- reading --------------------------------------------------------------------------------------------------------


def read_authorization(identity: Identity, spec: Fields, settings: MeshSettings) -> AuthorizationPolicy:
    action = spec.choice("action", "ALLOW", "DENY", "AUDIT", "CUSTOM") or "ALLOW"
    if action == "CUSTOM":
        reject(spec.where, "CUSTOM asks a server that is not modelled")
    selector = read_selector(spec)
    place = Place(where=spec.where, namespace=identity.namespace, settings=settings)
    rules = tuple(_read_rule(fields, place) for fields in spec.items("rules") or ())
    if action == "DENY" and not rules:
        reject(spec.where, "DENY without rules")
    spec.finish()
    dry_run = identity.annotations.get(DRY_RUN)
    if dry_run not in {None, "true", "false"} or (dry_run is not None and action not in {"ALLOW", "DENY"}):
        reject(spec.where, f"{DRY_RUN}: {dry_run} on {action}")
    tcp_rules = tuple(found for rule in rules if (found := rule.on_tcp(action)) is not None)
    return AuthorizationPolicy(
        identity=identity,
        selector=selector,
        action=action,
        dry_run=dry_run == "true",
        rules=rules,
        tcp_rules=tcp_rules,
    )


def _read_rule(fields: Fields, place: Place) -> Rule:
    found = Rule(
        sources=_entries(fields, "from", "source", _SOURCE, place),
        operations=_entries(fields, "to", "operation", _OPERATION, place),
        conditions=tuple(_condition(one, place) for one in _listed(fields, "when")),
    )
    fields.finish()
    return found


def _listed(fields: Fields, name: str) -> tuple[Fields, ...]:
    found = fields.items(name)
    if found is not None and not found:
        reject(fields.place(name), "empty")
    return found or ()


def _entries(
    fields: Fields, name: str, inner: str, makers: Mapping[str, tuple[str, Maker, bool]], place: Place
) -> tuple[tuple[Term, ...], ...]:
    """The alternatives of `from` or `to`; a single empty one where there is no such field."""
    found = []
    for item in _listed(fields, name):
        part = item.fields(inner)
        item.finish()
        if part is None or not len(part):
            reject(item.where, f"`{inner}` is missing or empty")
        found.append(_terms(part, makers, place))
    return tuple(found) or ((),)


def _terms(part: Fields, makers: Mapping[str, tuple[str, Maker, bool]], place: Place) -> tuple[Term, ...]:
    terms = []
    for name, (negated, maker, is_http) in makers.items():
        here = replace(place, where=part.place(name))
        if name in part or negated in part:
            if (name in part and not part.texts(name)) or (negated in part and not part.texts(negated)):
                reject(here.where, "empty list")
            terms.append(_term(maker, part.texts(name), part.texts(negated), here, is_http=is_http))
    if ("serviceAccounts" in part or "notServiceAccounts" in part) and any(
        name in part for name in ("principals", "notPrincipals", "namespaces", "notNamespaces")
    ):
        reject(part.where, "serviceAccounts beside principals or namespaces")
    part.finish()
    return tuple(terms)


def _term(maker: Maker, values: tuple[str, ...], not_values: tuple[str, ...], place: Place, *, is_http: bool) -> Term:
    if maker is attributes.service_account and max(len(values), len(not_values)) > attributes.MAX_ACCOUNTS:
        reject(place.where, "too many service accounts")
    return Term(
        values=tuple(maker(value, place) for value in values),
        not_values=tuple(maker(value, place) for value in not_values),
        is_http=is_http,
    )


_SOURCE: Mapping[str, tuple[str, Maker, bool]] = {
    "principals": ("notPrincipals", attributes.principal, False),
    "requestPrincipals": ("notRequestPrincipals", attributes.request_principal, True),
    "namespaces": ("notNamespaces", attributes.namespace, False),
    "serviceAccounts": ("notServiceAccounts", attributes.service_account, False),
    "trustDomains": ("notTrustDomains", attributes.trust_domain, False),
    "ipBlocks": ("notIpBlocks", attributes.ip_block, False),
    "remoteIpBlocks": ("notRemoteIpBlocks", attributes.remote_ip_block, False),
}
_OPERATION: Mapping[str, tuple[str, Maker, bool]] = {
    "hosts": ("notHosts", attributes.host, True),
    "ports": ("notPorts", attributes.port, False),
    "methods": ("notMethods", attributes.method, True),
    "paths": ("notPaths", attributes.path, True),
}
_PLAIN_KEYS: Mapping[str, tuple[Maker, bool]] = {
    "source.ip": (attributes.ip_block, False),
    "remote.ip": (attributes.remote_ip_block, False),
    "source.namespace": (attributes.namespace, False),
    "source.principal": (attributes.principal, False),
    "source.serviceAccount": (attributes.service_account, False),
    "source.trustDomain": (attributes.trust_domain, False),
    "request.auth.principal": (attributes.request_principal, True),
    "request.auth.audiences": (attributes.claim("aud"), True),
    "request.auth.presenter": (attributes.claim("azp"), True),
    "destination.port": (attributes.port, False),
    "connection.sni": (attributes.server_name, False),
}
_HEADER_KEY = re.compile(r"request\.headers\[([^\[\]]+)\]")
_CLAIM_KEY = re.compile(r"request\.auth\.claims((?:\[[^\[\]]+\])+)")


def _condition(item: Fields, place: Place) -> Term:
    key = item.needed_text("key")
    values, not_values = item.texts("values"), item.texts("notValues")
    item.finish()
    if not values and not not_values:
        reject(item.where, "neither `values` nor `notValues`")
    maker, is_http = _maker_of(key, item.where)
    return _term(maker, values, not_values, replace(place, where=item.where), is_http=is_http)


def _maker_of(key: str, where: str) -> tuple[Maker, bool]:
    if key in _PLAIN_KEYS:
        return _PLAIN_KEYS[key]
    if (found := _HEADER_KEY.fullmatch(key)) is not None:
        return attributes.header(found[1]), True
    found = _CLAIM_KEY.fullmatch(key)
    if found is None:
        reject(where, f"unknown key `{key}`")
    return attributes.claim(*found[1][1:-1].split("][")), True
