"""The evaluator of Istio: PeerAuthentication, RequestAuthentication and paths, by the tables of Istio's reference."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc.semantics import is_comparable
from meshc.semantics.paths import RefusedError, normalize_path
from meshc_harness.istio import Arrival, IstioMesh, Mtls, ServicePort, Token, Workload
from meshc_harness.istio.paths import BadTargetError, normalized, split_target
from meshc_harness.istio.world import Normalization

WEB = Workload(
    namespace="shop",
    name="web",
    labels={"app": "web"},
    service_account="web",
    ports=(ServicePort(number=80, target=8080, protocol="http"),),
    versions={},
)
HTTP = WEB.ports[0]


def peer(
    mode: str | None, *, namespace: str = "shop", name: str = "p", created: str = "", **spec: object
) -> Mapping[str, object]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": {**({} if mode is None else {"mtls": {"mode": mode}}), **spec},
    }


def mode(*documents: Mapping[str, object]) -> Mtls:
    return IstioMesh.of(documents, {}, [WEB]).server.mtls(WEB, WEB.labels, HTTP)


OF_WEB = {"selector": {"matchLabels": {"app": "web"}}}


def test_levels_of_mtls() -> None:
    mesh = peer("STRICT", namespace="istio-system", name="mesh")
    assert mode() is Mtls.PERMISSIVE
    assert mode(mesh) is Mtls.STRICT
    assert mode(mesh, peer("DISABLE")) is Mtls.DISABLE
    assert mode(mesh, peer("UNSET")) is Mtls.STRICT
    assert mode(mesh, peer("DISABLE"), peer("PERMISSIVE", name="w", **OF_WEB)) is Mtls.PERMISSIVE
    assert mode(mesh, peer("DISABLE"), peer("UNSET", name="w", **OF_WEB)) is Mtls.DISABLE
    assert mode(peer("STRICT", selector={"matchLabels": {"app": "x"}})) is Mtls.PERMISSIVE
    assert mode(peer("STRICT", namespace="istio-system", **OF_WEB)) is Mtls.PERMISSIVE
    assert mode(peer("STRICT", namespace="other")) is Mtls.PERMISSIVE


def test_ports_of_mtls_are_those_of_the_workload() -> None:
    assert mode(peer(None, portLevelMtls={"8080": {"mode": "STRICT"}}, **OF_WEB)) is Mtls.STRICT
    assert mode(peer(None, portLevelMtls={"80": {"mode": "STRICT"}}, **OF_WEB)) is Mtls.PERMISSIVE
    assert mode(peer("STRICT", portLevelMtls={"8080": {"mode": "UNSET"}}, **OF_WEB)) is Mtls.STRICT


def test_the_oldest_wins() -> None:
    old, new = peer("STRICT", name="z", created="2020"), peer("DISABLE", name="a", created="2021")
    assert mode(new, old) is Mtls.STRICT


@pytest.mark.parametrize(
    ("written", "certificate", "passes"),
    [
        ("STRICT", None, False),
        ("STRICT", "cluster.local", True),
        ("STRICT", "elsewhere", False),
        ("PERMISSIVE", None, True),
        ("PERMISSIVE", "elsewhere", False),
        ("DISABLE", None, True),
        ("DISABLE", "cluster.local", False),
    ],
)
def test_who_gets_a_connection(written: str, certificate: str | None, passes: bool) -> None:  # noqa: FBT001
    identity = None if certificate is None else f"spiffe://{certificate}/ns/a/sa/b"
    mesh = IstioMesh.of([peer(written)], {}, [WEB])
    found = mesh.server.answer(WEB, HTTP, Arrival(certificate=identity, method="GET", target="/"))
    assert found.allowed is passes
    assert found.status is None


# ---- tokens ---------------------------------------------------------------------------------------------------------


def rule(issuer: str = "idp", **fields: object) -> Mapping[str, object]:
    return {"issuer": issuer, "jwks": '{"keys": []}', **fields}


def status(token: Token | None, *rules: Mapping[str, object]) -> int | None:
    document = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "r", "namespace": "shop"},
        "spec": {"jwtRules": list(rules)},
    }
    mesh = IstioMesh.of([document], {}, [WEB])
    return mesh.server.answer(WEB, HTTP, Arrival(method="GET", target="/", token=token)).status


def test_tokens() -> None:
    good = Token(claims={"iss": "idp", "aud": ["a", "b"]})
    assert status(None, rule()) is None
    assert status(good, rule()) is None
    assert status(Token(claims={"iss": "idp"}, valid=False), rule()) == 401
    assert status(Token(claims={"iss": "other"}), rule()) == 401
    assert status(Token(claims={"iss": "other"}), rule(), rule("other")) is None
    assert status(good, rule(audiences=["b"])) is None
    assert status(good, rule(audiences=["c"])) == 401
    assert status(Token(claims={"iss": "idp"}), rule(audiences=["c"])) == 401


def test_where_tokens_are_read() -> None:
    elsewhere = rule(fromHeaders=[{"name": "X-Token", "prefix": "t "}])
    assert status(Token(claims={"iss": "other"}), elsewhere) is None
    assert status(Token(claims={"iss": "other"}, header="x-token", prefix="t "), elsewhere) == 401


def test_a_bad_target_comes_before_a_bad_token() -> None:
    mesh = IstioMesh.of([], {}, [WEB])
    assert mesh.server.answer(WEB, HTTP, Arrival(method="GET", target="/%00")).status == 400


# ---- paths ----------------------------------------------------------------------------------------------------------

ALL = tuple(Normalization)


@pytest.mark.parametrize(
    ("path", "none", "base", "merge", "decode"),
    [
        ("/a//b", "/a//b", "/a//b", "/a/b", "/a/b"),
        ("/a/../b", "/a/../b", "/b", "/b", "/b"),
        ("/a/%2e%2E/b", "/a/%2e%2E/b", "/b", "/b", "/b"),
        ("/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b"),
        ("/%61%2Fb", "/%61%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"),
        ("/a%5c..%5cb", "/a%5c..%5cb", "/a%5c..%5cb", "/a%5c..%5cb", "/b"),
        ("/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"),
        ("/a/.", "/a/.", "/a/", "/a/", "/a/"),
        ("/..;/admin", "/..;/admin", "/admin", "/admin", "/admin"),
        ("/a^", "/a^", "/a%5E", "/a%5E", "/a%5E"),
    ],
)
def test_normalization(path: str, none: str, base: str, merge: str, decode: str) -> None:
    assert [normalized(path, how) for how in ALL] == [none, base, merge, decode]


def test_targets() -> None:
    assert split_target("/a?b#c") == ("/a", "b")
    assert split_target("/a#c?b") == ("/a", None)
    for bad in ("a", "*", "/a b", "/é", ""):
        with pytest.raises(BadTargetError):
            split_target(bad)
    with pytest.raises(BadTargetError):
        normalized("/a%00", Normalization.BASE)


PIECES = (
    "/",
    "//",
    "a",
    ".",
    "..",
    "%2e",
    "%61",
    "%7E",
    "%",
    "%2",
    "\\",
    "^",
    "%20",
    ";",
    "%25",
    "41",
    "[",
    "%E2",
    '"',
)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(lambda parts: "/" + "".join(parts)))
def test_merging_slashes_is_what_the_model_does(path: str) -> None:
    if is_comparable(path):
        try:
            expected = normalize_path(path)
        except RefusedError:
            return
        assert normalized(path, Normalization.MERGE_SLASHES) == expected
