"""Externals: how they are known and called, and who may call them."""

from itertools import product
from typing import Any

import pytest

from istio_traffic_lab import mesh_of, objects, spec, unsupported
from meshc.features import Feature
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.support_rows import exact
from meshc.targets import find_target
from meshc_harness.istio import Call, Caller
from meshc_harness.istio_compare import istio_mesh
from meshc_istio.external_access import PASS, verdicts
from meshc_istio.traffic import mesh_settings
from meshc_istio.traffic_limits import check_traffic
from meshc_istio.traffic_support import TRAFFIC

HEAD = """
namespace shop
namespace bank
service web in shop
service jobs in shop
service ledger in bank
"""


def test_https_is_called_as_plain_http() -> None:
    found = objects(HEAD + 'external api in bank { host "api.example" port 443 https } access api { allow anyone }')
    assert found["ServiceEntry/external-api"]["spec"] == {
        "hosts": ["api.example"],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": 80, "name": "http-80", "protocol": "HTTP", "targetPort": 443}],
    }
    assert found["DestinationRule/external-api"]["spec"]["trafficPolicy"] == {
        "loadBalancer": {"simple": "ROUND_ROBIN"},
        "tls": {
            "mode": "SIMPLE",
            "sni": "api.example",
            "caCertificates": "system",
            "subjectAltNames": ["api.example"],
        },
    }
    assert found["VirtualService/external-api"]["metadata"]["namespace"] == "bank"


def test_https_keeps_its_port_beside_another_port_80() -> None:
    program = (
        HEAD + 'external api in bank { host "api.example" port 443 https port 80 http } access api { allow anyone }'
    )
    found = objects(program)
    assert found["ServiceEntry/external-api"]["spec"]["ports"] == [
        {"number": 80, "name": "http-80", "protocol": "HTTP"},
        {"number": 443, "name": "http-443", "protocol": "HTTP"},
    ]
    levels = found["DestinationRule/external-api"]["spec"]["trafficPolicy"]["portLevelSettings"]
    assert [(one["port"]["number"], "tls" in one) for one in levels] == [(80, False), (443, True)]


def test_tls_settings() -> None:
    program = (
        HEAD
        + """
    external api in bank { host "api.example" port 8443 https }
    access api { allow anyone }
    traffic api { tls { ca file "/etc/ca.pem" sni "sni.example" } }
    """
    )
    assert spec(program, "DestinationRule/external-api")["trafficPolicy"]["tls"] == {
        "mode": "SIMPLE",
        "sni": "sni.example",
        "caCertificates": "/etc/ca.pem",
        "subjectAltNames": ["sni.example"],
    }
    assert spec(program, "ServiceEntry/external-api")["ports"] == [
        {"number": 8443, "name": "http-8443", "protocol": "HTTP"}
    ]


def test_each_host_has_objects_of_its_own() -> None:
    program = HEAD + 'external api in bank { host "a.example", "b.example" port 443 https } access api { allow web }'
    found = objects(program)
    hosts = {one["spec"]["hosts"][0] for name, one in found.items() if name.startswith("VirtualService/")}
    assert hosts == {"a.example", "b.example"}
    for one in found.values():
        if one["kind"] == "VirtualService":
            (target,) = [route["route"][0]["destination"] for route in one["spec"]["http"] if "route" in route]
            assert target["host"] == one["spec"]["hosts"][0]


def test_a_wildcard_goes_where_the_application_wanted_to() -> None:
    program = HEAD + 'external cdn in shop { host "*.cdn.example" port 80 http port 443 tls } access cdn { allow web }'
    found = objects(program)
    assert found["ServiceEntry/external-cdn"]["spec"]["resolution"] == "NONE"
    assert found["VirtualService/external-cdn"]["spec"]["hosts"] == ["*.cdn.example"]
    assert found["VirtualService/external-cdn"]["spec"]["tls"][0]["match"][0]["sniHosts"] == ["*.cdn.example"]
    assert "DestinationRule/external-cdn" not in found


def test_what_relies_on_the_mesh_configuration() -> None:
    assert mesh_settings(mesh_of(HEAD)) == {}
    program = HEAD + 'external api in bank { host "api.example" port 443 https } access api { allow web }'
    assert mesh_settings(mesh_of(program)) == {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}


# ---- connections ----------------------------------------------------------------------------------------------------


def connections(rules: str, ports: str, kind: str) -> list[tuple[list[Any], str | None]]:
    """The routes of an external's connections: places of callers, and the subset that they lead to."""
    program = HEAD + f'external mail in bank {{ host "mail.example" {ports} }} access mail {{ {rules} }}'
    found = []
    for route in spec(program, "VirtualService/external-mail")[kind]:
        places = [{key: value for key, value in match.items() if key.startswith("source")} for match in route["match"]]
        found.append((places, route["route"][0]["destination"].get("subset")))
    return found


@pytest.mark.parametrize(("ports", "kind"), [("port 465 tls", "tls"), ("port 2525 tcp", "tcp")])
def test_refused_connections_lead_nowhere(ports: str, kind: str) -> None:
    jobs = {"sourceNamespace": "shop", "sourceLabels": {"app": "jobs"}}
    assert connections("allow jobs", ports, kind) == [([jobs], None), ([{}], "refused")]
    assert connections("allow anyone deny jobs", ports, kind) == [([jobs], "refused"), ([{}], None)]
    assert connections("allow namespace shop except jobs", ports, kind) == [
        ([jobs], "refused"),
        ([{"sourceNamespace": "shop"}], None),
        ([{}], "refused"),
    ]


def test_no_rule_defines_the_refused_subset() -> None:
    """Behind a wildcard, a subset that is defined would connect to wherever the application wanted to."""
    for host in ("mail.example", "*.mail.example"):
        head = HEAD + f'external mail in bank {{ host "{host}" port 465 tls }}'
        refusing = objects(f"{head} access mail {{ allow jobs }}")
        routes = refusing["VirtualService/external-mail"]["spec"]["tls"]
        assert [route["route"][0]["destination"].get("subset") for route in routes] == [None, "refused"]
        assert not [one for one in refusing.values() if one["kind"] == "DestinationRule" and "subsets" in one["spec"]]
        assert "VirtualService/external-mail" not in objects(f"{head} access mail {{ allow anyone }}")


def test_a_version_that_is_called_so_is_not_where_refused_connections_go() -> None:
    program = (
        HEAD
        + """
    service db in shop { port 5432 tcp version refused }
    external backup in bank { host "db.example" port 6432 tcp }
    access db { allow anyone }
    access backup { allow jobs }
    traffic db { route /** -> backup }
    """
    )
    program = program.replace("route /** -> backup", "split backup 100%")
    routes = spec(program, "VirtualService/db")["tcp"]
    assert [route["route"][0]["destination"].get("subset") for route in routes] == [None, "not-refused"]


def test_without_rules_the_default_refuses() -> None:
    program = HEAD + 'external mail in bank { host "mail.example" port 465 tls }'
    (route,) = spec(program, "VirtualService/external-mail")["tls"]
    assert route["route"][0]["destination"]["subset"] == "refused"


def test_a_server_name_is_that_of_the_host() -> None:
    head = HEAD + 'external mail in bank { host "a.example", "b.example" port 465 tls }'
    found = objects(f'{head} access mail {{ allow web when sni == "a.example" }}')
    subsets = {
        one["spec"]["hosts"][0]: [route["route"][0]["destination"].get("subset") for route in one["spec"]["tls"]]
        for one in found.values()
        if one["kind"] == "VirtualService"
    }
    assert subsets == {"a.example": [None, "refused"], "b.example": ["refused", "refused"]}


def test_a_denied_server_name_is_refused_although_another_rule_allows() -> None:
    program = (
        HEAD
        + """
    external mail in bank { host "a.example" port 465 tls }
    access mail { allow web deny web when sni starts with "a" }
    """
    )
    found = spec(program, "VirtualService/external-mail")["tls"]
    assert {route["route"][0]["destination"].get("subset") for route in found} == {"refused"}


# ---- requests -------------------------------------------------------------------------------------------------------

RULES = [
    "allow web",
    "allow web to GET /a/{id}, POST /b/**",
    "allow web to /a/** deny web to /a/secret/**",
    'allow namespace shop except jobs to GET when header "x" in ("1", "2")',
    'allow anyone to /a/** deny anyone when header "x" is present',
    "allow web, ledger to /{x}/** deny jobs",
    'allow anyone deny anyone except web to /b/**',
    'allow web to /a/** when host == "b.example" or header "x" is present',
]  # fmt: skip
TRAFFIC_BLOCKS = [
    "",
    'route /a/1 { timeout 1s } route /b/** when header "x" == "2" { timeout 2s } route /gone { respond 410 }',
    "route /a/{id} by web { timeout 1s } route GET /a/** { timeout 2s }",
]
UNSAYABLE = {(3, 1)}
"""Pairs of rules and routes that test one header twice."""
HEADERS: list[tuple[tuple[str, str], ...]] = [(), (("x", "1"),), (("x", "2"), ("x", "3"))]


@pytest.mark.slow
@pytest.mark.parametrize(("rules", "block"), list(product(RULES, TRAFFIC_BLOCKS)))
def test_requests_to_externals_pass_where_the_model_lets_them(rules: str, block: str) -> None:
    program = (
        HEAD
        + f"""
    external api in bank {{ host "a.example", "b.example" port 443 https }}
    access api {{ {rules} }}
    traffic api {{ {block} }}
    """
    )
    mesh = mesh_of(program)
    is_unsayable = (RULES.index(rules), TRAFFIC_BLOCKS.index(block)) in UNSAYABLE
    assert bool(list(check_traffic(mesh))) == is_unsayable
    if is_unsayable:
        return
    evaluator, sidecars = Evaluator(mesh), istio_mesh(mesh, find_target("istio"), joins_lines=False).caller
    paths = ["/", "/a", "/a/1", "/a/1/2", "/a/secret", "/a/secret/x", "/ax", "/b", "/b/c", "/gone", "/a?q=1", "/a?q=2"]
    paths += ["/a%2Fb", "/a%00", "/a/%5cb"]
    hosts = ("a.example", "b.example")
    for caller, host, path, method, headers in product((*mesh.workloads, None), hosts, paths, ("GET", "POST"), HEADERS):
        request = Request(
            identity="spiffe://cluster.local/ns/other/sa/x" if caller is None else caller.identity,
            namespace="bank", service="api", port=443, method=method, path=path, host=host, headers=headers,
        )  # fmt: skip
        pod = (
            Caller(namespace="other", labels={})
            if caller is None
            else Caller(namespace=caller.namespace, labels=caller.labels)
        )
        outcome = sidecars.send(pod, Call(port=80, authority=host, method=method, target=path, headers=headers))
        decision = evaluator.decide(request)
        wanted = 403 if decision.allowed is False and decision.status != 400 else decision.status
        assert outcome.status == wanted, (request, outcome, decision)
        if decision.allowed:
            assert outcome.timeout_ms == decision.timeout_ms
            assert [(one.host, one.port) for one, _ in outcome.destinations] == [(host, 80)]


def test_methods_that_exclude_each_other_make_no_route() -> None:
    program = (
        HEAD
        + """
    external api in bank { host "a.example" port 443 https }
    access api { allow web to POST /a/** }
    traffic api { route GET /a/** { timeout 1s } }
    """
    )
    found = spec(program, "VirtualService/external-api")["http"]
    assert [route["match"][0].get("method") for route in found if "route" in route] == [{"exact": "POST"}]
    assert [route["match"][0].get("method") for route in found if "directResponse" in route] == [
        None, {"exact": "GET"}, None, None,
    ]  # fmt: skip


def test_shadow_rules_decide_nothing() -> None:
    program = HEAD + 'external api in bank { host "a.example" port 443 https } access api { allow web shadow deny web }'
    (port,) = mesh_of(program).externals[0].ports
    assert verdicts(port, "spiffe://cluster.local/ns/shop/sa/web") == PASS


@pytest.mark.parametrize("rules", ["access api { allow web to /a/** }", "access api { allow anyone }"])
def test_paths_that_the_language_refuses_are_refused_first(rules: str) -> None:
    program = HEAD + f'external api in bank {{ host "a.example" port 443 https }} {rules}'
    refused = {"uri": {"regex": ".*%(00|2[fF]|5[cC]).*"}}, {"status": 400}
    first = spec(program, "VirtualService/external-api")["http"][0]
    assert (first["match"], first["directResponse"]) == ([{**refused[0], "port": 80}], refused[1])
    through = (
        program + "service cart in shop { port 8080 http } access cart { allow web } traffic cart { route /x -> api }"
    )
    first = spec(through, "VirtualService/cart")["http"][0]
    assert (first["match"], first["directResponse"]) == ([{**refused[0], "port": 8080}], refused[1])


def test_an_external_that_anyone_may_call_refuses_such_paths_as_well() -> None:
    program = f"""
    mesh m {{ default access allow }}
    {HEAD}
    external api in bank {{ host "a.example" port 443 https }}
    """
    assert mesh_settings(mesh_of(program)) == {}
    assert spec(program, "VirtualService/external-api")["http"][0]["directResponse"] == {"status": 400}


def test_a_route_of_a_service_that_leads_out_asks_the_rules_there() -> None:
    program = (
        HEAD
        + """
    service cart in shop { port 80 http }
    external api in bank { host "a.example" port 443 https }
    access cart { allow anyone }
    access api { allow web to /out/** }
    traffic cart { route /out/** -> api:443 }
    """
    )
    found = spec(program, "VirtualService/cart")["http"]
    web = {"sourceNamespace": "shop", "sourceLabels": {"app": "web"}}
    assert [(route["match"][-1].get("uri"), "route" in route) for route in found[1:]] == [
        ({"prefix": "/out/"}, True),
        (None, True),
        ({"prefix": "/out/"}, False),
        (None, True),
    ]
    assert web.items() <= found[1]["match"][0].items()
    assert found[1]["route"][0]["destination"] == {"host": "a.example", "port": {"number": 80}}


def test_rules_that_no_route_can_ask_are_errors() -> None:
    head = HEAD + 'external api in bank { host "a.example" port 443 https }'
    assert unsupported(head + "access api { allow web from 10.0.0.0/8 }", {**TRAFFIC, **_rest()}) != []


def _rest() -> dict[Any, Any]:
    """Rows for what is not of the callers' side."""
    return {feature: exact() for feature in Feature if feature not in TRAFFIC}
