"""The callers' side of Linkerd as people write it by hand: what is not known, and of which ports."""

import pytest

from linkerd_calls import ACCRUAL, PROFILE, SERVER, TO_CART, TO_PAY, a_limit, a_route, a_service, annotated, read_live
from meshc.reading import Aspect

OPAQUE = "{ports: [{port: 80, appProtocol: grpc}]}"
OPAQUE_PORTS = "config.linkerd.io/opaque-ports"
IN_BANK = a_service("pay", spec="{clusterIP: None}").replace("namespace: shop", "namespace: bank")


@pytest.mark.parametrize(
    ("texts", "message", "is_of_cart"),
    [
        ([a_route(f"[{{{TO_CART}, filters: [{{type: URLRewrite, urlRewrite: {{}}}}]}}]")], "filter `URLRewrite`", True),
        ([a_route(f"[{{{TO_CART}, filters: [{{type: RequestMirror}}]}}]")], "filter `RequestMirror`", True),
        (
            [
                a_route(
                    f"[{{{TO_CART}, filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{}}}}]}}]",
                    version="policy.linkerd.io/v1beta3",
                )
            ],
            "filter `ResponseHeaderModifier`",
            True,
        ),
        ([a_route("[{backendRefs: []}]")], "sends its requests nowhere", True),
        (
            [a_route("[{backendRefs: [{name: cart, port: 80, weight: 0}, {name: pay, port: 1, weight: 0}]}]")],
            "nowhere",
            True,
        ),
        ([a_route("[{backendRefs: [{name: cart, port: 99}]}]")], "`cart` has no port 99", True),
        ([a_route("[{backendRefs: [{name: cart}]}]")], "needs a port", True),
        (
            [a_route("[{backendRefs: [{name: x, kind: EgressNetwork, group: policy.linkerd.io, port: 1}]}]")],
            "`EgressNetwork`",
            True,
        ),
        (
            [
                a_service("blue", spec="{selector: {app: none}, ports: []}"),
                a_route("[{backendRefs: [{name: blue, port: 1}]}]"),
            ],
            "`blue`",
            True,
        ),
        ([a_route(f"[{{{TO_CART}, novelty: 1}}]")], "`novelty` is not understood", True),
        ([a_route(f"[{{{TO_CART}, timeouts: {{request: soon}}}}]")], "the duration `soon`", True),
        ([a_route(f"[{{{TO_CART}}}]", metadata=annotated("retry.linkerd.io/http: '5xx, 429'"))], "as `5xx, 429`", True),
        (
            [a_route(f"[{{{TO_CART}}}]", metadata=annotated("retry.linkerd.io/novel: x"))],
            "`retry.linkerd.io/novel`",
            True,
        ),
        ([a_route(f"[{{{TO_CART}}}]", metadata=annotated("timeout.linkerd.io/response: 1s"))], "cannot be said", True),
        ([a_route(f"[{{{TO_CART}}}]", metadata=annotated("timeout.linkerd.io/request: 0s"))], "as `0s`", True),
        ([a_service(notes=f"{ACCRUAL}: unified")], "as `unified` cannot be said", True),
        ([a_service(notes=f"{ACCRUAL}: consecutive, {ACCRUAL}-consecutive-max-failures: x")], "whole number", True),
        ([a_service(notes="balancer.alpha.linkerd.io/penalize-failures: 'true'")], "penalize-failures` is not", True),
        ([a_service(spec=OPAQUE), a_route(f"[{{{TO_CART}, timeouts: {{request: 1s}}}}]")], "as connections", True),
        ([a_service(spec=OPAQUE, notes=f"{ACCRUAL}: consecutive")], "as connections", True),
        ([a_service(spec=OPAQUE, notes="retry.linkerd.io/http: 5xx")], "as connections", True),
        (
            [a_service(spec=OPAQUE), PROFILE.format("{routes: [{condition: {method: GET}, timeout: 1s}]}")],
            "as conn",
            True,
        ),
        ([a_service(notes=f"{OPAQUE_PORTS}: '80'"), a_route(f"[{{{TO_PAY}}}]")], "as connections", True),
        ([a_service(spec="{clusterIP: None}"), a_route(f"[{{{TO_PAY}}}]")], "a headless Service", True),
        ([a_service(spec="{clusterIP: None}", notes=f"{ACCRUAL}: consecutive")], "a headless Service", True),
        ([a_service(spec="{type: ExternalName}"), a_route(f"[{{{TO_PAY}}}]")], "an ExternalName", True),
        ([IN_BANK, a_route(f"[{{{TO_PAY}}}]")], "no address of its own", True),
        # Which of two is older, where they tie, is not in the files.
        ([a_route(f"[{{{TO_PAY}}}]"), a_route(f"[{{{TO_CART}}}]", name="s")], "age of", True),
        (
            [
                a_route(
                    "[{matches: [{path: {type: PathPrefix, value: /a}, headers: [{name: h, value: x}]}], "
                    + TO_CART
                    + "}]"
                ),
                a_route("[{matches: [{path: {type: PathPrefix, value: /a}, method: GET}], " + TO_PAY + "}]", name="s"),
            ],
            "depends on the release of Linkerd",
            True,
        ),
        (
            [a_route(f"[{{matches: [{{headers: [{{name: a, value: b}}]}}], {TO_CART}}}]", kind="GRPCRoute")],
            "with 500",
            True,
        ),
        ([PROFILE.format("{routes: [{condition: {method: GET}, isRetryable: true}]}")], "by a budget alone", True),
        ([PROFILE.format("{routes: [{condition: {method: GET}}]}")], "without a timeout", True),
        ([PROFILE.format("{dstOverrides: [{authority: x, weight: 1}]}")], "`dstOverrides`", True),
        ([SERVER, a_limit("total: {requestsPerSecond: 0}")], "no number above 0", True),
        (
            [SERVER, a_limit("total: {requestsPerSecond: 1}, identity: {requestsPerSecond: 2}")],
            "above that of all",
            True,
        ),
        (
            [SERVER, a_limit("total: {requestsPerSecond: 1}"), a_limit("total: {requestsPerSecond: 2}", "m")],
            "the oldest",
            True,
        ),
        # These are about nothing that is known.
        ([a_route(f"[{{{TO_CART}}}]", parent="{name: ingress}")], "it is no service of the mesh", False),
        (
            [a_route(f"[{{{TO_CART}}}]", parent="{kind: Service, group: core, name: gone}")],
            "none of the known services",
            False,
        ),
        ([a_limit("total: {requestsPerSecond: 1}", target="gone")], "a limit of no server", False),
    ],
)
def test_what_is_not_understood_is_said(texts: list[str], message: str, *, is_of_cart: bool) -> None:
    reading = read_live(*texts)
    found = [one for one in reading.unknown if message in one.message]
    assert found, reading.unknown
    assert all(one.aspects <= {Aspect.ROUTING, Aspect.SETTINGS} for one in found)
    touched = any(one.ports is None or ("shop", "cart", 80) in one.ports for one in found)
    assert touched is is_of_cart


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([a_route(f"[{{{TO_CART}}}]"), a_route(f"[{{{TO_PAY}}}]")], "two objects of one name"),
        ([a_route(f"[{{{TO_CART}}}]").replace(", namespace: shop", "")], "without a namespace"),
        ([a_route(f"[{{{TO_CART}}}]", kind="TCPRoute")], "a TCPRoute is not understood"),
        (
            ["apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: x, namespace: shop}"],
            "BackendTLSPolicy",
        ),
    ],
)
def test_what_may_touch_every_port(texts: list[str], message: str) -> None:
    reading = read_live(*texts)
    assert any(message in one.message for one in reading.unknown), reading.unknown


@pytest.mark.parametrize("spec", [OPAQUE, "{clusterIP: None}"])
def test_a_service_without_routes_is_known_all_the_same(spec: str) -> None:
    assert read_live(a_service(spec=spec)).unknown == ()


def test_a_route_that_says_nothing_is_none_of_the_matter() -> None:
    assert read_live(a_service(spec=OPAQUE), a_route(f"[{{{TO_CART}}}]")).unknown == ()
