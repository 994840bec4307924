"""Random well-typed programs, as text, and what their requests may be made of.

Everything is drawn from small pools, so that rules and requests often speak of the same things and often just miss.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

TRUST_DOMAIN = "shop.example"
FEDERATED = "ops.example"
FOREIGN = "shop.example.evil"

PATHS = ("/a", "/a/", "/a/b", "/a/{id}", "/a/{id}/c", "/a/**", "/a/b/**", "/{x}/b", "/**", "/", "/b;v", "/%20x")
PATH_REGEXES = ('re"/a/[0-9]+"', 're"/(a|b)(/.*)?"', 're".*\\\\.js"', 're"/a(b{1,3}/)*"')
METHODS = ("GET", "POST", "GET|HEAD", "DELETE", "PATCH|PUT", "PURGE")
RPCS = ("shop.Cart/Add", "shop.Cart/Get", "shop.Cart/*", "shop.Admin/*")
CIDRS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/24", "2001:db8::/32", "0.0.0.0/0")
HEADERS = ("x-a", "x-b")
TEXTS = ("yes", "no", "eu-west", "", "Yes")
REGEXES = ('re"[a-z]+"', 're"(yes|no)"', 're"eu-.*"', 're""')
QUERY_NAMES = ("q", "debug")
QUERY_TEXTS = ("1", "on", "")
HOSTS = ("front.a", "other.example")
CLAIMS = ('"scope"', '"role"', '"org" "team"')
CLAIM_TEXTS = ("read", "write", "admin")
SNIS = ("db.example", "api.db.example")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a random program: `protocol` as the language spells it."""

    service: str
    namespace: str
    number: int
    protocol: str
    has_jwt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomProgram:
    """A program's text, and its ports."""

    text: str
    ports: tuple[Port, ...]


_SERVICES = (("front", "a"), ("back", "a"), ("data", "b"))
_NUMBERS = {"http": 8080, "http2": 8081, "grpc": 9090, "tcp": 5432, "tls": 8443}


@st.composite
def programs(draw: st.DrawFn) -> RandomProgram:
    """A program of three services with one or two ports each. Every rule has a line of its own."""
    ports: list[Port] = []
    lines = [
        _mesh(draw(st.sampled_from(("deny", "deny", "allow")))),
        draw(
            st.sampled_from(("namespace a", "namespace a { default access allow }", "namespace a { mtls permissive }"))
        ),
        "namespace b",
        "group g = front, data",
        "let nets = 10.1.0.0/16, 192.168.0.0/24",
    ]
    protocols = draw(
        st.lists(
            st.lists(st.sampled_from(tuple(_NUMBERS)), min_size=1, max_size=2, unique=True), min_size=3, max_size=3
        )
    )
    for (name, namespace), spoken in zip(_SERVICES, protocols, strict=True):
        listed = " ".join(
            f"port {_NUMBERS[protocol]} {protocol} target {_NUMBERS[protocol] + 1000}" for protocol in spoken
        )
        lines.append(f"service {name} in {namespace} {{ {listed} }}")
        has_jwt = draw(st.booleans()) and any(protocol in {"http", "http2", "grpc"} for protocol in spoken)
        if has_jwt:
            lines.append(_jwt(name, required=draw(st.booleans())))
        mode = draw(st.sampled_from((None, None, "strict", "permissive", "off")))
        if mode is not None and spoken != ["tls"]:
            lines.append(f"authenticate {name} {{ mtls {mode} }}")
        ports.extend(
            Port(
                service=name,
                namespace=namespace,
                number=_NUMBERS[protocol],
                protocol=protocol,
                has_jwt=has_jwt and protocol in {"http", "http2", "grpc"},
            )
            for protocol in spoken
        )
    for port in ports:
        rules = draw(st.lists(rules_of(port), max_size=5))
        if rules:
            lines.extend((f"access {port.service}:{port.number} {{", *rules, "}"))
    wide = Port(service="", namespace="", number=0, protocol="any", has_jwt=False)
    for scope in ("mesh", "namespace a"):
        for rule in draw(st.lists(rules_of(wide), max_size=1)):
            lines.extend((f"access {scope} {{", rule, "}"))
    return RandomProgram(text="\n".join(lines) + "\n", ports=tuple(ports))


def _mesh(default: str) -> str:
    domains = f'trust-domain "{TRUST_DOMAIN}" also "{FEDERATED}"'
    return f"mesh m {{ {domains} default access {default} trusted-hops 1 }}"


def _jwt(service: str, *, required: bool) -> str:
    return (
        f'authenticate {service} {{ jwt corp {{ issuer "https://idp.example" audiences "m" '
        f'jwks file "keys.json" {"required" if required else ""} }} }}'
    )


@st.composite
def rules_of(draw: st.DrawFn, port: Port) -> str:
    """One rule that may stand in the scope of a port; `any` is a scope of many ports."""
    parts = []
    if draw(st.integers(0, 9)) == 0:
        parts.append("shadow")
    parts.append(draw(st.sampled_from(("allow", "allow", "deny"))))
    parts.append("anyone" if port.protocol == "tls" else draw(sources()))
    if draw(st.integers(0, 2)) == 0:
        parts.append("from " + draw(st.sampled_from((*CIDRS, "$nets", "10.1.2.3, 2001:db8::/32"))))
    is_http = port.protocol in {"http", "http2", "grpc", "any"}
    if is_http and draw(st.integers(0, 3)) > 0:
        found = draw(st.lists(operations(port.protocol), min_size=1, max_size=2))
        parts.append("to " + ", ".join(found))
    if draw(st.integers(0, 2)) == 0:
        parts.append("when " + draw(conditions(port)))
    return " ".join(parts)


def sources() -> st.SearchStrategy[str]:
    """A list of sources."""
    one = st.sampled_from(
        (
            "front",
            "back",
            "data",
            "namespace a",
            "group g",
            "authenticated",
            "anyone",
            f'identity "spiffe://{FEDERATED}/ns/ops/sa/bot"',
            f'identity "spiffe://{FEDERATED}/ns/ops/*"',
            f'identity "spiffe://{TRUST_DOMAIN}/ns/a/sa/front"',
        )
    )
    listed = st.lists(one, min_size=1, max_size=2, unique=True).map(", ".join)
    return st.one_of(listed, listed, st.tuples(listed, listed).map(" except ".join))


@st.composite
def operations(draw: st.DrawFn, protocol: str) -> str:
    """One operation that a port of this protocol may have."""
    if protocol in {"http2", "grpc"} and draw(st.booleans()):
        return "rpc " + draw(st.sampled_from(RPCS))
    kind = draw(st.integers(0, 3))
    path = draw(st.sampled_from((*PATHS, *PATHS, *PATH_REGEXES)))
    method = draw(st.sampled_from(METHODS))
    return {0: path, 1: method}.get(kind, f"{method} {path}")


def conditions(port: Port) -> st.SearchStrategy[str]:
    """A condition that may stand in the scope of a port."""
    address = st.builds("source ip in ({})".format, st.sampled_from(CIDRS))
    if port.protocol == "tcp":
        leaves: st.SearchStrategy[str] = address
    elif port.protocol == "tls":
        leaves = st.one_of(address, st.builds("sni {}".format, _text_test(SNIS, ('re".*\\\\.db\\\\.example"',))))
    else:
        leaves = st.one_of(address, *_http_tests(port))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]} and {pair[1]})"),
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]} or {pair[1]})"),
            inner.map("not ({})".format),
        ),
        max_leaves=3,
    )


def _http_tests(port: Port) -> tuple[st.SearchStrategy[str], ...]:
    header = st.tuples(st.sampled_from(HEADERS), _text_test(TEXTS, REGEXES)).map(lambda t: f'header "{t[0]}" {t[1]}')
    query = st.tuples(st.sampled_from(QUERY_NAMES), _text_test(QUERY_TEXTS, ('re"[0-9]+"',)))
    tests = [
        header,
        header,
        query.map(lambda t: f'query "{t[0]}" {t[1]}'),
        _text_test(HOSTS, ('re"[a-z.]+"',)).map("host {}".format),
        st.builds("remote ip in ({})".format, st.sampled_from(CIDRS)),
    ]
    if port.has_jwt:
        claim = st.one_of(_text_test(CLAIM_TEXTS, ('re"[a-z]+"',)), st.sampled_from(CLAIM_TEXTS).map('has "{}"'.format))
        tests.append(st.tuples(st.sampled_from(CLAIMS), claim).map(lambda t: f"claim {t[0]} {t[1]}"))
        tests.append(st.just('issuer == "https://idp.example"'))
        tests.append(_text_test(("alice", "bob"), ('re"a.*"',)).map("subject {}".format))
    return tuple(tests)


def _text_test(texts: tuple[str, ...], regexes: tuple[str, ...]) -> st.SearchStrategy[str]:
    text = st.sampled_from(texts).map('"{}"'.format)
    return st.one_of(
        st.tuples(st.sampled_from(("==", "!=", "starts with", "ends with")), text).map(" ".join),
        st.lists(text, min_size=1, max_size=2, unique=True).map(lambda found: f"in ({', '.join(found)})"),
        st.sampled_from(regexes).map("matches {}".format),
        st.sampled_from(("is present", "is absent")),
    )
