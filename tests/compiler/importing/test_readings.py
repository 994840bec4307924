"""Several readings together, and what is assumed so that a reading can be said."""

from dataclasses import replace
from typing import Final

import pytest

from meshc.importing import described, import_program, in_trust_domains, merge_readings
from meshc.importing.grpc_statuses import NO_GRPC
from meshc.importing.versions import BY_LABEL
from meshc.ir import Destination, Forward, Mesh, PortPolicy, Retry
from meshc.reading import Aspect, Reading, Unknown, bare, objects_of_source
from meshc.source import BUILTIN, SourceFile, Span
from meshc_harness.compare import analyze_text

SERVICES: Final = "namespace shop\nservice web in shop\nservice cart in shop { port 80 http }\n"
SPAN: Final = Span("live.yaml", 10, 11, 2, 1)


def _mesh(text: str) -> Mesh:
    mesh = analyze_text(SERVICES + text).mesh
    assert mesh is not None
    return mesh


def _port(mesh: Mesh) -> PortPolicy:
    return next(one for one in mesh.workloads if one.name == "cart").ports[0]


def _with_port(mesh: Mesh, port: PortPolicy) -> Mesh:
    return replace(
        mesh,
        workloads=tuple(replace(one, ports=(port,)) if one.name == "cart" else one for one in mesh.workloads),
    )


def test_access_of_one_reading_and_routes_of_another() -> None:
    whole = _mesh("access cart { allow web } traffic cart { timeout 2s }")
    known = bare(whole)
    access = _with_port(known, replace(_port(known), access=_port(whole).access))
    travel = _with_port(known, replace(_port(known), routes=_port(whole).routes, settings=_port(whole).settings))
    for readings in ((access, travel), (travel, access)):
        merged = merge_readings(known, [Reading(mesh=one) for one in readings])
        assert not merged.unknown
        assert _port(merged.mesh).access == _port(whole).access
        assert _port(merged.mesh).routes == _port(whole).routes


def test_two_readings_that_say_different_things_of_calls_are_listed() -> None:
    first, second = _mesh("traffic cart { timeout 2s }"), _mesh("traffic cart { timeout 3s }")
    merged = merge_readings(bare(first), [Reading(mesh=first), Reading(mesh=second)])
    assert [one.message for one in merged.unknown] == ["two meshes say how these calls travel, and not the same"]
    assert not merge_readings(bare(first), [Reading(mesh=first), Reading(mesh=first)]).unknown


def test_services_that_one_reading_found_are_kept() -> None:
    known = bare(_mesh(""))
    more = _mesh('service job in shop { port 1 http } external x in shop { host "x.example" port 443 https }')
    for readings in ((known, more), (more, known)):
        merged = merge_readings(known, [Reading(mesh=one) for one in readings]).mesh
        assert [one.name for one in merged.workloads] == ["cart", "job", "web"]
        assert [one.name for one in merged.externals] == ["x"]


def test_the_trust_domain_is_that_of_identities() -> None:
    known = in_trust_domains(_mesh(""), ("shop.example", "ops.example"))
    assert known.trust_domain == "shop.example"
    assert known.workloads[0].identity == "spiffe://shop.example/ns/shop/sa/cart"


def test_statuses_of_grpc_are_left_out_where_no_grpc_is_spoken() -> None:
    mesh = _mesh("traffic cart { timeout 2s }")
    port = _port(mesh)
    retry = Retry(attempts=2, conditions=("connect-failure", "unavailable"), span=SPAN)
    routes = tuple(replace(one, settings=replace(one.settings, retry=retry)) for one in port.routes)
    found = import_program(Reading(mesh=_with_port(mesh, replace(port, routes=routes))), "imported")
    assert [one.text for one in found.assumptions] == [NO_GRPC]
    assert "retry 2 on connect-failure\n" in found.files["shop.mesh"]
    assert found.difference.is_empty
    assert not import_program(Reading(mesh=mesh), "imported").assumptions


def test_a_version_that_only_routes_know_is_declared() -> None:
    mesh = _mesh("traffic cart { route /a -> web }".replace("-> web", "{ timeout 1s }"))
    port = _port(mesh)
    to = Forward(destinations=(Destination(namespace="shop", service="cart", port=80, version="v2"),))
    routes = (replace(port.routes[0], action=to), *port.routes[1:])
    found = import_program(Reading(mesh=_with_port(mesh, replace(port, routes=routes))), "imported")
    assert [one.text for one in found.assumptions] == [BY_LABEL]
    assert "  version v2\n" in found.files["shop.mesh"]
    assert found.difference.is_empty


@pytest.mark.parametrize("aspect", [Aspect.ROUTING, Aspect.SETTINGS])
def test_what_is_unknown_of_calls_closes_nothing(aspect: Aspect) -> None:
    unknown = Unknown(message="something", aspects=frozenset({aspect}), span=SPAN)
    found = import_program(Reading(mesh=_mesh("access cart { allow web }"), unknown=(unknown,)), "imported")
    assert [one.reason for one in found.omitted] == ["something"]
    assert "allow web" in found.files["shop.mesh"]


def test_what_is_unknown_of_access_closes() -> None:
    unknown = Unknown(message="something", aspects=frozenset({Aspect.ACCESS}), span=SPAN)
    found = import_program(Reading(mesh=_mesh("access cart { allow web }"), unknown=(unknown,)), "imported")
    assert "allow" not in found.files["shop.mesh"]
    assert found.difference.is_empty


def test_places_are_described_by_the_object_around_them() -> None:
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n---\n"
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b, namespace: shop}\nspec: {}\n"
        "---\nstatic_resources: {}\n"
    )
    objects, _ = objects_of_source(SourceFile("all.yaml", text))
    describe = described(objects)
    spans = [one.span("metadata" if one.kind else "static_resources") for one in objects]
    assert [describe(one) for one in spans] == [None, "VirtualService shop/b", ""]
    assert not describe(BUILTIN)
