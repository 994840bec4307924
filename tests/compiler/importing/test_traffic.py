"""Routes, settings, limits and reports become what a person would have written, and mean what was read."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

import pytest

from meshc.frontend import analyze, environments
from meshc.importing import Imported, import_program
from meshc.ir import (
    AllOf,
    AnyOf,
    Condition,
    EndsWith,
    Equals,
    ExactPath,
    HeaderIs,
    Matches,
    Mesh,
    MethodIs,
    Not,
    PathIs,
    RegexPath,
    Route,
    StartsWith,
)
from meshc.load import load
from meshc.reading import Reading
from meshc_harness.compare import analyze_text
from meshc_harness.routes import routed_program

PROGRAMS: Final = 250
SHUFFLED: Final = 60

SERVICES = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http version v1 version v2 }
"""


def _mesh(text: str) -> Mesh:
    analysis = analyze_text(text)
    assert analysis.mesh is not None, [one.message for one in analysis.diagnostics]
    return analysis.mesh


def _import(mesh: Mesh) -> Imported:
    return import_program(Reading(mesh=mesh), "imported")


def _said(text: str) -> str:
    """What stands of the cart in the import of a program."""
    return _text(_import(_mesh(SERVICES + text)))


def _text(found: Imported) -> str:
    assert not found.diagnostics, [one.message for one in found.diagnostics]
    assert not found.omitted, found.omitted
    assert found.difference.is_empty, found.difference.subjects
    return "\n".join(found.files.values())


EXAMPLES: Final = Path(__file__).parents[3] / "policies" / "examples"


@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_examples_mean_the_same_after_import(example: str) -> None:
    loaded = load(EXAMPLES / example / "policies")
    for environment in (None, *environments(loaded.modules)):
        analysis = analyze(loaded.modules, loaded.inventory, loaded.comments, environment=environment, today=date.min)
        assert analysis.mesh is not None
        _text(_import(analysis.mesh))


# ---- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_random_routes_mean_the_same_after_import() -> None:
    for seed in range(PROGRAMS):
        _text(_import(routed_program(Random(seed)).mesh))


@pytest.mark.slow
def test_routes_in_any_order_mean_the_same_or_are_listed() -> None:
    """Routes of a first-match list stand in an order of their own: nothing that is not listed may differ."""
    whole = 0
    for seed in range(SHUFFLED):
        found = _import(_shuffled(routed_program(Random(seed)).mesh, Random(seed)))
        assert not found.diagnostics, (seed, found.diagnostics)
        assert found.difference.is_empty, (seed, found.difference.subjects)
        whole += not found.omitted
    assert whole > SHUFFLED // 4


def _shuffled(mesh: Mesh, rng: Random) -> Mesh:
    workloads = []
    for one in mesh.workloads:
        ports = []
        for port in one.ports:
            routes = list(port.routes[:-1])
            rng.shuffle(routes)
            ports.append(replace(port, routes=(*routes, port.routes[-1])))
        workloads.append(replace(one, ports=tuple(ports)))
    return replace(mesh, workloads=tuple(workloads))


# ---- what a person would have written -------------------------------------------------------------------------------


def test_what_is_not_set_is_not_written() -> None:
    assert "traffic" not in _said("")


def test_defaults_stand_in_the_block_and_the_rest_in_the_routes() -> None:
    text = _said(
        "traffic cart { timeout 2s split cart@v1 90%, cart@v2 10%"
        ' route GET /a when header "x" == "1" -> cart@v2 route POST /pay, PUT /pay { timeout 5s } }'
    )
    assert (
        "traffic cart {\n"
        "  timeout 2s\n"
        "  split cart@v1 90%, cart@v2 10%\n"
        '  route GET /a when header "x" == "1" -> cart@v2\n'
        "  route POST /pay, PUT /pay {\n"
        "    timeout 5s\n"
        "  }\n"
        "}\n"
    ) in text


def test_what_a_route_cannot_take_back_stands_in_a_route_for_all_the_others() -> None:
    mesh = _mesh(SERVICES + "traffic cart { timeout 2s route GET /a -> web }")
    cart = next(one for one in mesh.workloads if one.name == "cart")
    first, last = cart.ports[0].routes
    bare = replace(first, settings=replace(first.settings, timeout_ms=None))
    ports = (replace(cart.ports[0], routes=(bare, last)),)
    mesh = replace(mesh, workloads=(replace(cart, ports=ports), mesh.workloads[1]))
    text = _text(_import(mesh))
    assert "  route GET /a -> web\n  route /** {\n    timeout 2s\n  }\n" in text


def test_a_retry_can_be_taken_back() -> None:
    text = _said("traffic cart { retry 2 on reset route POST /pay { retry never } }")
    assert "  retry 2 on reset\n  route POST /pay {\n    retry never\n  }\n" in text


def test_settings_of_several_services_become_a_profile() -> None:
    same = "timeout 2s retry 2 on reset { per-try 500ms }"
    text = _said(f"traffic cart {{ {same} }} traffic web {{ {same} idle-timeout 1m }}")
    assert "profile timeout-and-retry {\n  timeout 2s\n  retry 2 on reset { per-try 500ms }\n}\n" in text
    assert "traffic cart uses timeout-and-retry {}" in text
    assert "traffic web uses timeout-and-retry {\n  idle-timeout 1m\n}\n" in text


def test_one_long_setting_of_many_services_is_a_profile_too() -> None:
    services = "".join(f"service s{number} in shop {{ port 80 http }}\n" for number in range(3))
    blocks = "".join(f"traffic s{number} {{ retry 2 on connect-failure, reset }}\n" for number in range(3))
    assert "traffic s1 uses retry {}" in _said(services + blocks)


def test_the_ports_of_a_service_that_say_the_same_have_one_block() -> None:
    text = _said("service two in shop { port 1 http port 2 http } traffic two { timeout 2s }")
    assert text.count("traffic") == 1
    assert "traffic two {\n" in text


def test_callers_that_are_named_twice_are_a_group() -> None:
    text = _said("traffic cart { route /a/** by web, cart -> cart@v1 route /b by web, cart -> cart@v2 }")
    assert "group callers-of-cart = cart, web\n" in text
    assert "route /a/** by group callers-of-cart -> cart@v1" in text


def test_what_all_workloads_report_is_said_once() -> None:
    text = _said(
        'service job in shop telemetry mesh { access-log json metrics } telemetry cart { access-log json when header "x" == "1" }'
    )
    assert text.count("metrics") == 1
    assert 'telemetry cart {\n  access-log json when header "x" == "1"\n}\n' in text


def test_limits_keep_their_bursts_and_requests() -> None:
    text = _said('rate-limit cart { 10/s burst 20 per source to POST /pay when header "x" == "1" 5/m }')
    assert '  10/s burst 20 per source to POST /pay when header "x" == "1"\n  5/m\n' in text


def test_names_that_two_namespaces_have_are_whole() -> None:
    text = _said(
        "namespace b service cart in b { port 80 http } traffic b.cart { timeout 1s } access b.cart { allow web }"
    )
    assert "traffic b.cart {" in text
    assert "access b.cart {" in text


# ---- order ----------------------------------------------------------------------------------------------------------


def _routed(*routes: tuple[str, Condition, str | None]) -> Mesh:
    """A mesh whose cart has these routes in this order: path, condition, and version."""
    mesh = _mesh(SERVICES + "traffic cart { route /a -> cart@v1 }")
    cart = next(one for one in mesh.workloads if one.name == "cart")
    model, last = cart.ports[0].routes
    port = replace(cart.ports[0], routes=(*(_route(model, *one) for one in routes), last))
    return replace(mesh, workloads=(replace(cart, ports=(port,)), mesh.workloads[1]))


def _route(model: Route, path: str, condition: Condition, version: str | None) -> Route:
    written = _mesh(SERVICES + f"traffic cart {{ route {path} -> cart{'' if version is None else f'@{version}'} }}")
    cart = next(one for one in written.workloads if one.name == "cart")
    return replace(cart.ports[0].routes[0], condition=condition, span=model.span)


X: Final = HeaderIs("x", Equals("1"))
Y: Final = HeaderIs("y", Equals("1"))


def test_the_later_route_says_that_the_earlier_one_does_not_hold() -> None:
    text = _text(_import(_routed(("/**", AllOf((X,)), "v1"), ("/a", AllOf(()), "v2"))))
    assert '  route /** when header "x" == "1" -> cart@v1\n  route /a when header "x" != "1" -> cart@v2\n' in text


def test_where_that_cannot_be_said_a_route_for_both_comes_first() -> None:
    early = HeaderIs("x", StartsWith("1"))
    text = _text(_import(_routed(("/**", AllOf((early,)), "v1"), ("/a", AllOf(()), "v2"))))
    assert (
        'route /a when header "x" starts with "1" -> cart@v1' in text
        or ('route /**, /a when header "x" starts with "1" -> cart@v1' in text)
        or 'route /a, /** when header "x" starts with "1" -> cart@v1' in text
    )
    assert "route /a -> cart@v2" in text


def test_routes_that_nothing_reaches_are_left_out() -> None:
    text = _text(_import(_routed(("/**", AllOf(()), "v1"), ("/a", AllOf(()), "v2"))))
    assert "cart@v2" not in text


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        (AnyOf((X, Y)), 'route /** when header "y" == "1" and header "x" != "1" -> cart@v2'),
        (AnyOf((X, HeaderIs("x", Equals("2")))), 'route /** when header "x" in ("1", "2") -> cart@v2'),
        (Not(AnyOf((X, Y))), 'route /** when header "x" != "1" and header "y" != "1" -> cart@v2'),
        (Not(HeaderIs("x", EndsWith("1"))), 'route /** when header "x" ends with "1"'),
        (AllOf((MethodIs(("GET",)), X)), 'route GET when header "x" == "1" -> cart@v2'),
        (PathIs(ExactPath("/b")), "route /b -> cart@v2"),
        (Not(MethodIs(("GET",))), "route GET"),
    ],
)
def test_conditions_beyond_those_of_the_language_become_several_routes(condition: Condition, shown: str) -> None:
    assert shown in _text(_import(_routed(("/**", condition, "v2"))))


def test_an_order_that_cannot_be_said_is_listed() -> None:
    mesh = _routed(("/a/b/**", AllOf(()), "v1"), ("/a/{id}/{rest}", AllOf(()), "v2"))
    mesh = _with_first_path(mesh, RegexPath("/a/[0-9]+/x"))
    found = _import(mesh)
    assert [one.reason for one in found.omitted] == [
        "it comes after a route that is less specific, which the language asks later"
    ]
    assert found.difference.is_empty
    assert "cart@v2" not in found.files["shop.mesh"].split("traffic")[1]


def _with_first_path(mesh: Mesh, path: RegexPath) -> Mesh:
    cart = next(one for one in mesh.workloads if one.name == "cart")
    first, *rest = cart.ports[0].routes
    ports = (replace(cart.ports[0], routes=(replace(first, path=path), *rest)),)
    return replace(mesh, workloads=(replace(cart, ports=ports), mesh.workloads[1]))


def test_what_the_compiler_refuses_is_left_out_with_its_words() -> None:
    test = HeaderIs("x-forwarded-client-cert", Matches(".*"))
    found = _import(_routed(("/a", AllOf((test,)), "v1"), ("/b", AllOf(()), "v2")))
    assert [one.reason for one in found.omitted] == ["`x-forwarded-client-cert` is dropped before rules see it"]
    assert "route /b -> cart@v2" in found.files["shop.mesh"]
    assert found.difference.is_empty
