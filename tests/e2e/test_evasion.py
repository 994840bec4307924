"""Requests that once slipped through, or nearly: real Envoys and reference proxies decide each as the model does."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from forked import run_forked
from meshc.engine.authority import Names
from meshc.engine.exchange import Answered, Http1Request, Outcome, Peer, Refused, Tls
from meshc.engine.jobs import maker
from meshc.engine.scene import Scene
from meshc.request import Request
from meshc_envoy.joined_headers import JOINED
from meshc_harness.compare import analyze_text, differences

ENGINES: Final = ("envoy", "proxy")
CALLER: Final = "spiffe://shop.example/ns/a/sa/caller"
BASE: Final = """mesh m { trust-domain "shop.example" also "ops.example" trusted-hops 1 }
namespace a
service caller in a
service target in a { port 80 http port 81 http2 port 82 tls }
access target:82 { deny anyone when sni == "secret.shop"  allow anyone }
"""


def request(port: int = 80, **fields: object) -> Request:
    common: dict[str, object] = {"identity": CALLER, "namespace": "a", "service": "target", "port": port}
    if port != 82:
        common |= {"method": "GET", "path": "/"}
    return Request(**{**common, **fields})  # type: ignore[arg-type]


def hosts(rule: str) -> tuple[str, list[Request]]:
    names = ("secret.shop", "secret.shop:", "secret.shop:x", "secret.shop:+80", "secret.shop.:", "SECRET.shop.:80", "x")
    return rule, [request(port, host=name) for name in names for port in (80, 81)]


NO_HOSTS: Final = ("secret.shop:", "secret.shop:x", "secret.shop:+80", "secret.shop.:")

CASES: Final = {
    "a deny of a host": hosts('deny anyone when host == "secret.shop"  allow anyone'),
    "an allow of a host": hosts('allow anyone when host == "secret.shop"'),
    "an address behind an empty line": (
        "allow anyone when remote ip in (192.0.2.0/24)",
        [
            request(headers=tuple(("x-forwarded-for", one) for one in lines))
            for lines in (("192.0.2.7", ""), ("", "1.2.3.4"))
        ],
    ),
    "anchors": (
        'deny anyone when header "user-agent" matches re"^evil$" or host matches re"^bad[.]shop$"  allow anyone',
        [
            request(port, headers=tuple(("user-agent", one) for one in lines))
            for lines in (("no", "evil"), ("evil", "no"), ("evils",))
            for port in (80, 81)
        ]
        + [request(host=name) for name in ("bad.shop", "bad.shop:80", "bad.shop.:80", "good.shop")],
    ),
    "text beyond ASCII": (
        r'allow anyone when header "x-a" matches re"\xC3[\xA8\xA9].." or header "x-b" == "é"',
        [
            request(headers=(pair,))
            for pair in (("x-a", "éxx"), ("x-a", "éé"), ("x-a", "ex"), ("x-b", "é"), ("x-b", "e"))
        ],
    ),
    "a path beyond ASCII": ("allow anyone to /%C3%A9", [request(81, path="/é"), request(81, path="/%C3%A9")]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_sidecars_decide_as_the_model_does(name: str, engine: str) -> None:
    rules, requests = CASES[name]
    analysis = analyze_text(f"{BASE}access target:80 {{ {rules} }}\naccess target:81 {{ {rules} }}\n")
    assert analysis.mesh is not None, analysis.diagnostics
    if engine == "proxy":
        # A port that is none makes no request: 400, which no rule is asked for.
        requests = [one for one in requests if one.host not in NO_HOSTS]
    assert differences(analysis.mesh, requests, engine) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_name_with_a_dot(engine: str) -> None:
    analysis = analyze_text(BASE + "access target:80 { allow anyone }\naccess target:81 { allow anyone }\n")
    assert analysis.mesh is not None
    requests = [request(82, sni=name) for name in ("secret.shop", "other.shop", None)]
    assert differences(analysis.mesh, requests, engine) == []


@pytest.mark.parametrize("header", sorted(JOINED - {"expect", "x-request-id", "grpc-timeout"}))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_line_does_not_evade_a_deny(header: str, engine: str) -> None:
    rules = f'deny anyone when header "{header}" == "yes"  allow anyone'
    analysis = analyze_text(f"{BASE}access target:80 {{ {rules} }}\naccess target:81 {{ {rules} }}\n")
    assert analysis.mesh is not None, analysis.diagnostics
    lines = (("no", "yes"), ("yes", "no"), ("yes",), ("no",), ("yesno",))
    requests = [request(port, headers=tuple((header, line) for line in one)) for one in lines for port in (80, 81)]
    assert differences(analysis.mesh, requests, engine) == []


def in_a_network(
    scenario: Callable[[Scene, Path], Awaitable[None]], program: str, engine: str, directory: Path
) -> None:
    """Run a scenario beside a running mesh, in a process and a network of its own."""
    run_forked(lambda _: asyncio.run(_play(scenario, program, engine)), directory / "failure.txt")


async def _play(scenario: Callable[[Scene, Path], Awaitable[None]], program: str, engine: str) -> None:
    mesh = analyze_text(program).mesh
    assert mesh is not None
    with tempfile.TemporaryDirectory() as name:
        async with Scene(mesh, maker(engine), Path(name), has_ipv6=False) as scene:
            await scenario(scene, Path(name))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dns_name_is_no_identity(engine: str, tmp_path: Path) -> None:
    """An authority of a federated domain must not sign for an identity of another, under whatever kind of name."""

    async def scenario(scene: Scene, directory: Path) -> None:
        stranger = "spiffe://ops.example/ns/ops/sa/x"
        address = scene.placed.placement.instances[("a", "target")][0].listen[0]
        found: list[Outcome] = []
        for number, dns in enumerate(((), (CALLER,), ("plain.example",))):
            names = Names(uris=(stranger,), dns=dns)
            credentials = scene.placed.authorities["ops.example"].issue(names, directory / "forged", str(number))
            security = Tls(trust=scene.placed.bundle, credentials=credentials)
            peer = Peer(address=address, port=15010, security=security, source="127.0.0.1")
            found.append(await scene._client.send(Http1Request(method=b"GET", path=b"/", host=b"x"), peer))
        plain, forged, harmless = found
        assert isinstance(plain, Answered)
        assert plain.status == 403
        if engine == "envoy":
            assert isinstance(forged, Refused)
        else:
            # No name but that of a URI is ever an identity here.
            assert isinstance(forged, Answered)
            assert forged.status == 403
        assert isinstance(harmless, Answered)
        assert harmless.status == 403

    in_a_network(
        scenario, BASE + "access target:80 { allow caller }\naccess target:81 { allow caller }\n", engine, tmp_path
    )


TOKENS: Final = """mesh m { trust-domain "shop.example" }
namespace a
service caller in a
service target in a { port 80 http }
authenticate target {
  jwt one { issuer "https://one" jwks file "x" from-header "x-one" from-header "x-two" }
  jwt two { issuer "https://two" jwks file "x" from-header "x-two" }
}
access target { allow caller }
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_an_invalid_token_beside_a_valid_one_is_refused(engine: str, tmp_path: Path) -> None:
    async def scenario(scene: Scene, _: Path) -> None:
        good = scene.placed.issuer.sign({"iss": "https://one"}).encode()
        other = scene.placed.issuer.sign({"iss": "https://two"}).encode()
        asked = request()
        peer = scene._server(asked, scene._ports[("a", "target", 80)][1])
        for headers, status in (
            (((b"x-one", good),), 200),
            (((b"x-two", good),), 200),
            # The reference proxy takes one token at most: what a rule reads and what an application reads could differ.
            (((b"x-one", good), (b"x-two", other)), 200 if engine == "envoy" else 401),
            (((b"x-one", good), (b"x-two", b"junk")), 401),
            (((b"x-one", b"junk"), (b"x-two", good)), 401),
            (((b"x-one", other),), 401),
            ((), 200),
        ):
            answer = await scene._client.send(Http1Request(method=b"GET", path=b"/", host=b"x", headers=headers), peer)
            assert isinstance(answer, Answered)
            assert answer.status == status, (headers, json.dumps(answer.body.decode()))

    in_a_network(scenario, TOKENS, engine, tmp_path)
