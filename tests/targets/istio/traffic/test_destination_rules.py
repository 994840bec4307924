"""DestinationRules: how callers connect, and to which endpoints."""

from typing import Any

import pytest

from istio_traffic_lab import mesh_of, objects, spec
from meshc.targets import find_target
from meshc_harness.istio import Mtls
from meshc_harness.istio_compare import istio_mesh, workloads_of

HEAD = """
namespace shop
service web in shop
service cart in shop { port 80 http version v1 version v2 { labels release = "two" } }
access cart { allow web }
"""


def rule(block: str) -> Any:
    return spec(f"{HEAD} traffic cart {{ {block} }}", "DestinationRule/cart")


def policy(block: str) -> Any:
    return rule(block)["trafficPolicy"]


def test_a_service_without_traffic_balances_as_the_language_says() -> None:
    assert rule("") == {
        "host": "cart.shop.svc.cluster.local",
        "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}},
        "subsets": [{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"release": "two"}}],
    }


def test_a_service_without_ports_has_nothing() -> None:
    assert not [name for name in objects(HEAD) if name.endswith("/web")]


def test_no_tls_for_services_of_the_mesh() -> None:
    assert "tls" not in str(objects(HEAD)["DestinationRule/cart"])


def test_mutual_tls_is_off_where_the_program_wants_none() -> None:
    program = """
    namespace shop
    service web in shop
    service cart in shop { port 80 http port 6379 tcp target 6380 }
    service plain in shop { port 80 http }
    access cart { allow anyone }
    access plain { allow anyone }
    authenticate plain { mtls off }
    authenticate cart:6379 { mtls off }
    """
    found = objects(program)
    off = {"loadBalancer": {"simple": "ROUND_ROBIN"}, "tls": {"mode": "DISABLE"}}
    assert found["DestinationRule/plain"]["spec"]["trafficPolicy"] == off
    assert found["DestinationRule/cart"]["spec"]["trafficPolicy"]["portLevelSettings"] == [
        {"port": {"number": 80}, "loadBalancer": {"simple": "ROUND_ROBIN"}},
        {"port": {"number": 6379}, **off},
    ]


def test_servers_and_callers_agree_on_ports_without_mutual_tls() -> None:
    program = """
    namespace shop
    service cart in shop { port 80 http port 6379 tcp target 6380 }
    access cart { allow anyone }
    authenticate cart:6379 { mtls off }
    """
    istio = istio_mesh(mesh_of(program), find_target("istio"), joins_lines=False)
    (cart,) = workloads_of(mesh_of(program))
    modes = {port.number: istio.server.mtls(cart, cart.labels, port) for port in cart.ports}
    assert modes == {80: Mtls.STRICT, 6379: Mtls.DISABLE}
    emitted = find_target("istio").emit(mesh_of(program), {}).documents
    (peers,) = [one for each in emitted for one in each.resources if one.get("kind") == "PeerAuthentication"]
    assert peers["spec"] == {
        "selector": {"matchLabels": {"app": "cart"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"6380": {"mode": "DISABLE"}},
    }


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("round-robin", {"simple": "ROUND_ROBIN"}),
        ("least-request", {"simple": "LEAST_REQUEST"}),
        ("random", {"simple": "RANDOM"}),
        ('ring-hash by header "x-user"', {"consistentHash": {"httpHeaderName": "x-user", "ringHash": {"minimumRingSize": 1024}}}),
        ('maglev by cookie "c"', {"consistentHash": {"httpCookie": {"name": "c"}, "maglev": {"tableSize": 65537}}}),
        ("maglev by source ip", {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 65537}}}),
    ],
)  # fmt: skip
def test_load_balancing(setting: str, expected: dict[str, Any]) -> None:
    assert policy(f"load-balance {setting}") == {"loadBalancer": expected}


def test_bounds() -> None:
    block = "connect-timeout 500ms circuit-breaker { connections 1 pending 2 requests 3 retries 4 }"
    assert policy(block)["connectionPool"] == {
        "tcp": {"maxConnections": 1, "connectTimeout": "500ms"},
        "http": {"http1MaxPendingRequests": 2, "http2MaxRequests": 3, "maxRetries": 4},
    }


def test_what_is_not_bounded_is_not_written() -> None:
    assert policy("circuit-breaker { requests 3 }")["connectionPool"] == {"http": {"http2MaxRequests": 3}}


def test_ejection_says_what_it_does_not_count_and_prefers_nobody() -> None:
    found = policy("outlier-detection { consecutive-gateway-errors 3 interval 1s ejection 1500ms max-ejected 50% }")
    assert found["outlierDetection"] == {
        "consecutive5xxErrors": 0,
        "consecutiveGatewayErrors": 3,
        "interval": "1s",
        "baseEjectionTime": "1500ms",
        "maxEjectionPercent": 50,
        "minHealthPercent": 0,
    }
    assert found["loadBalancer"]["localityLbSetting"] == {"enabled": False}


def test_locality() -> None:
    block = 'locality prefer locality failover "a" -> "b" outlier-detection { consecutive-5xx 3 }'
    assert policy(block)["loadBalancer"]["localityLbSetting"] == {
        "enabled": True,
        "failover": [{"from": "a", "to": "b"}],
    }


def test_a_budget_is_the_smallest_of_all_routes_that_lead_to_the_service() -> None:
    program = f"""{HEAD}
    service other in shop {{ port 80 http }}
    access other {{ allow web }}
    traffic cart {{ retry 1 on connect-failure {{ budget 20% }} }}
    traffic other {{ route /x -> cart:80 {{ retry 1 on connect-failure {{ budget 12.5% }} }} }}
    """
    found = objects(program)
    budget = found["DestinationRule/cart"]["spec"]["trafficPolicy"]["retryBudget"]
    assert budget == {"percent": 12.5, "minRetryConcurrency": 3}
    assert "retryBudget" not in found["DestinationRule/other"]["spec"]["trafficPolicy"]


def test_ports_with_different_settings_have_all_of_theirs() -> None:
    program = """
    namespace shop
    service web in shop
    service cart in shop { port 80 http port 5432 tcp }
    access cart { allow web }
    traffic cart:80 { connect-timeout 1s retry 1 on connect-failure { budget 20% } }
    traffic cart:5432 { idle-timeout 1h circuit-breaker { connections 5 } }
    """
    assert spec(program, "DestinationRule/cart")["trafficPolicy"] == {
        "retryBudget": {"percent": 20, "minRetryConcurrency": 3},
        "portLevelSettings": [
            {
                "port": {"number": 80},
                "loadBalancer": {"simple": "ROUND_ROBIN"},
                "connectionPool": {"tcp": {"connectTimeout": "1s"}},
            },
            {
                "port": {"number": 5432},
                "loadBalancer": {"simple": "ROUND_ROBIN"},
                "connectionPool": {"tcp": {"maxConnections": 5, "idleTimeout": "3600s"}},
            },
        ],
    }
