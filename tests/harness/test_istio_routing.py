"""The evaluator of Istio: what callers' sidecars do, by the tables and observations of Istio's reference."""

from collections.abc import Mapping, Sequence

import pytest

from meshc_harness.istio import Call, Caller, Destination, IstioMesh, Outcome, Retries, ServicePort, Workload

HOST = "web.shop.svc.cluster.local"
HTTP = ServicePort(number=80, target=8080, protocol="http")
TCP = ServicePort(number=5432, target=5432, protocol="tcp")
WEB = Workload(
    namespace="shop",
    name="web",
    labels={"app": "web"},
    service_account="web",
    ports=(HTTP, TCP),
    versions={"v1": {"version": "1"}, "v2": {"version": "2"}},
)
OTHER = Workload(
    namespace="bank", name="other", labels={"app": "other"}, service_account="other", ports=(HTTP,), versions={}
)
FRIEND = Caller(namespace="shop", labels={"app": "friend"})
TO_WEB = [{"destination": {"host": HOST, "port": {"number": 80}}}]


def resource(
    kind: str, spec: Mapping[str, object], name: str = "x", namespace: str = "shop", created: str = ""
) -> Mapping[str, object]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": spec,
    }


def service(*http: Mapping[str, object], name: str = "vs", created: str = "", **more: object) -> Mapping[str, object]:
    return resource("VirtualService", {"hosts": [HOST], "http": list(http), **more}, name, created=created)


def mesh(*documents: Mapping[str, object], config: Mapping[str, object] | None = None) -> IstioMesh:
    return IstioMesh.of(documents, config or {}, [WEB, OTHER])


def send(
    documents: Sequence[Mapping[str, object]],
    target: str = "/",
    *,
    caller: Caller = FRIEND,
    authority: str = HOST,
    headers: tuple[tuple[str, str], ...] = (),
    method: str = "GET",
    config: Mapping[str, object] | None = None,
) -> Outcome:
    call = Call(port=80, authority=authority, method=method, target=target, headers=headers)
    return mesh(*documents, config=config).caller.send(caller, call)


def takes(match: Mapping[str, object], target: str = "/", **call: object) -> bool:
    """Whether a route with this match takes a request."""
    route = {"match": [match], "directResponse": {"status": 299}}
    return send([service(route)], target, **call).status == 299  # type: ignore[arg-type]


# ---- matches --------------------------------------------------------------------------------------------------------


def test_the_first_match_wins_and_nothing_is_404() -> None:
    routes = (
        {"match": [{"uri": {"exact": "/a"}}], "directResponse": {"status": 201}},
        {"match": [{"uri": {"prefix": "/a"}}, {"uri": {"exact": "/b"}}], "directResponse": {"status": 202}},
    )
    assert [send([service(*routes)], path).status for path in ("/a", "/ab", "/b", "/c")] == [201, 202, 202, 404]


@pytest.mark.parametrize(
    ("match", "call", "matches"),
    [
        ({"uri": {"prefix": "/foo"}}, {"target": "/foobar"}, True),
        ({"uri": {"exact": "/foo"}}, {"target": "/foo?x=1"}, True),
        ({"uri": {"exact": "/foo"}}, {"target": "/x/../foo"}, True),
        ({"uri": {"regex": "/[a-z]"}}, {"target": "/ab"}, False),
        ({"uri": {"exact": "/FOO"}, "ignoreUriCase": True}, {"target": "/foo"}, True),
        ({"uri": {"regex": "/FOO"}, "ignoreUriCase": True}, {"target": "/foo"}, False),
        ({"method": {"exact": "POST"}}, {"method": "GET"}, False),
        ({"method": {"regex": "GET|POST"}}, {"method": "POST"}, True),
        ({"authority": {"exact": HOST}}, {"authority": f"{HOST}:80"}, False),
        ({"authority": {"prefix": "web.shop"}}, {"authority": "web.shop:80"}, True),
        ({"headers": {"X": {"exact": "1"}}}, {"headers": (("x", "1"),)}, True),
        ({"headers": {"x": {"exact": "1"}}}, {"headers": (("x", "1"), ("x", "2"))}, False),
        ({"headers": {"x": {}}}, {"headers": (("x", ""),)}, True),
        ({"headers": {"x": {}}}, {}, False),
        ({"withoutHeaders": {"x": {}}}, {}, True),
        ({"withoutHeaders": {"x": {}}}, {"headers": (("x", ""),)}, False),
        ({"withoutHeaders": {"x": {"exact": "1"}}}, {}, True),
        ({"withoutHeaders": {"x": {"exact": "1"}}}, {"headers": (("x", "1"),)}, False),
        ({"withoutHeaders": {"x": {"exact": "1"}}}, {"headers": (("x", "2"),)}, True),
        ({"withoutHeaders": {"x": {"regex": "1?"}}}, {}, False),
        ({"withoutHeaders": {":path": {"regex": ".*[?].*"}}}, {"target": "/a"}, True),
        ({"withoutHeaders": {":path": {"regex": ".*[?].*"}}}, {"target": "/a?q"}, False),
        ({"headers": {":authority": {"regex": "(?i)WEB.*"}}}, {}, True),
        ({"queryParams": {"q": {"exact": "1"}}}, {"target": "/?q=1&q=2"}, True),
        ({"queryParams": {"q": {"exact": "2"}}}, {"target": "/?q=1&q=2"}, False),
        ({"queryParams": {"q": {"exact": ""}}}, {"target": "/?q"}, True),
        ({"queryParams": {"q": {}}}, {"target": "/?p=1"}, False),
        ({"port": 80}, {}, True),
        ({"port": 8080}, {}, False),
        ({"sourceLabels": {"app": "friend"}}, {}, True),
        ({"sourceLabels": {"app": "enemy"}}, {}, False),
        ({"sourceNamespace": "shop"}, {}, True),
        ({"sourceNamespace": "bank"}, {}, False),
        ({"gateways": ["some/gateway"]}, {}, False),
        ({"uri": {"exact": "/"}, "method": {"exact": "PUT"}}, {}, False),
    ],
)
def test_matches(match: Mapping[str, object], call: dict[str, object], matches: bool) -> None:  # noqa: FBT001
    assert takes(match, **call) is matches  # type: ignore[arg-type]


def test_newer_releases_compare_each_line_of_a_header() -> None:
    documents = [service({"match": [{"headers": {"x": {"exact": "1"}}}], "directResponse": {"status": 299}})]
    found = IstioMesh.of(documents, {}, [WEB], joins_lines=False)
    call = Call(port=80, authority=HOST, method="GET", target="/", headers=(("x", "2"), ("x", "1")))
    assert found.caller.send(FRIEND, call).status == 299


# ---- hosts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authority", "namespace", "is_known"),
    [
        ("web", "shop", True),
        ("web", "bank", False),
        ("web.shop", "bank", True),
        ("WEB.shop:80", "bank", True),
        ("web.shop.svc", "bank", True),
        (f"{HOST}.", "bank", True),
        ("web.shop.", "bank", False),
        ("elsewhere.example", "shop", False),
    ],
)
def test_which_hosts_mean_a_service(authority: str, namespace: str, is_known: bool) -> None:  # noqa: FBT001
    caller = Caller(namespace=namespace, labels={})
    outcome = send([service({"directResponse": {"status": 299}})], authority=authority, caller=caller)
    assert (outcome.status == 299) is is_known


def test_unknown_hosts_pass_unless_the_registry_is_all_there_is() -> None:
    assert send([], authority="x.example") == Outcome(route="unknown host")
    only = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    assert send([], authority="x.example", config=only).status == 502
    sidecar = resource("Sidecar", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    assert send([sidecar], authority="x.example").status == 502
    hidden = resource(
        "Sidecar", {"egress": [{"hosts": ["./other"]}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    )
    assert send([hidden]).status == 502


def test_entries_of_the_registry() -> None:
    entry = resource(
        "ServiceEntry",
        {
            "hosts": ["api.example", "*.b.example"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "NONE",
            "exportTo": ["."],
        },
    )
    assert send([entry], authority="api.example").destinations == ((Destination(host="api.example", port=80), 1),)
    assert send([entry], authority="x.b.example").destinations[0][0].host == "*.b.example"
    assert send([entry], authority="api.example", caller=Caller(namespace="bank", labels={})).route == "unknown host"


def test_the_oldest_virtual_service_of_a_host_wins() -> None:
    old = service({"directResponse": {"status": 201}}, name="z", created="2020")
    new = service({"directResponse": {"status": 202}}, name="a", created="2021")
    assert send([new, old]).status == 201


def test_short_names_are_of_the_objects_namespace() -> None:
    short = resource("VirtualService", {"hosts": ["web"], "http": [{"directResponse": {"status": 299}}]})
    assert send([short]).status == 299
    dotted = resource("VirtualService", {"hosts": ["web.shop"], "http": [{"directResponse": {"status": 299}}]})
    assert send([dotted]).status is None


def test_export() -> None:
    here = service({"directResponse": {"status": 299}}, exportTo=["."])
    assert send([here]).status == 299
    assert send([here], caller=Caller(namespace="bank", labels={})).status is None


# ---- actions --------------------------------------------------------------------------------------------------------


def test_defaults_of_istio() -> None:
    """Retries that nobody asked for, and no timeout."""
    for documents in ([], [service({"route": TO_WEB})]):
        outcome = send(documents)
        assert outcome.retries.attempts == 2
        assert "connect-failure" in outcome.retries.on
        assert outcome.timeout_ms is None
    config = {"defaultHttpRetryPolicy": {"attempts": 0}}
    assert send([], config=config).retries.attempts == 0
    assert send([service({"route": TO_WEB, "retries": {"attempts": 0}})]).retries == Retries(attempts=0)


def test_settings_of_a_route() -> None:
    outcome = send(
        [
            service(
                {
                    "route": TO_WEB,
                    "timeout": "1.5s",
                    "retries": {"attempts": 3, "perTryTimeout": "500ms", "retryOn": "5xx,418", "backoff": "25ms"},
                    "fault": {"delay": {"fixedDelay": "2s", "percentage": {"value": 0.5}}},
                    "mirrors": [{"destination": {"host": HOST, "subset": "v2"}, "percentage": {"value": 10}}],
                }
            )
        ]
    )
    assert outcome.timeout_ms == 1500
    assert outcome.retries == Retries(attempts=3, on=("5xx", "418"), per_try_ms=500, backoff_ms=25)
    assert [(one.delay_ms, one.percent) for one in outcome.faults] == [(2000, 0.5)]
    assert outcome.mirrors == ((Destination(host=HOST, port=80, subset="v2"), 10.0),)


def test_weights() -> None:
    def weighted(*weights: int) -> tuple[int, ...]:
        route = [
            {"destination": {"host": HOST, "subset": f"v{n}"}, "weight": weight} for n, weight in enumerate(weights)
        ]
        return tuple(weight for _, weight in send([service({"route": route})]).destinations)

    assert weighted(1, 2) == (1, 2)
    assert weighted(0, 5) == (5,)
    assert weighted(0) == (1,)


def test_an_abort_of_all_requests_is_the_answer() -> None:
    def status(**share: object) -> int | None:
        return send([service({"route": TO_WEB, "fault": {"abort": {"httpStatus": 418, **share}}})]).status

    assert status(percentage={"value": 100}) == 418
    assert status(percentage={"value": 99}) is None
    # Without a share Istio aborts no request.
    assert status() is None


@pytest.mark.parametrize(
    ("redirect", "target", "location"),
    [
        ({"uri": "/new"}, "/a?q=1", f"http://{HOST}/new?q=1"),
        ({"uri": "/new?y=2"}, "/a?q=1", f"http://{HOST}/new?y=2"),
        ({"authority": "x.example"}, "/a", "http://x.example/a"),
        ({"scheme": "https", "authority": "x.example", "port": 443}, "/a", "https://x.example/a"),
        ({"authority": "x.example", "port": 81}, "/a", "http://x.example:81/a"),
    ],
)
def test_redirects(redirect: Mapping[str, object], target: str, location: str) -> None:
    outcome = send([service({"redirect": {**redirect, "redirectCode": 308}})], target)
    assert (outcome.status, outcome.location) == (308, location)


@pytest.mark.parametrize(
    ("match", "rewrite", "target", "sent"),
    [
        ({"uri": {"prefix": "/common"}}, {"uri": "/"}, "/common/api", "//api"),
        ({"uri": {"prefix": "/a/"}}, {"uri": "/b/"}, "/a/c?q=1", "/b/c?q=1"),
        ({"uri": {"exact": "/a"}}, {"uri": "/b"}, "/a", "/b"),
        ({"uri": {"regex": "/a.*"}}, {"uri": "/b"}, "/a/c?q=1", "/b?q=1"),
        ({}, {"uri": "/b"}, "/a", "/ba"),
        ({}, {"uriRegexRewrite": {"match": "^/([^/]+)/(.*)$", "rewrite": r"/\2/\1"}}, "/a/b?q", "/b/a?q"),
    ],
)
def test_rewrites(match: Mapping[str, object], rewrite: Mapping[str, object], target: str, sent: str) -> None:
    leaving = send([service({"match": [match], "route": TO_WEB, "rewrite": rewrite})], target).leaving
    assert leaving is not None
    assert leaving.target == sent


def test_the_authority_is_rewritten() -> None:
    leaving = send([service({"route": TO_WEB, "rewrite": {"authority": "x.example"}})]).leaving
    assert leaving is not None
    assert leaving.authority == "x.example"


def test_header_changes() -> None:
    """Removals come first, then what is set, then what is added; empty values are left out."""
    changes = {"set": {"a": "1", "e": ""}, "add": {"a": "2", "b": "50%%"}, "remove": ["a", "c"]}
    route = {"route": TO_WEB, "headers": {"request": changes}}
    leaving = send([service(route)], headers=(("A", "0"), ("b", "0"), ("C", "0"), ("e", "0"))).leaving
    assert leaving is not None
    assert leaving.headers == {"a": ("1", "2"), "b": ("0", "50%"), "e": ("0",)}


# ---- behind destinations --------------------------------------------------------------------------------------------


def rule(spec: Mapping[str, object], **where: str) -> Mapping[str, object]:
    return resource("DestinationRule", {"host": HOST, **spec}, **where)


SUBSETS = {"subsets": [{"name": "v2", "labels": {"version": "2"}}, {"name": "none", "labels": {"version": "9"}}]}


def test_subsets_pick_pods_by_label() -> None:
    found = mesh(rule(SUBSETS)).caller

    def versions(subset: str | None, port: int = 80) -> list[str]:
        pods = found.backends(FRIEND, Destination(host=HOST, port=port, subset=subset))
        return [pod["version"] for pod in pods]

    assert versions(None) == ["1", "2"]
    assert versions("v2") == ["2"]
    assert versions("none") == []
    assert versions("unknown") == []
    assert versions(None, 81) == []


@pytest.mark.parametrize(("resolution", "is_open"), [("NONE", True), ("DNS", False)])
def test_a_subset_that_is_defined_refuses_nobody_where_the_application_chooses(
    resolution: str,
    is_open: bool,  # noqa: FBT001
) -> None:
    """Its cluster connects to the address that the application looked up; without endpoints, another is no cluster at all."""
    host = "mail.example"
    ports = [{"number": 465, "name": "tls-465", "protocol": "TLS"}]
    entry = resource("ServiceEntry", {"hosts": [host], "ports": ports, "resolution": resolution})
    found = mesh(entry, resource("DestinationRule", {"host": host, **SUBSETS})).caller
    assert bool(found.backends(FRIEND, Destination(host=host, port=465, subset="none"))) is is_open
    assert not found.backends(FRIEND, Destination(host=host, port=465, subset="unknown"))


@pytest.mark.parametrize(("namespace", "is_seen"), [("shop", True), ("istio-system", True), ("elsewhere", False)])
def test_where_rules_are_looked_for(namespace: str, is_seen: bool) -> None:  # noqa: FBT001
    found = mesh(rule(SUBSETS, namespace=namespace)).caller.rule(Caller(namespace="bank", labels={}), HOST)
    assert (found is not None) is is_seen


def test_the_first_namespace_wins_whole_and_rules_of_one_are_merged() -> None:
    own = rule({"subsets": [{"name": "v1", "labels": {}}]}, namespace="bank")
    second = rule({"trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}, name="y", created="2021")
    side = mesh(rule(SUBSETS, created="2020"), second, own).caller
    of_bank = side.rule(Caller(namespace="bank", labels={}), HOST)
    of_shop = side.rule(FRIEND, HOST)
    assert of_bank is not None
    assert of_shop is not None
    assert list(of_bank.subsets) == ["v1"]
    assert list(of_shop.subsets) == ["v2", "none"]
    assert of_shop.policy is not None
    assert of_shop.policy.balancer == {"simple": "RANDOM"}


def test_port_settings_replace_all_blocks() -> None:
    outlier = {"outlierDetection": {"consecutive5xxErrors": 3}}
    ports = [{"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}]
    side = mesh(rule({"trafficPolicy": {**outlier, "portLevelSettings": ports}})).caller
    assert side.policy(FRIEND, Destination(host=HOST, port=80)).outlier is None
    assert side.policy(FRIEND, Destination(host=HOST, port=5432)).outlier == {"consecutive5xxErrors": 3}


# ---- connections ----------------------------------------------------------------------------------------------------


def test_connections() -> None:
    route = {"match": [{"port": 5432}], "route": [{"destination": {"host": HOST, "subset": "v2"}}]}
    document = resource("VirtualService", {"hosts": [HOST], "tcp": [route]})
    call = Call(port=5432, authority=HOST)
    assert mesh(document).caller.send(FRIEND, call).destinations == (
        (Destination(host=HOST, port=5432, subset="v2"), 1),
    )
    assert mesh().caller.send(FRIEND, call).destinations == ((Destination(host=HOST, port=5432), 1),)
