"""Hand-written configuration, read by what Envoy documents: YAML in, decisions out."""

import json
import textwrap

import pytest

from meshc.ir import Mesh, MtlsMode
from meshc.reading import Reading, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import decide
from meshc.source import SourceFile
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text

_MESH = """
mesh m { trust-domain "mesh.local" }
namespace shop
service cart in shop { port 80 http }
service web in shop
"""
_WEB = "spiffe://mesh.local/ns/shop/sa/web"
_ROGUE = "spiffe://mesh.local/ns/shop/sa/rogue"

_TLS = """\
transport_socket:
  name: tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    require_client_certificate: true
    common_tls_context:
      tls_certificates: [{certificate_chain: {filename: c.pem}, private_key: {filename: k.pem}}]
      validation_context:
        trusted_ca: {filename: ca.pem}
        match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://mesh.local/"}}]
"""
_BOOTSTRAP = """\
node: {{id: shop/cart, cluster: m}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 0.0.0.0, port_value: 15010}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          use_remote_address: true
          strip_any_host_port: true
          strip_trailing_host_dot: true
          stream_idle_timeout: 0s
          http_filters:
{filters}
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: app, timeout: 0s, idle_timeout: 0s}}}}]
{tls}
  clusters:
  - name: app
    type: STATIC
    circuit_breakers:
      thresholds:
      - {{max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295}}
    load_assignment:
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 80}}}}}}}}]
"""


def known() -> Mesh:
    """The services that are declared, without policy."""
    mesh = analyze_text(_MESH).mesh
    assert mesh is not None
    return bare(mesh)


def rbac(action: str, policies: str, name: str = "rbac") -> str:
    """An RBAC filter with these policies, in flow style."""
    kind = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
    return f'- {{name: {name}, typed_config: {{"@type": {kind}, rules: {{action: {action}, policies: {policies}}}}}}}'


def read_filters(*filters: str, tls: str = _TLS) -> Reading:
    """Read a sidecar of `cart` with these HTTP filters."""
    text = _BOOTSTRAP.format(filters=textwrap.indent("\n".join(filters), " " * 10), tls=textwrap.indent(tls, " " * 6))
    objects, wrong = objects_of_source(SourceFile("cart.yaml", text))
    assert not wrong
    return read(objects, known(), {})


def allowed(
    reading: Reading, path: str = "/", method: str = "GET", identity: str | None = _WEB, **headers: str
) -> bool:
    """Whether a request to `cart` is let in."""
    request = Request(
        identity=identity,
        namespace="shop",
        service="cart",
        port=80,
        method=method,
        path=path,
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
    )
    return decide(reading.mesh, request).allowed is True


def access_unknown(reading: Reading) -> list[str]:
    """What is not known of `cart`."""
    return [one.message for one in reading.unknown if one.ports == (("shop", "cart", 80),)]


ANY = "{any: true}"


def policy(permissions: str, principals: str = ANY) -> str:
    return f"{{p: {{permissions: [{permissions}], principals: [{principals}]}}}}"


def test_without_filters_everybody_with_a_certificate_is_let_in() -> None:
    reading = read_filters()
    assert not access_unknown(reading)
    assert allowed(reading, identity=_ROGUE)
    assert not allowed(reading, identity=None)
    assert reading.mesh.workloads[0].ports[0].mtls is MtlsMode.STRICT


def test_plaintext_knows_no_identities() -> None:
    named = policy(ANY, f'{{authenticated: {{principal_name: {{exact: "{_WEB}"}}}}}}')
    reading = read_filters(rbac("ALLOW", named), tls="")
    assert reading.mesh.workloads[0].ports[0].mtls is MtlsMode.OFF
    assert not allowed(reading)


def test_an_allow_filter_without_policies_refuses_all_and_a_deny_filter_none() -> None:
    assert not allowed(read_filters(rbac("ALLOW", "{}")))
    assert allowed(read_filters(rbac("DENY", "{}")))


def test_several_filters_are_asked_in_order() -> None:
    reading = read_filters(
        rbac("DENY", policy("{url_path: {path: {prefix: /admin}}}"), "a"),
        rbac("ALLOW", policy("{header: {name: ':method', string_match: {exact: GET}}}"), "b"),
    )
    assert allowed(reading, "/x")
    assert not allowed(reading, "/x", "POST")
    assert not allowed(reading, "/administrator")


@pytest.mark.parametrize(
    ("permission", "inside", "outside"),
    [
        ("{url_path: {path: {exact: /a}}}", "/a?b", "/a/"),
        ("{url_path: {path: {suffix: .js}}}", "/x.js", "/x.jsx"),
        ("{url_path: {path: {contains: adm}}}", "/x/adm/y", "/x"),
        ("{url_path: {path: {safe_regex: {regex: '/a/[^/]+'}}}}", "/a/1", "/a/1/2"),
        ("{url_path: {path: {exact: /A, ignore_case: true}}}", "/a", "/b"),
        ("{and_rules: {rules: [{url_path: {path: {prefix: /a}}}, {url_path: {path: {suffix: z}}}]}}", "/az", "/a"),
        ("{or_rules: {rules: [{url_path: {path: {exact: /a}}}, {url_path: {path: {exact: /b}}}]}}", "/b", "/c"),
        ("{not_rule: {url_path: {path: {prefix: /private}}}}", "/public", "/private/x"),
    ],
)
def test_permissions_read_paths_without_their_query(permission: str, inside: str, outside: str) -> None:
    reading = read_filters(rbac("ALLOW", policy(permission)))
    assert not access_unknown(reading)
    assert allowed(reading, inside)
    assert not allowed(reading, outside)


@pytest.mark.parametrize(
    ("matcher", "values", "wanted"),
    [
        ("string_match: {exact: a}", (None, "a", "b"), (False, True, False)),
        ("string_match: {exact: a}, invert_match: true", (None, "a", "b"), (False, False, True)),
        (
            "string_match: {exact: a}, invert_match: true, treat_missing_header_as_empty: true",
            (None, "a", "b"),
            (True, False, True),
        ),
        ("present_match: true", (None, "a", ""), (False, True, True)),
        ("present_match: false", (None, "a", ""), (True, False, False)),
        ("present_match: true, invert_match: true", (None, "a", ""), (True, False, False)),
        ("exact_match: a", (None, "a", "b"), (False, True, False)),
        ("prefix_match: a", (None, "ab", "b"), (False, True, False)),
        ("safe_regex_match: {regex: 'a+'}", (None, "aa", "ab"), (False, True, False)),
        ("contains_match: b", (None, "abc", "ac"), (False, True, False)),
        ("string_match: {prefix: A, ignore_case: true}", (None, "ab", "b"), (False, True, False)),
    ],
)
def test_headers(matcher: str, values: tuple[str | None, ...], wanted: tuple[bool, ...]) -> None:
    reading = read_filters(rbac("ALLOW", policy(f"{{header: {{name: X-A, {matcher}}}}}")))
    assert not access_unknown(reading)
    found = tuple(allowed(reading) if value is None else allowed(reading, x_a=value) for value in values)
    assert found == wanted


@pytest.mark.parametrize(
    ("principal", "web", "rogue"),
    [
        ("{authenticated: {}}", True, True),
        (f'{{authenticated: {{principal_name: {{exact: "{_WEB}"}}}}}}', True, False),
        ('{authenticated: {principal_name: {prefix: "spiffe://mesh.local/ns/shop/"}}}', True, True),
        (f'{{not_id: {{authenticated: {{principal_name: {{exact: "{_WEB}"}}}}}}}}', False, True),
        (f'{{and_ids: {{ids: [{ANY}, {{authenticated: {{principal_name: {{exact: "{_WEB}"}}}}}}]}}}}', True, False),
        ("{direct_remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}", True, True),
        ("{direct_remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}", False, False),
        ("{not_id: {direct_remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}}", True, True),
    ],
)
def test_principals(principal: str, *, web: bool, rogue: bool) -> None:
    reading = read_filters(rbac("ALLOW", policy(ANY, principal)))
    assert not access_unknown(reading)
    assert (allowed(reading), allowed(reading, identity=_ROGUE)) == (web, rogue)


@pytest.mark.parametrize(
    "permission",
    [
        "{destination_port: 80}",
        "{header: {name: ':path', string_match: {exact: /a}}}",
        "{header: {name: ':scheme', string_match: {exact: http}}}",
        "{header: {name: x-a, range_match: {start: 1, end: 3}}}",
        "{url_path: {path: {exact: /a}}, any: true}",
    ],
)
def test_what_is_not_understood_is_said(permission: str) -> None:
    assert access_unknown(read_filters(rbac("DENY", policy(permission))))


def test_unknown_filters_are_named_with_their_place() -> None:
    lua = '- {name: script, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}'
    found = [one for one in read_filters(lua).unknown if "lua.v3.Lua" in one.message]
    assert found
    assert found[0].span.path == "cart.yaml"
    assert found[0].span.line > 1


def test_tls_that_asks_for_no_certificate_is_said() -> None:
    assert access_unknown(read_filters(tls=_TLS.replace("require_client_certificate: true", "session_timeout: 5s")))
    assert access_unknown(read_filters(tls=_TLS.replace("trusted_ca: {filename: ca.pem}", "")))


def test_paths_that_are_not_normalized_are_said() -> None:
    text = _BOOTSTRAP.replace("merge_slashes: true", "merge_slashes: false").format(
        filters=textwrap.indent(rbac("DENY", policy("{url_path: {path: {exact: /a}}}")), " " * 10),
        tls=textwrap.indent(_TLS, " " * 6),
    )
    reading = read(objects_of_source(SourceFile("cart.yaml", text))[0], known(), {})
    assert any("not normalized" in one for one in access_unknown(reading))


@pytest.mark.parametrize(
    "text", ["a: 1", "configs: 1", "static_resources: []", "node: {id: x/y}\nstatic_resources: {}"]
)
def test_other_files_are_said_to_be_so(text: str) -> None:
    reading = read(objects_of_source(SourceFile("x.yaml", text))[0], known(), {})
    assert reading.unknown


def test_a_config_dump_is_read_like_a_bootstrap() -> None:
    text = _BOOTSTRAP.format(
        filters=textwrap.indent(rbac("ALLOW", policy("{url_path: {path: {exact: /a}}}")), " " * 10),
        tls=textwrap.indent(_TLS, " " * 6),
    )
    [plain] = objects_of_source(SourceFile("cart.yaml", text))[0]
    resources = plain.data["static_resources"]
    assert isinstance(resources, dict)
    dump = {
        "configs": [
            {"bootstrap": {"node": plain.data["node"]}},
            {"dynamic_listeners": [{"active_state": {"listener": one}} for one in resources["listeners"]]},
            {"dynamic_active_clusters": [{"cluster": one} for one in resources["clusters"]]},
        ]
    }
    objects = objects_of_source(SourceFile("dump.json", json.dumps(dump)))[0]
    reading = read(objects, known(), {})
    assert not access_unknown(reading)
    assert allowed(reading, "/a")
    assert not allowed(reading, "/b")


def test_services_that_nobody_declared_are_made_of_sidecars() -> None:
    mesh = analyze_text('mesh m { trust-domain "mesh.local" }').mesh
    assert mesh is not None
    text = _BOOTSTRAP.replace("name: in\n", "name: inbound/80\n").format(filters="", tls=textwrap.indent(_TLS, " " * 6))
    reading = read(objects_of_source(SourceFile("cart.yaml", text))[0], bare(mesh), {})
    [found] = reading.mesh.workloads
    assert (found.namespace, found.name, [port.number for port in found.ports]) == ("shop", "cart", [80])
    assert any("node id" in one.text for one in reading.assumptions)
