"""Access on real Envoys: identities, modes of mTLS, addresses, claims, tokens, bytes, and the way out."""

from collections.abc import Mapping
from typing import Final

from envoy_lab import Lab, RunLab, is_closed, seen_headers, status
from meshc.engine.exchange import Answered, Greeted, Line, grpc_call
from meshc.engine.stubs import Protocol
from meshc.engine.tokens import Claim, Flaw, TokenIssuer

RUNNER: Final = "spiffe://ops.example/ns/ops/sa/runner"


def test_identities(run_lab: RunLab) -> None:
    program = """
    mesh shop { trust-domain "mesh.local" also "ops.example" }
    namespace shop
    service cart in shop
    service rogue in shop
    service orders in shop { port 80 http target 8080 port 90 grpc target 8090 }
    access orders:80 {
      allow cart to GET /cart
      allow identity "spiffe://ops.example/ns/ops/sa/*" to GET|POST /ops/{id}/**
      allow namespace shop except rogue to /shop
      deny authenticated except cart to GET /cart
    }
    access orders:90 { allow cart to rpc shop.Orders/Get }
    """

    async def scenario(lab: Lab) -> None:
        cart = lab.inbound("orders", 80, caller="cart")
        ops = lab.inbound("orders", 80, caller=RUNNER)
        rogue = lab.inbound("orders", 80, caller="rogue")
        other = lab.inbound("orders", 80, caller="spiffe://mesh.local/ns/shop/sa/carter")
        for peer, method, path, expected in (
            (cart, "GET", "/cart", 200),
            (cart, "POST", "/cart", 403),
            (cart, "PATCH", "/cart", 403),
            (cart, "GET", "/cart/", 403),
            (ops, "GET", "/cart", 403),
            (other, "GET", "/cart", 403),
            (ops, "GET", "/ops/1", 200),
            (ops, "POST", "/ops/1/x/y", 200),
            (ops, "GET", "/ops/", 403),
            (ops, "GET", "/ops//x", 200),
            (cart, "GET", "/ops/1", 403),
            (cart, "PUT", "/shop", 200),
            (rogue, "PUT", "/shop", 403),
        ):
            assert status(await lab.get(peer, path, method=method)) == expected, (peer, method, path)
        assert is_closed(await lab.get(lab.inbound("orders", 80, caller=None), "/cart"))
        assert not isinstance(await lab.get2(lab.inbound("orders", 80, caller=None), "/cart"), Answered)
        rpc = lab.inbound("orders", 90, caller="cart")
        for call, code in ((b"/shop.Orders/Get", 0), (b"/shop.Orders/Put", 7)):
            answer = await lab.send(grpc_call(call, b"orders"), rpc)
            assert isinstance(answer, Answered), answer
            assert answer.grpc_status == code

    run_lab(program, scenario)


def test_modes(run_lab: RunLab) -> None:
    """Permissive serves both and tells them apart; off serves plaintext alone."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    service open in shop { port 80 http target 8080 port 5432 tcp }
    service bare in shop { port 80 http target 8080 }
    authenticate open { mtls permissive }
    authenticate bare { mtls off }
    access open:80 { allow cart to /cart allow anyone to /public }
    access open:5432 { allow cart }
    access bare { allow anyone to /public allow cart to /cart }
    """

    async def scenario(lab: Lab) -> None:
        secure, plain = lab.inbound("open", 80, caller="cart"), lab.inbound("open", 80, caller=None)
        bare = lab.inbound("bare", 80, caller=None)
        for get in (lab.get, lab.get2):
            assert status(await get(secure, "/cart")) == 200
            assert status(await get(secure, "/public")) == 200
            assert status(await get(plain, "/cart")) == 403
            assert status(await get(plain, "/public")) == 200
            assert status(await get(bare, "/public")) == 200
            assert status(await get(bare, "/cart")) == 403
        spoof = ((b"x-forwarded-client-cert", b"URI=spiffe://mesh.local/ns/shop/sa/cart"),)
        assert "x-forwarded-client-cert" not in seen_headers(await lab.get(plain, "/public", headers=spoof))
        assert is_closed(await lab.get(lab.inbound("bare", 80, caller="cart"), "/public"))
        assert isinstance(await lab.send(Line(), lab.inbound("open", 5432, caller="cart")), Greeted)
        assert is_closed(await lab.send(Line(), lab.inbound("open", 5432, caller=None)))
        assert status(await lab.get(lab.outbound("cart"), "/cart", host="open")) == 200
        assert status(await lab.get(lab.outbound("cart"), "/public", host="bare.shop:80")) == 200

    run_lab(program, scenario)


def test_addresses(run_lab: RunLab) -> None:
    program = """
    mesh shop { trust-domain "mesh.local" trusted-hops 1 default access allow }
    namespace shop
    service cart in shop
    service orders in shop { port 80 http target 8080 port 5432 tcp }
    access orders {
      deny anyone from 10.66.0.0/16
      deny anyone to /inner/** when not remote ip in (192.168.0.0/16, 10.1.2.4) or header "x-far" is present
    }
    """

    async def scenario(lab: Lab) -> None:
        near = lab.inbound("orders", 80, caller="cart", source="10.1.2.3")
        far = lab.inbound("orders", 80, caller="cart", source="10.66.1.1")
        assert status(await lab.get(near, "/")) == 200
        assert status(await lab.get(far, "/")) == 403
        for value, expected in (
            (b"192.168.1.1", 200),
            (b"8.8.8.8, 192.168.1.1", 200),
            (b"192.168.1.1, 8.8.8.8", 403),
            (b"10.1.2.4", 200),
            (b"10.1.2.5", 403),
        ):
            outcome = await lab.get(near, "/inner/x", headers=((b"x-forwarded-for", value),))
            assert status(outcome) == expected, value
        assert status(await lab.get(near, "/inner/x")) == 403
        trusted = ((b"x-forwarded-for", b"192.168.1.1"), (b"x-far", b""))
        assert status(await lab.get(near, "/inner/x", headers=trusted)) == 403
        tcp_near = lab.inbound("orders", 5432, caller="cart", source="10.1.2.3")
        tcp_far = lab.inbound("orders", 5432, caller="cart", source="10.66.1.1")
        assert isinstance(await lab.send(Line(), tcp_near), Greeted)
        assert is_closed(await lab.send(Line(), tcp_far))
        assert len(lab.stubs["shop", "orders", 5432].connections) == 1

    run_lab(program, scenario)


def test_bytes(run_lab: RunLab) -> None:
    """A refused caller of a tcp port never hears what the application says first."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    service other in shop
    service ledger in shop { port 5432 tcp port 5433 tcp port 5434 tcp }
    access ledger:5432 { allow cart }
    access ledger:5433 { allow namespace shop deny other }
    """

    async def scenario(lab: Lab) -> None:
        for port in (5432, 5433):
            assert isinstance(await lab.send(Line(), lab.inbound("ledger", port, caller="cart")), Greeted)
            assert is_closed(await lab.send(Line(), lab.inbound("ledger", port, caller="other")))
            assert is_closed(await lab.send(Line(), lab.inbound("ledger", port, caller=None)))
        assert is_closed(await lab.send(Line(), lab.inbound("ledger", 5434, caller="cart")))
        assert [len(lab.stubs["shop", "ledger", port].connections) for port in (5432, 5433, 5434)] == [1, 1, 0]
        assert isinstance(await lab.send(Line(), lab.outbound("cart", lab.tcp_port("shop/ledger:5432"))), Greeted)
        assert is_closed(await lab.send(Line(), lab.outbound("other", lab.tcp_port("shop/ledger:5432"))))

    run_lab(program, scenario)


def test_tokens(run_lab: RunLab) -> None:
    """Attack 17: whatever is wrong with a token, the answer is 401, and before any access rule."""
    corp, partner = TokenIssuer.create("corp"), TokenIssuer.create("partner")
    program = f"""
    mesh shop {{ trust-domain "mesh.local" }}
    namespace shop
    service cart in shop
    service orders in shop {{ port 80 http target 8080 }}
    service closed in shop {{ port 80 http target 8080 port 90 grpc target 8090 }}
    authenticate orders {{
      jwt corp {{ issuer "https://corp" audiences "orders" jwks inline "{corp.jwks.replace('"', chr(92) + '"')}" }}
      jwt partner {{ issuer "https://partner" jwks inline "{partner.jwks.replace('"', chr(92) + '"')}" from-header "x-partner" "" forward }}
    }}
    authenticate closed {{
      jwt corp {{ issuer "https://corp" audiences "orders" jwks inline "{corp.jwks.replace('"', chr(92) + '"')}" required }}
    }}
    access orders {{
      allow cart to /open
      allow cart to /scope when claim "scope" has "refund"
      allow cart to /org when claim "org" "team" == "pay"
      allow cart to /name when claim "name" starts with "a"
      allow cart to /some when claim "name" is present
      allow cart to /partner when issuer == "https://partner"
    }}
    access closed {{ allow cart to /open  allow cart to rpc a.B/C }}
    """

    def bearer(claims: Mapping[str, Claim], flaw: Flaw | None = None) -> tuple[tuple[bytes, bytes], ...]:
        token = corp.sign({"iss": "https://corp", "aud": "orders", **claims}, flaw)
        return ((b"authorization", f"Bearer {token}".encode()),)

    async def scenario(lab: Lab) -> None:
        peer, closed = lab.inbound("orders", 80, caller="cart"), lab.inbound("closed", 80, caller="cart")
        good = bearer({})
        assert status(await lab.get(peer, "/open")) == 200
        assert status(await lab.get(closed, "/open")) == 401
        assert status(await lab.get(closed, "/open", headers=good)) == 200
        bad = (
            *(bearer({}, flaw) for flaw in Flaw),
            bearer({"aud": "other"}),
            bearer({"aud": ["x", "y"]}),
            bearer({"iss": "https://evil"}),
            ((b"authorization", b"Bearer x.y.z"),),
            good + bearer({"aud": "other"}),
        )
        for headers in bad:
            for path in ("/open", "/nowhere"):
                for one in (peer, closed):
                    assert status(await lab.get(one, path, headers=headers)) == 401, headers
                    assert status(await lab.get2(one, path, headers=headers)) == 401, headers
        refused = await lab.send(
            grpc_call(b"/a.B/C", b"closed", bearer({"aud": "other"})), lab.inbound("closed", 90, caller="cart")
        )
        assert isinstance(refused, Answered)
        assert refused.grpc_status == 16
        in_query = good[0][1].decode().removeprefix("Bearer ")
        assert status(await lab.get(closed, f"/open?access_token={in_query}")) == 401
        assert "authorization" not in seen_headers(await lab.get(peer, "/open", headers=good))
        for path, claims, expected in (
            ("/scope", {"scope": ["x", "refund"]}, 200),
            ("/scope", {"scope": "x refund y"}, 200),
            ("/scope", {"scope": "refunds"}, 403),
            ("/scope", {"scope": {"refund": 1}}, 403),
            ("/scope", {}, 403),
            ("/org", {"org": {"team": "pay"}}, 200),
            ("/org", {"org": {"team": ["pay"]}}, 403),
            ("/org", {"org": "pay"}, 403),
            ("/name", {"name": "ann"}, 200),
            ("/name", {"name": "bob"}, 403),
            ("/some", {"name": ""}, 200),
            ("/some", {"name": 5}, 403),
            ("/some", {"name": []}, 403),
            ("/some", {"name": ["a"]}, 200),
        ):
            assert status(await lab.get(peer, path, headers=bearer(claims))) == expected, (path, claims)
        other = ((b"x-partner", partner.sign({"iss": "https://partner"}).encode()),)
        assert status(await lab.get(peer, "/partner", headers=other)) == 200
        assert status(await lab.get(peer, "/partner", headers=good)) == 403
        assert status(await lab.get(peer, "/open", headers=other + bearer({"aud": "other"}))) == 401
        assert "x-partner" in seen_headers(await lab.get(peer, "/open", headers=other))

    run_lab(program, scenario)


def test_query_patterns(run_lab: RunLab) -> None:
    """A pattern sees the first value alone, as sent, and never what follows it."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    service orders in shop { port 80 http target 8080 }
    access orders {
      allow cart to /a when query "v" matches re"a.*b"
      allow cart to /b when not query "v" matches re"a.*b" and query "w" matches re"[0-9]*"
      allow cart to /c when query "v" starts with "x" and not query "v" ends with "y"
    }
    """

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        for target, expected in (
            ("/a?v=axb", 200),
            ("/a?v=a&w=b", 403),
            ("/a?v=c&v=ab", 403),
            ("/a?v=%61b", 403),
            ("/a", 403),
            ("/b?w=12", 200),
            ("/b?w", 200),
            ("/b?w=1&v=ab", 403),
            ("/b?v=ab", 403),
            ("/b", 403),
            ("/c?v=xa&z=y", 200),
            ("/c?v=xy", 403),
            ("/c?u=1&v=x", 200),
            ("/c?vv=x", 403),
        ):
            for get in (lab.get, lab.get2):
                assert status(await get(peer, target)) == expected, target

    run_lab(program, scenario)


def test_way_out(run_lab: RunLab) -> None:
    """Externals: TLS originated and verified, passed through by server name, and rules by the caller's own identity."""
    program = """
    mesh shop { trust-domain "mesh.local" }
    namespace shop
    service cart in shop
    service other in shop
    external stripe in shop { host "api.stripe.com" port 443 https }
    external plain in shop { host "plain.example", "*.wild.example" port 80 http }
    external store in shop { host "db.example" port 5432 tcp }
    external forged in shop { host "forged.example" port 443 https }
    access stripe { allow cart to POST /charge deny cart to POST /charge when query "dry" == "1" }
    access plain { allow cart }
    access store { allow cart }
    access forged { allow cart }
    """
    externals = {
        "api.stripe.com": Protocol.HTTPS,
        "plain.example": Protocol.HTTP,
        "*.wild.example": Protocol.HTTP,
        "db.example": Protocol.TCP,
    }

    async def scenario(lab: Lab) -> None:
        cart, other = lab.outbound("cart"), lab.outbound("other")
        for host in ("api.stripe.com", "api.stripe.com:443", "API.stripe.com"):
            answer = await lab.get(cart, "/charge", host=host, method="POST")
            assert status(answer) == 200, host
        assert lab.externals["api.stripe.com"].requests[-1].sni == "api.stripe.com"
        assert status(await lab.get(cart, "/charge?dry=1", host="api.stripe.com", method="POST")) == 403
        assert status(await lab.get(cart, "/x", host="api.stripe.com", method="POST")) == 403
        assert status(await lab.get(other, "/charge", host="api.stripe.com", method="POST")) == 404
        assert status(await lab.get(cart, "/", host="plain.example")) == 200
        assert status(await lab.get(cart, "/", host="a.b.wild.example")) == 200
        assert status(await lab.get(cart, "/", host="wild.example")) == 404
        assert isinstance(
            await lab.send(Line(), lab.outbound("cart", lab.tcp_port("shop/store:5432/db.example"))), Greeted
        )

    run_lab(program, scenario, externals)


def test_required_tokens_of_several_headers(run_lab: RunLab) -> None:
    """One token is enough, and every token must be good; a good one is gone once it was asked for."""
    corp, partner = TokenIssuer.create("corp"), TokenIssuer.create("partner")
    keys = [one.jwks.replace('"', chr(92) + '"') for one in (corp, partner)]
    program = f"""
    mesh shop {{ trust-domain "mesh.local" }}
    namespace shop
    service cart in shop
    service orders in shop {{ port 80 http target 8080 }}
    service twice in shop {{ port 80 http target 8080 }}
    authenticate orders {{
      jwt corp {{ issuer "https://corp" jwks inline "{keys[0]}" required }}
      jwt partner {{ issuer "https://partner" jwks inline "{keys[1]}" from-header "x-partner" "" required }}
    }}
    authenticate twice {{
      jwt corp {{ issuer "https://corp" jwks inline "{keys[0]}" from-header "x-one" "" from-header "x-two" "" required }}
    }}
    access orders {{ allow cart to /open }}
    access twice {{ allow cart to /open }}
    """
    good = (corp.sign({"iss": "https://corp"}).encode(), partner.sign({"iss": "https://partner"}).encode())
    bad = (corp.sign({"iss": "https://corp"}, Flaw.WRONG_KEY).encode(), b"x.y.z")

    async def scenario(lab: Lab) -> None:
        orders, twice = lab.inbound("orders", 80, caller="cart"), lab.inbound("twice", 80, caller="cart")
        for one, other, expected in (
            (None, None, 401),
            (good[0], None, 200),
            (None, good[1], 200),
            (good[0], good[1], 200),
            (good[0], bad[1], 401),
            (bad[0], good[1], 401),
            (good[1], None, 401),
        ):
            first = () if one is None else ((b"authorization", b"Bearer " + one),)
            headers = first + (() if other is None else ((b"x-partner", other),))
            assert status(await lab.get(orders, "/open", headers=headers)) == expected, headers
        for one, other, expected in (
            (None, None, 401),
            (good[0], None, 200),
            (None, good[0], 200),
            (good[0], good[0], 200),
            (good[0], bad[0], 401),
            (bad[0], good[0], 401),
        ):
            named = ((b"x-one", one), (b"x-two", other))
            headers = tuple((name, value) for name, value in named if value is not None)
            assert status(await lab.get(twice, "/open", headers=headers)) == expected, headers

    run_lab(program, scenario)
