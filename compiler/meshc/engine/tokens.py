"""JSON web tokens for tests: one signing key, its JWKS, and tokens good and bad.

A token is good unless its maker was asked for a flaw; each flaw is one that a verifier must refuse.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, assert_never

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

Claim = str | int | float | bool | None | Sequence["Claim"] | Mapping[str, "Claim"]
"""A JSON value in a token."""

_LIFETIME_S: Final = 3600
_ALGORITHM: Final = "RS256"


class Flaw(Enum):
    """What is wrong with a token."""

    UNSIGNED = "alg none"
    EXPIRED = "expired"
    WITHOUT_EXPIRY = "no exp"
    WRONG_KEY = "signed by another key"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """An RSA key with its key id, which signs RS256."""

    key_id: str
    key: rsa.RSAPrivateKey

    @classmethod
    def create(cls, key_id: str = "meshc") -> Self:
        """A new issuer with a new key; takes about 50 ms."""
        return cls(key_id=key_id, key=_new_key())

    @property
    def jwks(self) -> str:
        """The public key as a JSON web key set, for a provider's inline key set."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**key, "kid": self.key_id, "alg": _ALGORITHM, "use": "sig"}]}, sort_keys=True)

    def sign(self, claims: Mapping[str, Claim], flaw: Flaw | None = None) -> str:
        """A token with `claims` (which win) and `iat` and `exp` of now and one hour hence; with `flaw`, one that is bad."""
        now = int(time.time())
        payload: dict[str, Claim] = {"iat": now, "exp": now + _LIFETIME_S, **claims}
        headers = {"kid": self.key_id}
        match flaw:
            case None:
                pass
            case Flaw.UNSIGNED:
                return jwt.encode(payload, "", algorithm="none", headers=headers)
            case Flaw.EXPIRED:
                payload |= {"iat": now - 2 * _LIFETIME_S, "exp": now - _LIFETIME_S}
            case Flaw.WITHOUT_EXPIRY:
                del payload["exp"]
            case Flaw.WRONG_KEY:
                return jwt.encode(payload, _new_key(), algorithm=_ALGORITHM, headers=headers)
            case _:
                assert_never(flaw)
        return jwt.encode(payload, self.key, algorithm=_ALGORITHM, headers=headers)


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
