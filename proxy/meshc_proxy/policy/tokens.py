"""JSON web tokens: read from a request's headers, and verified against the providers' key sets.

Algorithms are those of public keys and never the token's choice; `kid` only picks a key from the table. A request has one
token at most: two different ones are refused, since what a rule reads and what the application reads could differ.
Source: RFC 7519, RFC 8725, Envoy `jwt_authn` with `require_expiration`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import jwt
from jwt.types import Options

from meshc.ir import Jwt
from meshc.request import Claim

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
SKEW_S: Final = 60.0
"""How far clocks may differ, in seconds; Envoy's default."""

_LONGEST: Final = 16 * 1024
_LAST_S: Final = 2**53
# What a token says is looked at below, with the time that we were given.
_SIGNATURE_ALONE: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}

EXPIRED: Final = "Jwt is expired"
NOT_YET: Final = "Jwt not yet valid"
MALFORMED: Final = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
UNKNOWN_ISSUER: Final = "Jwt issuer is not configured"
UNVERIFIED: Final = "Jwt verification fails"
NO_KEYS: Final = "Jwks remote fetch is failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The public keys of one provider, by key id; keys without one are tried for any token that names none."""

    named: Mapping[str, jwt.PyJWK]
    unnamed: tuple[jwt.PyJWK, ...]

    @classmethod
    def read(cls, text: str) -> "KeySet":
        """A JSON web key set. Raises ValueError if it is none, or holds no key that we could use."""
        try:
            keys = [key for key in jwt.PyJWKSet.from_json(text).keys if key.algorithm_name in ALGORITHMS]
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise ValueError("not a set of public keys") from error
        if not keys:
            raise ValueError("a set without a public key")
        named = {key.key_id: key for key in keys if key.key_id}
        return cls(named=named, unnamed=tuple(key for key in keys if not key.key_id))

    def candidates(self, key_id: str | None) -> tuple[jwt.PyJWK, ...]:
        """The keys that may have signed a token with this `kid`."""
        if key_id is None:
            return (*self.named.values(), *self.unnamed)
        return (self.named[key_id],) if key_id in self.named else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadToken:
    """The request is answered with 401 and this sentence of Envoy's."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodToken:
    """The claims of a token that a provider has signed, and the provider."""

    provider: Jwt
    claims: Mapping[str, Claim]


def verify_token(
    providers: Sequence[Jwt], keys: Mapping[str, KeySet], headers: Mapping[str, Sequence[str]], wall: float
) -> GoodToken | BadToken | None:
    """What the request's token says; None without any token. `keys` are by provider's name, `wall` seconds since 1970.

    A provider without keys (not fetched yet) refuses its tokens.
    """
    found = dict.fromkeys(text for provider in providers for text in _texts(provider, headers))
    if not found:
        return None
    if len(found) > 1:
        return BadToken(text=UNVERIFIED)
    (text,) = found
    if len(text) > _LONGEST or text.count(".") != 2:
        return BadToken(text=MALFORMED)
    issuer, key_id = _unverified(text)
    trusted = [one for one in providers if one.issuer == issuer and text in _texts(one, headers)]
    verdicts = [_verify(provider, keys.get(provider.name), text, key_id, wall) for provider in trusted]
    good = next((one for one in verdicts if isinstance(one, GoodToken)), None)
    return good or next(iter(verdicts), BadToken(text=UNKNOWN_ISSUER))


def _texts(provider: Jwt, headers: Mapping[str, Sequence[str]]) -> list[str]:
    """What stands after the prefix in the provider's headers; a header without the prefix holds no token."""
    return [
        value.removeprefix(prefix).strip(" ")
        for name, prefix in provider.from_headers
        for value in headers.get(name.lower(), ())
        if value.startswith(prefix)
    ]


def _unverified(text: str) -> tuple[object, str | None]:
    """Issuer and key id as the token claims them, to find the keys that could prove it."""
    try:
        whole = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None, None
    key_id = whole["header"].get("kid")
    return whole["payload"].get("iss"), key_id if isinstance(key_id, str) else None


def _verify(provider: Jwt, keys: KeySet | None, text: str, key_id: str | None, wall: float) -> GoodToken | BadToken:
    if keys is None:
        return BadToken(text=NO_KEYS)
    claims = next((found for key in keys.candidates(key_id) if (found := _claims(text, key)) is not None), None)
    if claims is None or claims.get("iss") != provider.issuer:
        return BadToken(text=UNVERIFIED)
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not _is_time(expires) or not _is_time(begins):
        return BadToken(text=UNVERIFIED)
    if wall > _time(expires) + SKEW_S:
        return BadToken(text=EXPIRED)
    if wall < _time(begins) - SKEW_S:
        return BadToken(text=NOT_YET)
    # `accept_token` fills in what a test's token leaves out; a real one that names no audience was made for none.
    return GoodToken(provider=provider, claims={"aud": [], **claims})


def _claims(text: str, key: jwt.PyJWK) -> dict[str, Claim] | None:
    """The claims, if this key signed them with its own algorithm."""
    try:
        payload: dict[str, Claim] = jwt.decode(text, key.key, algorithms=[key.algorithm_name], options=_SIGNATURE_ALONE)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return payload


def _is_time(claim: Claim) -> bool:
    """A number of seconds; Python's JSON knows numbers that are none, and after which nothing ever is."""
    return isinstance(claim, int | float) and not isinstance(claim, bool) and abs(claim) <= _LAST_S


def _time(claim: Claim) -> float:
    return float(claim) if isinstance(claim, int | float) else 0.0
