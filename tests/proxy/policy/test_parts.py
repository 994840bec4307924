"""Rate limits, replies, hygiene and tokens, each by itself."""

import base64
import hmac
import json
from collections.abc import Mapping

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from meshc.engine.tokens import Flaw, TokenIssuer
from meshc.ir import ALWAYS, Jwt, RateLimit
from meshc.source import Span
from meshc_proxy.policy import replies
from meshc_proxy.policy.hygiene import clean_inbound, drop_token
from meshc_proxy.policy.rate_limits import MOST_BUCKETS, Buckets
from meshc_proxy.policy.replies import reply_events, unauthenticated
from meshc_proxy.policy.tokens import BadToken, GoodToken, KeySet, verify_token
from meshc_proxy.wire.events import Data, End, RequestHead, ResponseHead
from meshc_proxy.wire.spiffe import SpiffeId

SPAN = Span(path="a.mesh", start=0, end=0, line=1, column=1)
ISSUER = TokenIssuer.create()
STRANGER = TokenIssuer.create()


def limit(*, tokens: int = 2, per_ms: int = 1000, burst: int = 2) -> Buckets:
    return Buckets(RateLimit(tokens=tokens, per_ms=per_ms, burst=burst, per=None, condition=ALWAYS, span=SPAN))


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = limit()
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert not buckets.take("a", 0.4)
    assert buckets.take("a", 0.5)
    assert buckets.take("b", 0.5)
    assert [buckets.take("a", 100.0) for _ in range(3)] == [True, True, False]


def test_fractions_add_up_and_time_never_runs_backwards() -> None:
    buckets = limit(tokens=10, burst=1)
    assert buckets.take("a", 0.0)
    assert [buckets.take("a", 0.01 * step) for step in range(1, 11)] == [False] * 9 + [True]
    assert not buckets.take("a", -1000.0)
    assert not buckets.take("a", 0.15)


def test_the_number_of_buckets_is_bounded() -> None:
    buckets = limit(burst=1)
    assert buckets.take("first", 0.0)
    for index in range(MOST_BUCKETS):
        buckets.take(str(index), 0.0)
    assert buckets.take("first", 0.0)
    assert not buckets.take(str(MOST_BUCKETS - 1), 0.0)


def request(method: bytes = b"GET", kind: bytes = b"text/plain") -> RequestHead:
    headers = ((b"content-type", kind),)
    return RequestHead(stream=7, method=method, scheme=b"http", authority=b"a", path=b"/", headers=headers)


def test_a_reply_is_envoys() -> None:
    head = ResponseHead(stream=7, status=403, headers=((b"content-length", b"19"), (b"content-type", b"text/plain")))
    assert reply_events(request(), replies.ACCESS_DENIED) == (
        head,
        Data(stream=7, data=b"RBAC: access denied"),
        End(stream=7),
    )
    (only, end) = reply_events(request(b"HEAD"), replies.ACCESS_DENIED)
    assert (isinstance(only, ResponseHead) and only.ends, end) == (True, End(stream=7))
    assert reply_events(request(), replies.NO_ROUTE)[0] == ResponseHead(stream=7, status=404, headers=(), ends=True)


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        (replies.ACCESS_DENIED, b"7", b"RBAC: access denied"),
        (replies.RATE_LIMITED, b"8", b"local_rate_limited"),
        (unauthenticated("Jwt is missing"), b"16", b"Jwt is missing"),
        (replies.BAD_REQUEST, b"13", None),
        (replies.NO_ROUTE, b"12", None),
    ],
)
def test_a_grpc_request_is_answered_as_grpc(reply: replies.Reply, status: bytes, message: bytes | None) -> None:
    (head, end) = reply_events(request(b"POST", b"application/grpc"), reply)
    assert isinstance(head, ResponseHead)
    fields = dict(head.headers)
    assert (head.status, head.ends, end) == (200, True, End(stream=7))
    assert (fields[b"grpc-status"], fields.get(b"grpc-message")) == (status, message)


def test_what_a_peer_says_of_itself_goes() -> None:
    spoofed = (
        (b"x-forwarded-client-cert", b"URI=spiffe://a/admin"),
        (b"x-envoy-original-path", b"/admin"),
        (b"l5d-client-id", b"admin"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x", b"y"),
    )
    peer = SpiffeId.parse("spiffe://a/cart")
    assert clean_inbound(spoofed, peer=peer, own="spiffe://a/pay", address="10.0.0.1", scheme=b"http") == (
        (b"x", b"y"),
        (b"x-forwarded-for", b"1.1.1.1,10.0.0.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-client-cert", b"By=spiffe://a/pay;URI=spiffe://a/cart"),
    )
    nobody = clean_inbound(spoofed, peer=None, own="spiffe://a/pay", address="10.0.0.1", scheme=b"http")
    assert b"x-forwarded-client-cert" not in dict(nobody)


def test_only_the_token_is_dropped() -> None:
    headers = ((b"authorization", b"Bearer x"), (b"authorization", b"Basic y"), (b"x", b"Bearer z"))
    assert drop_token(headers, (("Authorization", "Bearer "),)) == headers[1:]


def provider(
    name: str = "main",
    issuer: str = "https://idp",
    *,
    headers: tuple[tuple[str, str], ...] = (("Authorization", "Bearer "),),
) -> Jwt:
    return Jwt(
        name=name,
        issuer=issuer,
        audiences=(),
        jwks_kind="inline",
        jwks="",
        from_headers=headers,
        forward=False,
        required=True,
        span=SPAN,
    )


KEYS = {"main": KeySet.read(ISSUER.jwks)}
NOW = 1_000_000_000.0
CLAIMS: Mapping[str, int | str] = {"iss": "https://idp", "iat": int(NOW), "exp": int(NOW) + 60}


def verdict(*values: str, keys: Mapping[str, KeySet] = KEYS, wall: float = NOW) -> GoodToken | BadToken | None:
    return verify_token((provider(),), keys, {"authorization": values}, wall)


def test_a_good_token() -> None:
    good = verdict("Bearer " + ISSUER.sign({**CLAIMS, "sub": "ann"}))
    assert isinstance(good, GoodToken)
    assert good.claims["sub"] == "ann"
    assert good.claims["aud"] == []


def test_no_token() -> None:
    assert verdict() is None
    assert verdict("Basic abc") is None
    assert verdict("bearer " + ISSUER.sign(CLAIMS)) is None


def hmac_with_public_key() -> str:
    """The public key taken for a shared secret: the oldest confusion of algorithms."""
    public = ISSUER.key.public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = ({"alg": "HS256", "kid": "meshc"}, dict(CLAIMS))
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    proof = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + proof).decode()


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (ISSUER.sign(CLAIMS, Flaw.UNSIGNED), "verification fails"),
        (ISSUER.sign({"iss": "https://idp"}, Flaw.EXPIRED), "expired"),
        (ISSUER.sign({**CLAIMS, "exp": int(NOW) - 61}), "expired"),
        (ISSUER.sign({**CLAIMS, "nbf": int(NOW) + 61}), "not yet valid"),
        (ISSUER.sign({"iss": "https://idp"}, Flaw.WITHOUT_EXPIRY), "verification fails"),
        (ISSUER.sign(CLAIMS, Flaw.WRONG_KEY), "verification fails"),
        (STRANGER.sign(CLAIMS), "verification fails"),
        (ISSUER.sign({**CLAIMS, "exp": "soon"}), "verification fails"),
        (ISSUER.sign({**CLAIMS, "exp": True}), "verification fails"),
        (ISSUER.sign({**CLAIMS, "iss": "https://other"}), "issuer is not configured"),
        (ISSUER.sign({"sub": "x"}), "issuer is not configured"),
        (hmac_with_public_key(), "verification fails"),
        ("a.b.c", "issuer is not configured"),
        ("abc", "Header.Payload.Signature"),
        ("", "Header.Payload.Signature"),
        ("." * 20000, "Header.Payload.Signature"),
    ],
)
def test_bad_tokens(token: str, text: str) -> None:
    found = verdict("Bearer " + token, wall=4e9 if text == "expired" else NOW)
    assert isinstance(found, BadToken)
    assert text in found.text


def test_a_key_id_picks_a_key_and_nothing_else() -> None:
    forged = jwt.encode(dict(CLAIMS), STRANGER.key, algorithm="RS256", headers={"kid": "../../etc/passwd"})
    assert isinstance(verdict("Bearer " + forged), BadToken)
    own = jwt.encode(
        dict(CLAIMS), STRANGER.key, algorithm="RS256", headers={"jwk": json.loads(STRANGER.jwks)["keys"][0]}
    )
    assert isinstance(verdict("Bearer " + own), BadToken)


def test_two_tokens_are_refused() -> None:
    one, other = ISSUER.sign({**CLAIMS, "sub": "a"}), ISSUER.sign({**CLAIMS, "sub": "b"})
    assert isinstance(verdict("Bearer " + one, "Bearer " + other), BadToken)
    assert isinstance(verdict("Bearer " + one, "Bearer " + one), GoodToken)


def test_without_keys_no_token_is_good() -> None:
    assert isinstance(verdict("Bearer " + ISSUER.sign(CLAIMS), keys={}), BadToken)


def test_a_token_is_good_only_where_its_provider_looks() -> None:
    other = provider("other", "https://else", headers=(("x-token", ""),))
    text = ISSUER.sign(CLAIMS)
    assert isinstance(verify_token((provider(), other), KEYS, {"x-token": (text,)}, NOW), BadToken)
    assert isinstance(verify_token((provider(), other), KEYS, {"authorization": ("Bearer " + text,)}, NOW), GoodToken)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"keys": []}', '{"keys": [{}]}', '{"keys": [{"kty": "oct", "k": "YQ"}]}']
)
def test_what_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        KeySet.read(text)


def test_symmetric_keys_are_left_out() -> None:
    keys = json.loads(ISSUER.jwks)["keys"]
    mixed = KeySet.read(json.dumps({"keys": [*keys, {"kty": "oct", "k": "YWJj", "kid": "s", "alg": "HS256"}]}))
    assert mixed.candidates("s") == ()
    assert len(mixed.candidates(None)) == 1
