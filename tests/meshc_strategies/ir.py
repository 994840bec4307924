"""Random `ir.Mesh`: three workloads and an external, with every atom, stage, route and mode that requests can tell apart."""

from dataclasses import replace
from ipaddress import ip_network

from hypothesis import strategies as st

from meshc import ir
from meshc.source import Span

DOMAIN = "mesh.test"
FEDERATED = "fed.test"


def span(line: int) -> Span:
    """A place that can be told from the others by its line."""
    return Span("random.mesh", line, line + 1, line, 1)


def identity(namespace: str, account: str, domain: str = DOMAIN) -> str:
    return f"spiffe://{domain}/ns/{namespace}/sa/{account}"


SERVICES = (("one", "a"), ("one", "b"), ("two", "c"))
EXTERNAL = ("two", "outside")
HTTP_PORT, TCP_PORT, TLS_PORT = 80, 90, 443
IDENTITIES = (*(identity(*key) for key in SERVICES), identity("ops", "x", FEDERATED), identity("one", "z"))
METHODS = ("GET", "POST", "DELETE")
HEADERS = ("x-a", "x-b")
TEXTS = ("1", "22", "a", "ab", "")
PATHS: tuple[ir.PathPattern, ...] = (
    ir.ExactPath("/"),
    ir.ExactPath("/a"),
    ir.ExactPath("/a/b"),
    ir.ExactPath("/a/"),
    ir.TemplatePath(("a", None), ("x",), rest=False),
    ir.TemplatePath((None, "b"), ("x",), rest=False),
    ir.TemplatePath((None, None), ("x", "y"), rest=True),
    ir.TemplatePath(("a",), (), rest=True),
    ir.TemplatePath(("a", "b"), (), rest=True),
    ir.TemplatePath(("a", None, ""), ("x",), rest=False),
    ir.ANY_PATH,
    ir.RegexPath("/a/[0-9]+"),
    ir.RegexPath("/(a|b)(/.*)?"),
)
BLOCKS = tuple(ip_network(text) for text in ("10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "::/0"))

texts: st.SearchStrategy[ir.TextTest] = st.one_of(
    st.builds(ir.Equals, st.sampled_from(TEXTS)),
    st.builds(ir.StartsWith, st.sampled_from(TEXTS)),
    st.builds(ir.EndsWith, st.sampled_from(TEXTS)),
    st.builds(ir.Matches, st.sampled_from(["[0-9]+", "a.?", "", ".*"])),
    st.just(ir.IsPresent()),
)
claim_paths = st.sampled_from([("scope",), ("org", "team"), ("iss",), ("sub",), ("aud",)])
atoms: st.SearchStrategy[ir.Atom] = st.one_of(
    st.builds(lambda one: ir.MethodIs(tuple(sorted(one))), st.sets(st.sampled_from(METHODS), min_size=1)),
    st.builds(ir.PathIs, st.sampled_from(PATHS)),
    st.builds(
        ir.HostIs, st.sampled_from([ir.Equals("a.one"), ir.EndsWith(".one"), ir.IsPresent(), ir.Equals("other")])
    ),
    st.builds(ir.HeaderIs, st.sampled_from(HEADERS), texts),
    st.builds(ir.QueryIs, st.sampled_from(["q", "r"]), texts),
    st.builds(ir.ClaimIs, claim_paths, st.one_of(texts, st.builds(ir.Contains, st.sampled_from(TEXTS[:4])))),
    st.builds(ir.SniIs, st.sampled_from([ir.Equals("a.one"), ir.IsPresent()])),
    st.builds(
        lambda address, blocks: ir.AddressIn(address, tuple(blocks)),
        st.sampled_from(ir.AddressOf),
        st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=2),
    ),
)
conditions: st.SearchStrategy[ir.Condition] = st.recursive(
    st.one_of(atoms, st.just(ir.ALWAYS)),
    lambda inner: st.one_of(
        st.builds(lambda parts: ir.AllOf(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: ir.AnyOf(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(ir.Not, inner),
    ),
    max_leaves=4,
)
single_principals: st.SearchStrategy[ir.Principal] = st.one_of(
    st.just(ir.AnyPeer()),
    st.just(ir.AnyIdentity()),
    st.builds(ir.ExactIdentity, st.sampled_from(IDENTITIES)),
    st.builds(ir.IdentityPrefix, st.sampled_from([f"spiffe://{DOMAIN}/ns/one/sa/", f"spiffe://{FEDERATED}/"])),
)
principals: st.SearchStrategy[ir.Principals] = st.builds(
    lambda include, exclude: ir.Principals(tuple(include), tuple(exclude)),
    st.lists(single_principals, min_size=1, max_size=2),
    st.lists(single_principals, max_size=1),
)


@st.composite
def rules(draw: st.DrawFn) -> ir.Rule:
    line = draw(st.integers(1, 99_999))
    return ir.Rule(identifier=f"rule-{line}", principals=draw(principals), condition=draw(conditions), span=span(line))


stages: st.SearchStrategy[ir.Stage] = st.builds(
    lambda effect, some, shadow: ir.Stage(effect=effect, rules=tuple(some), shadow=shadow, span=span(1)),
    st.sampled_from(ir.Effect),
    st.one_of(st.lists(rules(), min_size=2, max_size=5), st.lists(rules(), min_size=1, max_size=3), st.just([])),
    st.sampled_from([False, False, True]),
)


def destination(key: tuple[str, str], port: int, weight: float = 100.0, version: str | None = None) -> ir.Destination:
    return ir.Destination(namespace=key[0], service=key[1], port=port, version=version, weight=weight)


@st.composite
def settings(draw: st.DrawFn) -> ir.Settings:
    changes = st.builds(
        lambda operation, direction, name, value: ir.HeaderChange(
            operation=operation,
            direction=direction,
            name=name,
            value=None if operation == "remove" else value,
            span=span(2),
        ),
        st.sampled_from(["set", "add", "remove"]),
        st.sampled_from(["request", "response"]),
        st.sampled_from(HEADERS),
        st.sampled_from(TEXTS),
    )
    abort = st.builds(
        lambda percent, condition: ir.FaultAbort(status=503, percent=percent, condition=condition, span=span(3)),
        st.sampled_from([1.0, 100.0]),
        conditions,
    )
    return ir.Settings(
        timeout_ms=draw(st.sampled_from([None, 1000])),
        rewrite_path=draw(st.sampled_from([None, None, "/b", "/b/{x}", "/b/**", "/**"])),
        rewrite_host=draw(st.sampled_from([None, None, "other"])),
        header_changes=tuple(draw(st.lists(changes, max_size=2))),
        aborts=tuple(draw(st.lists(abort, max_size=1))) if draw(st.integers(0, 4)) == 0 else (),
    )


@st.composite
def routes(draw: st.DrawFn, port: int) -> ir.Route:
    target = draw(st.sampled_from(SERVICES))
    other = draw(st.sampled_from(SERVICES))
    share = draw(st.sampled_from([100.0, 50.0, 0.0]))
    split = (destination(target, port, share), destination(other, port, 100.0 - share, "v1"))
    actions: list[ir.Forward | ir.Redirect | ir.Respond] = [
        ir.Forward(destinations=(destination(target, port),)),
        ir.Forward(destinations=split),
        ir.Redirect(target="/moved/{x}/**", status=308, span=span(4)),
        ir.Respond(status=204, body="", span=span(5)),
    ]
    is_http = port == HTTP_PORT
    methods = draw(st.sets(st.sampled_from(METHODS), max_size=2)) if is_http else set()
    return ir.Route(
        methods=tuple(sorted(methods)),
        path=draw(st.sampled_from(PATHS)) if is_http else ir.ANY_PATH,
        condition=draw(conditions) if is_http else ir.ALWAYS,
        callers=draw(st.one_of(st.none(), principals)),
        action=draw(st.sampled_from(actions if is_http else actions[:2])),
        settings=draw(settings()) if is_http else ir.Settings(),
        span=span(draw(st.integers(1, 99_999))),
    )


def last_route(key: tuple[str, str], port: int) -> ir.Route:
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=ir.Forward(destinations=(destination(key, port),)),
        settings=ir.Settings(),
        span=span(6),
    )


providers = st.builds(
    lambda name, audiences, required: ir.Jwt(
        name=name,
        issuer=f"https://{name}.test",
        audiences=audiences,
        jwks_kind="inline",
        jwks="{}",
        from_headers=(("authorization", "Bearer "),),
        forward=False,
        required=required,
        span=span(7),
    ),
    st.sampled_from(["idp", "other"]),
    st.sampled_from([(), ("pay",), ("pay", "shop")]),
    st.booleans(),
)


@st.composite
def policies(draw: st.DrawFn, key: tuple[str, str], number: int) -> ir.PortPolicy:
    protocol = {HTTP_PORT: ir.Protocol.HTTP, TCP_PORT: ir.Protocol.TCP, TLS_PORT: ir.Protocol.TLS}[number]
    is_http = protocol.is_http
    some = draw(st.lists(routes(number), max_size=2)) if draw(st.booleans()) else []
    return ir.PortPolicy(
        number=number,
        protocol=protocol,
        target=number + 8000,
        name=f"p{number}",
        mtls=draw(st.sampled_from([ir.MtlsMode.PERMISSIVE, *ir.MtlsMode])),
        access=tuple(draw(st.lists(stages, min_size=draw(st.integers(0, 2)), max_size=3))),
        jwts=tuple(draw(st.lists(providers, max_size=2))) if is_http and draw(st.integers(0, 2)) == 2 else (),
        routes=(*some, last_route(key, number)) if some else (),
        settings=draw(settings()) if is_http else ir.Settings(),
        span=span(8),
    )


@st.composite
def meshes(draw: st.DrawFn) -> ir.Mesh:
    def ports(key: tuple[str, str]) -> tuple[ir.PortPolicy, ...]:
        return tuple(draw(policies(key, number)) for number in (HTTP_PORT, TCP_PORT, TLS_PORT))

    workloads = tuple(
        ir.Workload(
            namespace=key[0],
            name=key[1],
            service_account=key[1],
            identity=identity(*key),
            labels={"app": key[1]},
            discovery=ir.Discovery.KUBERNETES,
            ports=ports(key),
            span=span(9),
        )
        for key in SERVICES
    )
    outside = ir.External(
        namespace=EXTERNAL[0],
        name=EXTERNAL[1],
        hosts=("api.test", "*.api.test"),
        ports=(replace(draw(policies(EXTERNAL, HTTP_PORT)), protocol=ir.Protocol.HTTPS, jwts=()),),
        span=span(10),
    )
    return ir.Mesh(
        name="random",
        trust_domains=(DOMAIN, FEDERATED),
        cluster_domain="cluster.local",
        trusted_hops=draw(st.integers(0, 2)),
        workloads=workloads,
        externals=(outside,),
        span=span(11),
    )
