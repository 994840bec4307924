"""Labels and annotations of Istio: on pods, Services and Namespaces, what each leaves known."""

import pytest

from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_harness.istio_live import CONFIG, PROGRAM, read_live
from meshc_istio.read import read

Ports = set[tuple[str, str, int]]
CART: Ports = {("shop", "cart", 80), ("shop", "cart", 5432)}
ALL = None
"""Every port of the mesh."""
EIGHTY: Ports = {("shop", "web", 80), ("shop", "cart", 80), ("bank", "pay", 80), ("shop", "books", 443)}
TRAFFIC = "traffic.sidecar.istio.io"


def touched(reading: Reading, *aspects: Aspect) -> Ports | None:
    """What is unknown in exactly these aspects, or in all if none are named; None for the whole mesh."""
    assert {one.aspects for one in reading.unknown} <= {frozenset(aspects or Aspect)}, reading.unknown
    if any(one.ports is None for one in reading.unknown):
        return None
    return {port for one in reading.unknown for port in one.ports or ()}


def deployment(
    field: str, marking: str, *, labels: str = "app: cart", name: str = "x", kind: str = "Deployment"
) -> str:
    """A workload of the cart, with one marking of its pods beside their labels."""
    inner = (
        f"labels: {{{labels}, {marking}}}" if field == "labels" else f"labels: {{{labels}}}, annotations: {{{marking}}}"
    )
    template = f"template: {{metadata: {{{inner}}}, spec: {{serviceAccountName: own}}}}"
    spec = f"jobTemplate: {{spec: {{{template}}}}}" if kind == "CronJob" else template
    return f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{spec}}}\n---\n"


@pytest.mark.parametrize(
    ("field", "marking", "expected"),
    [
        # Calls that pass the proxy by: of the ports that are named, or all.
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: '8080'", {("shop", "cart", 80)}),
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: '9090, 5432'", {("shop", "cart", 5432)}),
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: '9090'", set()),
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: 8080", {("shop", "cart", 80)}),
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: '*'", CART),
        ("annotations", f"{TRAFFIC}/excludeInboundPorts: ''", set()),
        ("annotations", f"{TRAFFIC}/includeInboundPorts: '*'", set()),
        ("annotations", f"{TRAFFIC}/includeInboundPorts: '8080'", {("shop", "cart", 5432)}),
        ("annotations", f"{TRAFFIC}/includeInboundPorts: ''", CART),
        ("annotations", f"{TRAFFIC}/excludeOutboundPorts: '80'", EIGHTY),
        ("annotations", f"{TRAFFIC}/excludeOutboundPorts: '9999'", set()),
        ("annotations", f"{TRAFFIC}/excludeOutboundPorts: x", ALL),
        ("annotations", f"{TRAFFIC}/includeOutboundPorts: '80'", set()),
        ("annotations", f"{TRAFFIC}/includeOutboundIPRanges: '*'", set()),
        ("annotations", f"{TRAFFIC}/includeOutboundIPRanges: 10.0.0.0/8", ALL),
        ("annotations", f"{TRAFFIC}/includeOutboundIPRanges: ''", ALL),
        ("annotations", f"{TRAFFIC}/excludeOutboundIPRanges: 10.0.0.0/8", ALL),
        ("annotations", f"{TRAFFIC}/excludeOutboundIPRanges: ''", set()),
        ("annotations", f"{TRAFFIC}/excludeInterfaces: eth1", ALL),
        ("annotations", f"{TRAFFIC}/kubevirtInterfaces: net1", ALL),
        # Proxies that are not there, or others.
        ("annotations", "sidecar.istio.io/inject: 'true'", set()),
        ("labels", "sidecar.istio.io/inject: 'true'", set()),
        ("annotations", "sidecar.istio.io/interceptionMode: REDIRECT", set()),
        ("annotations", "sidecar.istio.io/interceptionMode: NONE", ALL),
        ("annotations", "sidecar.istio.io/bootstrapOverride: own", ALL),
        ("annotations", "sidecar.istio.io/proxyImage: own/proxy", ALL),
        ("annotations", "sidecar.istio.io/proxyCPU: 100m", set()),
        ("annotations", "sidecar.istio.io/logLevel: debug", set()),
        ("annotations", "sidecar.istio.io/rewriteAppHTTPProbers: 'true'", set()),
        ("annotations", "readiness.status.sidecar.istio.io/periodSeconds: '2'", set()),
        ("annotations", "prometheus.istio.io/merge-metrics: 'false'", set()),
        ("annotations", "inject.istio.io/templates: own", ALL),
        ("annotations", "proxy.istio.io/config: '{holdApplicationUntilProxyStarts: true}'", set()),
        ("annotations", "proxy.istio.io/config: '{proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}'", set()),
        ("annotations", "proxy.istio.io/config: '{gatewayTopology: {numTrustedProxies: 2}}'", ALL),
        ("annotations", "proxy.istio.io/config: '{interceptionMode: NONE}'", ALL),
        ("annotations", "proxy.istio.io/config: '{tracing: {sampling: 100}}'", ALL),
        ("annotations", "proxy.istio.io/config: '{'", ALL),
        ("annotations", "proxy.istio.io/config: a text", ALL),
        # Identities, TLS, ambient mode, networks.
        ("annotations", "alpha.istio.io/identity: root", ALL),
        ("labels", "security.istio.io/tlsMode: istio", set()),
        ("labels", "security.istio.io/tlsMode: disabled", CART),
        ("labels", "istio.io/dataplane-mode: none", set()),
        ("labels", "istio.io/use-waypoint: cart-waypoint", CART),
        ("labels", "istio.io/use-waypoint: none", set()),
        ("labels", "topology.istio.io/network: n1", set()),
        ("labels", "istio-locality: region.zone", set()),
        ("labels", "istio.io/rev: canary", set()),
        ("labels", "service.istio.io/canonical-name: cart", set()),
        ("annotations", "galley.istio.io/analyze-suppress: '*'", set()),
        # Istio's own, and not known; others'.
        ("annotations", "sidecar.istio.io/surprise: x", ALL),
        ("labels", "istio.io/surprise: x", ALL),
        ("labels", "notistio.io/surprise: x", set()),
    ],
)  # fmt: skip
def test_what_is_said_of_pods(field: str, marking: str, expected: Ports | None) -> None:
    reading = read_live(deployment(field, marking))
    assert touched(reading) == expected
    for one in reading.unknown:
        assert marking.partition(":")[0] in one.message or "go without proxies" in one.message


OFF = "sidecar.istio.io/inject: 'false'"
AMBIENT = "istio.io/dataplane-mode: ambient"
OTHERS: Ports = {("shop", "web", 80), ("bank", "pay", 80), ("shop", "books", 443)}
TRAVEL = frozenset((Aspect.ROUTING, Aspect.SETTINGS))


def by_aspects(reading: Reading) -> dict[frozenset[Aspect], Ports]:
    """The ports that are unknown, by what of them is."""
    found: dict[frozenset[Aspect], Ports] = {}
    for one in reading.unknown:
        assert "go without proxies" in one.message
        found.setdefault(one.aspects, set()).update(one.ports or ())
    return found


@pytest.mark.parametrize(
    ("field", "marking"),
    [("annotations", OFF), ("labels", OFF), ("labels", "sidecar.istio.io/inject: false"), ("labels", AMBIENT)],
)
def test_pods_without_proxies(field: str, marking: str) -> None:
    """Nobody guards their ports, and nobody routes their calls, which servers judge as those of nobody."""
    text = deployment(field, marking)
    assert by_aspects(read_live(text)) == {frozenset(Aspect): CART, TRAVEL: OTHERS}


def policy(kind: str, spec: str) -> str:
    return (
        f"apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: p, namespace: bank}}\nspec: {spec}\n---\n"
    )


@pytest.mark.parametrize(
    ("around", "is_unknown"),
    [
        (policy("PeerAuthentication", "{mtls: {mode: STRICT}}"), True),
        (policy("AuthorizationPolicy", "{rules: [{from: [{source: {namespaces: [shop]}}]}]}"), True),
        (policy("AuthorizationPolicy", "{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}"), True),
        (policy("AuthorizationPolicy", "{action: DENY, rules: [{from: [{source: {namespaces: [other]}}]}]}"), False),
        (policy("AuthorizationPolicy", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"), False),
    ],
)
def test_what_servers_know_of_callers_without_proxies(around: str, is_unknown: bool) -> None:  # noqa: FBT001
    """Access is known where it does not matter who calls."""
    found = by_aspects(read_live(deployment("labels", OFF) + around))
    assert (("bank", "pay", 80) in found[frozenset(Aspect)]) is is_unknown
    assert (("bank", "pay", 80) in found[TRAVEL]) is not is_unknown


def test_what_refuses_callers_without_proxies_is_known() -> None:
    closed = policy("AuthorizationPolicy", "{rules: [{from: [{source: {namespaces: [other]}}]}]}")
    found = by_aspects(read_live(deployment("labels", OFF) + closed))
    assert all(("bank", "pay", 80) not in ports for ports in found.values())


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Rollout"])
def test_pods_of_every_kind(kind: str) -> None:
    assert by_aspects(read_live(deployment("labels", OFF, kind=kind)))[frozenset(Aspect)] == CART


def test_pods_that_no_known_service_has_say_nothing() -> None:
    def ports(text: str) -> Ports | None:
        return by_aspects(read_live(text)).get(frozenset(Aspect))

    assert ports(deployment("labels", OFF, labels="app: istiod")) is None
    assert ports(deployment("labels", OFF, labels="app: other", name="cart")) == CART
    calling = by_aspects(read_live(deployment("labels", OFF, labels="app: other").replace("own", "mail")))
    assert calling == {TRAVEL: OTHERS | CART}, "it has no ports"
    assert ports(deployment("labels", OFF).replace("namespace: shop", "namespace: bank")) is None
    everybody = CART | OTHERS - {("shop", "books", 443)}
    assert ports(deployment("labels", OFF).replace(", namespace: shop", "")) == everybody, "it may be anywhere"
    unnamed = deployment("labels", OFF).replace("app: cart, ", "")
    assert ports(unnamed) == everybody, "which pods these are is not said"


def marked(kind: str, field: str, marking: str, *, name: str = "cart", spec: str = "{}") -> str:
    namespace = "" if kind == "Namespace" else ", namespace: shop"
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}{namespace}, {field}: {{{marking}}}}}\nspec: {spec}\n---\n"


@pytest.mark.parametrize(
    ("field", "marking", "expected"),
    [
        ("labels", "istio.io/use-waypoint: w", CART),
        ("labels", "istio.io/use-waypoint-namespace: w", CART),
        ("labels", "istio.io/use-waypoint: none", set()),
        ("labels", "istio.io/ingress-use-waypoint: 'true'", set()),
        ("labels", "topology.istio.io/network: n1", set()),
        ("labels", "istio.io/global: 'true'", set()),
        ("annotations", "alpha.istio.io/kubernetes-serviceaccounts: other", set()),
        ("annotations", "networking.istio.io/exportTo: '*'", set()),
        ("annotations", "networking.istio.io/surprise: x", CART),
        ("labels", "app: cart", set()),
    ],
)
def test_what_is_said_of_services(field: str, marking: str, expected: Ports) -> None:
    assert touched(read_live(marked("Service", field, marking))) == expected
    assert touched(read_live(marked("Service", field, marking, name="nobody"))) == set()


def test_endpoints_nearby_are_settings() -> None:
    said = "networking.istio.io/traffic-distribution: PreferClose"
    assert touched(read_live(marked("Service", "annotations", said)), Aspect.SETTINGS) == CART
    assert (
        touched(
            read_live(marked("Service", "labels", "a: b", spec="{trafficDistribution: PreferClose}")), Aspect.SETTINGS
        )
        == CART
    )
    everywhere = touched(read_live(marked("Namespace", "annotations", said, name="shop")), Aspect.SETTINGS)
    assert everywhere == {*CART, ("shop", "web", 80)}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("istio-injection: enabled", set()),
        ("istio-injection: disabled", ALL),
        ("istio.io/rev: canary", set()),
        ("istio.io/dataplane-mode: ambient", ALL),
        ("istio.io/dataplane-mode: none", set()),
        ("istio-injection: enabled, istio.io/dataplane-mode: ambient", set()),
        ("istio.io/rev: canary, istio.io/dataplane-mode: ambient", set()),
        ("istio.io/use-waypoint: w", {*CART, ("shop", "web", 80)}),
        ("topology.istio.io/network: n1", set()),
    ],
)
def test_what_is_said_of_namespaces(labels: str, expected: Ports | None) -> None:
    assert touched(read_live(marked("Namespace", "labels", labels, name="shop"))) == expected
    assert touched(read_live(marked("Namespace", "labels", labels, name="istio-system"))) == set()


def test_in_ambient_mode_pods_have_no_proxies_of_their_own() -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    text = (
        deployment("labels", OFF)
        + deployment("labels", "istio.io/dataplane-mode: ambient", name="y")
        + marked("Namespace", "labels", "istio-injection: disabled, istio.io/dataplane-mode: ambient", name="shop")
    )
    objects, _ = objects_of_source(SourceFile("live.yaml", CONFIG + text))
    assert read(objects, bare(mesh), {"dataplane": "ambient"}).unknown == ()
    assert read(objects, bare(mesh), {}).unknown
