"""Placement: which instances of a workload run, where, and what their peers know of them."""

from pathlib import Path

import pytest

from meshc import ir
from meshc.engine.placement import PlacedMesh, instance_name, place_mesh, running_versions
from meshc_harness.compare import analyze_text

PROGRAM = """
mesh m { trust-domain "shop.example" also "ops.example" }
namespace a
service plain in a { port 80 http }
service versions in a { port 80 http version v1 version v2 }
service found in a { port 80 http version v1 version v2 discover dns "found.example" }
service fixed in a {
  port 80 http
  version v1 version v2 version v3
  endpoint "10.0.0.1:9000" { version v2 weight 3 }
  endpoint "10.0.0.2:9000" { version v2 weight 4 zone "eu/one" }
  endpoint "10.0.0.3:9000" { version v1 zone "eu/two" }
}
service mixed in a {
  port 80 http
  version v1
  endpoint "10.0.0.1:9000" { version v1 }
  endpoint "10.0.0.2:9001"
}
service nowhere in a { port 80 http version v1 discover static }
"""


@pytest.fixture
def mesh() -> ir.Mesh:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return mesh


@pytest.fixture
def placed(mesh: ir.Mesh, tmp_path: Path) -> PlacedMesh:
    return place_mesh(mesh, tmp_path, has_ipv6=True, visits={("a", "plain"): ("10.1.2.3", "10.1.2.4")})


def workload(mesh: ir.Mesh, name: str) -> ir.Workload:
    return next(one for one in mesh.workloads if one.name == name)


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("plain", (None,)),
        ("versions", ("v1", "v2")),
        ("found", ("v1", "v2")),
        ("fixed", ("v1", "v2")),
        ("mixed", (None, "v1")),
        ("nowhere", ("v1",)),
    ],
)
def test_what_runs(mesh: ir.Mesh, name: str, versions: tuple[str | None, ...]) -> None:
    """`fixed@v3` has no endpoints where others have, so it answers 503 and does not run."""
    assert running_versions(workload(mesh, name)) == versions


def test_each_instance_is_an_endpoint_of_its_version(placed: PlacedMesh) -> None:
    for name in ("plain", "versions", "found", "fixed", "mixed"):
        instances = placed.placement.instances["a", name]
        endpoints = workload(placed.mesh, name).endpoints
        assert [(one.host, one.version) for one in endpoints] == [(one.listen[0], one.version) for one in instances]
        assert workload(placed.mesh, name).discovery is ir.Discovery.STATIC


def test_weights_add_up_and_zones_are_kept(placed: PlacedMesh) -> None:
    endpoints = workload(placed.mesh, "fixed").endpoints
    assert [(one.version, one.weight, one.zone) for one in endpoints] == [("v1", 1, "eu/two"), ("v2", 7, "eu/one")]
    assert [one.zone for one in placed.placement.instances["a", "fixed"]] == ["eu/two", "eu/one"]


def test_nobody_finds_a_static_service_without_endpoints(placed: PlacedMesh) -> None:
    assert workload(placed.mesh, "nowhere").endpoints == ()
    assert len(placed.placement.instances["a", "nowhere"]) == 1


def test_visitors_are_known_to_nobody(placed: PlacedMesh) -> None:
    visitors = placed.placement.visitors["a", "plain"]
    assert [one.source for one in visitors] == ["10.1.2.3", "10.1.2.4"]
    known = {endpoint.host for one in placed.mesh.workloads for endpoint in one.endpoints}
    assert known.isdisjoint(one.listen[0] for one in visitors)


def test_no_two_instances_share_anything(placed: PlacedMesh) -> None:
    groups = (*placed.placement.instances.values(), *placed.placement.visitors.values())
    instances = [instance for group in groups for instance in group]
    addresses = [a for one in instances for a in (*one.listen, one.application, one.outbound)]
    assert len(set(addresses)) == len(addresses) == 4 * len(instances)
    directories = {one.tls_directory for one in instances}
    assert len(directories) == len(instances)
    for directory in directories:
        names = {path.name for path in Path(directory).iterdir()}
        assert {"cert.pem", "key.pem", "shop.example.pem", "ops.example.pem"} <= names


def test_names_tell_versions_apart(mesh: ir.Mesh) -> None:
    assert instance_name(workload(mesh, "plain"), None) == "a.plain"
    assert instance_name(workload(mesh, "fixed"), "v2") == "a.fixed@v2"
