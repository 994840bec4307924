"""The evaluator of Istio: AuthorizationPolicies, by the tables and observations of Istio's reference."""

from collections.abc import Mapping, Sequence

import pytest

from meshc_harness.istio import Answer, Arrival, IstioMesh, ServicePort, Token, Workload

WEB = Workload(
    namespace="shop",
    name="web",
    labels={"app": "web", "tier": "front"},
    service_account="web",
    ports=(
        ServicePort(number=80, target=8080, protocol="http"),
        ServicePort(number=5432, target=5432, protocol="tcp"),
        ServicePort(number=443, target=8443, protocol="tls"),
    ),
    versions={},
)
HTTP, TCP, TLS = WEB.ports
FRIEND = "spiffe://cluster.local/ns/shop/sa/friend"
JWT = {"spec": {"jwtRules": [{"issuer": "idp", "jwks": '{"keys": []}'}]}}


def policy(
    spec: Mapping[str, object], name: str = "p", namespace: str = "shop", **metadata: object
) -> dict[str, object]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


def answer(
    documents: Sequence[Mapping[str, object]],
    arrival: Arrival,
    port: ServicePort = HTTP,
    config: Mapping[str, object] | None = None,
) -> Answer:
    return IstioMesh.of(documents, config or {}, [WEB]).server.answer(WEB, port, arrival)


def allows(rule: Mapping[str, object], arrival: Arrival, port: ServicePort = HTTP, action: str = "ALLOW") -> bool:
    """Whether a policy of one rule lets a request through."""
    return answer([policy({"action": action, "rules": [rule]})], arrival, port).allowed


def get(target: str = "/", **fields: object) -> Arrival:
    known: dict[str, object] = {"method": "GET", "authority": "web.shop", "certificate": FRIEND, **fields}
    return Arrival(target=target, **known)  # type: ignore[arg-type]


def to(**operation: object) -> Mapping[str, object]:
    return {"to": [{"operation": operation}]}


def source(**fields: object) -> Mapping[str, object]:
    return {"from": [{"source": fields}]}


def when(key: str, **values: Sequence[str]) -> Mapping[str, object]:
    return {"when": [{"key": key, **values}]}


# ---- order and decision ---------------------------------------------------------------------------------------------


def test_without_policies_all_pass() -> None:
    assert answer([], get()) == Answer(allowed=True, status=None, policy="")


def test_an_allow_policy_without_rules_denies() -> None:
    assert answer([policy({})], get()) == Answer(allowed=False, status=403, policy="")


def test_an_empty_rule_matches_all() -> None:
    assert answer([policy({"rules": [{}]})], get()).allowed
    assert not answer([policy({"action": "DENY", "rules": [{}]})], get()).allowed


def test_deny_comes_before_allow_and_the_answer_names_the_rule() -> None:
    deny = policy({"action": "DENY", "rules": [to(paths=["/x"]), to(methods=["GET"])]}, name="d")
    found = answer([policy({"rules": [{}]}), deny], get())
    assert found == Answer(allowed=False, status=403, policy="AuthorizationPolicy shop/d rule 1")


def test_audit_and_dry_runs_decide_nothing() -> None:
    audit = policy({"action": "AUDIT", "rules": [{}]}, name="a")
    dry = policy({"action": "DENY", "rules": [{}]}, name="d", annotations={"istio.io/dry-run": "true"})
    dry_allow = policy({}, name="e", annotations={"istio.io/dry-run": "true"})
    assert answer([audit, dry, dry_allow], get()).allowed


def test_policies_of_one_action_are_a_union() -> None:
    one, two = policy({"rules": [to(paths=["/a"])]}, name="1"), policy({"rules": [to(paths=["/b"])]}, name="2")
    assert [answer([one, two], get(path)).allowed for path in ("/a", "/b", "/c")] == [True, True, False]


@pytest.mark.parametrize(
    ("namespace", "labels", "applies"),
    [
        ("shop", {}, True),
        ("shop", {"app": "web"}, True),
        ("shop", {"app": "web", "tier": "back"}, False),
        ("other", {}, False),
        ("istio-system", {}, True),
        ("istio-system", {"tier": "front"}, True),
    ],
)
def test_what_a_policy_is_attached_to(namespace: str, labels: Mapping[str, str], applies: bool) -> None:  # noqa: FBT001
    spec = {"selector": {"matchLabels": labels}} if labels else {}
    assert answer([policy(spec, namespace=namespace)], get()).allowed is not applies


def test_one_entry_is_all_of_its_fields_and_a_list_is_any_of_its_entries() -> None:
    both = {"to": [{"operation": {"methods": ["GET"], "paths": ["/a"]}}, {"operation": {"methods": ["POST"]}}]}
    assert allows(both, get("/a"))
    assert not allows(both, get("/b"))
    assert allows(both, get("/b", method="POST"))
    rule = {**source(namespaces=["shop"]), **to(paths=["/a"]), **when("request.headers[x]", values=["1"])}
    assert allows(rule, get("/a", headers=(("x", "1"),)))
    assert not allows(rule, get("/a"))
    assert not allows(rule, get("/b", headers=(("x", "1"),)))


def test_values_and_their_negation_are_both_asked() -> None:
    rule = to(paths=["/a*"], notPaths=["/ab"])
    assert [allows(rule, get(path)) for path in ("/a", "/ab", "/b")] == [True, False, False]


# ---- string forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a*", "/abc", True),
        ("*.js", "/x.js", True),
        ("*", "/anything", True),
        ("/a/*/b", "/a/x/b", False),
        ("/a/*/b", "/a/*/b", True),
        ("*b*", "/a/b*", True),
        ("*b*", "/abc", False),
        ("/A", "/a", False),
        ("/a", "/a?x=/b", True),
        ("/a", "/a#f", True),
    ],
)
def test_forms_of_paths(value: str, path: str, matches: bool) -> None:  # noqa: FBT001
    assert allows(to(paths=[value]), get(path)) is matches


@pytest.mark.parametrize(
    ("template", "path", "matches"),
    [
        ("/a/{**}", "/a/", True),
        ("/a/{**}", "/a/b/c", True),
        ("/a/{**}", "/a", False),
        ("/foo/{*}/bar/{**}", "/foo//bar/x", False),
        ("/foo/{*}/bar/{**}", "/foo/1/bar/x/y", True),
        ("/store/{**}/cart", "/store//cart", True),
        ("/store/{**}/cart", "/store/x/y/cart", True),
        ("/store/{**}/cart", "/store/cart", False),
        ("/a/{*}", "/a/x=1", True),
        ("/a/{*}", "/a/x*", True),
        ("/{*}/a*b", "/1/a*b", True),
        ("/{*}/a*b", "/1/axb", False),
        ("/a/{*}", "/a/[x]", False),
        ("/a/{*}", "/a/%5Bx", True),
        ("/a/{*}", "/a/", False),
        ("/a.b/{*}", "/axb/1", False),
    ],
)
def test_templates(template: str, path: str, matches: bool) -> None:  # noqa: FBT001
    assert allows(to(paths=[template]), get(path)) is matches


@pytest.mark.parametrize(
    ("value", "authority", "matches"),
    [
        ("*.ex.com", "a.EX.com", True),
        ("*.ex.com", "a.ex.com:8443", False),
        ("A.ex.com", "a.ex.com", True),
        ("a.ex.com:*", "a.ex.com:8443", True),
        ("a.ex.com:*", "a.ex.com", False),
        ("a.ex.com", "a.ex.com.", False),
    ],
)
def test_hosts_hold_their_port_and_ignore_case(value: str, authority: str, matches: bool) -> None:  # noqa: FBT001
    assert allows(to(hosts=[value]), get(authority=authority)) is matches


def test_methods_are_case_sensitive() -> None:
    assert not allows(to(methods=["get"]), get())
    assert allows(to(methods=["*"]), get())


def test_ports_are_those_of_the_workload() -> None:
    assert allows(to(ports=["8080"]), get())
    assert not allows(to(ports=["80"]), get())


@pytest.mark.parametrize(
    ("values", "lines", "matches"),
    [
        ({"values": ["1"]}, [("X", " 1 ")], True),
        ({"values": ["1"]}, [], False),
        ({"notValues": ["1"]}, [], True),
        ({"notValues": ["*"]}, [], True),
        ({"notValues": ["*"]}, [("x", "")], False),
        ({"values": ["*"]}, [("x", "")], True),
        ({"values": ["1"]}, [("x", "1"), ("x", "2")], False),
        ({"values": ["1,2"]}, [("x", "1"), ("x", "2")], True),
        ({"values": ["1*"]}, [("x", "1"), ("x", "2")], True),
        ({"values": ["*2"]}, [("x", "1"), ("x", "2")], True),
    ],
)
def test_headers_are_joined(values: Mapping[str, Sequence[str]], lines: list[tuple[str, str]], matches: bool) -> None:  # noqa: FBT001
    assert allows(when("request.headers[x]", **values), get(headers=tuple(lines))) is matches


# ---- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "identity", "matches"),
    [
        ({"principals": ["cluster.local/ns/shop/sa/friend"]}, FRIEND, True),
        ({"principals": ["*"]}, FRIEND, True),
        ({"principals": ["*"]}, None, False),
        ({"notPrincipals": ["*"]}, None, True),
        ({"principals": ["*/sa/friend"]}, FRIEND, True),
        ({"principals": ["cluster.local/ns/shop/*"]}, FRIEND, True),
        ({"principals": ["spiffe://cluster.local/ns/shop/sa/friend"]}, FRIEND, False),
        ({"namespaces": ["shop"]}, FRIEND, True),
        ({"namespaces": ["sho"]}, FRIEND, False),
        ({"namespaces": ["s*p"]}, FRIEND, True),
        ({"namespaces": ["shop"]}, None, False),
        ({"notNamespaces": ["shop"]}, None, True),
        ({"serviceAccounts": ["friend"]}, FRIEND, True),
        ({"serviceAccounts": ["shop/friend"]}, FRIEND, True),
        ({"serviceAccounts": ["bank/friend"]}, FRIEND, False),
        ({"serviceAccounts": ["frien"]}, FRIEND, False),
        ({"trustDomains": ["cluster.local"]}, FRIEND, True),
        ({"trustDomains": ["*.local"]}, FRIEND, True),
        ({"trustDomains": ["cluster"]}, FRIEND, False),
    ],
)
def test_identities(fields: Mapping[str, object], identity: str | None, matches: bool) -> None:  # noqa: FBT001
    assert allows(source(**fields), get(certificate=identity)) is matches


def test_aliases_stand_for_each_other_in_whole_principals() -> None:
    """A principal of one known trust domain is that of each: rules cannot tell federated domains apart this way."""
    config = {"trustDomain": "a.example", "trustDomainAliases": ["b.example"]}
    of_b = get(certificate="spiffe://b.example/ns/shop/sa/friend")

    def passes(value: str) -> bool:
        return answer([policy({"rules": [source(principals=[value])]})], of_b, config=config).allowed

    assert passes("a.example/ns/shop/sa/friend")
    assert passes("a.example/ns/shop/sa/*")
    assert passes("cluster.local/ns/shop/sa/friend")
    assert not passes("a.example/ns/shop/*")
    assert not passes("c.example/ns/shop/sa/friend")


@pytest.mark.parametrize(
    ("field", "block", "matches"),
    [
        ("ipBlocks", "10.0.0.0/8", True),
        ("ipBlocks", "1.2.3.4", False),
        ("remoteIpBlocks", "1.2.3.4", True),
        ("remoteIpBlocks", "10.0.0.0/8", False),
        ("notIpBlocks", "10.9.0.0/16", True),
        ("ipBlocks", "2001:db8::/32", False),
    ],
)
def test_addresses(field: str, block: str, matches: bool) -> None:  # noqa: FBT001
    arrival = get(peer="10.1.2.3", headers=(("x-forwarded-for", "9.9.9.9, 1.2.3.4"),))
    assert allows(source(**{field: [block]}), arrival) is matches


# ---- tokens ---------------------------------------------------------------------------------------------------------


def with_token(rule: Mapping[str, object], claims: Mapping[str, object]) -> bool:
    authentication = {**policy({}), "kind": "RequestAuthentication", **JWT}
    token = Token(claims={"iss": "idp", **claims})  # type: ignore[dict-item]
    return answer([authentication, policy({"rules": [rule]})], get(token=token)).allowed


@pytest.mark.parametrize(
    ("key", "values", "claims", "matches"),
    [
        ("role", ["admin"], {"role": "admin"}, True),
        ("role", ["ad*"], {"role": "admin"}, True),
        ("role", ["admin"], {"role": ["x", "admin"]}, True),
        ("role", ["*"], {"role": ""}, False),
        ("role", ["7"], {"role": 7}, False),
        ("role", ["true"], {"role": True}, False),
        ("role", ["admin"], {}, False),
        ("scope", ["read"], {"scope": "write read"}, True),
        ("scope", ["write read"], {"scope": "write read"}, False),
        ("other", ["read"], {"other": "write read"}, False),
        ("a][b", ["1"], {"a": {"b": "1"}}, True),
        ("a", ["1"], {"a": {"b": "1"}}, False),
    ],
)
def test_claims(key: str, values: list[str], claims: Mapping[str, object], matches: bool) -> None:  # noqa: FBT001
    assert with_token(when(f"request.auth.claims[{key}]", values=values), claims) is matches


def test_missing_claims_satisfy_their_negation() -> None:
    assert with_token(when("request.auth.claims[role]", notValues=["admin"]), {})
    assert with_token(when("request.auth.claims[role]", notValues=["*"]), {"role": 7})


@pytest.mark.parametrize(
    ("value", "claims", "matches"),
    [
        ("idp/bob", {"sub": "bob"}, True),
        ("idp/bo", {"sub": "bob"}, False),
        ("*", {"sub": "bob"}, True),
        ("*", {}, False),
        ("*", {"sub": ""}, False),
        ("*/bob", {"sub": "bob"}, True),
        ("idp/*", {"sub": "bob"}, True),
        ("idp/b*", {"sub": "bob"}, True),
        ("*ob", {"sub": "bob"}, True),
        ("other/*", {"sub": "bob"}, False),
    ],
)
def test_request_principals(value: str, claims: Mapping[str, object], matches: bool) -> None:  # noqa: FBT001
    assert with_token(source(requestPrincipals=[value]), claims) is matches


def test_audiences() -> None:
    assert with_token(when("request.auth.audiences", values=["a"]), {"aud": ["b", "a"]})
    assert not with_token(when("request.auth.presenter", values=["a"]), {"aud": "a"})


# ---- TCP chains -----------------------------------------------------------------------------------------------------


def test_http_fields_on_tcp() -> None:
    """An ALLOW rule is dropped, a DENY rule gets wider."""
    connection = Arrival(certificate=FRIEND)
    assert not allows(to(paths=["/a"]), connection, TCP)
    assert allows({}, connection, TCP)
    assert not allows(to(paths=["/a"]), connection, TCP, "DENY")
    assert not allows({"to": [{"operation": {"ports": ["5432"], "methods": ["GET"]}}]}, connection, TCP, "DENY")
    assert allows({"to": [{"operation": {"ports": ["8080"], "methods": ["GET"]}}]}, connection, TCP, "DENY")
    mixed = {"to": [{"operation": {"ports": ["5432"]}}, {"operation": {"methods": ["GET"]}}]}
    assert not allows(mixed, connection, TCP)
    assert not allows(when("request.headers[x]", notValues=["*"]), connection, TCP)
    assert allows(source(principals=["*/sa/friend"]), connection, TCP)


def test_a_refused_connection_has_no_status() -> None:
    assert answer([policy({})], Arrival(certificate=FRIEND), TCP) == Answer(allowed=False, status=None, policy="")


def test_server_names() -> None:
    rule = when("connection.sni", values=["*.db.example"])
    assert allows(rule, Arrival(sni="A.db.example"), TLS)
    assert not allows(rule, Arrival(), TLS)
