"""The evaluator of Istio refuses what Istio would, and what it does not know: section 8 of the reference."""

from collections.abc import Mapping

import pytest

from meshc_harness.istio import IstioMesh, RejectedError

SECURITY, NETWORKING = "security.istio.io/v1", "networking.istio.io/v1"
ROUTE = {"route": [{"destination": {"host": "web"}}]}


def read(version: str, kind: str, spec: object, **metadata: object) -> IstioMesh:
    document: Mapping[str, object] = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "shop", **metadata},
        "spec": spec,
    }
    return IstioMesh.of([document], {}, [])


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {"action": "DENY"},
        {"action": "CUSTOM", "rules": [{}]},
        {"action": "allow"},
        {"unknown": 1},
        {"rules": [{"from": []}]},
        {"rules": [{"to": []}]},
        {"rules": [{"from": [{"source": {}}]}]},
        {"rules": [{"to": [{"operation": {}}]}]},
        {"rules": [{"from": [{}]}]},
        {"rules": [{"from": [{"source": {"principals": [""]}}]}]},
        {"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/33"]}}]}]},
        {"rules": [{"from": [{"source": {"serviceAccounts": ["a"], "notNamespaces": ["b"]}}]}]},
        {"rules": [{"from": [{"source": {"serviceAccounts": ["a*"]}}]}]},
        {"rules": [{"from": [{"source": {"serviceAccounts": [f"s{n}" for n in range(17)]}}]}]},
        {"rules": [{"from": [{"source": {"trustDomains": ["a*b"]}}]}]},
        {"rules": [{"to": [{"operation": {"ports": [80]}}]}]},
        {"rules": [{"to": [{"operation": {"ports": ["http"]}}]}]},
        {"rules": [{"to": [{"operation": {"ports": ["70000"]}}]}]},
        {"rules": [{"to": [{"operation": {"paths": ["/{**}/{*}"]}}]}]},
        {"rules": [{"to": [{"operation": {"paths": ["/{**}/a/{**}"]}}]}]},
        {"rules": [{"to": [{"operation": {"paths": ["/a{*}"]}}]}]},
        {"rules": [{"to": [{"operation": {"paths": ["/{id}"]}}]}]},
        {"rules": [{"to": [{"operation": {"paths": ["/{*}/[x]"]}}]}]},
        {"rules": [{"when": [{"key": "source.ip"}]}]},
        {"rules": [{"when": [{"key": "request.headers", "values": ["a"]}]}]},
        {"rules": [{"when": [{"key": "unknown", "values": ["a"]}]}]},
        {"selector": {"matchLabels": {"": "a"}}},
        {"selector": {"matchLabels": {"a": "b*"}}},
        {"targetRefs": [{"kind": "Service", "name": "x"}]},
    ],
)
def test_authorization_policies(spec: object) -> None:
    with pytest.raises(RejectedError):
        read(SECURITY, "AuthorizationPolicy", spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("PeerAuthentication", {"portLevelMtls": {"80": {"mode": "STRICT"}}}),
        ("PeerAuthentication", {"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {}}),
        ("PeerAuthentication", {"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {"0": {"mode": "STRICT"}}}),
        ("PeerAuthentication", {"mtls": {"mode": "strict"}}),
        ("RequestAuthentication", {"jwtRules": [{"jwks": '{"keys": []}'}]}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwks": "no"}]}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwks": '{"keys": []}', "jwksUri": "https://x"}]}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwksUri": "ftp://x"}]}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwksUri": "https://x", "presence": "REQUIRED"}]}),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwksUri": "https://x", "audiences": [""]}]}),
    ],
)
def test_authentication(kind: str, spec: object) -> None:
    with pytest.raises(RejectedError):
        read(SECURITY, kind, spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"hosts": ["web"]},
        {"hosts": [], "http": [ROUTE]},
        {"hosts": ["*"], "http": [ROUTE]},
        {"hosts": ["web", "web"], "http": [ROUTE]},
        {"hosts": ["*.a.b", "x.a.b"], "http": [ROUTE]},
        {"hosts": ["We_b"], "http": [ROUTE]},
    ],
)
def test_virtual_services(spec: object) -> None:
    with pytest.raises(RejectedError):
        read(NETWORKING, "VirtualService", spec)


@pytest.mark.parametrize(
    "route",
    [
        {},
        {**ROUTE, "redirect": {"uri": "/"}},
        {"redirect": {}},
        {"redirect": {"uri": "/", "redirectCode": 300}},
        {"redirect": {"uri": "/", "prefixRewrite": "/"}},
        {"redirect": {"prefixRewrite": "/"}},
        {"redirect": {"uri": "/"}, "fault": {"abort": {"httpStatus": 500}}},
        {"directResponse": {"status": 200}, "rewrite": {"uri": "/"}},
        {"directResponse": {"status": 600}},
        {**ROUTE, "timeout": "0s"},
        {**ROUTE, "timeout": "1500us"},
        {**ROUTE, "timeout": "1"},
        {**ROUTE, "retries": {"attempts": 0, "retryOn": "5xx"}},
        {**ROUTE, "retries": {"attempts": 1, "retryOn": "5xx, reset"}},
        {**ROUTE, "retries": {"attempts": 1, "retryOn": "sometimes"}},
        {**ROUTE, "match": []},
        {**ROUTE, "match": [{"uri": {"regex": ""}}]},
        {**ROUTE, "match": [{"uri": {"regex": "(?=a)"}}]},
        {**ROUTE, "match": [{"uri": {"regex": "a" * 1025}}]},
        {**ROUTE, "match": [{"uri": {"suffix": "/a"}}]},
        {**ROUTE, "match": [{"headers": {"x": {"prefix": ""}}}]},
        {**ROUTE, "match": [{"headers": {"@request.auth.claims[a]": {"exact": "b"}}}]},
        {**ROUTE, "rewrite": {}},
        {**ROUTE, "rewrite": {"uri": "/", "uriRegexRewrite": {"match": "/", "rewrite": "/"}}},
        {**ROUTE, "rewrite": {"uriRegexRewrite": {"match": "/(a)", "rewrite": r"\2"}}},
        {**ROUTE, "fault": {}},
        {**ROUTE, "fault": {"abort": {}}},
        {**ROUTE, "fault": {"abort": {"httpStatus": 100}}},
        {**ROUTE, "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 0.00001}}}},
        {**ROUTE, "headers": {"request": {"set": {"host": "a"}}}},
        {**ROUTE, "headers": {"request": {"set": {":path": "a"}}}},
        {**ROUTE, "headers": {"request": {"set": {"a": "50%"}}}},
        {**ROUTE, "headers": {"request": {"set": {"a": "b\n"}}}},
        {**ROUTE, "mirror": {"host": "a"}, "mirrors": [{"destination": {"host": "a"}}]},
        {"route": [{"destination": {"host": "a"}, "weight": 0}, {"destination": {"host": "b"}, "weight": 0}]},
        {"route": [{"destination": {"host": "a", "subset": "V_1"}}]},
        {"route": [{"destination": {"host": "*"}}]},
        {"route": []},
    ],
)
def test_routes(route: object) -> None:
    with pytest.raises(RejectedError):
        read(NETWORKING, "VirtualService", {"hosts": ["web"], "http": [route]})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"trafficPolicy": {}},
        {"trafficPolicy": {"connectionPool": {}}},
        {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 0}}}},
        {"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}}]}},
        {"trafficPolicy": {"loadBalancer": {"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}}},
        {"trafficPolicy": {"loadBalancer": {"consistentHash": {"httpCookie": {"ttl": "0s"}}}}},
        {"trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 100}}}}},
        {"trafficPolicy": {"loadBalancer": {"localityLbSetting": {"failover": [{"from": "a", "to": "a"}]}}}},
        {"trafficPolicy": {"outlierDetection": {"consecutiveLocalOriginFailures": 1}}},
        {"trafficPolicy": {"tls": {"mode": "MUTUAL"}}},
        {"subsets": [{"name": "a"}, {"name": "a"}]},
        {"exportTo": ["*", "a"]},
    ],
)
def test_destination_rules(spec: Mapping[str, object]) -> None:
    host = {} if not spec else {"host": "web"}
    with pytest.raises(RejectedError):
        read(NETWORKING, "DestinationRule", {**host, **spec})


PORTS = [{"number": 80, "name": "http", "protocol": "HTTP"}]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ServiceEntry", {"hosts": ["*"], "ports": PORTS}),
        ("ServiceEntry", {"hosts": ["a.example"], "ports": [*PORTS, *PORTS]}),
        ("ServiceEntry", {"hosts": ["a.example"], "ports": PORTS, "endpoints": [{"address": "1.2.3.4"}]}),
        ("ServiceEntry", {"hosts": ["*.example"], "ports": PORTS, "resolution": "DNS"}),
        (
            "ServiceEntry",
            {"hosts": ["a.example"], "ports": PORTS, "resolution": "STATIC", "endpoints": [{"address": "x.y"}]},
        ),
        ("ServiceEntry", {"hosts": ["a.b", "c.d"], "ports": [{"number": 1, "name": "t", "protocol": "TCP"}]}),
        ("Sidecar", {}),
        ("Sidecar", {"egress": [{"hosts": ["web"]}]}),
    ],
)
def test_entries_and_sidecars(kind: str, spec: object) -> None:
    with pytest.raises(RejectedError):
        read(NETWORKING, kind, spec)


def test_telemetry_names_providers_that_exist() -> None:
    spec = {"accessLogging": [{"providers": [{"name": "mine"}]}]}
    with pytest.raises(RejectedError):
        read("telemetry.istio.io/v1", "Telemetry", spec)
    document = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "x", "namespace": "y"},
        "spec": spec,
    }
    found = IstioMesh.of([document], {"extensionProviders": [{"name": "mine"}]}, [])
    assert [one.name for one in found.telemetry] == ["x"]


def test_envoy_filters_are_recorded() -> None:
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND"},
        "patch": {"operation": "INSERT_BEFORE", "value": {"name": "envoy.filters.http.local_ratelimit"}},
    }
    found = read("networking.istio.io/v1alpha3", "EnvoyFilter", {"configPatches": [patch]})
    assert [one.name for one in found.envoy_filters] == ["x"]
    with pytest.raises(RejectedError):
        read("networking.istio.io/v1alpha3", "EnvoyFilter", {"configPatches": [{**patch, "match": None}]})


def test_objects() -> None:
    with pytest.raises(RejectedError, match="apiVersion"):
        read("security.istio.io/v1beta1", "AuthorizationPolicy", {})
    with pytest.raises(RejectedError, match="apiVersion"):
        read(SECURITY, "VirtualService", {"hosts": ["web"], "http": [ROUTE]})
    with pytest.raises(RejectedError, match="dry-run"):
        read(
            SECURITY,
            "AuthorizationPolicy",
            {"action": "AUDIT", "rules": [{}]},
            annotations={"istio.io/dry-run": "true"},
        )
    document = {
        "apiVersion": SECURITY,
        "kind": "PeerAuthentication",
        "metadata": {"name": "x", "namespace": "y"},
        "spec": {},
    }
    with pytest.raises(RejectedError, match="twice"):
        IstioMesh.of([document, document], {}, [])
    with pytest.raises(RejectedError, match="unknown"):
        IstioMesh.of([], {"pathNormalisation": {}}, [])
