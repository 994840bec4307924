"""The `jwt_authn` filter as issuers of tokens. Providers that differ only in the header they read are one issuer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import NO_QUERY_TOKEN, Notes

_MISSING: Final = ""
"""Stands for `allow_missing` among the names of providers."""


_SKEW_S: Final = 60
"""What Envoy grants where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The issuers, and the key of the filter's metadata under which the claims of all of them lie."""

    jwts: tuple[ir.Jwt, ...]
    claims: str | None


def tokens(filter_: Message, notes: Notes) -> Tokens:
    """Raises NotUnderstoodError for requirements that the language does not have."""
    providers = dict(filter_.entries("providers"))
    required = _required(filter_, frozenset(providers))
    filter_.ignore("stat_prefix")
    filter_.finish()
    read = [_provider(name, one, notes) for name, one in providers.items()]
    keys = {one.text("payload_in_metadata") for one in providers.values()}
    if len(keys) > 1:
        raise filter_.error("providers with different `payload_in_metadata` are not understood", "providers")
    jwts = tuple(replace(one, required=required) for one in _joined(read))
    return Tokens(jwts=jwts, claims=next(iter(keys), "") or None)


def _provider(name: str, provider: Message, notes: Notes) -> ir.Jwt:
    kind, jwks = _key_set(provider)
    headers = tuple((one.text("name").lower(), one.text("value_prefix")) for one in provider.messages("from_headers"))
    provider.ignore("payload_in_metadata")
    if (provider.whole("clock_skew_seconds") or 0) > _SKEW_S:
        raise provider.error("tokens are accepted long after they have expired", "clock_skew_seconds")
    if not headers:
        notes.assume(NO_QUERY_TOKEN, provider.span)
        headers = (("authorization", "Bearer "),)
    if not provider.flag("require_expiration"):
        raise provider.error("tokens without `exp` are accepted, which the language refuses")
    found = ir.Jwt(
        name=name,
        issuer=provider.text("issuer"),
        audiences=provider.texts("audiences"),
        jwks_kind=kind,
        jwks=jwks,
        from_headers=headers,
        forward=provider.flag("forward"),
        required=False,
        span=provider.span,
    )
    provider.finish()
    if not found.issuer:
        raise provider.error("a provider that accepts any issuer is not understood")
    return found


def _key_set(provider: Message) -> tuple[str, str]:
    if provider.has("remote_jwks"):
        remote = provider.need("remote_jwks")
        remote.ignore("cache_duration", "async_fetch", "retry_policy")
        server = remote.need("http_uri")
        server.ignore("cluster", "timeout")
        remote.finish()
        url = server.text("uri")
        server.finish()
        return "url", url
    local = provider.need("local_jwks")
    kind, name = ("file", "filename") if local.has("filename") else ("inline", "inline_string")
    text = local.text(name)
    local.finish()
    return kind, text


def _joined(jwts: list[ir.Jwt]) -> Iterator[ir.Jwt]:
    """Providers called `<name>/<header>` that are else the same, as one."""
    groups: dict[tuple[str, str, tuple[str, ...], str, str, bool], list[ir.Jwt]] = {}
    for one in jwts:
        stem, _, header = one.name.rpartition("/")
        is_part = bool(stem) and {name for name, _ in one.from_headers} == {header}
        name = stem if is_part else one.name
        groups.setdefault((name, one.issuer, one.audiences, one.jwks_kind, one.jwks, one.forward), []).append(one)
    for (name, *_), group in groups.items():
        headers = tuple(header for one in group for header in one.from_headers)
        yield replace(group[0], name=name, from_headers=headers)


# ---- requirements ---------------------------------------------------------------------------------------------------


def _required(filter_: Message, names: frozenset[str]) -> bool:
    """Whether a request needs a token. Every token that there is must be good, by the provider of its issuer."""
    rules = filter_.messages("rules")
    if len(rules) != 1:
        raise filter_.error("exactly one rule of requirements is understood", "rules")
    match = rules[0].need("match")
    if match.text("prefix") != "/":
        raise match.error("requirements of some paths alone are not understood")
    match.finish()
    clauses = _clauses(rules[0].need("requires"))
    rules[0].finish()
    asked = frozenset(name for clause in clauses for name in clause) - {_MISSING}
    if asked != names:
        raise filter_.error("a provider that no request is asked for is not understood", "rules")
    open_clauses = [clause for clause in clauses if _MISSING in clause]
    closed = [clause for clause in clauses if _MISSING not in clause]
    if any(clause != names for clause in closed) or len(closed) > 1:
        raise filter_.error("these requirements of several providers are not understood", "rules")
    if sum(len(clause) - 1 for clause in open_clauses) > len(names):
        raise filter_.error("these requirements of several providers are not understood", "rules")
    return bool(closed)


def _clauses(requires: Message) -> list[frozenset[str]]:
    """A conjunction of alternatives, each the names of providers."""
    if requires.has("requires_all"):
        inner = requires.need("requires_all")
        found = [clause for one in inner.messages("requirements") for clause in _clauses(one)]
        inner.finish()
    elif requires.has("requires_any"):
        inner = requires.need("requires_any")
        parts = [_clauses(one) for one in inner.messages("requirements")]
        inner.finish()
        if any(len(part) != 1 for part in parts):
            raise requires.error("these nested requirements are not understood")
        found = [frozenset(name for part in parts for name in part[0])]
    elif requires.has("allow_missing"):
        requires.need("allow_missing").finish()
        found = [frozenset((_MISSING,))]
    elif requires.has("provider_name"):
        found = [frozenset((requires.text("provider_name"),))]
    else:
        raise requires.error("this requirement of tokens is not understood")
    requires.finish()
    return found
