"""The `jwt_authn` filter as issuers of tokens. Providers that differ only in the header they read are one issuer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import NO_QUERY_TOKEN, ONE_TOKEN, Notes

_MISSING: Final = ""
"""Stands for `allow_missing` among the names of providers."""


_SKEW_S: Final = 60
"""What Envoy grants where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The issuers, and the key of the filter's metadata under which the claims of all of them lie; empty for nowhere."""

    jwts: tuple[ir.Jwt, ...]
    claims: str


def tokens(filter_: Message, notes: Notes) -> Tokens:
    """Raises NotUnderstoodError for requirements that the language does not have."""
    providers = dict(filter_.entries("providers"))
    read = [_provider(name, one, notes) for name, one in providers.items()]
    required = _required(filter_, read, notes)
    filter_.ignore("stat_prefix")
    filter_.finish()
    keys = {one.text("payload_in_metadata") for one in providers.values()}
    if len(keys) > 1:
        raise filter_.error("providers with different `payload_in_metadata` are not understood", "providers")
    jwts = tuple(replace(one, required=required) for one in _joined(read))
    return Tokens(jwts=jwts, claims=next(iter(keys), ""))


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


def _required(filter_: Message, providers: Sequence[ir.Jwt], notes: Notes) -> bool:
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
    names = frozenset(one.name for one in providers)
    asked = frozenset(name for clause in clauses for name in clause) - {_MISSING}
    if asked != names:
        raise filter_.error("a provider that no request is asked for is not understood", "rules")
    open_clauses = [clause - {_MISSING} for clause in clauses if _MISSING in clause]
    closed = [clause for clause in clauses if _MISSING not in clause]
    sharing = [frozenset(one.name for one in providers if _reads(one, header)) for header in _headers(providers)]
    # Of providers that read one header, each finds the other's token bad.
    parted = any(group & clause and group - clause for group in sharing for clause in (*open_clauses, *closed))
    if parted or any(clause != names for clause in closed) or len(closed) > 1:
        raise filter_.error("these requirements of several providers are not understood", "rules")
    if sum(map(len, open_clauses)) > len(names):
        raise filter_.error("these requirements of several providers are not understood", "rules")
    if closed and _MISSING in clauses[0] and not all(one.forward for one in providers):
        raise filter_.error("a token that is gone once it was found good is asked for again", "rules")
    looks_twice = any(len(_headers((one,))) > 1 for one in providers)
    if looks_twice or (len(sharing) > 1 and any(group not in open_clauses for group in sharing)):
        # Who finds one good token looks for no other, which may be forged.
        notes.assume(ONE_TOKEN, rules[0].span)
    return bool(closed)


def _headers(providers: Sequence[ir.Jwt]) -> frozenset[str]:
    return frozenset(name for one in providers for name, _ in one.from_headers)


def _reads(provider: ir.Jwt, header: str) -> bool:
    return any(name == header for name, _ in provider.from_headers)


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
