"""Access logs on real Envoys: what a line says, which requests have one, and what nobody can write into it."""

import json
from pathlib import Path
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, is_closed, status
from meshc import ir
from meshc.engine.authority import Authority, Names
from meshc.engine.exchange import Greeted, Line
from meshc.engine.stubs import Protocol
from meshc.engine.tokens import Claim, Flaw, TokenIssuer
from meshc.request import Request
from meshc.semantics.decide import decide

pytestmark = pytest.mark.slow

Entry = dict[str, str | int | None]

WEB: Final = "spiffe://mesh.local/ns/shop/sa/web"

REQUEST_FIELDS: Final = {
    *("time", "direction", "from", "source_ip", "to", "status", "grpc_status", "rule", "shadow_deny", "shadow_allow"),
    *("flags", "details", "bytes_in", "bytes_out", "duration_ms", "upstream", "trace_id", "protocol", "method"),
    *("host", "path", "route", "request_id"),
}
CONNECTION_FIELDS: Final = {
    *("time", "direction", "from", "source_ip", "to", "rule", "shadow_deny", "shadow_allow", "flags", "details"),
    *("bytes_in", "bytes_out", "duration_ms", "upstream", "server_name"),
}
REFUSED_FIELDS: Final = {"time", "direction", "source_ip", "to", "flags", "details", "server_name"}


def written(lab: Lab, service: str) -> bytes:
    """What a stopped sidecar has logged: Envoy writes lines late."""
    return Path(lab.fleet.processes[f"shop.{service}"].access_log).read_bytes()


def entries(lab: Lab, service: str) -> list[Entry]:
    return [json.loads(line) for line in written(lab, service).splitlines() if line.startswith(b"{")]


def asked(entry: Entry) -> Request:
    """The request that a line tells of."""
    service, _, port = str(entry["to"]).rpartition(":")
    namespace, _, name = service.partition(".")
    return Request(
        identity=None if entry["from"] is None else str(entry["from"]),
        namespace=namespace,
        service=name,
        port=int(port),
        method=str(entry["method"]),
        path=str(entry["path"]),
        host=str(entry["host"]),
        source_ip=str(entry["source_ip"]),
    )


def place_of(mesh: ir.Mesh, identifier: str) -> object:
    """Where the rule of this name stands."""
    ports = [port for one in (*mesh.workloads, *mesh.externals) for port in one.ports]
    rules = [rule for port in ports for stage in port.access for rule in stage.rules]
    return next(rule.span for rule in rules if rule.identifier == identifier)


def test_requests(run_lab: RunLab) -> None:
    """A line for each request, which can be asked again: the same answer, by the same rule."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service web in shop
    service rogue in shop
    service cart in shop { port 80 http target 8080 port 90 grpc target 8090 }
    access cart:80 {
      allow web to GET /ok
      allow rogue to GET /ok
      allow web from 10.1.0.0/16 to GET /near
      deny web to /no
      shadow deny web to /ok
      shadow allow web to /soon
    }
    access cart:90 { allow web to rpc shop.Cart/Get }
    telemetry cart { access-log json }
    """

    async def scenario(lab: Lab) -> None:
        web, rogue = lab.inbound("cart", 80, caller="web"), lab.inbound("cart", 80, caller="rogue")
        far = lab.inbound("cart", 80, caller="web", source="10.2.0.1")
        secrets = ((b"authorization", b"Bearer s3cret"), (b"cookie", b"id=s3cret"))
        for peer, path, host, expected in (
            (web, "/ok?a=1&b", "orders", 200),
            (rogue, "/ok", "Cart.shop:80", 200),
            (web, "/near", "cart", 200),
            (far, "/near", "cart", 403),
            (web, "/a/../no", "cart", 403),
            (web, "/soon", "cart", 403),
        ):
            assert status(await lab.get(peer, path, host=host, headers=secrets)) == expected
        assert status(await lab.get(web, "/x%2fy")) == 400
        rpc = lab.inbound("cart", 90, caller="web")
        for method in ("Get", "Put"):
            await lab.call(rpc, f"/shop.Cart/{method}")
        assert is_closed(await lab.get(lab.inbound("cart", 80, caller=None), "/ok"))
        names = Names(uris=(WEB,))
        forged = Authority.create("mesh.local").issue(names, lab.directory / "callers", "forged")
        assert not status(await lab.get(lab.inbound("cart", 80, caller=forged), "/ok"))
        double = Names(uris=(WEB, "spiffe://mesh.local/ns/shop/sa/rogue"))
        two = lab.authority.issue(double, lab.directory / "callers", "two")
        assert not status(await lab.get(lab.inbound("cart", 80, caller=two), "/ok"))
        await lab.fleet.stop()

        assert b"s3cret" not in written(lab, "cart")
        lines = entries(lab, "cart")
        served, refused = lines[:9], lines[9:]
        assert all(set(line) == REQUEST_FIELDS for line in served)
        for line in served[:6]:
            decision = decide(lab.mesh, asked(line))
            assert line["status"] == (decision.status or 200), line
            assert decision.rule == (None if line["rule"] is None else place_of(lab.mesh, str(line["rule"]))) or (
                line["rule"] is None and line["details"] == "rbac_access_denied_matched_policy[none]"
            )
            shadows = [line[name] for name in ("shadow_deny", "shadow_allow") if line[name] is not None]
            assert tuple(place_of(lab.mesh, str(name)) for name in shadows) == decision.shadow
        first = served[0]
        assert (first["from"], first["to"], first["source_ip"]) == (WEB, "shop.cart:80", "10.1.2.3")
        assert (first["path"], first["host"], first["upstream"]) == ("/ok?a=1&b", "orders", "10.0.1.1:8080")
        assert isinstance(first["bytes_out"], int)
        assert isinstance(first["duration_ms"], int)
        assert served[4]["details"] == f"rbac_access_denied_matched_policy[{served[4]['rule']}]"
        assert served[5]["shadow_allow"] is not None
        assert (served[6]["status"], served[6]["details"]) == (400, "path_normalization_failed")
        assert [(line["path"], line["grpc_status"]) for line in served[7:]] == [
            ("/shop.Cart/Get", 0),
            ("/shop.Cart/Put", 7),
        ]
        # Nobody's identity stands in a line of a connection that was refused.
        assert len(refused) == 3
        assert all(set(line) == REFUSED_FIELDS for line in refused)
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused[-2]["details"])
        assert refused[-1]["details"] == "rbac_access_denied_matched_policy[not-one-identity]"

    run_lab(program, scenario)


def test_connections_and_the_way_out(run_lab: RunLab) -> None:
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service web in shop
    service cart in shop { port 80 http target 8080 port 5432 tcp port 6432 tcp port 7432 tcp port 443 tls target 8443 }
    external api in shop { host "api.example" port 80 http port 9000 tcp }
    authenticate cart { port 7432 mtls permissive }
    access cart:80 { allow web }
    access cart:5432 { allow web }
    access cart:6432 { allow web from 10.1.0.0/16 shadow deny anyone from 10.1.2.0/24 }
    access cart:7432 { allow anyone }
    access cart:443 { allow anyone when sni == "cart.example" }
    access api:80 { allow web to /ok deny web to /no shadow deny web to /ok }
    access api:9000 { allow web }
    traffic cart:80 { route /old/** { rewrite path "/new/**" rewrite host "inner" } route /gone { redirect "/ok" } }
    telemetry mesh { access-log json when not source ip in (10.66.0.0/16) access-log text when not header "x" is present }
    """

    async def scenario(lab: Lab) -> None:
        for port, caller, source, is_served in (
            (5432, "web", "10.1.2.3", True),
            (5432, "spiffe://mesh.local/ns/shop/sa/rogue", "10.1.2.3", False),
            (6432, "web", "10.1.2.3", True),
            (6432, "web", "10.2.2.3", False),
            (6432, "web", "10.66.2.3", False),
            (7432, None, "10.1.2.3", True),
            (443, None, "10.1.2.3", False),
        ):
            answer = await lab.send(Line(), lab.inbound("cart", port, caller=caller, source=source))
            assert isinstance(answer, Greeted) is is_served, (port, caller, answer)
        out = lab.outbound("web")
        for host, path, expected in (
            ("cart", "/old/a?b=1", 200),
            ("cart.shop:80", "/gone", 302),
            ("api.example", "/ok", 200),
            ("api.example", "/no", 403),
            ("api.example", "/else", 403),
            ("nowhere", "/", 404),
        ):
            assert status(await lab.get(out, path, host=host)) == expected
        assert isinstance(await lab.send(Line(), lab.outbound("web", lab.tcp_port("shop/cart:5432"))), Greeted)
        await lab.send(Line(), lab.outbound("web", lab.tcp_port("shop/api:9000/api.example")))
        await lab.fleet.stop()

        taken = [line for line in entries(lab, "cart") if "method" not in line]
        by_port = {(str(line["to"]).removeprefix("shop.cart:"), line["source_ip"]): line for line in taken}
        assert set(by_port) == {
            *(
                ("5432", "10.1.2.3"),
                ("6432", "10.1.2.3"),
                ("6432", "10.2.2.3"),
                ("7432", "10.1.2.3"),
                ("443", "10.1.2.3"),
            ),
            ("5432", "10.0.0.1"),
        }
        assert set(by_port["6432", "10.1.2.3"]) == CONNECTION_FIELDS
        assert by_port["6432", "10.1.2.3"]["from"] == WEB
        assert str(by_port["6432", "10.1.2.3"]["rule"]).startswith("allow.shop.cart-6432.")
        assert str(by_port["6432", "10.1.2.3"]["shadow_deny"]).startswith("shadow-deny.shop.cart-6432.")
        assert by_port["6432", "10.2.2.3"]["rule"] is None
        assert by_port["6432", "10.2.2.3"]["details"] == "rbac_access_denied_matched_policy[none]"
        assert by_port["7432", "10.1.2.3"]["from"] is None
        assert set(by_port["443", "10.1.2.3"]) == REFUSED_FIELDS
        handshakes = [line for line in taken if "CERTIFICATE_VERIFY_FAILED" in str(line["details"])]
        assert [set(line) for line in handshakes] == [REFUSED_FIELDS]
        assert b"rogue" not in written(lab, "cart")

        calls = entries(lab, "web")
        assert all(set(line) == REQUEST_FIELDS | {"sent_to"} for line in calls[:6])
        assert [(line["to"], line["sent_to"], line["host"], line["path"], line["status"]) for line in calls[:6]] == [
            ("shop.cart:80", "shop/cart:80", "cart", "/old/a?b=1", 200),
            ("shop.cart:80", None, "cart.shop:80", "/gone", 302),
            ("shop.api:80", "shop/api:80/api.example", "api.example", "/ok", 200),
            ("shop.api:80", "shop/api:80/api.example", "api.example", "/no", 403),
            ("shop.api:80", "shop/api:80/api.example", "api.example", "/else", 403),
            (None, None, "nowhere", "/", 404),
        ]
        assert all(line["from"] == WEB and line["direction"] == "outbound" for line in calls)
        assert calls[0]["route"] == "/old/**"
        rules = [str(line["rule"]) for line in calls[2:5]]
        assert (rules[0][:15], rules[1][:14], rules[2]) == ("allow.shop.api-", "deny.shop.api-", "None")
        assert str(calls[2]["shadow_deny"]).startswith("shadow-deny.shop.api-")
        assert [line["to"] for line in calls[6:]] == ["shop.cart:5432", "shop.api:9000"]
        assert str(calls[7]["rule"]).startswith("allow.shop.api-9000.")
        # A log whose condition no connection can be asked logs none, but for those that ended before any could be.
        text = [line for line in written(lab, "web").splitlines() if not line.startswith(b"{")]
        assert len(text) == 6

    run_lab(program, scenario, externals={"api.example": Protocol.HTTP})


def test_conditions(run_lab: RunLab) -> None:
    """`when` picks; what is refused before its condition could be asked is always there."""
    issuer = TokenIssuer.create()
    program = f"""
    mesh shop {{ trust-domain "mesh.local" }}
    namespace shop
    service web in shop
    service cart in shop {{ port 80 http target 8080 }}
    access cart {{ allow web deny web to /no }}
    authenticate cart {{ jwt corp {{ issuer "https://idp.example" audiences "cart" jwks inline {json.dumps(issuer.jwks)} }} }}
    telemetry cart {{
      access-log json when header "x-tag" == "json" or query "log" is present
      access-log text when claim "team" == "blue"
    }}
    telemetry web {{ access-log json when host == "cart" and not header "x-tag" == "json" }}
    """

    async def scenario(lab: Lab) -> None:
        web = lab.inbound("cart", 80, caller="web")
        claims: dict[str, Claim] = {"iss": "https://idp.example", "aud": "cart", "team": "blue"}
        blue = (b"authorization", b"Bearer " + issuer.sign(claims).encode())
        red = (b"authorization", b"Bearer " + issuer.sign({**claims, "team": "red"}).encode())
        late = (b"authorization", b"Bearer " + issuer.sign(claims, Flaw.EXPIRED).encode())
        tag = (b"x-tag", b"json")
        for path, headers, expected in (
            ("/plain", (), 200),
            ("/tag", (tag,), 200),
            ("/lines", ((b"x-tag", b"other"), tag), 200),
            ("/query?log", (), 200),
            ("/no", (tag,), 403),
            ("/blue", (blue,), 200),
            ("/red", (red,), 200),
            ("/late", (late, tag), 401),
            ("/late2", (late,), 401),
            ("/no?2", (blue,), 403),
            ("/x%2fy", (), 400),
        ):
            assert status(await lab.get(web, path, headers=headers)) == expected, path
        out = lab.outbound("web")
        for host in ("cart", "cart:80", "CART", "cart.shop"):
            assert status(await lab.get(out, "/out", host=host)) == 200
        assert status(await lab.get(out, "/out", headers=(tag,), host="cart")) == 200
        # Where nobody verifies tokens, nobody has claims.
        assert status(await lab.get(lab.outbound("cart"), "/own", headers=(blue,), host="nowhere")) == 404
        await lab.fleet.stop()
        tagged = [line["path"] for line in entries(lab, "cart")]
        assert tagged == ["/tag", "/lines", "/query?log", "/no", "/late", "/x/y", "/out"]
        texts = [line for line in written(lab, "cart").decode().splitlines() if not line.startswith("{")]
        assert [line.partition(" path=")[2].split()[0] for line in texts] == ["/blue", "/no?2", "/x/y"]
        assert [line["host"] for line in entries(lab, "web")] == ["cart", "cart:80", "CART"]

    run_lab(program, scenario)


def test_forgery(run_lab: RunLab) -> None:
    """Whatever a caller sends, there is one line for each request, and what Envoy knows stands in it as it is."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service web in shop
    service cart in shop { port 80 http target 8080 }
    access cart { allow web }
    telemetry cart { access-log json access-log text }
    """
    nasty = (
        b'", "status": 500, "from": "spiffe://mesh.local/ns/shop/sa/admin',
        b"x status=500 from=spiffe://mesh.local/ns/shop/sa/admin",
        b"\xff\xfe\x80 \xc2\x9b",
        b"\xe2\x80\xa8{}",
        b"a\tb%START_TIME%\\n",
    )

    async def scenario(lab: Lab) -> None:
        web = lab.inbound("cart", 80, caller="web")
        for value in nasty:
            assert status(await lab.get(web, "/", headers=((b"x-request-id", value),))) == 200
            assert status(await lab.get2(web, "/", headers=((b"x-request-id", value),))) == 200
        for broken in (b"GET /\x0b HTTP/1.1\r\nhost: a\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n"):
            assert status(await lab.raw(web, broken)) == 400
        assert status(await lab.raw(web, b"GET / HTTP/1.1\r\nhost: a\r\nx-request-id: a\x1b[2K\r\n\r\n")) == 400
        assert status(await lab.get(web, '/?"a":1,{}=from', host="cart")) == 200
        for path, host in (("/a b", "cart"), ("/", "a b")):
            assert status(await lab.get2(web, path, host=host)) in {None, 400}
        await lab.fleet.stop()
        lines = written(lab, "cart").split(b"\n")
        assert lines.pop() == b""
        parsed = [json.loads(line) for line in lines if line.startswith(b"{")]
        texts = [line for line in lines if not line.startswith(b"{")]
        assert len(parsed) == len(texts)
        good = [line for line in parsed if line["status"] == 200]
        assert len(good) == 2 * len(nasty) + 1
        assert good[0]["request_id"] == nasty[0].decode()
        assert {line["from"] for line in parsed} == {WEB}
        for line in texts:
            # Fields before the last are free of blanks, so a reader that takes them in order is not misled.
            names = [part.split(b"=")[0] for part in line.split(b" ")]
            assert names[:6] == [b"time", b"direction", b"from", b"source_ip", b"to", b"status"]
            assert line.split(b" ")[2] == b"from=" + WEB.encode()
            assert line.count(b" request_id=", 0, line.index(b" request_id=") + 12) == 1
            assert len(line[: line.index(b" request_id=")].split(b" ")) == len(REQUEST_FIELDS) - 1

    run_lab(program, scenario)
