"""What a route changes of requests and answers, and what it answers by itself."""

from typing import Final

import pytest

from envoy_lab import Lab, RunLab, compile_mesh, seen_path, served_by, status
from envoy_wire import PLAIN, always
from meshc.engine.exchange import Answered, Outcome
from meshc.engine.stubs import Reply
from meshc_envoy import emit

pytestmark = pytest.mark.slow

HEADERS: Final = (
    PLAIN
    + """
service cart in shop
service orders in plain { port 80 http endpoint "10.0.4.20:15010" }
service calls in plain { port 80 grpc endpoint "10.0.4.21:15010" }
service sealed in inside { port 80 http target 8080 }
access sealed { allow cart when header "x-role" == "admin" }
service gone in plain { port 80 http endpoint "10.0.4.22:15010" }
profile changes() {
  set request header "x-set" "new"
  add request header "x-add" "one"
  add request header "x-add" "two"
  remove request header "X-Remove"
  set request header "x-literal" "100% %REQ(x-set)% %%"
  set request header "x-empty" ""
  set response header "x-set" "new"
  add response header "x-add" "one"
  remove response header "x-remove"
  set response header "x-literal" "50% %RESPONSE_CODE%"
}
traffic orders uses changes {
  route /plain { set request header "x-set" "other" }
  route /moved { redirect "/" }
  route /said { respond 404 "no" }
  route /broken { fault abort 501 for 100% }
  route /late { timeout 200ms }
}
traffic gone uses changes {}
traffic calls uses changes {}
traffic sealed {
  route /admin { set request header "x-role" "admin" }
  route /guest { remove request header "x-role" }
}
"""
)


def lines(outcome: Outcome, name: bytes) -> list[bytes]:
    assert isinstance(outcome, Answered), outcome
    return [value for key, value in outcome.headers if key == name]


def test_headers(run_lab: RunLab) -> None:
    """Set replaces every line, add keeps them, remove takes them away; a percent sign is a percent sign."""
    sent = (
        (b"x-set", b"old"),
        (b"x-set", b"older"),
        (b"x-add", b"zero"),
        (b"x-remove", b"1"),
        (b"x-remove", b"2"),
        (b"x-kept", b"%REQ(x)%"),
    )
    answered = ((b"x-set", b"old"), (b"x-add", b"zero"), (b"x-remove", b"1"), (b"x-kept", b"yes"))

    async def scenario(lab: Lab) -> None:
        cart, orders, calls = lab.outbound("cart"), lab.stub("10.0.4.20"), lab.stub("10.0.4.21")
        orders.reply = calls.reply = always(Reply(headers=answered))
        outcomes = [
            await lab.get(cart, "/", headers=sent),
            await lab.get2(cart, "/", headers=sent),
            await lab.call(cart, "/shop.Calls/Get", host="calls", headers=sent),
        ]
        for seen in (*orders.requests, *calls.requests):
            found = [(name.lower(), value) for name, value in seen.request.headers]
            assert [value for name, value in found if name == b"x-set"] == [b"new"]
            assert [value for name, value in found if name == b"x-add"] == [b"zero", b"one", b"two"]
            assert [value for name, value in found if name == b"x-remove"] == []
            assert [value for name, value in found if name == b"x-kept"] == [b"%REQ(x)%"]
            assert [value for name, value in found if name == b"x-literal"] == [b"100% %REQ(x-set)% %%"]
            assert [value for name, value in found if name == b"x-empty"] == [b""]
        assert len(orders.requests) + len(calls.requests) == len(outcomes)
        for outcome in outcomes:
            assert lines(outcome, b"x-set") == [b"new"]
            assert lines(outcome, b"x-add") == [b"zero", b"one"]
            assert lines(outcome, b"x-remove") == []
            assert lines(outcome, b"x-kept") == [b"yes"]
            assert lines(outcome, b"x-literal") == [b"50% %RESPONSE_CODE%"]

        await lab.get(cart, "/plain")
        assert orders.requests[-1].request.header(b"x-set") == b"other"
        assert orders.requests[-1].request.header(b"x-literal") == b"100% %REQ(x-set)% %%"
        orders.reply = always(Reply(delay_s=1.0))
        await lab.stop("10.0.4.22")
        assert lines(await lab.get(cart, "/", host="gone"), b"x-set") == [b"new"]
        for path, expected in (("/moved", 302), ("/said", 404), ("/broken", 501), ("/late", 504)):
            outcome = await lab.get(cart, path)
            assert (status(outcome), lines(outcome, b"x-set"), lines(outcome, b"x-add")) == (
                expected,
                [b"new"],
                [b"one"],
            )

    run_lab(HEADERS, scenario)


def test_access_sees_the_change(run_lab: RunLab) -> None:
    """Rules judge the request as it arrives."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        role = ((b"x-role", b"admin"),)
        assert status(await lab.get(cart, "/admin", host="sealed")) == 200
        assert status(await lab.get(cart, "/guest", host="sealed", headers=role)) == 403
        assert status(await lab.get(cart, "/other", host="sealed", headers=role)) == 200
        assert status(await lab.get(cart, "/other", host="sealed")) == 403

    run_lab(HEADERS, scenario)


PATHS: Final = (
    PLAIN
    + """
service cart in shop
service orders in inside { port 80 http target 8080 }
traffic orders {
  route /exact { rewrite path "/new" }
  route /items/{id} { rewrite path "/v2/items/{id}" }
  route /swap/{a}/{b} { rewrite path "/{b}/x/{a}" }
  route /old/** { rewrite path "/new/**" }
  route /top/** { rewrite path "/**" }
  route /user/{id}/** { rewrite path "/u/{id}/z/**" }
  route /all/** { rewrite path "/one" }
  route /odd/{id} { rewrite path "/$1/%7C/{id}" }
  route /v1.0/{id} { rewrite path "/d/{id}" }
  route /host { rewrite host "other.example" }
  route /both/** { rewrite host "other.example" rewrite path "/h/**" }
  route re"/re[0-9]+" { rewrite path "/r" }
}
"""
)

REWRITTEN: Final = {
    "/exact": "/new",
    "/exact?a=b": "/new?a=b",
    "/exact/": "/exact/",
    "/items/7": "/v2/items/7",
    "/items/7?x=/items/8": "/v2/items/7?x=/items/8",
    "/items/a%20b": "/v2/items/a%20b",
    "/items/%61": "/v2/items/a",
    "/items/": "/items/",
    "/swap/1/2": "/2/x/1",
    "/old": "/new",
    "/old/": "/new/",
    "/old/a/b": "/new/a/b",
    "/old/old/a": "/new/old/a",
    "/old?q": "/new?q",
    "/older": "/older",
    "/x/../old/a": "/new/a",
    "/top": "/",
    "/top/": "/",
    "/top/a": "/a",
    "/top/a/?b=c": "/a/?b=c",
    "/user/7": "/u/7/z",
    "/user/7/a/b": "/u/7/z/a/b",
    "/all": "/one",
    "/all/a/b?c": "/one?c",
    "/odd/x": "/$1/%7C/x",
    "/re12": "/r",
    "/v1.0/7": "/d/7",
    "/v1x0/7": "/v1x0/7",
    "/both/a": "/h/a",
}


def test_rewrites(run_lab: RunLab) -> None:
    """Paths and hosts as the server gets them; the query stays."""

    async def scenario(lab: Lab) -> None:
        cart, orders = lab.outbound("cart"), lab.stubs["inside", "orders", 80]
        for path, expected in REWRITTEN.items():
            assert seen_path(await lab.get(cart, path)) == expected, path
        for path, host in (("/host", b"other.example"), ("/both/a", b"other.example"), ("/exact", b"orders")):
            assert served_by(await lab.get(cart, path)) == "inside.orders"
            assert orders.requests[-1].request.header(b"host") == host, path

    run_lab(PATHS, scenario)


BODY: Final = "a long answer; " * 1000

ANSWERS: Final = (
    PLAIN
    + f"""
service cart in shop
service orders in plain {{ port 80 http endpoint "10.0.4.20:15010" }}
traffic orders {{
  route /here {{ redirect "/there" }}
  route /query {{ redirect "/there?x=1" }}
  route /always {{ redirect "/there" status 301 }}
  route /see {{ redirect "/there" status 303 }}
  route /again {{ redirect "/there" status 307 }}
  route /legacy/** {{ redirect "/new/**" status 308 }}
  route /item/{{id}} {{ redirect "/v2/{{id}}" }}
  route /away {{ redirect "https://other.example:8443/x" }}
  route /moved/** {{ redirect "https://other.example/**" }}
  route /empty {{ respond 204 }}
  route /refused {{ respond 403 "not \\u{{e9}} today" }}
  route /made {{ respond 201 "made" }}
  route /long {{ respond 503 "{BODY}" }}
  route /only when header "x-a" == "1" {{ respond 418 }}
}}
"""
)

REDIRECTS: Final = {
    "/here": (302, "http://orders/there"),
    "/here?a=b": (302, "http://orders/there?a=b"),
    "/query": (302, "http://orders/there?x=1"),
    "/query?a=b": (302, "http://orders/there?x=1"),
    "/always": (301, "http://orders/there"),
    "/see": (303, "http://orders/there"),
    "/again": (307, "http://orders/there"),
    "/legacy": (308, "http://orders/new"),
    "/legacy/a/b?c=d": (308, "http://orders/new/a/b?c=d"),
    "/item/7": (302, "http://orders/v2/7"),
    "/away": (302, "https://other.example:8443/x"),
    "/moved/a?b": (302, "https://other.example/a?b"),
    "/moved": (302, "https://other.example/"),
}


def test_answers(run_lab: RunLab) -> None:
    """Redirects and fixed answers come from the caller's own sidecar, whatever the service does."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        await lab.stop("10.0.4.20")
        for path, (code, location) in REDIRECTS.items():
            outcome = await lab.get(cart, path)
            assert (status(outcome), lines(outcome, b"location")) == (code, [location.encode()]), path
        for path, code, body in (
            ("/empty", 204, b""),
            ("/refused", 403, "not é today".encode()),
            ("/made", 201, b"made"),
            ("/long", 503, BODY.encode()),
        ):
            for send in (lab.get, lab.get2):
                outcome = await send(cart, path)
                assert isinstance(outcome, Answered)
                assert (outcome.status, outcome.body, lines(outcome, b"location")) == (code, body, []), path
        assert status(await lab.get(cart, "/only", headers=((b"x-a", b"1"),))) == 418
        assert status(await lab.get(cart, "/only")) == 503

    run_lab(ANSWERS, scenario)


def test_a_query_beside_captures() -> None:
    """Envoy would answer with two queries."""
    program = PLAIN + "service cart in shop\nservice orders in plain { port 80 http }\n"
    emission = emit(compile_mesh(program + 'traffic orders { route /a/{id} { redirect "/b/{id}?c" } }'))
    assert [one.name for one in emission.diagnostics] == ["unsupported-by-target"]
    assert emission.documents == ()
    assert emit(compile_mesh(program + 'traffic orders { route /a/{id} { redirect "/b/{id}" } }')).documents
