"""Routes that hand requests to the routes of another VirtualService, by what Istio documents of `delegate`."""

from dataclasses import replace

import pytest

from meshc.reading import Aspect, Reading
from meshc.semantics import Evaluator
from meshc_harness.istio_live import CALL, MAIL, SUBSETS, object_text, read_live

ONE, TWO = (f"route: [{{destination: {{host: cart, subset: {name}}}}}]" for name in ("one", "two"))


def live(root: str, leaf: str, *, namespace: str = "shop", spec: str = "") -> Reading:
    """What a root route that delegates, followed by one to v2, and its delegate say."""
    return read_live(
        object_text("VirtualService", f"{{hosts: [cart], http: [{root}, {{{TWO}}}]}}")
        + object_text("VirtualService", f"{{{spec}http: {leaf}}}", name="leaf", namespace=namespace)
        + object_text("DestinationRule", SUBSETS)
    )


def sent(reading: Reading, **parts: object) -> str | None:
    """The version that a request goes to."""
    (one,) = Evaluator(reading.mesh).decide(replace(CALL, **parts)).destinations
    return one.version


ROOT = "{match: [{uri: {prefix: /a}}], delegate: {name: leaf}}"


@pytest.mark.parametrize(
    ("root", "leaf", "path", "version"),
    [
        (ROOT, f"[{{{ONE}}}]", "/ab", "v1"),
        (ROOT, f"[{{{ONE}}}]", "/b", "v2"),
        ("{delegate: {name: leaf}}", f"[{{{ONE}}}]", "/b", "v1"),
        (ROOT, f"[{{match: [{{uri: {{exact: /a/b}}}}], {ONE}}}]", "/a/b", "v1"),
        (ROOT, f"[{{match: [{{uri: {{exact: /a/b}}}}], {ONE}}}]", "/a", "v2"),
        (ROOT, f"[{{match: [{{uri: {{prefix: /a/b}}}}], {ONE}}}]", "/a/bc", "v1"),
        # What lies outside of the root's match does not take effect, and takes the other matches of its route with it.
        (ROOT, f"[{{match: [{{uri: {{prefix: /b}}}}], {ONE}}}]", "/b", "v2"),
        (ROOT, f"[{{match: [{{uri: {{prefix: /b}}}}, {{uri: {{exact: /a}}}}], {ONE}}}]", "/a", "v2"),
        (ROOT, f"[{{match: [{{uri: {{prefix: /}}}}], {ONE}}}]", "/a", "v2"),
        (ROOT, f"[{{match: [{{uri: {{prefix: /b}}}}], {ONE}}}, {{{ONE}}}]", "/a", "v1"),
        # Of several matches of the root, each with that of the delegate.
        ("{match: [{uri: {exact: /a}}, {uri: {exact: /b}}], delegate: {name: leaf}}", f"[{{{ONE}}}]", "/b", "v1"),
        (
            "{match: [{uri: {exact: /a}}, {uri: {prefix: /b}}], delegate: {name: leaf}}",
            f"[{{match: [{{uri: {{exact: /b/c}}}}], {ONE}}}]",
            "/a",
            "v2",
        ),
    ],
)
def test_which_requests_a_delegate_takes(root: str, leaf: str, path: str, version: str) -> None:
    reading = live(root, leaf)
    assert not reading.unknown, reading.unknown
    assert sent(reading, path=path) == version


def test_tests_of_both_are_asked() -> None:
    root = "{match: [{headers: {x-a: {exact: '1'}}, sourceLabels: {app: web}}], delegate: {name: leaf}}"
    reading = live(root, f"[{{match: [{{method: {{exact: GET}}, headers: {{x-b: {{exact: '2'}}}}}}], {ONE}}}]")
    assert not reading.unknown, reading.unknown
    both = (("x-a", "1"), ("x-b", "2"))
    assert sent(reading, headers=both) == "v1"
    assert sent(reading, headers=both[:1]) == "v2"
    assert sent(reading, headers=both[1:]) == "v2"
    assert sent(reading, headers=both, method="POST") == "v2"
    assert sent(reading, headers=both, identity=MAIL) == "v2"


def test_a_delegate_of_another_namespace_means_the_services_there() -> None:
    leaf = "[{route: [{destination: {host: pay}}]}]"
    reading = live("{delegate: {name: leaf, namespace: bank}}", leaf, namespace="bank")
    assert not reading.unknown
    (one,) = Evaluator(reading.mesh).decide(CALL).destinations
    assert (one.namespace, one.service) == ("bank", "pay")


def test_settings_are_those_of_the_delegate() -> None:
    reading = live("{delegate: {name: leaf}}", f"[{{{ONE}, timeout: 3s}}]")
    routes = next(port.routes for one in reading.mesh.workloads if one.name == "cart" for port in one.ports)
    assert routes[0].settings.timeout_ms == 3000


@pytest.mark.parametrize(
    ("root", "leaf", "spec", "place"),
    [
        ("{delegate: {name: other}}", f"[{{{ONE}}}]", "", "x"),
        ("{delegate: {name: x}}", f"[{{{ONE}}}]", "", "x"),
        ("{timeout: 1s, delegate: {name: leaf}}", f"[{{{ONE}}}]", "", "x"),
        ("{delegate: {name: leaf}}", "[{delegate: {name: x}}]", "", "leaf"),
        ("{delegate: {name: leaf}}", f"[{{{ONE}}}]", "exportTo: [bank], ", "x"),
        ("{delegate: {name: leaf}}", f"[{{{ONE}}}]", "gateways: [mesh], ", "leaf"),
        (ROOT, f"[{{match: [{{uri: {{regex: /a.*}}}}], {ONE}}}]", "", "leaf"),
        (ROOT, f"[{{match: [{{uri: {{exact: /a}}, ignoreUriCase: true}}], {ONE}}}]", "", "leaf"),
        (
            "{match: [{headers: {x: {}}}], delegate: {name: leaf}}",
            f"[{{match: [{{headers: {{x: {{exact: a}}}}}}], {ONE}}}]",
            "",
            "leaf",
        ),
    ],
)
def test_what_of_delegates_is_not_known(root: str, leaf: str, spec: str, place: str) -> None:
    (found,) = live(root, leaf, spec=spec).unknown
    assert found.aspects == {Aspect.ROUTING, Aspect.SETTINGS}
    assert {port[:2] for port in found.ports or ()} == {("shop", "cart")}
    assert found.message.startswith(f"`{place}`")
    assert (found.span.line > 20) is (place == "leaf")


@pytest.mark.parametrize("exported", ["['*']", "[.]", "[shop]"])
def test_a_delegate_that_its_root_sees(exported: str) -> None:
    reading = live("{delegate: {name: leaf}}", f"[{{{ONE}}}]", spec=f"exportTo: {exported}, ")
    assert not reading.unknown
    assert sent(reading) == "v1"
