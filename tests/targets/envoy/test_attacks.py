"""The attacks of the reference, on a real Envoy that runs what the target emits: each with its right outcome."""

from collections.abc import Callable
from typing import Final

from envoy_lab import Lab, RunLab, seen_headers, seen_path, status
from meshc.engine.authority import Authority, Names, Validity
from meshc.engine.exchange import Refused, StreamReset

DENIES: Final = """
mesh shop { trust-domain "mesh.local" default access allow }
namespace shop
service cart in shop
service orders in shop { port 80 http target 8080 }
access orders {
  deny anyone to /admin/**
  deny anyone to /** when header "x-block" == "yes"
  deny anyone to /** when header "x-start" starts with "evil"
  deny anyone to /** when header "x-end" ends with "evil"
  deny anyone to /** when header "x-pattern" matches re"e.il"
  deny anyone to /** when host == "secret.shop"
  deny anyone to /q when query "mode" == "admin"
}
"""
ALLOWS: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service cart in shop
service orders in shop { port 80 http target 8080 }
access orders {
  allow cart to GET /admin/**
  allow cart to /**  when not header "x-block" == "yes" and header "x-open" == "yes"
}
"""


# Path, and the status that a deny of `/admin/**` gives, then the one that an allow of it gives.
PATHS: Final = (
    ("/admin", 403, 200),
    ("/admin/x?y", 403, 200),
    ("//admin", 403, 200),
    ("/./admin", 403, 200),
    ("/x/../admin", 403, 200),
    ("/%61dmin", 403, 200),
    ("/x/%2E%2E/%61dmin", 403, 200),
    ("/x%2f..%2fadmin", 400, 400),
    ("/admin%2fx", 400, 400),
    ("/x/..%5cadmin", 400, 400),
    ("/x\\..\\admin", 403, 200),
    ("/x/..;/admin", 403, 200),
    ("/.;/admin", 403, 200),
    ("/x;a/../admin", 403, 200),
    ("/%2e%2e;/admin", 400, 400),
    ("/;/admin", 200, 403),
    ("/Admin", 200, 403),
    ("/administrator", 200, 403),
    ("/x?/admin", 200, 403),
    ("/x/%252e%252e/admin", 200, 403),
    ("/%25%36%31dmin", 200, 403),
    ("/admin%00", 400, 400),
    ("/exact#f", 400, 400),
    ("*", 400, 400),
)


def test_paths(run_lab: RunLab) -> None:
    """Attacks 1 to 10: spellings of a path, over both versions of HTTP."""

    def scenario(column: int) -> Callable[[Lab], object]:
        async def attack(lab: Lab) -> None:
            peer = lab.inbound("orders", 80, caller="cart")
            for case in PATHS:
                for outcome in (await lab.get(peer, case[0]), await lab.get2(peer, case[0])):
                    is_reset = isinstance(outcome, StreamReset | Refused) and case[column] == 400
                    assert is_reset or status(outcome) == case[column], (case, outcome)

        return attack

    run_lab(DENIES, scenario(1))
    run_lab(ALLOWS, scenario(2))


def test_path_that_is_judged_is_sent_on(run_lab: RunLab) -> None:
    """What the application gets is what the rules saw, with the escapes that the language's model says."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        for sent, seen in (
            ("/x/../y//z", "/y/z"),
            ("/%7ea%2Db/%20", "/~a-b/%20"),
            ('/a"<>^{|}`b', "/a%22%3C%3E%5E%7B%7C%7D%60b"),
            ("/%252e", "/%252e"),
            ("/a/?b=//c/..", "/a/?b=//c/.."),
        ):
            outcome = await lab.get(peer, sent)
            assert status(outcome) == 200, (sent, outcome)
            assert seen_path(outcome) == seen, sent

    run_lab(DENIES, scenario)


def test_headers(run_lab: RunLab) -> None:
    """Attacks 11 to 14: repeated headers, lists, blanks, underscores."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        two = ((b"x-block", b"no"), (b"x-block", b"yes"))
        for get in (lab.get, lab.get2):
            assert status(await get(peer, "/", headers=two)) == 403
            assert status(await get(peer, "/", headers=((b"x-block", b"no,yes"),))) == 200
            assert status(await get(peer, "/", headers=((b"x-block", b"Yes"),))) == 200
            for name, value in ((b"x-block", b"yes"), (b"x-start", b"evilish"), (b"x-end", b"so evil")):
                for spelling in (value, value + b" ", b" " + value, b"\t " + value + b" \t"):
                    outcome = await get(peer, "/", headers=((name, spelling),))
                    assert status(outcome) == 403 or isinstance(outcome, StreamReset), (name, spelling, outcome)
            for spelling in (b"evil", b"evil ", b" evil"):
                outcome = await get(peer, "/", headers=((b"x-pattern", spelling),))
                assert status(outcome) in (400, 403) or isinstance(outcome, StreamReset), (spelling, outcome)
        assert status(await lab.get(peer, "/", headers=((b"x_block", b"yes"),))) == 400
        assert isinstance(await lab.get2(peer, "/", headers=((b"x_block", b"yes"),)), StreamReset | Refused)

    run_lab(DENIES, scenario)


def test_header_negations_of_an_allow(run_lab: RunLab) -> None:
    """Attack 13 for allow-lists: a trailing blank must not make `yes` another value."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        opened = (b"x-open", b"yes")
        for get in (lab.get, lab.get2):
            assert status(await get(peer, "/x", headers=(opened,))) == 200
            assert status(await get(peer, "/x", headers=(opened, (b"x-block", b"no")))) == 200
            assert status(await get(peer, "/x")) == 403
            for value in (b"yes", b"yes ", b"yes\t"):
                assert status(await get(peer, "/x", headers=(opened, (b"x-block", value)))) == 403, value
            assert status(await get(peer, "/x", headers=(opened, (b"x-block", b"no"), (b"x-block", b"yes")))) == 403

    run_lab(ALLOWS, scenario)


def test_hosts(run_lab: RunLab) -> None:
    """Attacks 15 and 16: spellings of a host, two hosts, the absolute form."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        for host in ("secret.shop", "SECRET.shop", "secret.shop.", "secret.shop:443", "Secret.Shop.:80"):
            assert status(await lab.get(peer, "/", host=host)) == 403, host
            assert status(await lab.get2(peer, "/", host=host)) == 403, host
        two = await lab.raw(peer, b"GET / HTTP/1.1\r\nHost: a\r\nHost: secret.shop\r\n\r\n")
        assert status(two) == 400
        absolute = await lab.raw(peer, b"GET http://secret.shop/ HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert status(absolute) == 403
        assert status(await lab.get(peer, "/", host="user@secret.shop")) == 400

    run_lab(DENIES, scenario)


def test_queries(run_lab: RunLab) -> None:
    """The first value of a parameter counts, as sent."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        for query, expected in (
            ("mode=admin", 403),
            ("a=1&mode=admin&b", 403),
            ("mode=admin&mode=user", 403),
            ("mode=user&mode=admin", 200),
            ("mode=%61dmin", 200),
            ("Mode=admin", 200),
            ("xmode=admin", 200),
            ("mode", 200),
            ("x=mode=admin", 200),
            ("?mode=admin", 200),
            ("&&mode=admin", 403),
            ("m=1&mo=2&mod=3&modes=4&mode=admin", 403),
            ("mode=&mode=admin", 200),
            ("mode=admin=", 200),
        ):
            for get in (lab.get, lab.get2):
                assert status(await get(peer, f"/q?{query}")) == expected, query

    run_lab(DENIES, scenario)


def test_spoofed_headers(run_lab: RunLab) -> None:
    """Attacks 18 and 19: what claims an identity or commands the proxy never reaches the application."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        spoofs = (
            (b"x-forwarded-client-cert", b"URI=spiffe://mesh.local/ns/shop/sa/root"),
            (b"x-envoy-original-path", b"/admin"),
            (b"x-envoy-upstream-rq-timeout-ms", b"1"),
            (b"x-envoy-internal", b"true"),
            (b"x-envoy-decorator-operation", b"x"),
        )
        for get in (lab.get, lab.get2):
            headers = seen_headers(await get(peer, "/", headers=spoofs))
            assert "root" not in headers["x-forwarded-client-cert"]
            assert "URI=spiffe://mesh.local/ns/shop/sa/cart" in headers["x-forwarded-client-cert"]
            assert [name for name in headers if name.startswith("x-envoy-")] == []

    run_lab(DENIES, scenario)


def test_framing(run_lab: RunLab) -> None:
    """Attack 20, and CONNECT: malformed HTTP/1 is refused, an h2c upgrade is not made."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("orders", 80, caller="cart")
        for lines in (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            b"GET / HTTP/1.1\r\nHost: a\r\nx-block : yes\r\n\r\n",
            b"CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: orders\r\n\r\n",
        ):
            assert status(await lab.raw(peer, lines)) == 400, lines
        upgrade = b"GET /admin HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        outcome = await lab.raw(peer, upgrade + b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        assert status(outcome) == 403

    run_lab(DENIES, scenario)


def test_certificates(run_lab: RunLab) -> None:
    """Attack 20 and federation: one verified identity of a known domain, signed by that domain's own authority."""
    program = """
    mesh shop { trust-domain "mesh.local" also "ops.example" }
    namespace shop
    service orders in shop { port 80 http target 8080 port 5432 tcp }
    access orders:80 { allow authenticated to /** }
    access orders:5432 { allow authenticated }
    """

    async def scenario(lab: Lab) -> None:
        home, ops = lab.authorities["mesh.local"], lab.authorities["ops.example"]
        cart, runner = "spiffe://mesh.local/ns/shop/sa/cart", "spiffe://ops.example/ns/ops/sa/runner"
        folder = lab.directory / "attackers"
        for caller in (cart, runner):
            assert status(await lab.get(lab.inbound("orders", 80, caller=caller), "/")) == 200
        stranger = Authority.create("mesh.local")
        flawed = [
            home.issue(Names(uris=(runner,)), folder, "foreign"),
            ops.issue(Names(uris=(cart,)), folder, "forged"),
            ops.issue(Names(uris=(runner, cart)), folder, "doubled"),
            ops.issue(Names(uris=(cart, runner)), folder, "turned"),
            home.issue(Names(uris=(cart, cart)), folder, "twice"),
            home.issue(Names(dns=("cart.shop",)), folder, "nameless"),
            home.issue(Names(), folder, "empty"),
            home.issue(Names(uris=("spiffe://mesh.local.evil/ns/shop/sa/cart",)), folder, "evil"),
            home.issue(Names(uris=(cart,)), folder, "expired", Validity.expired()),
            stranger.issue(Names(uris=(cart,)), folder, "stranger"),
        ]
        for credentials in flawed:
            outcome = await lab.get(lab.inbound("orders", 80, caller=credentials), "/")
            assert isinstance(outcome, Refused), (credentials.chain.name, outcome)

    run_lab(program, scenario)
