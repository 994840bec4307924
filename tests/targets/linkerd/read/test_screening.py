"""Pods and namespaces: what leaves a service without a proxy, and which labels its pods have."""

from typing import Final

import pytest

from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_linkerd.read import read

PROGRAM: Final = """
mesh shop {}
namespace shop
service cart in shop { port 80 http target 8080 labels app = "cart" }
service mail in shop { port 80 http target 8080 labels app = "mail" }
"""
CART: Final = ("shop", "cart", 80)
MAIL: Final = ("shop", "mail", 80)
SERVERS: Final = "".join(
    "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\n"
    f"metadata: {{name: {name}, namespace: shop}}\n"
    f"spec: {{podSelector: {{matchLabels: {{app: {name}}}}}, port: 8080, proxyProtocol: HTTP/1}}\n---\n"
    for name in ("cart", "mail")
)


def _read(*texts: str) -> Reading:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    objects, wrong = objects_of_source(SourceFile("live.yaml", SERVERS + "\n---\n".join(texts)))
    assert not wrong
    return read(objects, bare(mesh), {})


def _template(kind: str = "Deployment", *, notes: str = "", spec: str = "", labels: str = "app: cart") -> str:
    group = {"Rollout": "argoproj.io/v1alpha1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    metadata = f"{{labels: {{{labels}}}, annotations: {{{notes}}}}}"
    return (
        f"apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\n"
        f"spec: {{template: {{metadata: {metadata}, spec: {{{spec}}}}}}}"
    )


def _unknown(reading: Reading, aspect: Aspect = Aspect.ACCESS) -> set[object]:
    return {key for one in reading.unknown if aspect in one.aspects for key in one.ports or (None,)}


@pytest.mark.parametrize(
    "text",
    [
        _template(notes="linkerd.io/inject: disabled"),
        _template("StatefulSet", notes="linkerd.io/inject: disabled"),
        _template(spec="hostNetwork: true"),
        _template(spec="automountServiceAccountToken: false"),
        _template("Rollout", notes="config.linkerd.io/skip-inbound-ports: '8080'"),
        _template("ReplicationController", notes="config.linkerd.io/skip-inbound-ports: '8080'"),
    ],
)
def test_pods_that_no_proxy_guards_leave_their_service_unknown(text: str) -> None:
    assert _unknown(_read(text)) == {CART}


def test_a_namespace_without_proxies_leaves_its_services_unknown() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {linkerd.io/inject: disabled}}"
    assert _unknown(_read(text)) == {CART, MAIL}


@pytest.mark.parametrize(
    "text",
    [
        _template(),
        _template(notes="linkerd.io/inject: enabled"),
        _template(spec="hostNetwork: false"),
        # Of nobody who is known.
        _template("Job", notes="linkerd.io/inject: disabled", labels="app: once"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: other, annotations: {linkerd.io/inject: disabled}}",
    ],
)
def test_what_says_nothing_of_a_service_leaves_it_known(text: str) -> None:
    assert _read(text).unknown == ()


def test_proxies_in_ingress_mode_send_calls_where_a_header_says() -> None:
    reading = _read(_template(notes="linkerd.io/inject: ingress"))
    assert _unknown(reading) == set()
    assert _unknown(reading, Aspect.ROUTING) == {None}


SELECTING: Final = (
    "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {{name: aaa, namespace: shop}}\n"
    "spec: {{podSelector: {0}, port: 8080, accessPolicy: all-unauthenticated}}"
)


@pytest.mark.parametrize(
    ("selector", "pods", "expected"),
    [
        # Labels that no program lists: not known, unless templates say them.
        ("{matchLabels: {tier: backend}}", (), {CART, MAIL}),
        ("{matchLabels: {app: cart, tier: backend}}", (), {CART}),
        ("{matchExpressions: [{key: tier, operator: Exists}]}", (), {CART, MAIL}),
        ("{matchLabels: {app: cart, tier: backend}}", ("app: cart, tier: backend",), {CART}),
        ("{matchLabels: {app: cart, tier: backend}}", ("app: cart, tier: front",), set()),
        ("{matchLabels: {app: other, tier: backend}}", (), set()),
        # Some pods of a service alone.
        ("{matchLabels: {tier: backend}}", ("app: cart, tier: backend", "app: cart", "app: mail"), {CART}),
    ],
)
def test_a_server_by_other_labels_may_select_a_service_too(
    selector: str, pods: tuple[str, ...], expected: set[object]
) -> None:
    reading = _read(*(_template(labels=one) for one in pods), SELECTING.format(selector))
    assert _unknown(reading) == expected
