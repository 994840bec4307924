"""The fields of an AuthorizationPolicy's rules: how each one's values match what is seen.

Source: the reference, 1.2, and istio `pilot/pkg/security/authz/model/generator.go`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from meshc_harness.istio.arrivals import Address, Json, Seen
from meshc_harness.istio.paths import is_template, template_check
from meshc_harness.istio.reading import reject
from meshc_harness.istio.texts import TextCheck, form_check, header_check, host_check, regex_check
from meshc_harness.istio.world import MeshSettings

Check = Callable[[Seen], bool]
SPIFFE = "spiffe://"
LOCAL_DOMAIN = "cluster.local"
MAX_ACCOUNTS = 16
MAX_ACCOUNT = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One field: some value matches, and none of those that must not. `is_http` marks what no TCP chain can see."""

    values: tuple[Check, ...]
    not_values: tuple[Check, ...]
    is_http: bool

    def matches(self, seen: Seen) -> bool:
        if self.values and not any(check(seen) for check in self.values):
            return False
        return not any(check(seen) for check in self.not_values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands: for messages, and for what depends on the policy's namespace or the mesh."""

    where: str
    namespace: str
    settings: MeshSettings


Maker = Callable[[str, Place], Check]


# ---- who ------------------------------------------------------------------------------------------------------------


def _principal_text(check: TextCheck) -> Check:
    return lambda seen: seen.principal is not None and check(seen.principal)


def principal(value: str, place: Place) -> Check:
    """A SPIFFE id without its scheme; of a known trust domain, that of every alias is meant too."""
    checks = [_principal_text(form_check(one, prefix=SPIFFE)) for one in _with_aliases(value, place.settings)]
    return lambda seen: any(check(seen) for check in checks)


def _with_aliases(value: str, settings: MeshSettings) -> list[str]:
    parts = value.split("/")
    known = (settings.trust_domain, *settings.trust_domain_aliases)
    if len(parts) != 5 or parts[0] == "*":
        return [value]
    if not any(_is_domain(parts[0], domain) for domain in known) and parts[0] != LOCAL_DOMAIN:
        return [value]
    # A domain that starts with `*` stays as it is where it already covers the known one.
    return [
        value if parts[0].startswith("*") and domain.endswith(parts[0][1:]) else "/".join((domain, *parts[1:]))
        for domain in known
    ]


def _is_domain(pattern: str, domain: str) -> bool:
    if pattern.startswith("*"):
        return domain.endswith(pattern[1:])
    return domain.startswith(pattern[:-1]) if pattern.endswith("*") else domain == pattern


def namespace(value: str, place: Place) -> Check:
    quoted = ".*".join(re.escape(part) for part in value.split("*"))
    return _principal_text(regex_check(f".*/ns/{quoted}/.*"))


def service_account(value: str, place: Place) -> Check:
    if "*" in value or len(value) > MAX_ACCOUNT or value.count("/") > 1:
        reject(place.where, f"service account `{value}`")
    before, _, account = value.rpartition("/")
    owner = re.escape(before or place.namespace)
    return _principal_text(regex_check(f"spiffe://.+/ns/{owner}/(.+/|)sa/{re.escape(account)}(/.+)?"))


def trust_domain(value: str, place: Place) -> Check:
    if "/" in value or value.count("*") > 1 or "*" in value[1:-1]:
        reject(place.where, f"trust domain `{value}`")
    known = (place.settings.trust_domain, *place.settings.trust_domain_aliases)
    checks = [form_check(one) for one in (known if value in known else (value,))]

    def matches(seen: Seen) -> bool:
        if seen.principal is None:
            return False
        domain = seen.principal.removeprefix(SPIFFE).partition("/")[0]
        return any(check(domain) for check in checks)

    return matches


# ---- addresses ------------------------------------------------------------------------------------------------------


def _network(value: str, place: Place) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value, strict=False)
    except ValueError:
        reject(place.where, f"`{value}` is no address or CIDR")


def _is_in(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def ip_block(value: str, place: Place) -> Check:
    network = _network(value, place)
    return lambda seen: _is_in(seen.peer, network)


def remote_ip_block(value: str, place: Place) -> Check:
    network = _network(value, place)
    return lambda seen: _is_in(seen.client, network)


def port(value: str, place: Place) -> Check:
    if not re.fullmatch(r"[0-9]+", value) or int(value) > 65535:
        reject(place.where, f"`{value}` is no port")
    number = int(value)
    return lambda seen: seen.port == number


def server_name(value: str, place: Place) -> Check:
    check = form_check(value)
    return lambda seen: check(seen.sni)


# ---- requests -------------------------------------------------------------------------------------------------------


def host(value: str, place: Place) -> Check:
    check = host_check(value)
    return lambda seen: check(seen.authority)


def method(value: str, place: Place) -> Check:
    check = header_check(value)
    return lambda seen: check(seen.method)


def path(value: str, place: Place) -> Check:
    if is_template(value):
        check = template_check(value, place.where)
    else:
        check = form_check(value)
        if "{" in value or "}" in value:
            reject(place.where, f"`{value}` has braces and is no template")
    return lambda seen: check(seen.path)


def header(name: str) -> Maker:
    key = name.lower()

    def make(value: str, place: Place) -> Check:
        check = header_check(value)
        return lambda seen: any(check(value) for value in (seen.headers or {}).get(key, ()))

    return make


def claim(*names: str) -> Maker:
    """A claim that is a string, or a list of which some string matches."""

    def make(value: str, place: Place) -> Check:
        return _claim_check(names, form_check(value))

    return make


def _claim_check(names: tuple[str, ...], check: TextCheck) -> Check:
    def matches(seen: Seen) -> bool:
        found: Json = dict(seen.payload) if seen.payload is not None else None
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        items = found if isinstance(found, list) else [found]
        return any(isinstance(item, str) and check(item) for item in items)

    return matches


def request_principal(value: str, place: Place) -> Check:
    """`issuer/subject`, split at the last slash; both claims must be there and match."""
    issuer, slash, subject = value.rpartition("/")
    if value == "*":
        checks: tuple[TextCheck, TextCheck] = (bool, bool)
    elif value.startswith("*"):
        checks = (form_check(issuer), subject.__eq__) if slash else (bool, form_check(value))
    elif value.endswith("*"):
        checks = (issuer.__eq__, form_check(subject)) if slash else (form_check(value), bool)
    else:
        checks = (issuer.__eq__, subject.__eq__) if slash else (value.__eq__, lambda text: not text)
    first, second = _string_claim("iss", checks[0]), _string_claim("sub", checks[1])
    return lambda seen: first(seen) and second(seen)


def _string_claim(name: str, check: TextCheck) -> Check:
    def matches(seen: Seen) -> bool:
        found = None if seen.payload is None else seen.payload.get(name)
        return isinstance(found, str) and check(found)

    return matches
