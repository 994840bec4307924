"""Random requests to the meshes of `meshc_strategies.ir`, and the near misses of one request."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st

from meshc.request import Request
from meshc_strategies.ir import EXTERNAL, HTTP_PORT, IDENTITIES, METHODS, SERVICES, TCP_PORT, TEXTS, TLS_PORT

TARGETS = (
    "/a", "/a/b", "/a/7", "/b/b", "/a/b/c", "/a", "/a/b", "/a/7", "/a/",
    "/", "/a", "/a/b", "/a/", "/a/7", "/b/b", "/a/b/c", "/ab", "//a", "/a/./b", "/x/../a", "/%61", "/a%2Fb", "/A", "/a?q=1",
    "/a/b?q=22&q=1&r", "/a#b", "/a%20b", "/a\\b", "a", "*", "/a/..;/b", "/%2e%2e/a", "/b/x/y/", "/a/%zz",
)  # fmt: skip
ADDRESSES = ("127.0.0.1", "10.1.2.3", "10.9.9.9", "192.168.0.1", "2001:db8::7", "junk")
CLAIMS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "iss": st.sampled_from(["https://idp.test", "https://other.test", "https://evil.test", 7]),
            "aud": st.sampled_from(["pay", "shop", ["shop", "x"], [], 1]),
            "scope": st.sampled_from(["1 22", "a", ["1", "ab"], ["1", 2], [], 5, True, None, {"a": "1"}]),
            "org": st.sampled_from([{"team": "a"}, {"team": ["ab"]}, "a", {}]),
            "sub": st.sampled_from(TEXTS),
        },
    ),
)
STRANGERS = (
    None,
    "spiffe://evil.test/ns/one/sa/a",
    "spiffe://mesh.test.evil/ns/one/sa/a",
    "spiffe://mesh.test",
    "nobody",
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    key, port = draw(
        st.one_of(
            st.tuples(
                st.sampled_from(SERVICES), st.sampled_from([HTTP_PORT, HTTP_PORT, HTTP_PORT, TCP_PORT, TLS_PORT])
            ),
            st.just((EXTERNAL, HTTP_PORT)),
        )
    )
    is_http = port == HTTP_PORT
    names = st.sampled_from(["x-a", "X-A", "x-b", "x-envoy-foo", "x-forwarded-for"])
    values = st.one_of(st.sampled_from(TEXTS), st.sampled_from([" 1 ", "a,b", "10.1.2.3", "10.1.2.3, 9.9.9.9"]))
    return Request(
        identity=draw(st.sampled_from([*IDENTITIES, *IDENTITIES, *STRANGERS])),
        namespace=key[0],
        service=key[1],
        port=port,
        method=draw(st.sampled_from([*METHODS, *METHODS, "get", "CONNECT"])) if is_http else None,
        path=draw(st.sampled_from(TARGETS)) if is_http else None,
        headers=tuple(draw(st.lists(st.tuples(names, values), max_size=3))) if is_http else (),
        host=draw(st.sampled_from([None, None, "A.ONE.:80", "other", "a/b"])) if is_http else None,
        query=tuple(draw(st.lists(st.tuples(st.sampled_from("qr"), st.sampled_from(TEXTS)), max_size=2)))
        if is_http
        else (),
        claims=draw(CLAIMS) if is_http else None,
        source_ip=draw(st.sampled_from(ADDRESSES)),
        sni=draw(st.sampled_from([None, "A.one", "b.one"])),
    )


def near_misses(request: Request) -> Iterator[Request]:
    """The request itself, and requests that differ from it in one thing."""
    yield request
    for identity in (*IDENTITIES, *STRANGERS):
        yield replace(request, identity=identity)
    for address in ADDRESSES:
        yield replace(request, source_ip=address)
    if request.method is None or request.path is None:
        return
    for method in METHODS:
        yield replace(request, method=method)
    path = request.path
    for other in (
        path + "/",
        path + "/x",
        path.replace("a", "%61"),
        path.replace("/", "//"),
        path.replace("/", "%2f", 1),
    ):
        yield replace(request, path=other)
    for name in dict.fromkeys(name.lower() for name, _ in request.headers):
        yield replace(request, headers=tuple(pair for pair in request.headers if pair[0].lower() != name))
    yield replace(request, headers=request.headers + request.headers)
    for value in TEXTS:
        yield replace(request, headers=(("x-a", value), *request.headers))
        yield replace(request, headers=(*request.headers, ("X-B", f" {value}\t")))
    yield replace(request, headers=(*request.headers, ("x_a", "1")))
    yield replace(request, claims=None if request.claims is not None else {})
