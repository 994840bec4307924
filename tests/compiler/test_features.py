"""Features: every one that the intermediate form can hold is found, at its place, and compared with a table."""

from dataclasses import replace

import pytest

from meshc import ir
from meshc.diagnostics import Severity
from meshc.features import Feature
from meshc.passes.support import check_support, has_errors
from meshc.passes.used_features import used_features
from meshc.source import Span
from meshc.target import Exactness, Support

Place = int


def at(line: int) -> Span:
    return Span("test.mesh", line, line, line, 1)


HERE = at(1)
OWN = ir.Destination(namespace="bank", service="payments", port=8080)
PLAIN = ir.Route(
    methods=(),
    path=ir.ANY_PATH,
    condition=ir.ALWAYS,
    callers=None,
    action=ir.Forward(destinations=(OWN,)),
    settings=ir.Settings(),
    span=HERE,
)
PORT = ir.PortPolicy(
    number=8080,
    protocol=ir.Protocol.HTTP,
    target=8080,
    name=None,
    mtls=ir.MtlsMode.STRICT,
    access=(),
    routes=(PLAIN,),
    settings=ir.Settings(),
    span=HERE,
)
ANYONE = ir.Principals(include=(ir.AnyPeer(),))


def mesh_of(port: ir.PortPolicy, **changes: object) -> ir.Mesh:
    workload = ir.Workload(
        namespace="bank",
        name="payments",
        service_account="payments",
        identity="spiffe://a/ns/bank/sa/payments",
        labels={},
        discovery=ir.Discovery.STATIC,
        ports=(port,),
        span=HERE,
    )
    mesh = ir.Mesh(name="m", trust_domains=("a",), cluster_domain="b", trusted_hops=0, workloads=(workload,), span=HERE)
    return replace(mesh, **changes)  # type: ignore[arg-type]


def names(mesh: ir.Mesh) -> set[Feature]:
    return {feature for feature, _ in used_features(mesh)}


BASE = names(mesh_of(PORT))


def rule(condition: ir.Condition, principals: ir.Principals = ANYONE) -> ir.PortPolicy:
    one = ir.Rule(identifier="r", principals=principals, condition=condition, span=at(7))
    return replace(PORT, access=(ir.Stage(effect=ir.Effect.ALLOW, rules=(one,), span=at(6)),))


def settings(**values: object) -> ir.PortPolicy:
    return replace(PORT, routes=(replace(PLAIN, settings=ir.Settings(**values)),))  # type: ignore[arg-type]


TESTS: tuple[tuple[ir.TextTest, str], ...] = (
    (ir.Equals("a"), "=="),
    (ir.StartsWith("a"), "starts with"),
    (ir.EndsWith("a"), "ends with"),
    (ir.Matches("a"), "matches"),
    (ir.IsPresent(), "is present"),
)


def test_a_plain_port() -> None:
    assert {Feature.DISCOVER_STATIC, Feature.PORT_HTTP, Feature.MTLS_STRICT, Feature.DEFAULT_ALLOW} == BASE


@pytest.mark.parametrize(("test", "word"), TESTS)
def test_text_tests(test: ir.TextTest, word: str) -> None:
    atoms: tuple[tuple[ir.Atom, str], ...] = (
        (ir.HostIs(test), "host"),
        (ir.HeaderIs("a", test), "header"),
        (ir.QueryIs("a", test), "query"),
        (ir.ClaimIs(("a",), test), "claim"),
        (ir.SniIs(test), "sni"),
    )
    for atom, subject in atoms:
        assert Feature(f"{subject} {word}") in names(mesh_of(rule(atom)))


@pytest.mark.parametrize(
    ("condition", "feature"),
    [
        (ir.MethodIs(("GET",)), Feature.METHOD),
        (ir.PathIs(ir.ExactPath("/a")), Feature.PATH_EXACT),
        (ir.PathIs(ir.TemplatePath(("a",), (), rest=True)), Feature.PATH_PREFIX),
        (ir.PathIs(ir.TemplatePath(("a", None), ("b",), rest=False)), Feature.PATH_TEMPLATE),
        (ir.PathIs(ir.RegexPath("/a")), Feature.PATH_REGEX),
        (ir.ClaimIs(("a",), ir.Contains("b")), Feature.CLAIM_HAS),
        (ir.ClaimIs(("a", "b"), ir.Equals("c")), Feature.CLAIM_NESTED),
        (ir.AddressIn(ir.AddressOf.PEER, ()), Feature.SOURCE_ADDRESS),
        (ir.AddressIn(ir.AddressOf.CLIENT, ()), Feature.REMOTE_ADDRESS),
        (ir.AnyOf((ir.MethodIs(("GET",)),)), Feature.CONDITION_OR),
        (ir.Not(ir.AllOf((ir.MethodIs(("GET",)),))), Feature.CONDITION_NOT),
    ],
)
def test_conditions(condition: ir.Condition, feature: Feature) -> None:
    assert (feature, at(7)) in used_features(mesh_of(rule(condition)))


def test_sources() -> None:
    principals = ir.Principals(
        include=(ir.AnyIdentity(), ir.ExactIdentity("spiffe://a/b"), ir.IdentityPrefix("spiffe://a/")),
        exclude=(ir.AnyPeer(),),
    )
    assert {
        Feature.SOURCE_AUTHENTICATED,
        Feature.SOURCE_IDENTITY,
        Feature.SOURCE_IDENTITY_PREFIX,
        Feature.SOURCE_ANYONE,
        Feature.SOURCE_EXCEPT,
    } <= names(mesh_of(rule(ir.ALWAYS, principals)))


def test_stages() -> None:
    denied = ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=at(5))
    shadow = ir.Stage(effect=ir.Effect.DENY, rules=(), shadow=True, span=at(4))
    used = used_features(mesh_of(replace(PORT, access=(denied, shadow))))
    assert (Feature.DEFAULT_DENY, at(5)) in used
    assert (Feature.RULE_SHADOW, at(4)) in used
    assert Feature.DEFAULT_ALLOW not in {feature for feature, _ in used}


@pytest.mark.parametrize(
    ("port", "feature"),
    [
        (settings(timeout_ms=1), Feature.TIMEOUT),
        (settings(idle_timeout_ms=1), Feature.IDLE_TIMEOUT),
        (settings(connect_timeout_ms=1), Feature.CONNECT_TIMEOUT),
        (settings(rewrite_path="/a"), Feature.REWRITE_PATH),
        (settings(rewrite_host="a"), Feature.REWRITE_HOST),
        (settings(tls_ca_file="a"), Feature.TLS_CA_FILE),
        (settings(tls_sni="a"), Feature.TLS_SNI),
        (settings(mirrors=(ir.Mirror(percent=1, destination=OWN, span=HERE),)), Feature.MIRROR),
        (settings(delays=(ir.FaultDelay(delay_ms=1, percent=1, condition=ir.ALWAYS, span=HERE),)), Feature.FAULT_DELAY),
        (settings(aborts=(ir.FaultAbort(status=500, percent=1, condition=ir.Not(ir.ALWAYS), span=HERE),)), Feature.FAULT_CONDITION),
        (settings(retry=ir.Retry(attempts=1, conditions=("5xx",), span=HERE)), Feature.RETRY_5XX),
        (settings(retry=ir.Retry(attempts=1, conditions=("internal",), span=HERE)), Feature.RETRY_GRPC),
        (settings(retry=ir.Retry(attempts=1, conditions=(), statuses=(500,), span=HERE)), Feature.RETRY_STATUS),
        (settings(retry=ir.Retry(attempts=1, conditions=(), per_try_ms=1, span=HERE)), Feature.RETRY_PER_TRY),
        (settings(retry=ir.Retry(attempts=1, conditions=(), backoff_ms=(1, 2), span=HERE)), Feature.RETRY_BACKOFF),
        (settings(retry=ir.Retry(attempts=1, conditions=(), budget_percent=1, span=HERE)), Feature.RETRY_BUDGET),
        (settings(load_balance=ir.LoadBalance(policy=ir.BalancePolicy.MAGLEV, span=HERE)), Feature.BALANCE_MAGLEV),
        (settings(circuit_breaker=ir.CircuitBreaker(pending=1, span=HERE)), Feature.BREAKER_PENDING),
        (settings(outlier_detection=ir.OutlierDetection(consecutive_5xx=1, span=HERE)), Feature.OUTLIER_5XX),
        (settings(health_check=ir.HealthCheck(path="/", span=HERE)), Feature.HEALTH_CHECK),
        (settings(locality=ir.Locality(failover=(("a", "b"),), span=HERE)), Feature.LOCALITY_FAILOVER),
        (
            settings(header_changes=(ir.HeaderChange(operation="set", direction="response", name="a", span=HERE),)),
            Feature.RESPONSE_HEADER_CHANGE,
        ),
        (replace(PORT, routes=(replace(PLAIN, methods=("GET",)),)), Feature.ROUTE_METHOD),
        (replace(PORT, routes=(replace(PLAIN, callers=ANYONE),)), Feature.ROUTE_SOURCES),
        (replace(PORT, routes=(replace(PLAIN, path=ir.RegexPath("/a")),)), Feature.ROUTE_REGEX),
        (replace(PORT, routes=(replace(PLAIN, condition=ir.HostIs(ir.IsPresent())),)), Feature.ROUTE_HOST),
        (replace(PORT, routes=(replace(PLAIN, condition=ir.MethodIs(("GET",))),)), Feature.ROUTE_OTHER_CONDITION),
        (replace(PORT, routes=(replace(PLAIN, action=ir.Respond(status=200, body="", span=HERE)),)), Feature.RESPOND),
        (
            replace(PORT, routes=(replace(PLAIN, action=ir.Forward(destinations=(replace(OWN, version="v1"), OWN))),)),
            Feature.SPLIT,
        ),
        (
            replace(PORT, routes=(replace(PLAIN, action=ir.Forward(destinations=(replace(OWN, port=1),))),)),
            Feature.OTHER_DESTINATION,
        ),
        (
            replace(PORT, limits=(ir.RateLimit(tokens=1, per_ms=1, burst=1, per="header:a", condition=ir.ALWAYS, span=HERE),)),
            Feature.RATE_LIMIT_PER_HEADER,
        ),
    ],
)  # fmt: skip
def test_traffic(port: ir.PortPolicy, feature: Feature) -> None:
    assert feature in names(mesh_of(port)) - BASE


def test_no_pair_twice() -> None:
    used = used_features(mesh_of(rule(ir.AllOf((ir.MethodIs(("GET",)), ir.MethodIs(("PUT",)))))))
    assert len(used) == len(set(used))


TABLE = {feature: Support(exactness=Exactness.EXACT) for feature in Feature}


def test_support_is_compared() -> None:
    mesh = mesh_of(rule(ir.MethodIs(("GET",))))
    assert check_support(mesh, "envoy", TABLE) == ()
    impossible = Support(exactness=Exactness.IMPOSSIBLE, note="no such thing", instead="remove it", may_omit=True)
    (error,) = check_support(mesh, "envoy", TABLE | {Feature.METHOD: impossible})
    assert (error.name, error.severity, error.span) == ("unsupported-by-target", Severity.ERROR, at(7))
    assert error.message == "envoy cannot express `method`: no such thing"
    assert error.help == ("remove it",)
    assert has_errors((error,))
    (warning,) = check_support(mesh, "envoy", TABLE | {Feature.METHOD: impossible}, omit=True)
    assert (warning.name, warning.severity) == ("target-differs", Severity.WARNING)


@pytest.mark.parametrize("exactness", [Exactness.APPROXIMATE, Exactness.STRICTER])
def test_differences_are_warnings(exactness: Exactness) -> None:
    table = TABLE | {Feature.METHOD: Support(exactness=exactness, note="lower case too")}
    (found,) = check_support(mesh_of(rule(ir.MethodIs(("GET",)))), "envoy", table)
    assert found.name == "target-differs"
    assert not has_errors((found,))
