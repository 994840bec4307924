"""JSON web tokens: the `jwt_authn` filter of a port, and the clusters that fetch key sets.

A request with an invalid token is refused whatever else it carries; one without passes unless a provider requires it.
Tokens are read from headers alone. Providers that read one header share it: the token's issuer chooses.
"""

from collections.abc import Iterable
from dataclasses import replace
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
    single = tuple(one for jwt in jwts for one in _by_header(jwt))
    providers: Object = {jwt.name: _provider(jwt) for jwt in single}
    rules: list[Json] = [{"match": {"prefix": "/"}, "requires": _requirement(single)}]
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


def _by_header(jwt: ir.Jwt) -> tuple[ir.Jwt, ...]:
    """One provider for each header that tokens are read from: a provider that finds a good token looks no further."""
    headers = tuple(dict.fromkeys(name.lower() for name, _ in jwt.from_headers))
    if len(headers) == 1:
        return (jwt,)
    return tuple(
        replace(
            jwt,
            name=f"{jwt.name}/{header}",
            from_headers=tuple(one for one in jwt.from_headers if one[0].lower() == header),
        )
        for header in headers
    )


def _requirement(jwts: tuple[ir.Jwt, ...]) -> Object:
    """Every header must hold a good token or none; one of them must hold a token if some provider requires it.

    That one does is asked first: a token that is not forwarded is gone once a provider has found it good.
    """
    required = any(jwt.required for jwt in jwts)
    groups: dict[str, list[ir.Jwt]] = {}
    for jwt in jwts:
        groups.setdefault(jwt.from_headers[0][0].lower(), []).append(jwt)
    if len(groups) == 1:
        return _any_of(jwts, may_be_missing=not required)
    parts = [_any_of(tuple(group), may_be_missing=True) for group in groups.values()]
    if required:
        parts.insert(0, _any_of(jwts, may_be_missing=False))
    return {"requires_all": {"requirements": list(parts)}}


def _any_of(jwts: tuple[ir.Jwt, ...], *, may_be_missing: bool) -> Object:
    requirements: list[Json] = [{"provider_name": jwt.name} for jwt in jwts]
    if may_be_missing:
        requirements.append({"allow_missing": {}})
    return (
        {"provider_name": jwts[0].name} if len(requirements) == 1 else {"requires_any": {"requirements": requirements}}
    )
