"""`parse` on texts without mistakes: the syntax tree, comments, spans."""

import meshc_grammar
from meshc import ast
from meshc.parse import Parsed, parse
from meshc.source import SourceFile, Span
from meshc.syntax.build import CALLBACKS

NOWHERE = Span("", 0, 0, 1, 1)


def read(text: str) -> Parsed:
    parsed = parse(SourceFile("p.mesh", text))
    assert parsed.diagnostics == ()
    return parsed


def only(text: str) -> ast.Declaration:
    (declaration,) = read(text).file.declarations
    return declaration


def condition(text: str) -> ast.Condition | None:
    access = only(f"access a {{ allow b when {text} }}")
    assert isinstance(access, ast.Access)
    return access.rules[0].condition


def name(text: str) -> ast.Name:
    return ast.Name(text=text, span=NOWHERE)


def quantity(text: str) -> ast.Quantity:
    return ast.Quantity(text=text, span=NOWHERE)


def string(value: str) -> ast.String:
    return ast.String(value=value, span=NOWHERE)


def service(text: str) -> ast.ServiceSource:
    return ast.ServiceSource(service=ast.Ref(name=text, span=NOWHERE), span=NOWHERE)


def host(value: str) -> ast.Test:
    return ast.Test(
        subject=ast.Subject(kind="host", span=NOWHERE), operator="==", operands=(string(value),), span=NOWHERE
    )


def test_every_rule_of_the_grammar_has_its_callback_and_no_other() -> None:
    used = {rule.name for rule in meshc_grammar.tables().rules if rule.name and not rule.origin.startswith("_")}
    known = [*CALLBACKS.parts, *CALLBACKS.nodes, *CALLBACKS.documented]
    assert used == set(known)
    assert len(known) == len(set(known))


def test_service() -> None:
    text = 'service a in b { port 80 tls target $t as web labels x = "1", "k/y" = "2" version v1 probe TCP on 81 endpoint "h:1" { weight 5 } }'
    assert only(text) == ast.Service(
        name=name("a"),
        namespace=name("b"),
        items=(
            ast.Port(
                number=quantity("80"),
                protocol=name("tls"),
                target=ast.Var(name="t", span=NOWHERE),
                name=name("web"),
                span=NOWHERE,
            ),
            ast.Labels(pairs=((name("x"), string("1")), (name("k/y"), string("2"))), span=NOWHERE),
            ast.Version(name=name("v1"), span=NOWHERE),
            ast.Probe(method=name("TCP"), port=quantity("81"), span=NOWHERE),
            ast.Endpoint(
                address=string("h:1"), items=(ast.EndpointWeight(weight=quantity("5"), span=NOWHERE),), span=NOWHERE
            ),
        ),
        span=NOWHERE,
    )


def test_rule() -> None:
    text = 'access a:http { shadow deny b, group r.g except anyone from 10.0.0.0/8 to GET|HEAD "/a,b", rpc p.S/* because "x" until 2027-03-31 }'
    access = only(text)
    assert isinstance(access, ast.Access)
    assert access.scope == ast.ServiceScope(service=ast.Ref(name="a", port="http", span=NOWHERE), span=NOWHERE)
    group = ast.GroupSource(group=ast.Ref(name="g", scope="r", span=NOWHERE), span=NOWHERE)
    assert access.rules == (
        ast.Rule(
            shadow=True,
            action="deny",
            sources=ast.Sources(include=(service("b"), group), exclude=(ast.AnyoneSource(span=NOWHERE),), span=NOWHERE),
            addresses=(quantity("10.0.0.0/8"),),
            operations=(
                ast.HttpOperation(
                    methods=(name("GET"), name("HEAD")), path=ast.Path(text="/a,b", span=NOWHERE), span=NOWHERE
                ),
                ast.RpcOperation(target=string("p.S/*"), span=NOWHERE),
            ),
            notes=(ast.Because(text=string("x"), span=NOWHERE), ast.Until(date=quantity("2027-03-31"), span=NOWHERE)),
            span=NOWHERE,
        ),
    )


def test_conditions_are_flat_and_keep_their_precedence() -> None:
    a, b, c, d = (host(letter) for letter in "abcd")
    both = ast.AllOf(conditions=(b, c, d), span=NOWHERE)
    assert condition('host == "a" or host == "b" and (host == "c" and host == "d")') == ast.AnyOf(
        conditions=(a, both), span=NOWHERE
    )
    either = ast.AnyOf(conditions=(a, b, c), span=NOWHERE)
    assert condition('(host == "a" or (host == "b")) or host == "c"') == either
    assert condition('not (host == "a" or host == "b" or host == "c") and host == "d"') == ast.AllOf(
        conditions=(ast.NotTest(condition=either, span=NOWHERE), d), span=NOWHERE
    )


def test_predicates() -> None:
    for text, operator, operands in (
        ('in ("a", 5)', "in", (string("a"), quantity("5"))),
        ('starts with "a"', "starts-with", (string("a"),)),
        ('matches re"a\\.\\"b\\\\"', "matches", (ast.Regex(pattern='a\\."b\\\\', span=NOWHERE),)),
        ("is absent", "absent", ()),
    ):
        subject = ast.Subject(kind="claim", arguments=(string("a"), string("b")), span=NOWHERE)
        assert condition(f'claim "a" "b" {text}') == ast.Test(
            subject=subject, operator=operator, operands=operands, span=NOWHERE
        )


def test_traffic() -> None:
    traffic = only(
        "traffic a uses r.p(1s, x: 5%), q { timeout 1s retry 2 on 5xx, reset { backoff 1ms..$high unsafe }"
        ' route GET /x, /y when host == "a" by group g -> a@v1 90%, a:80@v2 10% { respond 404 } rewrite path /z health-check GET /h { timeout 1s } }'
    )
    assert isinstance(traffic, ast.Traffic)
    one = ast.Argument(value=quantity("1s"), span=NOWHERE)
    two = ast.Argument(name=name("x"), value=quantity("5%"), span=NOWHERE)
    assert traffic.uses == (
        ast.Use(profile=ast.Ref(name="p", scope="r", span=NOWHERE), arguments=(one, two), span=NOWHERE),
        ast.Use(profile=ast.Ref(name="q", span=NOWHERE), span=NOWHERE),
    )
    backoff = ast.Range(low=quantity("1ms"), high=ast.Var(name="high", span=NOWHERE), span=NOWHERE)
    assert traffic.settings == (
        ast.Timeout(kind="timeout", duration=quantity("1s"), span=NOWHERE),
        ast.Retry(
            attempts=quantity("2"),
            conditions=(quantity("5xx"), name("reset")),
            options=(
                ast.Option(name=name("backoff"), value=backoff, span=NOWHERE),
                ast.Option(name=name("unsafe"), span=NOWHERE),
            ),
            span=NOWHERE,
        ),
        ast.RewritePath(path=ast.Path(text="/z", span=NOWHERE), span=NOWHERE),
        ast.HealthCheck(
            method=name("GET"),
            path=ast.Path(text="/h", span=NOWHERE),
            options=(ast.Option(name=name("timeout"), value=quantity("1s"), span=NOWHERE),),
            span=NOWHERE,
        ),
    )
    (route,) = traffic.routes
    assert [operation.path for operation in route.operations if isinstance(operation, ast.HttpOperation)] == [
        ast.Path(text="/x", span=NOWHERE),
        ast.Path(text="/y", span=NOWHERE),
    ]
    assert route.destinations[1].target == ast.Ref(name="a", port="80", version="v2", span=NOWHERE)


def test_requests() -> None:
    test = only(
        'test "t" { expect a GET b:80 "/x y" from ::1 with claim "a" "b" "v", host "h" -> redirect "/z" allow a GRPC b p.S/M allow a TCP b }'
    )
    assert isinstance(test, ast.TestDecl)
    expectation, *others = test.cases
    assert isinstance(expectation, ast.ExpectTest)
    assert expectation.redirect == string("/z")
    assert expectation.request.target == string("/x y")
    assert expectation.request.attributes == (
        ast.Attribute(kind="claim", names=(string("a"), string("b")), value=string("v"), span=NOWHERE),
        ast.Attribute(kind="host", names=(), value=string("h"), span=NOWHERE),
    )
    assert [case.request.target for case in others if isinstance(case, ast.AccessTest)] == [string("p.S/M"), None]


def test_the_rest_of_the_declarations() -> None:
    text = """import "a.mesh" as r  inventory "k/*.yaml"
    mesh m { trust-domain "a" also "b", $c cluster-domain "d" trusted-hops 1 default access deny }
    namespace n { mtls off }  external e in n { host "a", "b" port 443 https }
    let l = 1s, re"x"  group g = a, namespace n  profile p(x: int = 5, y: size) uses q { retry never }
    rate-limit a { 10/s burst 5 per header "x" to /y }
    authenticate namespace n { port admin mtls strict jwt j { issuer "i" jwks url "u" from-header "x" "Bearer" required } }
    telemetry mesh { trace 5% to otlp "c:1" }
    environment v { invariant "i" { never a reaches b from 10.0.0.1 transitively encrypted mesh } }"""
    kinds = [type(declaration).__name__ for declaration in read(text).file.declarations]
    assert kinds == [
        "Import",
        "Inventory",
        "MeshDecl",
        "Namespace",
        "External",
        "Let",
        "Group",
        "Profile",
        "RateLimit",
        "Authenticate",
        "Telemetry",
        "Environment",
    ]


def test_keywords_are_names_where_no_keyword_may_stand() -> None:
    declaration = only("group timeout = route, from, service, when, to")
    assert isinstance(declaration, ast.Group)
    assert declaration.members == tuple(service(text) for text in ("route", "from", "service", "when", "to"))


def test_string_escapes() -> None:
    declaration = only(r'let x = "\"\\\n\t\u{e9}\u{1F600}"')
    assert isinstance(declaration, ast.Let)
    assert declaration.values == (string('"\\\n\té😀'),)


def test_doc_comments_belong_to_what_they_stand_above() -> None:
    access, other = read(
        "## not this one\n\n## first\n## second\n# plain\naccess a { ## beside\n  ##rule\n  # meshc: allow(x)\n  allow b\n  allow c\n}\nservice s in n\n"
    ).file.declarations
    assert isinstance(access, ast.Access)
    assert isinstance(other, ast.Service)
    assert access.doc == "first\nsecond"
    assert [rule.doc for rule in access.rules] == ["rule", None]
    assert other.doc is None


def test_comments_are_kept_with_their_places() -> None:
    comments = read("# one\r\naccess a { # two\r\n  allow b\r\n}\r\n  # three").comments
    assert [(c.text, c.is_own_line, c.span.line, c.span.column) for c in comments] == [
        ("# one", True, 1, 1),
        ("# two", False, 2, 12),
        ("# three", True, 5, 3),
    ]


def test_spans_cover_their_text() -> None:
    text = "\n  service a in b\n{ port 80 http }\r\nlet x = 5s"
    first, second = read(text).file.declarations
    assert text[first.span.start : first.span.end] == "service a in b\n{ port 80 http }"
    assert (first.span.line, first.span.column) == (2, 3)
    assert text[second.span.start : second.span.end] == "let x = 5s"
    assert (second.span.line, second.span.column) == (4, 1)


def test_an_empty_file_has_no_declarations() -> None:
    assert read("").file.declarations == ()
    assert read("\n \t\r\n# only a comment").file.declarations == ()
