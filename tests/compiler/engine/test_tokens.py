"""`meshc.engine.tokens`: good tokens verify, each flaw is refused for its own reason."""

import json

import jwt
import pytest

from meshc.engine.tokens import Claim, Flaw, TokenIssuer


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer.create("key-1")


def verify(issuer: TokenIssuer, token: str) -> dict[str, Claim]:
    key = jwt.PyJWK.from_dict(json.loads(issuer.jwks)["keys"][0])
    claims: dict[str, Claim] = jwt.decode(token, key, algorithms=["RS256"], options={"require": ["exp"]})
    return claims


def test_good_token_carries_its_claims(issuer: TokenIssuer) -> None:
    token = issuer.sign({"iss": "me", "scope": ["a", "b"], "realm": {"roles": ["x"]}})
    claims = verify(issuer, token)
    assert {name: claims[name] for name in ("iss", "scope", "realm")} == {
        "iss": "me",
        "scope": ["a", "b"],
        "realm": {"roles": ["x"]},
    }
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}


def test_jwks_has_no_private_part(issuer: TokenIssuer) -> None:
    (key,) = json.loads(issuer.jwks)["keys"]
    assert set(key) == {"kty", "n", "e", "key_ops", "kid", "alg", "use"} - ({"key_ops"} - set(key))
    assert key["kid"] == "key-1"


@pytest.mark.parametrize(
    ("flaw", "error"),
    [
        (Flaw.UNSIGNED, jwt.InvalidAlgorithmError),
        (Flaw.EXPIRED, jwt.ExpiredSignatureError),
        (Flaw.WITHOUT_EXPIRY, jwt.MissingRequiredClaimError),
        (Flaw.WRONG_KEY, jwt.InvalidSignatureError),
    ],
)
def test_each_flaw_is_refused(issuer: TokenIssuer, flaw: Flaw, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(issuer, issuer.sign({"iss": "me"}, flaw))


def test_flaws_win_over_claims_and_claims_over_defaults(issuer: TokenIssuer) -> None:
    with pytest.raises(jwt.ExpiredSignatureError):
        verify(issuer, issuer.sign({"exp": 1}))
    with pytest.raises(jwt.MissingRequiredClaimError):
        verify(issuer, issuer.sign({"exp": 1 << 40}, Flaw.WITHOUT_EXPIRY))
