"""Routes of services: what they match, and what becomes of a request."""

from typing import Any

import pytest

from istio_traffic_lab import objects, spec

HEAD = """
namespace shop
namespace bank
service web in shop
service cart in shop { port 80 http target 8080 version v1 version v2 }
service ledger in bank { port 9090 grpc port 8080 http }
access cart { allow anyone }
access ledger { allow anyone }
"""
HOST = "cart.shop.svc.cluster.local"


def routes(block: str, head: str = HEAD) -> list[Any]:
    """The HTTP routes of `cart` under the settings and routes of a block, the last one left out."""
    return spec(f"{head}\ntraffic cart {{ {block} }}", "VirtualService/cart")["http"][:-1]


def last(block: str) -> Any:
    return spec(f"{HEAD}\ntraffic cart {{ {block} }}", "VirtualService/cart")["http"][-1]


def matches(block: str) -> list[Any]:
    """The matches of the only route of a block, without the port that all of them have."""
    (route,) = routes(block)
    assert all(match["port"] == 80 for match in route["match"])
    return [{key: value for key, value in match.items() if key != "port"} for match in route["match"]]


def test_a_service_without_traffic_has_routes_that_never_retry() -> None:
    assert spec(HEAD, "VirtualService/cart") == {
        "hosts": [HOST],
        "http": [
            {
                "match": [{"port": 80}],
                "route": [{"destination": {"host": HOST, "port": {"number": 80}}}],
                "retries": {"attempts": 0},
            }
        ],
    }


def test_ports_are_told_apart_by_number() -> None:
    found = spec(HEAD, "VirtualService/ledger")["http"]
    assert [route["match"] for route in found] == [[{"port": 8080}], [{"port": 9090}]]
    assert [route["route"][0]["destination"]["port"]["number"] for route in found] == [8080, 9090]


def test_everything_stands_in_the_namespace_of_the_service() -> None:
    found = objects(HEAD)
    assert {name: one["metadata"]["namespace"] for name, one in found.items()} == {
        "VirtualService/cart": "shop",
        "DestinationRule/cart": "shop",
        "VirtualService/ledger": "bank",
        "DestinationRule/ledger": "bank",
    }


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("/a/b", [{"uri": {"exact": "/a/b"}}]),
        ("/a/**", [{"uri": {"exact": "/a"}}, {"uri": {"prefix": "/a/"}}]),
        ("/a.b/{id}", [{"uri": {"regex": r"/a\.b/[^/]+"}}]),
        ("/{id}/c/**", [{"uri": {"regex": "/[^/]+/c(?:/.*)?"}}]),
        ('re"/a/[0-9]+"', [{"uri": {"regex": "/a/[0-9]+"}}]),
        ("GET /a", [{"uri": {"exact": "/a"}, "method": {"exact": "GET"}}]),
        ("POST|GET", [{"method": {"regex": "GET|POST"}}]),
        ('/** when header "x" == "1"', [{"headers": {"x": {"exact": "1"}}}]),
        ('/** when header "x" == ""', [{"headers": {"x": {"regex": "^$"}}}]),
        ('/** when header "x" != "1"', [{"withoutHeaders": {"x": {"exact": "1"}}}]),
        ('/** when header "x" is present', [{"headers": {"x": {}}}]),
        ('/** when header "x" is absent', [{"withoutHeaders": {"x": {}}}]),
        ('/** when header "x" in ("a", "b.c")', [{"headers": {"x": {"regex": r"a|b\.c"}}}]),
        ('/** when header "x" starts with "a"', [{"headers": {"x": {"prefix": "a"}}}]),
        ('/** when header "x" ends with "a"', [{"headers": {"x": {"regex": ".*a"}}}]),
        ('/** when header "x" is present and header "x" == "1"', [{"headers": {"x": {"exact": "1"}}}]),
        ('/** when header "x" != "1" and header "x" != "2"', [{"withoutHeaders": {"x": {"regex": "1|2"}}}]),
        (
            '/** when header "x" == "1" and header "x" != "2"',
            [{"headers": {"x": {"exact": "1"}}, "withoutHeaders": {"x": {"exact": "2"}}}],
        ),
        (
            '/** when header "x" != ""',
            [
                {"withoutHeaders": {"x": {}}},
                {"headers": {"x": {}}, "withoutHeaders": {"x": {"regex": "^$"}}},
            ],
        ),
        ('/** when query "q" == "1"', [{"queryParams": {"q": {"exact": "1"}}}]),
        ('/** when query "q" is present', [{"queryParams": {"q": {"regex": ".*"}}}]),
        (
            '/** when query "q" is absent',
            [{"withoutHeaders": {":path": {"regex": r"[^?]*\?(?:(?:=[^&]*|[^&=q][^&]*|q[^&=][^&]*)?&)*q(?:=[^&]*)?(?:&.*)?"}}}],
        ),
        (
            '/** when query "q" != ""',
            [{"withoutHeaders": {":path": {"regex": r"[^?]*\?(?:(?:=[^&]*|[^&=q][^&]*|q[^&=][^&]*)?&)*q=?(?:&.*)?"}}}],
        ),
        ('/** when host == "b.example"', [{"authority": {"regex": r"(?i)b\.example\.?(:[0-9]+)?"}}]),
        ('/** when host != "b.example"', [{"withoutHeaders": {":authority": {"regex": r"(?i)b\.example\.?(:[0-9]+)?"}}}]),
        ('/** when host ends with ".example"', [{"authority": {"regex": r"(?i)[^:]*\.example\.?(:[0-9]+)?"}}]),
        ('/** when host matches re"[a-z]+[.]b"', [{"authority": {"regex": r"(?i)(?:[a-z]+[.]b)\.?(:[0-9]+)?"}}]),
        ("/** by web", [{"sourceNamespace": "shop", "sourceLabels": {"app": "web"}}]),
        ("/** by namespace bank", [{"sourceNamespace": "bank"}]),
        (
            "/** by web, namespace bank",
            [{"sourceNamespace": "shop", "sourceLabels": {"app": "web"}}, {"sourceNamespace": "bank"}],
        ),
    ],
)  # fmt: skip
def test_matches(operation: str, expected: list[Any]) -> None:
    assert matches(f"route {operation} {{ timeout 1s }}") == expected


def test_an_rpc_is_a_post_to_its_path() -> None:
    block = "traffic ledger:9090 { route rpc bank.Ledger/Add { timeout 1s } route rpc bank.Admin/* { timeout 2s } }"
    first, second, _ = spec(HEAD + block, "VirtualService/ledger")["http"][1:]
    assert first["match"] == [{"uri": {"exact": "/bank.Ledger/Add"}, "method": {"exact": "POST"}, "port": 9090}]
    assert second["match"][0]["uri"] == {"regex": "/bank\\.Admin/[^/]+"}


def test_hosts_that_routes_name_lead_to_the_service() -> None:
    block = """traffic cart {
      route /** when host == "b.example" { timeout 1s }
      route /a when host ends with ".old.example" { timeout 2s }
      route /b when host == "x.old.example" { timeout 2s }
      route /c when host in ("cart", "ledger.bank") { timeout 3s }
    }"""
    assert spec(HEAD + block, "VirtualService/cart")["hosts"] == [HOST, "*.old.example", "b.example"]


def test_routes_are_named_for_logs() -> None:
    block = 'route GET /a/{id} when header "x" == "1" { timeout 1s } route POST /b { timeout 1s }'
    assert [route["name"] for route in routes(block)] == ["POST /b", 'GET /a/{id} when header "x" == "1"']


# ---- actions --------------------------------------------------------------------------------------------------------


def test_shares_are_whole_weights() -> None:
    found = last("split cart@v1 99.75%, cart@v2 0.25%")["route"]
    assert [(one["destination"]["subset"], one["weight"]) for one in found] == [("v1", 399), ("v2", 1)]


def test_whole_shares_stay_as_they_are_and_empty_ones_go() -> None:
    assert [one["weight"] for one in last("split cart@v1 90%, cart@v2 10%")["route"]] == [90, 10]
    assert last("split cart@v1 100%, cart@v2 0%")["route"] == [
        {"destination": {"host": HOST, "subset": "v1", "port": {"number": 80}}}
    ]


def test_another_service_is_reached_by_its_host() -> None:
    (route,) = routes("route /l -> ledger:8080")
    assert route["route"] == [{"destination": {"host": "ledger.bank.svc.cluster.local", "port": {"number": 8080}}}]


def test_retries() -> None:
    found = last(
        "timeout 1500ms retry 3 on 5xx, connect-failure, 429 { per-try 500ms backoff 25ms..250ms budget 20% unsafe }"
    )
    assert found["timeout"] == "1500ms"
    assert found["retries"] == {
        "attempts": 3,
        "retryOn": "5xx,connect-failure,429",
        "perTryTimeout": "500ms",
        "backoff": "25ms",
    }


def test_no_timeout_is_none() -> None:
    assert "timeout" not in last("")


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("/a", "/b", {"match": "^.*$", "rewrite": "/b"}),
        ("/a/{id}", "/b/{id}/c", {"match": "^/a/([^/]+)$", "rewrite": r"/b/\1/c"}),
        ("/a/**", "/b/**", {"match": "^/a((?:/.*)?)$", "rewrite": r"/b\1"}),
        ("/a/**", "/**", {"match": "^/a/?(.*)$", "rewrite": r"/\1"}),
        ("/{x}/{y}/**", "/{y}/{x}/**", {"match": "^/([^/]+)/([^/]+)((?:/.*)?)$", "rewrite": r"/\2/\1\3"}),
    ],
)
def test_rewrites_replace_the_whole_path(path: str, target: str, expected: dict[str, str]) -> None:
    (route,) = routes(f'route {path} {{ rewrite path "{target}" }}')
    assert route["rewrite"] == {"uriRegexRewrite": expected}


def test_a_host_is_rewritten() -> None:
    assert last('rewrite host "b.example"')["rewrite"] == {"authority": "b.example"}


def test_redirects() -> None:
    (route,) = routes('route /a { redirect "/b?x=1" status 308 }')
    assert route["redirect"] == {"uri": "/b?x=1", "redirectCode": 308}
    assert "retries" not in route
    (route,) = routes('route /a { redirect "https://b.example:8443" }')
    assert route["redirect"] == {
        "scheme": "https", "authority": "b.example", "port": 8443, "uri": "/", "redirectCode": 302,
    }  # fmt: skip


def test_a_redirect_that_keeps_the_rest_is_two() -> None:
    whole, below = routes('route /old/** { redirect "/new/**" status 301 }')
    assert (whole["match"], whole["redirect"]) == (
        [{"uri": {"exact": "/old"}, "port": 80}],
        {"uri": "/new", "redirectCode": 301},
    )
    assert (below["match"], below["redirect"]) == (
        [{"uri": {"prefix": "/old/"}, "port": 80}],
        {"prefixRewrite": "/new/", "redirectCode": 301},
    )


def test_a_redirect_of_everything_keeps_the_path() -> None:
    found = last('redirect "https://b.example/**" status 308')
    assert found["match"] == [{"uri": {"prefix": "/"}, "port": 80}]
    assert found["redirect"] == {
        "scheme": "https", "authority": "b.example", "prefixRewrite": "/", "redirectCode": 308,
    }  # fmt: skip


def test_answers() -> None:
    (route,) = routes('route /a { respond 201 "made" }')
    assert route["directResponse"] == {"status": 201, "body": {"string": "made"}}
    assert route["headers"] == {"response": {"remove": ["location"]}}
    (route,) = routes("route /a { respond 404 }")
    assert route["directResponse"] == {"status": 404}


def test_header_changes() -> None:
    block = """
      set request header "x-set" "50% off"  add request header "x-set" "more"
      remove request header "x-gone"  add request header "x-gone" "anew"
      add response header "x-add" "a"  remove response header "x-old"
    """
    assert last(block)["headers"] == {
        "request": {"set": {"x-set": "50%% off", "x-gone": "anew"}, "add": {"x-set": "more"}},
        "response": {"remove": ["x-old"], "add": {"x-add": "a"}},
    }


def test_mirrors() -> None:
    assert last("mirror 12.5% to cart@v2")["mirrors"] == [
        {
            "destination": {"host": HOST, "subset": "v2", "port": {"number": 80}},
            "percentage": {"value": 12.5},
        }
    ]


def test_faults() -> None:
    assert last("fault delay 3s for 5% fault abort 503 for 0.5%")["fault"] == {
        "delay": {"fixedDelay": "3s", "percentage": {"value": 5}},
        "abort": {"httpStatus": 503, "percentage": {"value": 0.5}},
    }


def test_a_fault_with_a_condition_is_a_route_of_its_own() -> None:
    struck, plain = spec(
        HEAD + 'traffic cart { timeout 2s fault abort 503 for 10% when header "x" == "1" }', "VirtualService/cart"
    )["http"]
    assert struck["match"] == [{"headers": {"x": {"exact": "1"}}, "port": 80}]
    assert struck["fault"] == {"abort": {"httpStatus": 503, "percentage": {"value": 10}}}
    assert plain["match"] == [{"port": 80}]
    assert "fault" not in plain
    assert struck["timeout"] == plain["timeout"] == "2s"


def test_faults_with_two_conditions_make_every_case() -> None:
    block = """traffic cart {
      fault delay 1s for 100% when header "x" == "1"
      fault delay 2s for 100% when header "y" == "1"
      fault delay 4s for 100%
    }"""
    found = spec(HEAD + block, "VirtualService/cart")["http"]
    assert [route["fault"]["delay"]["fixedDelay"] for route in found] == ["7s", "5s", "6s", "4s"]
    assert [sorted(route["match"][0].get("headers", ())) for route in found] == [["x", "y"], ["x"], ["y"], []]


def test_an_abort_of_every_request_leaves_nothing_for_later_ones() -> None:
    block = """traffic cart {
      fault abort 500 for 100% when header "x" == "1"
      fault abort 503 for 10% when header "y" == "1"
    }"""
    found = spec(HEAD + block, "VirtualService/cart")["http"]
    assert [route.get("fault", {}).get("abort", {}).get("httpStatus") for route in found] == [500, 500, 503, None]


def test_conditions_that_exclude_each_other_make_no_common_case() -> None:
    block = """traffic cart {
      fault abort 500 for 10% when header "x" == "1"
      fault abort 503 for 10% when header "x" in ("2", "3")
    }"""
    found = spec(HEAD + block, "VirtualService/cart")["http"]
    assert [route.get("fault", {}).get("abort", {}).get("httpStatus") for route in found] == [500, 503, None]


def test_an_abort_of_every_request_comes_before_an_answer() -> None:
    (route,) = routes("route /a { respond 200 fault abort 503 for 100% }")
    assert route["directResponse"] == {"status": 503}


def test_connections_are_split_and_others_are_left_alone() -> None:
    head = HEAD + "service db in shop { port 5432 tcp port 6432 tcp version v1 version v2 } access db { allow web }"
    assert "VirtualService/db" not in objects(head)
    found = spec(head + " traffic db:5432 { split db@v1 90%, db@v2 10% }", "VirtualService/db")
    host = "db.shop.svc.cluster.local"
    assert found == {
        "hosts": [host],
        "tcp": [
            {
                "match": [{"port": 5432}],
                "route": [
                    {"destination": {"host": host, "subset": "v1", "port": {"number": 5432}}, "weight": 90},
                    {"destination": {"host": host, "subset": "v2", "port": {"number": 5432}}, "weight": 10},
                ],
            }
        ],
    }
