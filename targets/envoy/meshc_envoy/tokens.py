"""JSON web tokens: the `jwt_authn` filter of a port, and the clusters that fetch key sets.

A request with an invalid token is refused whatever else it carries; one without passes unless a provider requires it.
Tokens are read from headers alone. Providers that read the same headers share them: the token's issuer chooses.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc.target import Json
from meshc_envoy.conditions import CLAIMS_KEY, JWT_FILTER
from meshc_envoy.shapes import Object, extension

_JWT: Final = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"


def token_filters(jwts: tuple[ir.Jwt, ...]) -> list[Json]:
    """The filter that verifies tokens; none if the port has no provider."""
    if not jwts:
        return []
    providers: Object = {jwt.name: _provider(jwt) for jwt in jwts}
    rules: list[Json] = [{"match": {"prefix": "/"}, "requires": _requirement(jwts)}]
    return [extension(JWT_FILTER, _JWT, providers=providers, rules=rules)]


def key_set_urls(jwts: Iterable[ir.Jwt]) -> tuple[str, ...]:
    """The URLs that key sets are fetched from, sorted."""
    return tuple(sorted({jwt.jwks for jwt in jwts if jwt.jwks_kind == "url"}))


def key_set_server(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a key set's URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def key_set_cluster(url: str) -> str:
    """The name of the cluster that a key set is fetched through."""
    scheme, host, port = key_set_server(url)
    return f"jwks/{scheme}/{host}:{port}"


def _provider(jwt: ir.Jwt) -> Object:
    headers: list[Json] = [
        {"name": name, "value_prefix": prefix} if prefix else {"name": name} for name, prefix in jwt.from_headers
    ]
    return {
        "issuer": jwt.issuer,
        **({"audiences": list(jwt.audiences)} if jwt.audiences else {}),
        "require_expiration": True,
        **_key_set(jwt),
        "from_headers": headers,
        "forward": jwt.forward,
        "payload_in_metadata": CLAIMS_KEY,
    }


def _key_set(jwt: ir.Jwt) -> Object:
    if jwt.jwks_kind == "file":
        return {"local_jwks": {"filename": jwt.jwks}}
    if jwt.jwks_kind == "inline":
        return {"local_jwks": {"inline_string": jwt.jwks}}
    server: Object = {"uri": jwt.jwks, "cluster": key_set_cluster(jwt.jwks), "timeout": "5s"}
    return {"remote_jwks": {"http_uri": server, "cache_duration": "300s", "async_fetch": {}}}


def _requirement(jwts: tuple[ir.Jwt, ...]) -> Object:
    """All groups of providers that share a header must accept; a token must be there if some provider requires it."""
    required = any(jwt.required for jwt in jwts)
    groups = _groups(jwts)
    if len(groups) == 1:
        return _any_of(jwts, may_be_missing=not required)
    parts = [_any_of(group, may_be_missing=True) for group in groups]
    if required:
        parts.append(_any_of(jwts, may_be_missing=False))
    return {"requires_all": {"requirements": list(parts)}}


def _any_of(jwts: tuple[ir.Jwt, ...], *, may_be_missing: bool) -> Object:
    requirements: list[Json] = [{"provider_name": jwt.name} for jwt in jwts]
    if may_be_missing:
        requirements.append({"allow_missing": {}})
    return (
        {"provider_name": jwts[0].name} if len(requirements) == 1 else {"requires_any": {"requirements": requirements}}
    )


def _groups(jwts: tuple[ir.Jwt, ...]) -> list[tuple[ir.Jwt, ...]]:
    """The providers, those together that read a common header."""
    groups: list[tuple[ir.Jwt, ...]] = []
    for jwt in jwts:
        sharing = [group for group in groups if any(_share_header(jwt, other) for other in group)]
        joined = (*(other for group in sharing for other in group), jwt)
        groups = [*(group for group in groups if group not in sharing), joined]
    return groups


def _share_header(one: ir.Jwt, other: ir.Jwt) -> bool:
    return not {name.lower() for name, _ in one.from_headers}.isdisjoint(name.lower() for name, _ in other.from_headers)
