"""`meshc test --via`: what a target was told to leave out is not expected of it, and that is said; a refusal always is."""

from collections.abc import Callable
from pathlib import Path

from meshc_harness.running import Ran

PROGRAM = """namespace shop
service web in shop
service cart in shop { port 80 http }
external books in shop { host "books.example" port 443 https }
access cart { allow web to GET /items/{id} }
access books { allow web }
test "inside" {
  allow web GET cart /items/1
  deny web POST cart /items/1
}
test "outside" { allow web GET books / }
"""


def test_what_is_left_out_is_said_and_not_expected(project: Path, meshc: Callable[..., Ran]) -> None:
    (project / "policies" / "shop.mesh").write_text(PROGRAM, encoding="utf-8")
    (project / "meshc.yaml").write_text(
        "policies: policies/\ntargets: [linkerd]\nunsupported: warn\n", encoding="utf-8"
    )
    ran = meshc("test", "--via", "linkerd")
    assert ran.status == 0
    assert "2 passed, 0 failed" in ran.out
    assert "linkerd: policies/shop.mesh:11:" in ran.err
    assert "left out or differs: web GET books /" in ran.err
    assert "3 passed" in meshc("test").out
