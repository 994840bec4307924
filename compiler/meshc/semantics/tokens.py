"""JWT: what a port's providers make of a request's token."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc.ir import Jwt
from meshc.request import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """The request is answered with 401; `reason` says why, in a few words."""

    reason: str


def accept_token(providers: tuple[Jwt, ...], claims: Mapping[str, Claim] | None) -> Mapping[str, Claim] | TokenRefused:
    """The claims that conditions may read, or a refusal; without a token that is needed by no provider, none at all.

    `claims` are those of a well-signed, unexpired token, or None. Where they lack `iss` or `aud`, those of the first provider
    are filled in. A port without providers looks at no token.
    """
    if not providers:
        return {}
    if claims is None:
        missing = any(provider.required for provider in providers)
        return TokenRefused(reason="token required") if missing else {}
    completed = _complete(providers[0], claims)
    trusted = [provider for provider in providers if provider.issuer == completed["iss"]]
    if not trusted:
        return TokenRefused(reason="token of an unknown issuer")
    named = _audiences(completed.get("aud"))
    if all(provider.audiences and named.isdisjoint(provider.audiences) for provider in trusted):
        return TokenRefused(reason="token for another audience")
    return completed


def _complete(provider: Jwt, claims: Mapping[str, Claim]) -> dict[str, Claim]:
    completed = dict(claims)
    completed.setdefault("iss", provider.issuer)
    if provider.audiences:
        first = provider.audiences
        completed.setdefault("aud", first[0] if len(first) == 1 else list(first))
    return completed


def _audiences(claim: Claim) -> frozenset[str]:
    items = claim if isinstance(claim, list) else [claim]
    return frozenset(item for item in items if isinstance(item, str))
