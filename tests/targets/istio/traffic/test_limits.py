"""What Istio cannot express because of how it is spelled: an error at its place, and never a traceback."""

import pytest

from istio_traffic_lab import mesh_of, problems
from meshc.diagnostics import Severity
from meshc.errors import InternalError
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic

HEAD = """
namespace shop
namespace bank
service web in shop
service twin in shop { labels app = "web", side = "left" }
service cart in shop { port 80 http version v1 version v2 }
service other in shop { port 8080 http }
access cart { allow anyone }
access other { allow anyone }
"""
LINE = HEAD.count("\n") + 1


def found(program: str) -> list[str]:
    """The messages, all of them about the lines after the common start."""
    listed = problems(f"{HEAD}{program}")
    assert all(line >= LINE for line, _ in listed), listed
    return [message for _, message in listed]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ('route /a when header "x" starts with "a" and header "x" ends with "b" { timeout 1s }',
         "istio cannot test the header `x` twice in one route"),
        ('route /a when query "x" starts with "a" and query "x" ends with "b" { timeout 1s }',
         "istio cannot test the query parameter `x` twice in one route"),
        ('route /a when query "x" matches re"a+" and query "x" matches re"b+" { timeout 1s }',
         "istio cannot test the query parameter `x` twice in one route"),
        ('route /a when host starts with "a" and host ends with "b" { timeout 1s }',
         "istio cannot test a host twice in one route"),
        ('route /a when host matches re".*" { timeout 1s }',
         'istio cannot test a host for `re".*"`, because the host carries a port'),
        ("route /a by web { timeout 1s }",
         "istio cannot tell the caller `web` from `twin`, whose pods carry its labels too"),
        (f'route /a when header "x" == "{"v" * 1500}" and header "x" != "{"w" * 1100}" and header "x" != "z" {{ timeout 1s }}',
         "istio cannot take a regular expression of 1102 bytes, and at most 1024"),
        ('route /a when header "x" matches re"a\\C" { timeout 1s }', r"istio cannot read `\C` in a regular expression"),
        ('route /a/{x} { redirect "/b/{x}" }', "istio cannot redirect to a target with captures"),
        ('route /{x}/** { redirect "/b/**" }', "istio cannot keep the rest of a path behind a capture in a redirect"),
        ('route /a { redirect "/b#c" }', "istio cannot redirect to a fragment"),
        ('add request header "x" "1" add request header "x" "2"', "istio cannot add several values to `x`"),
        ('set response header "x" ""', "istio cannot give `x` an empty value"),
        ('add request header "x" ""', "istio cannot give `x` an empty value"),
        ("idle-timeout 1s", "istio cannot end requests on which nothing moves, and knows `idle-timeout` for connections alone"),
        ('fault delay 1s for 5% fault delay 2s for 100% when header "x" == "1"',
         "istio cannot delay one request by several chances"),
        ('fault abort 500 for 5% fault abort 503 for 100% when header "x" == "1"',
         "istio cannot abort one request by several chances"),
        ("circuit-breaker { retries 3 } retry 1 on connect-failure { budget 20% }",
         "istio cannot bound retries by their number and by a budget, which some route to here has, at once"),
        ("outlier-detection { consecutive-5xx 5 max-ejected 12.5% }",
         "istio cannot eject a share of endpoints with a fraction"),
        ("outlier-detection { consecutive-5xx 5 max-ejected 0% }", "istio cannot eject at most 0%"),
        ("locality prefer", "istio cannot prefer near endpoints without knowing which of them are in trouble"),
        ('locality failover "a/x" -> "b" outlier-detection { consecutive-5xx 5 }', "istio cannot fail over between zones"),
        ('locality failover "a" -> "a" outlier-detection { consecutive-5xx 5 }', "istio cannot fail over to the same region"),
    ],
)  # fmt: skip
def test_traffic(block: str, message: str) -> None:
    assert message in found(f"traffic cart:80 {{ {block} }}")


def test_what_a_check_finds_is_never_emitted() -> None:
    program = f"{HEAD} traffic cart:80 {{ route /a by web {{ timeout 1s }} }}"
    with pytest.raises(InternalError, match="which no check has found"):
        list(traffic_objects(mesh_of(program)))


def test_faults_spare_what_the_proxy_answers() -> None:
    (finding,) = check_traffic(
        mesh_of(f"{HEAD} traffic cart:80 {{ fault delay 1s for 5% route /a {{ respond 200 }} }}")
    )
    assert (finding.name, finding.severity) == ("target-differs", Severity.WARNING)
    assert list(check_traffic(mesh_of(f"{HEAD} traffic cart:80 {{ route /a {{ respond 200 }} }}"))) == []


def test_many_alternatives() -> None:
    tests = " and ".join(f'header "x{number}" != ""' for number in range(7))
    assert found(f"traffic cart:80 {{ route /a when {tests} {{ timeout 1s }} }}") == [
        "istio cannot hold a condition of more than 64 alternatives in one route"
    ]


def test_many_conditions_of_faults() -> None:
    faults = " ".join(f'fault delay 1s for 100% when header "x{number}" == "1"' for number in range(6))
    assert found(f"traffic cart:80 {{ {faults} }}") == [
        "istio cannot keep more than 5 conditions of faults of one route apart"
    ]


@pytest.mark.slow
def test_a_large_answer() -> None:
    assert found(f'traffic cart:80 {{ route /a {{ respond 200 "{"x" * 1_000_001}" }} }}') == [
        "istio cannot answer with 1000001 bytes by itself, and at most 1000000"
    ]


# ---- hosts and ports ------------------------------------------------------------------------------------------------


def test_a_host_belongs_to_one_service() -> None:
    block = 'route /** when host == "b.example" { timeout 1s }'
    assert found(f"traffic cart:80 {{ {block} }}\ntraffic other {{ {block} }}") == [
        "istio takes the routes of a host from one place, and `b.example` is the host of two"
    ]


def test_a_host_belongs_to_one_external() -> None:
    message = "istio takes the routes of a host from one place, and `a.example` is the host of two"
    one = 'external a in shop { host "a.example" port 443 https }\naccess a { allow anyone }\n'
    assert found(one + 'external b in shop { host "a.example" port 8080 http }') == [message]


def test_a_wildcard_may_not_cover_a_host_with_routes_of_its_own() -> None:
    message = "istio takes the routes of a host from one place, and `a.b.example` is one of `*.b.example` too"
    one = 'external a in shop { host "a.b.example" port 443 https }\n'
    assert found(one + 'external b in shop { host "*.b.example" port 8080 http }') == [message]
    assert found(one + 'traffic cart:80 { route /** when host ends with ".b.example" { timeout 1s } }') == [message]


def test_a_host_without_a_domain() -> None:
    assert found('traffic cart:80 { route /** when host == "beta" { timeout 1s } }') == [
        "istio takes the host `beta` for a service of the namespace"
    ]


def test_externals_on_one_tcp_port() -> None:
    message = "istio cannot tell the hosts of tcp port 5432 apart, which it knows by their port"
    assert found('external a in shop { host "a.example", "b.example" port 5432 tcp }') == [message]
    assert found(
        'external a in shop { host "a.example" port 5432 tcp }\nexternal b in shop { host "b.example" port 5432 tcp }'
    ) == [message]


def test_a_port_speaks_http_or_carries_connections() -> None:
    message = "istio cannot forward connections to port 443, where it expects HTTP"
    tls = 'external b in shop { host "b.example" port 443 tls }'
    assert found(f'external a in shop {{ host "a.example" port 443 https port 80 http }}\n{tls}') == [message]
    assert found(f'external a in shop {{ host "a.example" port 443 https }}\n{tls}') == []


# ---- externals ------------------------------------------------------------------------------------------------------

BEFORE = "releases before Envoy 1.40 compare a header that is sent twice as one value"
API = 'external api in bank { host "a.example" port 443 https }'


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('allow identity "spiffe://cluster.local/ns/shop/sa/nobody"',
         "istio cannot tell the callers of `spiffe://cluster.local/ns/shop/sa/nobody`, since no service has this identity"),
        ("allow web", "istio cannot tell the caller `web` from `twin`, whose pods carry its labels too"),
        ("shadow deny anyone", "istio cannot log what a shadow rule of an external would refuse"),
        ('allow anyone to re"/a\\C"', r"istio cannot read `\C` in a regular expression"),
        ('deny anyone when not query "q" matches re"a+"',
         "istio cannot test that the query parameter `q` does not match a pattern"),
        ('deny anyone when header "x" == "1"', f"istio cannot refuse by what `x` holds: {BEFORE}"),
        ('allow anyone when header "x" != "1"', f"istio cannot refuse by what `x` holds: {BEFORE}"),
        ('allow anyone when not (header "x" starts with "1" or query "q" is present)',
         f"istio cannot refuse by what `x` holds: {BEFORE}"),
        ('allow anyone when header "x" == "1,2"',
         "istio cannot let through by a pattern or a comma in `x`, which two lines could make up before Envoy 1.40"),
        ('allow anyone when header "x" matches re"a+.*"',
         "istio cannot let through by a pattern or a comma in `x`, which two lines could make up before Envoy 1.40"),
    ],
)  # fmt: skip
def test_rules_of_externals(rules: str, message: str) -> None:
    assert message in found(f"{API} access api {{ {rules} }}")


def test_headers_that_no_second_line_can_evade() -> None:
    rules = 'allow web, twin when header "x" in ("1", "2") deny web, twin when header "y" is present'
    assert found(f"{API} access api {{ {rules} }}") == []


def test_a_version_may_be_mistaken_for_a_service() -> None:
    program = f"""{HEAD}{API}
    service canary in shop {{ labels app = "cart", version = "v2" }}
    access api {{ allow canary }}
    """
    assert [message for _, message in problems(program)] == [
        "istio cannot tell the caller `canary` from `cart`, whose pods carry its labels too"
    ]


def test_twins_that_are_treated_alike_are_fine() -> None:
    assert found(f"{API} access api {{ allow web, twin }}") == []
    assert found(f"{API} access api {{ allow namespace shop }}") == []
    assert found(f"{API} access api {{ allow twin }}") == []


def test_identities_of_other_domains_call_nothing_here() -> None:
    program = f'mesh m {{ trust-domain "a.example" also "b.example" }}\n{HEAD}{API}'
    rule = 'access api { allow identity "spiffe://b.example/ns/x/sa/y", web, twin }'
    assert problems(f"{program}\n{rule}") == []


def test_a_split_over_externals_with_rules() -> None:
    more = 'external more in bank { host "b.example" port 443 https }'
    rules = "access api { allow anyone } access more { allow anyone }"
    assert found(f"{API} {more} {rules}\ntraffic cart:80 {{ split api 50%, more 50% }}") == [
        "istio cannot split over externals with rules, which it asks before it chooses"
    ]


def test_a_route_that_leads_out_is_to_blame_for_what_rules_there_ask() -> None:
    program = f"""{HEAD}{API}
    access api {{ allow twin when header "x" == "1" }}
    traffic cart:80 {{
      route /b {{ timeout 1s }}
      route /a when header "x" starts with "1" -> api
    }}
    """
    assert problems(program) == [
        (program[: program.index("route /a")].count("\n") + 1, "istio cannot test the header `x` twice in one route")
    ]


def test_wildcards() -> None:
    cdn = 'external cdn in bank { host "*.cdn.example" port 443 https port 8080 http }'
    rules = "access cdn { allow anyone }"
    assert found(f"{cdn} {rules}") == [
        "istio cannot originate tls for a wildcard host, since it connects where the application wanted to"
    ]
    plain = f'external cdn in bank {{ host "*.cdn.example" port 8080 http }} {rules}'
    assert found(f"{plain} traffic cdn {{ load-balance random }}") == [
        "istio cannot apply `load-balance` to a wildcard host, behind which the application finds the servers"
    ]
    assert found(f"{plain} traffic other {{ route /x -> cdn:8080 }}") == [
        "istio cannot choose a host of `*.cdn.example` for a request, which goes where the application wanted to"
    ]
