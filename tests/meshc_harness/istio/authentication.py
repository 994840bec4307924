"""PeerAuthentication and RequestAuthentication. Source: the reference, 2 and 8."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from meshc_harness.istio.arrivals import Json, Token
from meshc_harness.istio.attachment import Identity, is_subset, read_selector
from meshc_harness.istio.reading import Fields, reject
from meshc_harness.istio.world import MeshSettings


class Mtls(Enum):
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAuthentication:
    """`mode` and those of `ports` (workload ports) are None where they inherit."""

    identity: Identity
    selector: Mapping[str, str]
    mode: Mtls | None
    ports: Mapping[int, Mtls | None]


def read_peer_authentication(identity: Identity, spec: Fields) -> PeerAuthentication:
    selector = read_selector(spec)
    ports: dict[int, Mtls | None] = {}
    listed = spec.fields("portLevelMtls")
    if listed is not None:
        if not selector or not len(listed):
            reject(listed.where, "needs a selector, and a port")
        for key, _ in listed.pairs():
            if not key.isdecimal() or not 1 <= int(key) <= 65535:
                reject(listed.where, f"`{key}` is no port")
            ports[int(key)] = _mode(listed.fields(key))
    found = PeerAuthentication(identity=identity, selector=selector, mode=_mode(spec.fields("mtls")), ports=ports)
    spec.finish()
    return found


def _mode(fields: Fields | None) -> Mtls | None:
    if fields is None:
        return None
    found = fields.choice("mode", "UNSET", "DISABLE", "PERMISSIVE", "STRICT") or "UNSET"
    fields.finish()
    return None if found == "UNSET" else Mtls(found)


def mtls_mode(
    policies: Iterable[PeerAuthentication], root: str, namespace: str, labels: Mapping[str, str], port: int
) -> Mtls:
    """What a workload port demands: mesh, then namespace, then workload, then port, each the oldest of its level."""
    by_age = sorted(policies, key=lambda one: one.identity.age)
    of_mesh = _oldest(one for one in by_age if one.identity.namespace == root and not one.selector)
    of_namespace = _oldest(one for one in by_age if one.identity.namespace == namespace != root and not one.selector)
    # A policy of the root namespace with a selector is ignored for other namespaces; it is one of workloads in its own.
    of_workload = _oldest(
        one
        for one in by_age
        if one.identity.namespace == namespace and one.selector and is_subset(one.selector, labels)
    )
    mode = Mtls.PERMISSIVE
    for policy in (of_mesh, of_namespace, of_workload):
        if policy is not None and policy.mode is not None:
            mode = policy.mode
    if of_workload is not None:
        mode = of_workload.ports.get(port) or mode
    return mode


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    return next(iter(policies), None)


# ---- tokens ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRule:
    """`locations` are pairs (header in lower case, prefix) that tokens are read from."""

    issuer: str
    audiences: tuple[str, ...]
    locations: tuple[tuple[str, str], ...]
    forward: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAuthentication:
    identity: Identity
    selector: Mapping[str, str]
    rules: tuple[JwtRule, ...]


def read_request_authentication(identity: Identity, spec: Fields) -> RequestAuthentication:
    found = RequestAuthentication(
        identity=identity,
        selector=read_selector(spec),
        rules=tuple(_read_jwt(fields) for fields in spec.items("jwtRules") or ()),
    )
    spec.finish()
    return found


def _read_jwt(fields: Fields) -> JwtRule:
    if "presence" in fields:
        reject(fields.where, "`presence` is in the schema, and nothing reads it")
    _check_keys(fields)
    locations = []
    for one in fields.items("fromHeaders") or ():
        locations.append((one.needed_text("name").lower(), one.text("prefix") or ""))
        one.finish()
    if "fromParams" in fields or "fromCookies" in fields:
        reject(fields.where, "tokens of parameters and cookies are not modelled")
    rule = JwtRule(
        issuer=fields.needed_text("issuer"),
        audiences=fields.texts("audiences"),
        locations=tuple(locations) or (("authorization", "Bearer "),),
        forward=fields.flag("forwardOriginalToken") or False,
    )
    fields.duration_ms("timeout")
    fields.finish()
    return rule


def _check_keys(fields: Fields) -> None:
    url, inline = fields.text("jwksUri"), fields.text("jwks")
    if url is not None and inline is not None:
        reject(fields.where, "jwks beside jwksUri")
    if url is not None and not url.startswith(("http://", "https://")):
        reject(fields.where, f"`{url}` is no http(s) URL")
    if inline is not None:
        try:
            parsed = json.loads(inline)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict) or not isinstance(parsed.get("keys"), list):
            reject(fields.where, "jwks is no key set")


class TokenRefusedError(Exception):
    """The answer is 401."""


def accepted_payload(policies: Iterable[RequestAuthentication], token: Token | None) -> Mapping[str, Json] | None:
    """The claims that policies may read; None without a token where one is looked for. Raises TokenRefusedError.

    A missing token passes. One of an issuer that no rule names, for another audience, or that does not verify, is refused.
    """
    rules = [rule for policy in policies for rule in policy.rules]
    if token is None:
        return None
    looking = [rule for rule in rules if any(_reads(location, token) for location in rule.locations)]
    if not looking:
        return None
    trusted = [rule for rule in looking if rule.issuer == token.claims.get("iss")]
    if not token.valid or not trusted:
        raise TokenRefusedError("invalid, or of an issuer that is not configured")
    if not any(_is_for(rule, token.claims.get("aud")) for rule in trusted):
        raise TokenRefusedError("audience")
    return token.claims


def _reads(location: tuple[str, str], token: Token) -> bool:
    # Envoy looks for the prefix at the start of the value; one with nothing in front of the token reads it as it is.
    return location == (token.header.lower(), token.prefix)


def _is_for(rule: JwtRule, audience: Json) -> bool:
    named = audience if isinstance(audience, list) else [audience]
    return not rule.audiences or any(isinstance(one, str) and one in rule.audiences for one in named)


def trusted_domains(settings: MeshSettings) -> frozenset[str]:
    """Peers of other trust domains fail the handshake."""
    return frozenset((settings.trust_domain, *settings.trust_domain_aliases))
