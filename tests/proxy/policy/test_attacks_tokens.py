"""Tokens that are signed as they should be, and whose times are none."""

import base64
import json
from pathlib import PurePosixPath

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from meshc.ir import Jwt
from meshc.source import BUILTIN
from meshc_proxy.policy.tokens import BadToken, GoodToken, KeySet, verify_token

SIGNER = ec.generate_private_key(ec.SECP256R1())
ALGORITHM = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
KEYS = KeySet.read(json.dumps({"keys": [ALGORITHM.to_jwk(SIGNER.public_key(), as_dict=True)]}))
NOW = 1_800_000_000.0
PROVIDER = Jwt(
    name="corp",
    issuer="https://idp",
    audiences=(),
    jwks_kind="file",
    jwks=str(PurePosixPath("/etc/keys")),
    from_headers=(("authorization", "Bearer "),),
    forward=False,
    required=True,
    span=BUILTIN,
)


def verified(payload: str) -> GoodToken | BadToken | None:
    """What becomes of a token with this payload, whatever JSON it is."""
    parts = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in ('{"alg":"ES256"}', payload))
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(ALGORITHM.sign(signed, SIGNER)).rstrip(b"=")
    token = f"Bearer {(signed + b'.' + signature).decode()}"
    return verify_token([PROVIDER], {"corp": KEYS}, {"authorization": (token,)}, NOW)


def test_a_token_with_a_time_is_good() -> None:
    assert isinstance(verified(f'{{"iss":"https://idp","exp":{NOW + 60}}}'), GoodToken)


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1e999", "1" + "0" * 400, "1" + "0" * 5000, '"1"', "true", "[1]"])
def test_a_token_that_never_expires_is_bad(time: str) -> None:
    assert isinstance(verified(f'{{"iss":"https://idp","exp":{time}}}'), BadToken)


@pytest.mark.parametrize("time", ["NaN", "-Infinity", "-1" + "0" * 400])
def test_a_token_that_never_begins_is_bad(time: str) -> None:
    assert isinstance(verified(f'{{"iss":"https://idp","exp":{NOW + 60},"nbf":{time}}}'), BadToken)
