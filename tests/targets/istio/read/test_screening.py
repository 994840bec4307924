"""What a cluster would not take as it stands, or would read in another way than it looks, decides nothing unsaid."""

import pytest

from meshc.ir import Effect
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_istio.read import read

PROGRAM = """
mesh shop { trust-domain "shop.example" }
namespace shop
namespace bank
service web in shop
service cart in shop { port 80 http target 8080 labels app = "cart" }
service pay in bank { port 80 http }
"""
CONFIG = "meshConfig: {pathNormalization: {normalization: MERGE_SLASHES}}\n"
SHOP = (("shop", "cart", 80),)


def _read(text: str, *, config: str = CONFIG) -> Reading:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    objects, wrong = objects_of_source(SourceFile("live.yaml", f"{config}---\n{text}"))
    assert not wrong
    return read(objects, bare(mesh), {})


def _object(
    kind: str, spec: str, *, metadata: str = "name: p, namespace: shop", version: str = "security.istio.io/v1"
) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {spec}\n---\n"


def _policy(spec: str, *, metadata: str = "name: p, namespace: shop") -> str:
    return _object("AuthorizationPolicy", spec, metadata=metadata)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_policy("{targetRefs: [], rules: [{}]}"), "`spec.targetRefs` is empty"),
        (_policy("{targetRef: null, rules: [{}]}"), "`spec.targetRef` is no mapping"),
        (_policy("{selector: {}, targetRefs: [{kind: A, name: b}], rules: [{}]}"), "a selector beside targets"),
        (_policy("{selector: {matchExpressions: []}}"), "the field `matchExpressions` of `spec.selector` is not known"),
        (_policy("{selector: {matchLabels: {app: true}}}"), "`spec.selector.matchLabels.app` is no text"),
        (_policy("{rules: null}"), "`spec.rules` is no list"),
        (_policy("{rules: [{to: [{operation: {ports: [8080]}}]}]}"), "ports[0]` is no text"),
        (_policy("{rules: [{to: [{operation: {paths: /a}}]}]}"), "paths` is no list"),
        (_policy("{rules: [{to: [{operation: {notMethods: ['']}}]}]}"), "notMethods[0]` is empty"),
        (_policy("{rules: [{from: [{ipBlocks: [10.0.0.0/8], source: {}}]}]}"), "the field `ipBlocks` of"),
        (_policy("{action: DENY, rules: [{when: [{key: source.ip, values: [null]}]}]}"), "values[0]` is no text"),
        (_policy("{action: DENY, rules: [{when: [{key: source.ip, values: []}]}]}"), "a `when` without values"),
        (_policy("{}") + _policy("{action: AUDIT}"), "the object is given twice"),
        (_object("AuthorizationPolicy", "{}", version="security.istio.io/v9"), "of `security.istio.io/v9` is not known"),
        (_policy("{}", metadata="namespace: shop"), "it has no name"),
        (_object("Authorizationpolicy", "{}"), "`Authorizationpolicy` of `security.istio.io/v1` is not known"),
        (_object("PeerAuthentication", "{portLevelMtls: {8080: {mode: DISABLE}}}"), "modes of ports without a selector"),
        (_object("PeerAuthentication", "{selector: {matchLabels: {app: cart}}, mtls: STRICT}"), "`spec.mtls` is no mapping"),
        (_policy("{}", metadata="name: p, namespace: shop, annotations: {istio.io/dry-run: 'yes'}"), "istio.io/dry-run"),
        (
            _object("PeerAuthentication", "{}", metadata="name: p, namespace: shop, annotations: {istio.io/dry-run: 'true'}"),
            "istio.io/dry-run",
        ),
        (_object("RequestAuthentication", "{jwtRules: [{issuer: a, jwks: b, jwksUri: c}]}"), "two kinds of them"),
        (_object("RequestAuthentication", "{jwtRules: [{issuer: a, forwardOriginalToken: 'true'}]}"), "is neither `true`"),
    ],
)  # fmt: skip
def test_what_is_refused_as_a_whole_is_not_read_in_part(text: str, message: str) -> None:
    found = [one for one in _read(text).unknown if message in one.message]
    assert [(one.ports, one.aspects) for one in found] == [(SHOP, {Aspect.ACCESS})]


def test_objects_of_no_namespace_and_of_the_root_may_touch_the_whole_mesh() -> None:
    nowhere = _read(_policy("{rules: [{}]}", metadata="name: p")).unknown
    assert [(one.message.split(",")[0], one.ports) for one in nowhere] == [("`p`: it names no namespace", None)]
    root = "name: p, namespace: istio-system"
    spec = "{selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}}"
    peers = _read(_object("PeerAuthentication", spec, metadata=root)).unknown
    assert [(one.message, one.ports) for one in peers] == [
        ("`p`: Istio passes over a PeerAuthentication with a selector in the root namespace", None)
    ]


@pytest.mark.parametrize("word", ["1", "t", "T", "true", "TRUE", "True"])
def test_a_policy_that_is_tried_only_enforces_nothing(word: str) -> None:
    metadata = f"name: p, namespace: shop, annotations: {{istio.io/dry-run: '{word}'}}"
    reading = _read(_policy("{action: DENY, rules: [{}]}", metadata=metadata))
    stages = [stage for one in reading.mesh.workloads for port in one.ports for stage in port.access]
    assert [(stage.effect, stage.shadow) for stage in stages] == [(Effect.DENY, True)]
    assert not reading.unknown


def test_targets_are_for_gateways_alone() -> None:
    targets = "targetRefs: [{kind: Gateway, name: g, group: gateway.networking.k8s.io}]"
    reading = _read(_object("RequestAuthentication", f"{{{targets}, jwtRules: [{{issuer: a, jwks: b}}]}}"))
    assert not reading.unknown
    assert not any(port.jwts for one in reading.mesh.workloads for port in one.ports)


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("cluster.local/ns/shop/sa/web", True),
        ("cluster.local/ns/shop/sa/*", True),
        ("cluster.local/ns/shop/*", False),
        ("other.local/ns/shop/sa/web", False),
    ],
)
def test_the_local_domain_is_the_meshs_own(principal: str, *, expected: bool) -> None:
    reading = _read(_policy(f"{{rules: [{{from: [{{source: {{principals: ['{principal}']}}}}]}}]}}"))
    call = Request(
        identity="spiffe://shop.example/ns/shop/sa/web",
        namespace="shop",
        service="cart",
        port=80,
        method="GET",
        path="/",
        source_ip="10.0.0.1",
    )
    assert Evaluator(reading.mesh).decide(call).allowed is expected
    assert not reading.unknown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("rootNamespace: other", "the root namespace is `other`, not `istio-system`"),
        ("caCertificates: [{pem: x}]", "what `caCertificates` of MeshConfig"),
        ("discoverySelectors: []", "what `discoverySelectors` of MeshConfig"),
        ("trustDomain: 3", "the trust domain is no text"),
        ("defaultConfig: {interceptionMode: NONE}", "what `interceptionMode` of proxies"),
        (
            "defaultConfig: {proxyMetadata: {ISTIO_META_TLS_CLIENT_ROOT_CERT: x}}",
            "what `ISTIO_META_TLS_CLIENT_ROOT_CERT`",
        ),
        ("defaultConfig: {gatewayTopology: {numTrustedProxies: '2'}}", "`numTrustedProxies` is no number"),
        ("defaultConfig: 3", "`defaultConfig` of MeshConfig is no mapping"),
    ],
)
def test_settings_that_may_decide_are_named(settings: str, message: str) -> None:
    config = f"meshConfig: {{pathNormalization: {{normalization: MERGE_SLASHES}}, {settings}}}\n"
    found = _read("", config=config).unknown
    assert [one.ports for one in found if message in one.message] == [None]


def test_settings_that_decide_nothing_are_passed_over() -> None:
    config = "meshConfig: {pathNormalization: {normalization: MERGE_SLASHES}, accessLogFile: /dev/stdout, rootNamespace: istio-system,"
    config += (
        " defaultConfig: {holdApplicationUntilProxyStarts: true, proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}}\n"
    )
    assert not _read("", config=config).unknown


def test_there_is_one_mesh_config() -> None:
    assert [one.message for one in _read(CONFIG).unknown] == ["MeshConfig is given twice, and Istio has one"]


_LIMIT = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_EXTENDS = "networking.istio.io/v1"


@pytest.mark.parametrize(
    "text",
    [
        _object("Sidecar", "{ingress: [{port: {number: 1}, defaultEndpoint: '127.0.0.1:8080'}]}", version=_EXTENDS),
        _object("ProxyConfig", "{environmentVariables: {A: b}}", version=_EXTENDS),
        _object("EnvoyFilter", "{configPatches: {}}", version=_EXTENDS),
        _object(
            "EnvoyFilter",
            "{configPatches: [{applyTo: CLUSTER, match: {context: SIDECAR_INBOUND}, patch: {operation: MERGE}}]}",
            version=_EXTENDS,
        ),
        _object(
            "EnvoyFilter",
            "{configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: INSERT_FIRST, value:"
            f" {{name: l, typed_config: {{'@type': {_LIMIT}, request_headers_to_add_when_not_enforced: []}}}}}}}}]}}",
            version=_EXTENDS,
        ),
        _object("Namespace", "{}", metadata="name: shop, labels: {istio-injection: disabled}", version="v1"),
    ],
)
def test_what_goes_past_policies_is_named(text: str) -> None:
    assert [(one.ports, one.aspects) for one in _read(text).unknown] == [(None, set(Aspect))]


@pytest.mark.parametrize(
    "text",
    [
        _object("EnvoyFilter", "{configPatches: [{applyTo: HTTP_FILTER, patch: {operation: [a]}}]}", version=_EXTENDS),
        "apiVersion: [security.istio.io/v1]\nkind: AuthorizationPolicy\nmetadata: {name: p}\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: [a]\n",
        _policy("{}", metadata="name: p, namespace: shop, annotations: {istio.io/dry-run: [a]}"),
        _policy("{}", metadata="name: p, namespace: shop, annotations: [a]"),
        CONFIG.replace("MERGE_SLASHES", "{a: b}"),
    ],
)
def test_values_of_any_kind_are_read_without_a_failure(text: str) -> None:
    _read(text)
    _read("", config=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            _object("VirtualService", "{}", version="networking.istio.io/v9"),
            "`VirtualService` of `networking.istio.io/v9` is not known",
        ),
        (
            _object("Telemetry", "{}", version="telemetry.istio.io/v1beta1"),
            "`Telemetry` of `telemetry.istio.io/v1beta1` is not known",
        ),
        (_object("DestinationRule", "{}", version=_EXTENDS, metadata="namespace: shop"), "without a name"),
    ],
)
def test_objects_of_other_groups_that_a_cluster_would_not_take(text: str, message: str) -> None:
    (found,) = _read(text).unknown
    assert message in found.message
    assert (found.ports, found.aspects) == (None, set(Aspect))
