"""What the server's side emits and refuses: each fault at the line that causes it, nothing dropped in silence."""

from ipaddress import ip_network

import pytest

from linkerd_lab import Call, inbound, objects
from meshc.diagnostics import Severity
from meshc_linkerd.options import EmitOptions, read_options

HEAD = """mesh m {{ default access {default} mtls {mtls} }}
namespace a
namespace b
service web in a {{ {ports} }}
service front in a
service back in b
access web {{
{rules}
}}
"""


def _text(rules: str, *, ports: str = "port 80 http", default: str = "deny", mtls: str = "strict") -> str:
    return HEAD.format(rules=rules, ports=ports, default=default, mtls=mtls)


def _errors(text: str, options: EmitOptions | None = None) -> list[tuple[int, str]]:
    found = inbound(text, options)
    return [(one.span.line, one.message) for one in found.diagnostics if one.severity is Severity.ERROR]


def _warnings(text: str, options: EmitOptions | None = None) -> list[tuple[int, str]]:
    found = inbound(text, options)
    return [(one.span.line, one.message) for one in found.diagnostics if one.severity is Severity.WARNING]


@pytest.mark.parametrize(
    ("rules", "line", "message"),
    [
        ("allow front\nallow back to PROPFIND /a", 9, "linkerd cannot test the method `PROPFIND`"),
        ('allow front when query "q" == "1"', 8, "query parameter `q` stands twice, or escaped"),
        ('allow front when not query "q" is absent', 8, "query parameter `q` stands twice, or escaped"),
        ('allow front when header "h" == "1"\nallow back when header "h" == "2"', 8, "tell apart requests"),
        ('allow back\ndeny back when header "h" is present', 9, "header `h` holds a value beyond ASCII"),
        ('allow front when not header "h" starts with "x"', 8, "header `h` holds a value beyond ASCII"),
        ('allow front when header "h" == "é"', 8, "the header `h` for text beyond ASCII"),
        ('allow front when header "h" matches re"a\\bb"', 8, "beyond ASCII or word ends"),
        ('allow front when host ends with "shop"', 8, "`shop`, which does not start with a dot"),
        ('allow front\ndeny front when host == "x.example"', 9, "spell the host `x.example` in other letters"),
        ('allow front when not host ends with ".example"', 8, "spell the host `example` in other letters"),
        ('allow front when host == "10.0.0.1"', 8, "linkerd cannot test the host `10.0.0.1`"),
        ('allow front, identity "spiffe://cluster.local/x/*"', 8, "identities by a prefix other than"),
        ('allow front to re"/(a|b|/)*a(a|b|/){7}"', 4, "too long for linkerd"),
    ],
)
def test_what_cannot_be_said_is_an_error(rules: str, line: int, message: str) -> None:
    errors = _errors(_text(rules))
    assert [one for one, _ in errors] == [line]
    assert message in errors[0][1]


def test_many_independent_headers_are_too_many() -> None:
    rules = "\n".join(f'allow front when header "h{number}" == "1"' for number in range(12))
    rules += "\n" + "\n".join(f'deny back when header "h{number}" == "1"' for number in range(12))
    ((line, message),) = _errors(_text(f"{rules}\nallow back"))
    assert line == 4
    assert "more than 512 ways" in message


@pytest.mark.slow
def test_many_paths_with_many_tests_are_too_many() -> None:
    paths = ", ".join(f"/p{number}" for number in range(20))
    denies = (f'deny anyone from 10.{one}.0.0/16 to {paths} when header "h{one}" == "1"' for one in range(8))
    rules = "\n".join((f"allow front to {paths}", *denies))
    ((line, message),) = _errors(_text(rules))
    assert line == 4
    assert "paths of port 80 combine in too many ways" in message


def test_refusing_identities_but_not_plaintext_is_an_error() -> None:
    ((line, message),) = _errors(_text("allow anyone\ndeny front", mtls="permissive"))
    assert line == 9
    assert "cannot refuse identities at `a.web:80`" in message


def test_who_remains_is_listed_with_a_note() -> None:
    text = _text("allow anyone\ndeny front to /a/**")
    assert [line for line, message in _warnings(text) if "does not declare" in message] == [9]
    found = objects(inbound(text))
    call = Call(port=80, identity="spiffe://cluster.local/ns/b/sa/back", source="10.0.0.1", path="/a/b")
    assert found.answers("a", "web", call) == {True}
    new = Call(port=80, identity="spiffe://cluster.local/ns/b/sa/new", source="10.0.0.1", path="/a/b")
    assert found.answers("a", "web", new) == {False}


def test_paths_in_normal_form_are_noted_once() -> None:
    text = _text("allow front to /a\nallow back to /b", ports="port 80 http port 81 http2")
    assert [line for line, message in _warnings(text) if "as they are sent" in message] == [8]


def test_no_rules_let_nobody_in() -> None:
    """A route without authorizations, since Linkerd would let probes through to a port without routes."""
    found = inbound(_text("deny front"))
    assert {one.resource.kind for one in found.placed} == {"Server", "HTTPRoute"}
    for path in ("/", "/healthz", "//"):
        assert objects(found).answers("a", "web", Call(port=80, identity=None, source="10.0.0.1", path=path)) == {False}


def test_protocols_are_read_as_they_are() -> None:
    found = inbound(_text("allow front", ports="port 80 http port 81 http2 port 82 grpc port 83 tcp"))
    shown = objects(found)
    protocols = {name: spec["proxyProtocol"] for name, spec in shown.specs("Server", "a")}
    assert protocols == {"web-80": "HTTP/1", "web-81": "HTTP/2", "web-82": "HTTP/2", "web-83": "opaque"}


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_connections_are_authorized_at_the_server(protocol: str) -> None:
    text = _text("allow anyone from 10.0.0.0/8\ndeny anyone from 10.66.0.0/16", ports=f"port 80 {protocol}")
    found = objects(inbound(text))
    for source, expected in (("10.1.1.1", True), ("10.66.1.1", False), ("11.0.0.1", False)):
        for identity in ("spiffe://cluster.local/ns/a/sa/front", None):
            call = Call(port=80, identity=identity, source=source)
            is_known = identity is not None or protocol == "tls"
            assert found.answers("a", "web", call) == {expected and is_known}


def test_gRPC_methods_are_whole() -> None:  # noqa: N802 -- its name
    found = objects(inbound(_text("allow front to rpc shop.Cart/Add", ports="port 80 grpc")))
    for path, expected in (("/shop.Cart/Add", True), ("/shop.Cart/Add/more", False), ("/shop.Cart/Get", False)):
        call = Call(
            port=80, identity="spiffe://cluster.local/ns/a/sa/front", source="10.0.0.1", path=path, method="POST"
        )
        assert found.answers("a", "web", call) == {expected}


# ---- probes ---------------------------------------------------------------------------------------------------------


def test_probes_open_their_method_and_path_to_the_kubelets() -> None:
    text = _text("allow front to /a", ports="port 80 http target 8080 probe GET /healthz?full=1 on 8080")
    found = objects(inbound(text, EmitOptions(probe_networks=(ip_network("10.0.0.0/8"),))))
    for method, path, source, expected in (
        ("GET", "/healthz", "10.1.1.1", True),
        ("GET", "/healthz?x=1", "10.1.1.1", True),
        ("POST", "/healthz", "10.1.1.1", False),
        ("GET", "/healthz/", "10.1.1.1", False),
        ("GET", "//healthz", "10.1.1.1", False),
        ("GET", "/healthz", "11.1.1.1", False),
    ):
        call = Call(port=8080, identity=None, source=source, method=method, path=path)
        assert found.answers("a", "web", call) == {expected}, call


def test_a_probe_beats_denies_and_leaves_everything_else() -> None:
    text = _text("deny anyone to GET /healthz", ports="port 80 http probe GET /healthz", default="allow")
    found = objects(inbound(text))
    known = "spiffe://cluster.local/ns/a/sa/front"
    for identity, method, path, expected in (
        (None, "GET", "/healthz", True),
        (known, "GET", "/healthz", True),
        (None, "POST", "/healthz", False),
        (known, "POST", "/healthz", True),
        (known, "GET", "/x", True),
    ):
        call = Call(port=80, identity=identity, source="10.0.0.1", method=method, path=path)
        assert found.answers("a", "web", call) == {expected}, call


def test_health_checks_of_grpc_are_a_call() -> None:
    found = objects(inbound(_text("allow front to rpc a.B/C", ports="port 80 grpc probe GRPC on 80")))
    call = Call(port=80, identity=None, source="10.0.0.1", method="POST", path="/grpc.health.v1.Health/Check")
    assert found.answers("a", "web", call) == {True}


def test_probes_of_connections_need_nothing() -> None:
    found = inbound(_text("allow front", ports="port 80 tcp probe TCP on 80"))
    assert not any(one.resource.kind == "NetworkAuthentication" for one in found.placed)


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ("port 80 tcp probe GET /healthz on 80", "through to port 80, which speaks tcp"),
        ("port 80 http probe GET /a%20b on 80", "`/a%20b` through, which is no path in normal form"),
    ],
)
def test_probes_that_cannot_be_let_through(ports: str, message: str) -> None:
    ((_, shown),) = _errors(_text("allow front", ports=ports))
    assert message in shown


# ---- servers --------------------------------------------------------------------------------------------------------

TWINS = """
mesh m {{ }}
namespace a
service one in a {{ port 80 http target 8080 labels app = "x" probe GET /one on 8080 }}
service two in a {{ port 81 http target 8080 labels app = "x" probe GET /two on 8080 }}
service front in a
access one {{ allow front }}
access two {{ {rule} }}
"""


def test_services_of_the_same_pods_share_a_server() -> None:
    found = inbound(TWINS.format(rule="allow front"))
    servers = [one for one in found.placed if one.resource.kind == "Server"]
    assert [one.resource.metadata.name for one in servers] == ["one-80"]
    for path in ("/one", "/two"):
        call = Call(port=8080, identity=None, source="10.0.0.1", path=path)
        assert objects(found).answers("a", "x", call) == {True}


def test_services_of_the_same_pods_must_agree() -> None:
    ((line, message),) = _errors(TWINS.format(rule="allow front to /a"))
    assert line == 5
    assert "`one:80` has another one for port 8080" in message


def test_a_narrower_selector_is_the_same_pods() -> None:
    text = TWINS.format(rule="allow front").replace(
        'target 8080 labels app = "x" probe GET /two', 'target 8080 labels app = "x", tier = "y" probe GET /two'
    )
    names = [one.resource.metadata.name for one in inbound(text).placed if one.resource.kind == "Server"]
    assert names == ["one-80"]


def test_other_pods_have_their_own_server() -> None:
    text = TWINS.format(rule="allow front to /a").replace(
        '81 http target 8080 labels app = "x"', '81 http target 8080 labels app = "y"'
    )
    names = [one.resource.metadata.name for one in inbound(text).placed if one.resource.kind == "Server"]
    assert names == ["one-80", "two-81"]


# ---- limits ---------------------------------------------------------------------------------------------------------


def _limits(limits: str) -> list[dict[str, object]]:
    found = objects(inbound(_text("allow front") + f"rate-limit web {{ {limits} }}"))
    return [spec for _, spec in found.specs("HTTPLocalRateLimitPolicy", "a")]


def test_limits_of_all_and_of_each() -> None:
    (spec,) = _limits("100/s 10/s per source")
    assert spec["total"] == {"requestsPerSecond": 100}
    assert spec["identity"] == {"requestsPerSecond": 10}
    assert spec["targetRef"] == {"group": "policy.linkerd.io", "kind": "Server", "name": "web-80"}


def test_the_smallest_limit_says_all() -> None:
    (spec,) = _limits("100/s 50/s 600/m burst 10")
    assert spec["total"] == {"requestsPerSecond": 10}


def test_a_limit_of_each_above_that_of_all_says_nothing() -> None:
    (spec,) = _limits("10/s 100/s per source")
    assert "identity" not in spec


@pytest.mark.parametrize("limit", ["10/m", "1/h", "90/m", "5/s burst 1 per source"])
def test_limits_that_cannot_be_counted(limit: str) -> None:
    text = _text("allow front") + f"rate-limit web {{ {limit} }}"
    ((_, message),) = _errors(text)
    assert "whole requests per second" in message
    assert not _errors(text, EmitOptions(omit=True))
    assert any("left out" in message for _, message in _warnings(text, EmitOptions(omit=True)))


def test_a_larger_burst_is_cut_with_a_warning() -> None:
    text = _text("allow front") + "rate-limit web { 100/s burst 200 }"
    assert not _errors(text)
    assert any("this limit has a burst of 100" in message for _, message in _warnings(text))
    assert _limits("100/s burst 200")[0]["total"] == {"requestsPerSecond": 100}


def test_callers_without_identity_share_a_bucket() -> None:
    text = _text("allow anyone", mtls="permissive") + "rate-limit web { 5/s per source }"
    assert any("share one bucket" in message for _, message in _warnings(text))


# ---- options --------------------------------------------------------------------------------------------------------


def test_options() -> None:
    assert read_options({}) == EmitOptions()
    read = read_options({"namespace": "l5d", "probe-networks": "10.0.0.0/8 ::/0", "unsupported": "warn"})
    assert read == EmitOptions(
        namespace="l5d", probe_networks=(ip_network("10.0.0.0/8"), ip_network("::/0")), omit=True
    )
    with pytest.raises(ValueError, match="nonsense"):
        read_options({"probe-networks": "nonsense"})
