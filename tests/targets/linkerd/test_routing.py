"""Which matches stand for which routes, and what takes the rest."""

from meshc import ir
from meshc_harness.compare import analyze_text
from meshc_linkerd.routing import Routed, routed


def port_of(routes: str) -> ir.PortPolicy:
    text = f"namespace shop\nservice cart in shop {{ port 80 http version v1 version v2 }}\ntraffic cart {{\n{routes}\n}}\n"
    mesh = analyze_text(text).mesh
    assert mesh is not None
    return mesh.workloads[0].ports[0]


def paths_of(found: Routed, route: int) -> list[tuple[str, str]]:
    return [(one.path.type, one.path.value) for one in found.matches.get(route, ()) if one.path is not None]


def test_no_routes_are_no_matches() -> None:
    found = routed(port_of("timeout 1s"))
    assert (found.matches, found.rest) == ({}, 0)


def test_a_header_alone_is_tested_on_every_path() -> None:
    """Paths that are not in normal form too, since none of the routes looks at them."""
    found = routed(port_of('route /** when header "x-a" == "1" -> cart@v1'))
    assert paths_of(found, 0) == [("PathPrefix", "/")]
    assert found.rest == 1


def test_a_route_for_everything_takes_the_rest() -> None:
    found = routed(port_of('route /** when header "x-a" == "1" -> cart@v1\nroute /** -> cart@v2'))
    assert found.rest == 1
    assert list(found.matches) == [0]


def test_values_of_one_header_are_one_test() -> None:
    (match,) = routed(port_of('route /a when header "x-a" in ("1", "2") -> cart@v1')).matches[0]
    assert match.headers is not None
    assert [one.value for one in match.headers] == ["^(?:1|2)$"]


def test_what_makes_no_difference_is_not_said() -> None:
    found = routed(port_of('route /a when header "x-a" == "1" -> cart@v1\nroute GET /b -> cart@v2'))
    said = sorted(
        (one.path.value, one.method, bool(one.headers)) for some in found.matches.values() for one in some if one.path
    )
    assert said == [("/a", None, True), ("/b", "GET", False)]


def test_expressions_are_cut_out_of_each_other() -> None:
    found = routed(port_of('route re"/a/[0-9]+" -> cart@v1\nroute /a/** -> cart@v2'))
    assert sorted(found.matches) == [0, 1]
    assert all(kind == "RegularExpression" for kind, _ in paths_of(found, 0))
