"""Random requests that nearly fit a random program: another method, a longer path, an escape, no identity, a doubled header."""

from hypothesis import strategies as st

from meshc.request import Claim, Request
from meshc_harness.programs import FEDERATED, FOREIGN, HOSTS, QUERY_NAMES, QUERY_TEXTS, TRUST_DOMAIN, Port

_IDENTITIES = (
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/front",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/front",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/back",
    f"spiffe://{TRUST_DOMAIN}/ns/b/sa/data",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/frontx",
    f"spiffe://{FEDERATED}/ns/ops/sa/bot",
    f"spiffe://{FEDERATED}/ns/opsx/sa/bot",
    f"spiffe://{FEDERATED}/ns/a/sa/front",
    f"spiffe://{FOREIGN}/ns/a/sa/front",
    None,
)
_ADDRESSES = ("127.0.0.1", "10.1.2.3", "10.1.2.4", "10.2.0.1", "11.0.0.1", "192.168.0.9", "192.168.1.9", "2001:db8::1")
_METHODS = ("GET", "GET", "POST", "HEAD", "DELETE", "PUT", "PURGE", "get", "OPTIONS")
_STEMS = (
    "/a", "/a/b", "/a/b/c", "/a/1", "/a/1/c", "/b", "/", "/b;v", "/%20x", "/x.js", "/abb/", "/shop.Cart/Add",
    "/shop.Cart/Get", "/shop.Admin/Drop",
)  # fmt: skip
_TWISTS = (
    "{0}", "{0}", "{0}", "{0}", "{0}/", "{0}/x", "{0}x", "/{0}", "/.{0}", "/x/..{0}", "{0}/../a", "{0}//", "{0}?x=/a", "{0}%2fa",
    "{0}%2e", "{0};p", "{0}/%2e%2e", "{0}%61", "{0}%2561", "{0}#f", "{0}\\b", "{0}/..", "{0}/.", "{0}%7E", "{0}^", "{0}%00",
)  # fmt: skip
_VALUES = ("yes", "no", "yes ", " yes", "Yes", "yes,no", "eu-west", "", "no\t", "other")
_SCOPES: tuple[Claim, ...] = ("read", "read write", "writeread", ["read"], ["write", "admin"], 7, [7], {"a": "read"})


@st.composite
def requests_to(draw: st.DrawFn, port: Port) -> Request:
    """A request to a port of a random program."""
    if port.protocol in {"tcp", "tls"}:
        return Request(
            identity=draw(st.sampled_from(_IDENTITIES)),
            namespace=port.namespace,
            service=port.service,
            port=port.number,
            source_ip=draw(st.sampled_from(_ADDRESSES)),
            sni=draw(st.sampled_from((None, "db.example", "api.db.example", "DB.example", "evil.example")))
            if port.protocol == "tls"
            else None,
        )
    return Request(
        identity=draw(st.sampled_from(_IDENTITIES)),
        namespace=port.namespace,
        service=port.service,
        port=port.number,
        method=draw(st.sampled_from(_METHODS)),
        path=draw(st.sampled_from(_TWISTS)).format(draw(st.sampled_from(_STEMS))),
        headers=tuple(draw(st.lists(_headers(), max_size=3))),
        host=draw(st.sampled_from((None, None, *HOSTS, "FRONT.a", "front.a.", "front.a:99"))),
        query=tuple(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(QUERY_NAMES), st.sampled_from((*QUERY_TEXTS, "%31", "11"))), max_size=2
                )
            )
        ),
        claims=draw(st.one_of(st.none(), _claims())),
        source_ip=draw(st.sampled_from(_ADDRESSES)),
    )


def _headers() -> st.SearchStrategy[tuple[str, str]]:
    name = st.sampled_from(("x-a", "x-b", "X-A", "x-c"))
    forwarded = st.sampled_from(("10.1.2.3", "10.2.0.1", "1.2.3.4, 10.1.2.3", "junk"))
    return st.one_of(
        st.tuples(name, st.sampled_from(_VALUES)),
        st.tuples(name, st.sampled_from(_VALUES)),
        st.tuples(st.just("x-forwarded-for"), forwarded),
    )


def _claims() -> st.SearchStrategy[dict[str, Claim]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "scope": st.sampled_from(_SCOPES),
            "role": st.sampled_from(_SCOPES),
            "org": st.sampled_from(({"team": "read"}, {"team": ["admin"]}, "read", {})),
            "sub": st.sampled_from(("alice", "bob", "")),
            "iss": st.sampled_from(("https://idp.example", "https://evil.example")),
            "aud": st.sampled_from(("m", ["m", "n"], "n")),
        },
    )
