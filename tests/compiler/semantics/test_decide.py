"""Decisions, case by case."""

from dataclasses import replace

import pytest

from meshc import ir
from meshc.request import Decision, Request
from meshc.semantics import Evaluator, decide
from meshc_strategies.shop import CHECKOUT, FRONTEND, IDP, OPS, SHOP, at, port, route, rule, stage, to, workload

CHARGE = Request(identity=FRONTEND, namespace="bank", service="payments", port=8080, method="POST", path="/charge")
READ = replace(CHARGE, identity=CHECKOUT, method="GET", path="/charge/7", headers=(("X-Region", " eu "),))


def decided(request: Request, mesh: ir.Mesh = SHOP) -> tuple[bool | None, int | None, int | None]:
    decision = decide(mesh, request)
    return decision.allowed, decision.status, None if decision.rule is None else decision.rule.line


def with_payments(*ports: ir.PortPolicy, more: tuple[ir.Workload, ...] = ()) -> ir.Mesh:
    others = tuple(one for one in SHOP.workloads if (one.namespace, one.name) != ("bank", "payments"))
    return replace(SHOP, workloads=(*others, workload("bank", "payments", *ports), *more))


ACCESS = [
    ("allowed by a rule", CHARGE, (True, None, 30)),
    ("another method", replace(CHARGE, method="PUT"), (False, 403, 29)),
    ("method in another case", replace(CHARGE, method="post"), (False, 403, 29)),
    ("a longer path", replace(CHARGE, path="/charge/"), (False, 403, 29)),
    ("path in another case", replace(CHARGE, path="/Charge"), (False, 403, 29)),
    ("query is not path", replace(CHARGE, path="/charge?x=/internal"), (True, None, 30)),
    ("escaped path", replace(CHARGE, path="/x/%2e%2e//%63harge"), (True, None, 30)),
    ("denied address", replace(CHARGE, source_ip="10.66.1.2"), (False, 403, 20)),
    ("deny beats allow on the path", replace(CHARGE, path="/internal"), (False, 403, 21)),
    ("escaped slash", replace(CHARGE, path="/x%2f..%2fcharge"), (False, 400, None)),
    ("no identity", replace(CHARGE, identity=None), (False, None, None)),
    ("no identity comes before 400", replace(CHARGE, identity=None, path="/%2f"), (False, None, None)),
    (
        "foreign identity",
        replace(CHARGE, identity="spiffe://shop.example.evil/ns/shop/sa/frontend"),
        (False, None, None),
    ),
    ("federated identity", replace(CHARGE, identity=OPS), (False, 403, 29)),
    ("condition holds", READ, (True, None, 31)),
    ("header missing", replace(READ, headers=()), (False, 403, 29)),
    ("header twice, one fits", replace(READ, headers=(("x-region", "us"), ("x-region", "eu"))), (True, None, 31)),
    ("comma does not split", replace(READ, headers=(("x-region", "us,eu"),)), (False, 403, 29)),
    ("empty segment", replace(READ, path="/charge/"), (False, 403, 29)),
    ("CONNECT", replace(CHARGE, method="CONNECT"), (False, 400, None)),
    ("OPTIONS *", replace(CHARGE, method="OPTIONS", path="*"), (False, 400, None)),
    ("underscore header", replace(CHARGE, headers=(("x_region", "eu"),)), (False, 400, None)),
    ("wrong issuer", replace(CHARGE, claims={"iss": "https://evil.example"}), (False, 401, None)),
    ("wrong audience", replace(CHARGE, claims={"aud": ["shop"]}), (False, 401, None)),
    ("issuer and audience filled in", replace(CHARGE, claims={"scope": "x"}), (True, None, 30)),
    ("token comes before access", replace(CHARGE, path="/internal", claims={"iss": 7}), (False, 401, None)),
    (
        "tcp port, default deny",
        Request(identity=FRONTEND, namespace="bank", service="ledger", port=5432),
        (False, None, 50),
    ),
    ("permissive without identity", replace(CHARGE, identity=None, port=9090), (True, None, None)),
    ("permissive with a foreign identity", replace(CHARGE, identity="spiffe://evil/x", port=9090), (False, None, None)),
    ("an external needs no identity", replace(CHARGE, service="stripe", port=443, identity=None), (True, None, None)),
    ("unknown service", replace(CHARGE, service="payment"), (False, 404, None)),
    ("unknown port", replace(CHARGE, port=1), (False, 404, None)),
    ("request to a port of requests without method", replace(CHARGE, method=None, path=None), (False, 400, None)),
]


@pytest.mark.parametrize(("request_", "expected"), [case[1:] for case in ACCESS], ids=[case[0] for case in ACCESS])
def test_access(request_: Request, expected: tuple[bool, int | None, int | None]) -> None:
    assert decided(request_) == expected


def test_shadow_rules_are_reported_and_decide_nothing() -> None:
    decision = decide(SHOP, CHARGE)
    assert decision.allowed
    assert decision.shadow == (at(40),)


def test_reasons() -> None:
    assert decide(SHOP, replace(CHARGE, identity=None)).reason == "no verified identity"
    assert decide(SHOP, replace(CHARGE, method="PUT")).reason == "no allow rule matches"
    assert decide(SHOP, CHARGE).reason == ""
    ledger = Request(identity=FRONTEND, namespace="bank", service="ledger", port=5432)
    assert decide(SHOP, ledger).reason == "default access deny"


def test_required_token() -> None:
    mesh = with_payments(port(8080, jwts=(replace(IDP, required=True),)))
    assert decided(CHARGE, mesh) == (False, 401, None)
    assert decided(replace(CHARGE, claims={}), mesh) == (True, None, None)


@pytest.mark.parametrize("mode", [ir.MtlsMode.STRICT, ir.MtlsMode.PERMISSIVE, ir.MtlsMode.OFF])
@pytest.mark.parametrize("protocol", [ir.Protocol.TCP, ir.Protocol.TLS])
def test_who_has_an_identity(mode: ir.MtlsMode, protocol: ir.Protocol) -> None:
    access = (stage(ir.Effect.ALLOW, rule(1, (ir.AnyIdentity(),))),)
    mesh = with_payments(port(8080, protocol, mtls=mode, access=access))
    known = protocol is ir.Protocol.TCP and mode is not ir.MtlsMode.OFF
    assert decide(mesh, Request(identity=FRONTEND, namespace="bank", service="payments", port=8080)).allowed is known


PREFIX = ir.TemplatePath(("old",), (), rest=True)
CAPTURE = ir.TemplatePath(("item", None), ("id",), rest=False)


def routed(*routes: ir.Route, access: tuple[ir.Stage, ...] = (), more: tuple[ir.Workload, ...] = ()) -> ir.Mesh:
    last = route(99, ir.ANY_PATH, ir.Forward(destinations=(to("payments"),)))
    return with_payments(port(8080, routes=(*routes, last), access=access), more=more)


def decision_of(mesh: ir.Mesh, path: str, **more: object) -> Decision:
    return decide(mesh, replace(CHARGE, path=path, **more))


REWRITES = [
    (PREFIX, "/new/**", "/old/x/y", "/new/x/y"),
    (PREFIX, "/new/**", "/old", "/new"),
    (PREFIX, "/new/**", "/old/", "/new/"),
    (PREFIX, "/**", "/old", "/"),
    (PREFIX, "/**", "/old/x", "/x"),
    (CAPTURE, "/v2/{id}", "/item/7", "/v2/7"),
    (CAPTURE, "/{id}/{id}/{other}", "/item/7", "/7/7/%7Bother%7D"),
]


@pytest.mark.parametrize(("pattern", "target", "path", "sent"), REWRITES)
def test_access_judges_the_rewritten_path(pattern: ir.PathPattern, target: str, path: str, sent: str) -> None:
    action = ir.Forward(destinations=(to("payments"),))
    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.PathIs(ir.ExactPath(sent)))),)
    mesh = routed(route(3, pattern, action, settings=ir.Settings(rewrite_path=target)), access=access)
    decision = decision_of(mesh, path)
    assert (decision.allowed, decision.route) == (True, at(3))


@pytest.mark.parametrize(
    ("target", "path", "shown"), [("/charge", "/old/x", "/charge"), ("https://x/**", "/old/a?q", "https://x/a")]
)
def test_redirects_ask_nobody(target: str, path: str, shown: str) -> None:
    action = ir.Redirect(target=target, status=308, span=at(3))
    decision = decision_of(routed(route(3, PREFIX, action), access=(stage(ir.Effect.ALLOW),)), path)
    assert (decision.allowed, decision.status, decision.redirect) == (None, 308, shown)
    assert decision.destinations == ()


def test_fixed_responses_and_full_aborts_ask_nobody() -> None:
    abort = ir.FaultAbort(status=503, percent=100.0, condition=ir.HeaderIs("x-test", ir.IsPresent()), span=at(4))
    respond = ir.Respond(status=418, body="", span=at(3))
    mesh = routed(route(3, PREFIX, respond, settings=ir.Settings(aborts=(abort,))))
    assert decision_of(mesh, "/old").status == 418
    assert decision_of(mesh, "/old", headers=(("x-test", ""),)).status == 503
    rare = replace(abort, percent=1.0)
    mesh = routed(route(3, PREFIX, ir.Forward(destinations=(to("payments"),)), settings=ir.Settings(aborts=(rare,))))
    assert decision_of(mesh, "/old", headers=(("x-test", ""),)).faults == (rare,)
    assert decision_of(mesh, "/old").faults == ()


def test_settings_of_the_route_are_reported() -> None:
    retry = ir.Retry(attempts=2, conditions=("5xx",), span=at(1))
    mirror = ir.Mirror(percent=10.0, destination=to("payments", "v2"), span=at(1))
    settings = ir.Settings(timeout_ms=5000, retry=retry, mirrors=(mirror,))
    split = (to("payments", "v1", 95.0), to("payments", "v2", 5.0))
    decision = decision_of(routed(route(3, PREFIX, ir.Forward(destinations=split), settings=settings)), "/old")
    assert (decision.timeout_ms, decision.retries, decision.mirrors) == (5000, 2, (mirror,))
    assert decision.destinations == split


def test_the_first_matching_route_is_taken() -> None:
    one = ir.Forward(destinations=(to("payments", "v1"),))
    two = ir.Forward(destinations=(to("payments", "v2"),))
    first = route(3, PREFIX, one, methods=("GET",), callers=ir.Principals((ir.ExactIdentity(CHECKOUT),)))
    mesh = routed(first, route(4, PREFIX, two, condition=ir.QueryIs("v", ir.Equals("2"))))
    assert decision_of(mesh, "/old", method="GET", identity=CHECKOUT).route == at(3)
    assert decision_of(mesh, "/old", method="GET").route == at(99)
    assert decision_of(mesh, "/old?v=2&v=3", method="GET").route == at(4)
    assert decision_of(mesh, "/old?v=3&v=2", method="GET").route == at(99)


def test_a_list_without_a_match_answers_404() -> None:
    mesh = with_payments(port(8080, routes=(route(3, PREFIX, ir.Forward(destinations=(to("payments"),))),)))
    assert decided(CHARGE, mesh) == (None, 404, None)


def test_a_split_is_allowed_only_if_all_of_it_is() -> None:
    closed = workload("bank", "closed", port(8080, access=(stage(ir.Effect.ALLOW, line=7),)))
    for share, expected in ((5.0, (False, 403, 7)), (0.0, (True, None, None))):
        split = ir.Forward(destinations=(to("payments", None, 100.0 - share), to("closed", None, share)))
        assert decided(replace(CHARGE, path="/old"), routed(route(3, PREFIX, split), more=(closed,))) == expected


def test_header_changes_come_before_access_and_after_routing() -> None:
    def change(operation: str, value: str | None) -> ir.HeaderChange:
        return ir.HeaderChange(operation=operation, direction="request", name="x-a", value=value, span=at(1))

    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.HeaderIs("x-a", ir.Equals("1")))),)
    forward = ir.Forward(destinations=(to("payments"),))
    for changes, sent, expected in (
        ((change("set", "1"),), (("x-a", "2"),), True),
        ((change("set", "2"),), (("x-a", "1"),), False),
        ((change("add", "2"),), (("x-a", "1"),), True),
        ((change("remove", None),), (("x-a", "1"),), False),
        ((replace(change("set", "2"), direction="response"),), (("x-a", "1"),), True),
    ):
        mesh = routed(route(3, PREFIX, forward, settings=ir.Settings(header_changes=changes)), access=access)
        assert decision_of(mesh, "/old", headers=sent).allowed is expected


@pytest.mark.parametrize("name", ["x-forwarded-client-cert", "X-Envoy-Original-Path"])
def test_spoofable_headers_are_not_seen(name: str) -> None:
    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.HeaderIs(name.lower(), ir.IsPresent()))),)
    assert decided(replace(CHARGE, headers=((name, "x"),)), with_payments(port(8080, access=access)))[0] is False


def test_the_host_defaults_to_the_destinations_name() -> None:
    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.HostIs(ir.Equals("payments.bank")))),)
    mesh = with_payments(port(8080, access=access))
    assert decided(CHARGE, mesh)[0] is True
    assert decided(replace(CHARGE, host="PAYMENTS.bank.:8080"), mesh)[0] is True
    assert decided(replace(CHARGE, host="payments"), mesh)[0] is False


CLAIMS = [
    (ir.Equals("a"), "a", True),
    (ir.Equals("a"), ["a"], False),
    (ir.Equals("1"), 1, False),
    (ir.Contains("a"), ["b", "a"], True),
    (ir.Contains("a"), "b a", True),
    (ir.Contains("a"), "ba", False),
    (ir.Contains("a"), ["a", 1], True),
    (ir.Contains("a b"), ["a b"], True),
    (ir.IsPresent(), "", True),
    (ir.IsPresent(), ["a"], True),
    (ir.IsPresent(), [], False),
    (ir.IsPresent(), 0, False),
    (ir.IsPresent(), None, False),
    (ir.Matches("[a-z]é"), "aé", True),
    (ir.StartsWith("a"), "ab", True),
    (ir.EndsWith("a"), "ab", False),
]


@pytest.mark.parametrize(("test", "value", "expected"), CLAIMS)
def test_claims(test: ir.TextTest | ir.Contains, value: object, *, expected: bool) -> None:
    for path, claims in ((("c",), {"c": value}), (("o", "c"), {"o": {"c": value}})):
        access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.ClaimIs(path, test))),)
        mesh = with_payments(port(8080, access=access, jwts=(IDP,)))
        assert decided(replace(CHARGE, claims=claims), mesh)[0] is expected
        assert decided(CHARGE, mesh)[0] is False


def test_claims_of_a_port_without_jwt_are_none() -> None:
    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.ClaimIs(("c",), ir.IsPresent()))),)
    assert decided(replace(CHARGE, claims={"c": "x"}), with_payments(port(8080, access=access)))[0] is False


@pytest.mark.parametrize("text", ["\ud800", "é", "ÿ", "\U0001f600"])
def test_any_text_can_be_matched(text: str) -> None:
    """Byte by byte, as it is on the wire."""
    length = len(text.encode("utf-8", "surrogatepass"))
    for count, expected in ((length, True), (length - 1, False)):
        pattern = ir.Matches(f".{{{count}}}")
        access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.HeaderIs("x", pattern))),)
        mesh = with_payments(port(8080, access=access))
        assert decided(replace(CHARGE, headers=(("x", text),)), mesh)[0] is expected


def test_a_bad_pattern_is_told_when_the_mesh_is_compiled() -> None:
    access = (stage(ir.Effect.ALLOW, rule(5, (ir.AnyPeer(),), ir.HostIs(ir.Matches("(?=x)")))),)
    with pytest.raises(ValueError, match="RE2"):
        Evaluator(with_payments(port(8080, access=access)))
