"""Requests for both engines, the reference proxy and a real Envoy: one program, and a table of cases over it."""

from dataclasses import dataclass
from typing import Final

from meshc.engine.exchange import Http1Request, Http2Request, HttpMessage, RawHttp1Request, grpc_call
from meshc.engine.http_server import Abort, Headers
from meshc.engine.stubs import Reply
from meshc.engine.tokens import TokenIssuer

PROGRAM: Final = """mesh shop { mtls strict }
telemetry mesh { access-log json }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service feed in shop { port 80 http2 }
service rpc in shop { port 80 grpc }
service open in shop { port 80 http }
service plain in shop { port 80 http }
service vault in shop { port 80 http }
service shy in shop { port 80 http }

access cart {
  allow web to GET|HEAD|POST /items/{id}, /any/**, GET /teapot, /late, /slow, /cut, /retry, /moved/**, /v2/**, /told
  deny anyone to /any/secret/**, POST /any/x
  deny anyone when header "x-bad" is present
  shadow deny anyone to /any/seen
}
access feed { allow web to /any/** }
access rpc { allow web to rpc shop.Rpc/Get }
access open { allow anyone to GET /public  allow web to GET /private }
access plain { allow anyone to /any/** }
access vault { allow web to GET /open  allow web to GET /vault when claim "scope" has "read" }
access shy { allow web to GET /small }
authenticate open { mtls permissive }
authenticate plain { mtls off }
authenticate vault {
  jwt corp { issuer "https://corp" audiences "vault" jwks inline "@JWKS@" }
}
rate-limit shy { 1/h }

traffic cart {
  set response header "x-cart" "1"
  route GET /teapot { respond 418 "short" }
  route /moved/** { redirect "/any/**" status 308 }
  route /v2/** { rewrite path "/any/**" set request header "x-v" "2" add request header "x-v" "3" remove request header "x-drop" }
  route /late { timeout 200ms }
  route /slow { idle-timeout 200ms }
  route GET /retry { retry 2 on 5xx { backoff 1ms..2ms } }
  route /told { fault abort 503 for 100% when header "x-fail" is present }
}
traffic rpc { fault abort 503 for 100% when header "x-fail" is present }
""".replace("@JWKS@", TokenIssuer.create().jwks.replace('"', '\\"'))


_OK: Final = Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request: `out` through its caller's sidecar too, `by` None without a certificate. `reply` is the application's."""

    name: str
    to: str = "cart"
    by: str | None = "web"
    out: bool = False
    message: HttpMessage
    reply: Reply = _OK
    claims: tuple[tuple[str, str], ...] | None = None


def h1(
    path: str, *headers: tuple[str, str], method: str = "GET", host: str | None = "cart.shop", body: bytes = b""
) -> Http1Request:
    return Http1Request(
        method=method.encode(),
        path=path.encode("latin-1"),
        host=None if host is None else host.encode(),
        headers=_fields(headers),
        body=body,
    )


def h2(
    path: str, *headers: tuple[str, str], method: str = "GET", host: str | None = "feed.shop", body: bytes = b""
) -> Http2Request:
    return Http2Request(
        method=method.encode(),
        path=path.encode("latin-1"),
        authority=None if host is None else host.encode(),
        headers=_fields(headers),
        body=body,
        scheme=b"https",
    )


def rpc(path: str, *headers: tuple[str, str]) -> Http2Request:
    return grpc_call(path.encode(), b"rpc.shop", _fields(headers))


def raw(*lines: str, body: bytes = b"", is_head: bool = False) -> RawHttp1Request:
    """Lines of a head, ended properly, and a body."""
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return RawHttp1Request(payload=head.encode("latin-1") + body, is_head=is_head)


def _fields(headers: tuple[tuple[str, str], ...]) -> Headers:
    return tuple((name.encode(), value.encode("latin-1")) for name, value in headers)


OPEN: Final = (("iss", "https://corp"), ("aud", "vault"))

INBOUND: Final = (
    Case(name="allowed", message=h1("/items/1")),
    Case(name="allowed with a query", message=h1("/items/1?a=b&c=%20")),
    Case(name="denied by default", message=h1("/other")),
    Case(name="denied method", message=h1("/items/1", method="DELETE")),
    Case(name="denied by a rule", message=h1("/any/secret/x")),
    Case(name="denied by a header", message=h1("/items/1", ("x-bad", ""))),
    Case(name="denied caller", by="feed", message=h1("/items/1")),
    Case(name="denied with a body", message=h1("/any/x", method="POST", body=b"hello")),
    Case(name="shadow rule", message=h1("/any/seen")),
    Case(name="no certificate", by=None, message=h1("/items/1")),
    Case(name="body", message=h1("/any/y", method="POST", body=b"hello" * 100)),
    Case(
        name="chunked body with trailers",
        message=raw(
            "POST /any/y HTTP/1.1",
            "Host: cart",
            "Transfer-Encoding: chunked",
            body=b"5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n",
        ),
    ),
    Case(name="head", message=h1("/items/1", method="HEAD")),
    Case(name="head denied", message=h1("/other", method="HEAD")),
    Case(name="no content", message=h1("/items/1"), reply=Reply(status=204)),
    Case(name="not modified", message=h1("/items/1"), reply=Reply(status=304)),
    Case(name="server error", message=h1("/items/1"), reply=Reply(status=500)),
    Case(
        name="answer headers",
        message=h1("/items/1"),
        reply=Reply(
            headers=(
                (b"Connection", b"keep-alive, x-hop"),
                (b"x-hop", b"1"),
                (b"X-Kept", b"1"),
                (b"x-envoy-upstream-service-time", b"7"),
                (b"server", b"mine"),
                (b"via", b"1.0 x"),
                (b"Set-Cookie", b"a=1"),
                (b"set-cookie", b"b=2"),
            )
        ),
    ),
    Case(name="cut within the answer", message=h1("/items/1"), reply=Reply(abort=Abort.AFTER_HEADERS)),
    Case(name="closed before an answer", message=h1("/items/1"), reply=Reply(abort=Abort.BEFORE_HEADERS)),
    Case(
        name="hop-by-hop",
        message=h1(
            "/items/1",
            ("Connection", "keep-alive, x-hop"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "x"),
            ("x-hop", "1"),
            ("te", "gzip"),
            ("x-kept", "1"),
        ),
    ),
    Case(name="te trailers", message=h1("/items/1", ("te", "trailers"), ("connection", "te"))),
    Case(
        name="upgrade to nothing known",
        message=h1(
            "/items/1",
            ("upgrade", "h2c"),
            ("connection", "upgrade, http2-settings"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ),
    ),
    Case(
        name="identity headers",
        message=h1(
            "/items/1",
            ("x-forwarded-client-cert", "By=x;URI=y"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("x-forwarded-proto", "gopher"),
            ("x-envoy-internal", "true"),
            ("x-envoy-original-path", "/x"),
            ("l5d-client-id", "me"),
            ("x-envoy-upstream-rq-timeout-ms", "1"),
            ("x-envoy-retry-on", "5xx"),
            ("x-envoy-external-address", "9.9.9.9"),
        ),
    ),
    Case(name="request id", message=h1("/items/1", ("x-request-id", "mine"))),
    Case(
        name="trace context",
        message=h1("/items/1", ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
    ),
    Case(name="two cookies", message=h1("/items/1", ("cookie", "a=1"), ("cookie", "b=2"))),
    Case(name="a header twice", message=h1("/items/1", ("x-a", "1"), ("x-a", "2"), ("accept", "a"), ("accept", "b"))),
    Case(name="an empty header", message=h1("/items/1", ("x-a", ""))),
    Case(name="spaces in a value", message=h1("/items/1", ("x-a", "  a  b  "))),
    Case(name="bytes above 127 in a value", message=h1("/items/1", ("x-a", "\xe9"))),
    Case(name="underscore in a name", message=h1("/items/1", ("x_a", "1"))),
    Case(name="host with a port", message=h1("/items/1", host="cart.shop:80")),
    Case(name="host with a final dot", message=h1("/items/1", host="cart.shop.")),
    Case(name="host in capitals", message=h1("/items/1", host="CART.shop")),
    Case(name="host of another", message=h1("/items/1", host="example.com")),
    Case(name="host without a name", message=h1("/items/1", host="")),
    Case(name="no host", message=h1("/items/1", host=None)),
    Case(name="two hosts", message=raw("GET /items/1 HTTP/1.1", "Host: cart", "Host: x")),
    Case(name="absolute form", message=h1("http://cart.shop/items/1")),
    Case(name="absolute form for another host", message=h1("http://other/items/1")),
    Case(name="absolute form without a path", message=h1("http://cart.shop")),
    Case(name="asterisk", message=raw("OPTIONS * HTTP/1.1", "Host: cart")),
    Case(name="connect", message=raw("CONNECT cart:80 HTTP/1.1", "Host: cart:80")),
    Case(name="slashes", message=h1("//any//x")),
    Case(name="dots", message=h1("/any/../items/1")),
    Case(name="encoded dots", message=h1("/any/%2e%2e/items/1")),
    Case(name="dots above the root", message=h1("/../items/1")),
    Case(name="encoded slash", message=h1("/any/a%2Fb")),
    Case(name="encoded backslash", message=h1("/any/a%5cb")),
    Case(name="backslash", message=h1("/any\\secret\\x")),
    Case(name="encoded letters", message=h1("/any/%73ecret/x")),
    Case(name="encoded zero", message=h1("/any/%00")),
    Case(name="bad escape", message=h1("/any/%zz")),
    Case(name="path parameter", message=h1("/any/secret;x=1/y")),
    Case(name="raw utf-8", message=h1("/any/\xc3\xa9")),
    Case(name="fragment", message=h1("/items/1#x")),
    Case(name="encoded question mark", message=h1("/any/a%3fb?c")),
    Case(name="reserved characters", message=h1("/any/a+b!$&'()*,;=:@-._~")),
    Case(name="escapes in lower case", message=h1("/any/%c3%a9%7e")),
    Case(name="http/1.0", message=raw("GET /items/1 HTTP/1.0", "Host: cart")),
    Case(name="http/1.0 without host", message=raw("GET /items/1 HTTP/1.0")),
    Case(name="lower-case method", message=h1("/any/x", method="get")),
    Case(name="odd method", message=h1("/any/z", method="PROPFIND")),
    Case(
        name="expect",
        message=raw("POST /any/y HTTP/1.1", "Host: cart", "Content-Length: 2", "Expect: 100-continue", body=b"hi"),
    ),
    Case(
        name="expectation unknown",
        message=raw("POST /any/y HTTP/1.1", "Host: cart", "Content-Length: 2", "Expect: x", body=b"hi"),
    ),
    Case(name="close asked for", message=h1("/items/1", ("connection", "close"))),
    Case(name="http2 to http1", message=h2("/items/1", ("te", "trailers"), host="cart.shop")),
    Case(name="http2 cookies to http1", message=h2("/items/1", ("cookie", "a=1"), ("cookie", "b=2"), host="cart.shop")),
    Case(name="http2 body to http1", message=h2("/any/y", method="POST", body=b"hello", host="cart.shop")),
    Case(name="http2 host beside authority", message=h2("/items/1", ("host", "other"), host="cart.shop")),
    Case(name="http2 host without authority", message=h2("/items/1", ("host", "cart.shop"), host=None)),
    Case(name="http2 without any host", message=h2("/items/1", host=None)),
    Case(name="http2 connection header", message=h2("/items/1", ("connection", "close"), host="cart.shop")),
    Case(name="http2 te other", message=h2("/items/1", ("te", "gzip"), host="cart.shop")),
    Case(name="http2 capital name", message=h2("/items/1", ("X-A", "1"), host="cart.shop")),
    Case(
        name="http2 content-length wrong",
        message=h2("/any/y", ("content-length", "9"), method="POST", body=b"hello", host="cart.shop"),
    ),
    Case(name="http2 line feed in a value", message=h2("/items/1", ("x-a", "1\r\nx-b: 2"), host="cart.shop")),
    Case(name="http2 denied", message=h2("/other", host="cart.shop")),
    Case(name="http2 head", message=h2("/items/1", method="HEAD", host="cart.shop")),
    Case(name="http2 through", to="feed", message=h2("/any/x")),
    Case(name="http2 through with authority's port", to="feed", message=h2("/any/x", host="feed.shop:80")),
    Case(
        name="http1 to http2", to="feed", message=h1("/any/x", ("cookie", "a=1"), ("cookie", "b=2"), host="feed.shop")
    ),
    Case(name="http1 body to http2", to="feed", message=h1("/any/x", method="POST", body=b"hello", host="feed.shop")),
    Case(name="reset by http2", to="feed", message=h2("/any/x"), reply=Reply(abort=Abort.BEFORE_HEADERS)),
    Case(name="refused by http2", to="feed", message=h2("/any/x"), reply=Reply(abort=Abort.REFUSE)),
    Case(name="cut by http2", to="feed", message=h2("/any/x"), reply=Reply(abort=Abort.AFTER_HEADERS)),
    Case(name="grpc", to="rpc", message=rpc("/shop.Rpc/Get")),
    Case(name="grpc denied", to="rpc", message=rpc("/shop.Rpc/Put")),
    Case(
        name="grpc status in trailers",
        to="rpc",
        message=rpc("/shop.Rpc/Get"),
        reply=Reply(grpc_status=5, has_begun=True),
    ),
    Case(name="grpc status in headers", to="rpc", message=rpc("/shop.Rpc/Get"), reply=Reply(grpc_status=5)),
    Case(name="grpc cut", to="rpc", message=rpc("/shop.Rpc/Get"), reply=Reply(abort=Abort.AFTER_HEADERS)),
    Case(name="grpc closed", to="rpc", message=rpc("/shop.Rpc/Get"), reply=Reply(abort=Abort.BEFORE_HEADERS)),
    Case(name="grpc failing http", to="rpc", message=rpc("/shop.Rpc/Get"), reply=Reply(status=503)),
    Case(name="permissive without a certificate", to="open", by=None, message=h1("/public", host="open.shop")),
    Case(name="permissive, denied without a certificate", to="open", by=None, message=h1("/private", host="open.shop")),
    Case(name="permissive with a certificate", to="open", message=h1("/private", host="open.shop")),
    Case(
        name="plaintext",
        to="plain",
        by=None,
        message=h1("/any/x", ("x-forwarded-client-cert", "URI=y"), host="plain.shop"),
    ),
    Case(name="plaintext denied", to="plain", by=None, message=h1("/x", host="plain.shop")),
    Case(name="tls on a plaintext port", to="plain", message=h1("/any/x", host="plain.shop")),
    Case(name="http2 in plaintext", to="plain", by=None, message=h2("/any/x", host="plain.shop")),
    Case(name="token", to="vault", message=h1("/vault", host="vault.shop"), claims=(*OPEN, ("scope", "read"))),
    Case(name="token without the claim", to="vault", message=h1("/vault", host="vault.shop"), claims=OPEN),
    Case(
        name="token of another audience",
        to="vault",
        message=h1("/open", host="vault.shop"),
        claims=(("iss", "https://corp"), ("aud", "x")),
    ),
    Case(
        name="token of another issuer",
        to="vault",
        message=h1("/open", host="vault.shop"),
        claims=(("iss", "https://x"), ("aud", "vault")),
    ),
    Case(name="no token", to="vault", message=h1("/vault", host="vault.shop")),
    Case(name="no token needed", to="vault", message=h1("/open", host="vault.shop")),
    Case(name="token that is none", to="vault", message=h1("/open", ("authorization", "Bearer x"), host="vault.shop")),
    Case(
        name="token of another kind",
        to="vault",
        message=h1("/open", ("authorization", "Basic eDp5"), host="vault.shop"),
    ),
    Case(name="first within the limit", to="shy", message=h1("/small", host="shy.shop")),
    Case(name="over the limit", to="shy", message=h1("/small", host="shy.shop")),
    Case(name="denied over the limit", to="shy", message=h1("/large", host="shy.shop")),
)

OUTBOUND: Final = (
    Case(name="call", message=h1("/items/1")),
    Case(name="call with a body", message=h1("/any/y", method="POST", body=b"hello")),
    Case(name="call by short name", message=h1("/items/1", host="cart")),
    Case(name="call by whole name", message=h1("/items/1", host="cart.shop.svc.cluster.local")),
    Case(name="call with a port", message=h1("/items/1", host="cart.shop:80")),
    Case(name="call with another port", message=h1("/items/1", host="cart.shop:81")),
    Case(name="call with a final dot", message=h1("/items/1", host="cart.shop.")),
    Case(name="call in capitals", message=h1("/items/1", host="CART.SHOP")),
    Case(name="call of nobody", message=h1("/items/1", host="example.com")),
    Case(name="call without host", message=h1("/items/1", host=None)),
    Case(name="call denied there", message=h1("/other")),
    Case(name="call answered here", message=h1("/teapot")),
    Case(name="call answered here, head", message=h1("/teapot", method="HEAD")),
    Case(name="call redirected", message=h1("/moved/a/b?c=d")),
    Case(name="call redirected with a port", message=h1("/moved/a", host="cart.shop:80")),
    Case(name="call rewritten", message=h1("/v2/a?c=d", ("x-drop", "1"), ("x-v", "1"))),
    Case(name="call rewritten with dots", message=h1("/v2/a/../b")),
    Case(name="call aborted", message=h1("/told", ("x-fail", "1"))),
    Case(name="call not aborted", message=h1("/told")),
    Case(
        name="call with identity headers",
        message=h1(
            "/items/1",
            ("x-forwarded-client-cert", "URI=y"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-envoy-upstream-rq-timeout-ms", "1"),
            ("x-request-id", "mine"),
            ("x-envoy-force-trace", "1"),
        ),
    ),
    Case(name="call too late", message=h1("/late"), reply=Reply(delay_s=1.0)),
    Case(name="call idle", message=h1("/slow"), reply=Reply(delay_s=1.0)),
    Case(name="call tried again", message=h1("/retry"), reply=Reply(status=500)),
    Case(name="call closed", message=h1("/items/1"), reply=Reply(abort=Abort.BEFORE_HEADERS)),
    Case(name="call cut", message=h1("/cut"), reply=Reply(abort=Abort.AFTER_HEADERS)),
    Case(name="call by http2", to="feed", message=h2("/any/x")),
    Case(name="call by http1 to http2", to="feed", message=h1("/any/x", host="feed.shop")),
    Case(name="call by http2 to http1", message=h2("/items/1", host="cart.shop")),
    Case(name="call of grpc", to="rpc", message=rpc("/shop.Rpc/Get")),
    Case(name="call of grpc denied", to="rpc", message=rpc("/shop.Rpc/Put")),
    Case(name="call of grpc aborted", to="rpc", message=rpc("/shop.Rpc/Get", ("x-fail", "1"))),
    Case(name="call of grpc for nobody", to="rpc", message=grpc_call(b"/shop.Rpc/Get", b"example.com")),
    Case(name="call of grpc closed", to="rpc", message=rpc("/shop.Rpc/Get"), reply=Reply(abort=Abort.BEFORE_HEADERS)),
    Case(name="call with dots", message=h1("/any/../items/1")),
    Case(name="call with an encoded slash", message=h1("/any/a%2Fb")),
    Case(name="call with a fragment", message=h1("/items/1#x")),
    Case(name="call with an underscore", message=h1("/items/1", ("x_a", "1"))),
    Case(name="call in absolute form", message=h1("http://cart.shop/items/1", host="other")),
    Case(name="call by http/1.0", message=raw("GET /items/1 HTTP/1.0", "Host: cart")),
    Case(name="call to connect", message=raw("CONNECT cart:80 HTTP/1.1", "Host: cart:80")),
)
