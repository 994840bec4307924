"""Goldens: small programs beside what they compile to. `python tests/update_goldens.py` rewrites them; read the difference."""

import asyncio
from pathlib import Path

import pytest

from golden_cases import GOLDEN, TARGETS, cases, compile_case, program, stored_case
from meshc.engine.processes import find_envoy, validate
from meshc.features import Feature
from meshc.passes.used_features import used_features
from meshc.target import Exactness
from meshc.targets import find_target
from meshc_harness.compare import analyze_text

UNSAYABLE = frozenset({Feature.EGRESS_CLAIM, Feature.FAULT_OTHER_CONDITION, Feature.ROUTE_OTHER_CONDITION})
"""What no `.mesh` program can ask for; only what was read from a mesh can."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", cases())
def test_output_is_the_golden_one(case: str, target: str) -> None:
    assert compile_case(case, target) == stored_case(case, target)


@pytest.mark.parametrize("case", cases())
def test_cases_are_small(case: str) -> None:
    assert len(program(case).splitlines()) <= 30


@pytest.mark.parametrize("target", TARGETS)
def test_every_feature_of_a_target_has_a_case(target: str) -> None:
    """What the table says is expressed is expressed in some case, and what is impossible is refused in one."""
    shown: dict[bool, set[Feature]] = {True: set(), False: set()}
    for case in cases():
        mesh = analyze_text(program(case)).mesh
        assert mesh is not None
        is_compiled = (GOLDEN / case / target).is_dir()
        shown[is_compiled] |= {feature for feature, _ in used_features(mesh)}
    table = find_target(target).support
    impossible = {feature for feature, support in table.items() if support.exactness is Exactness.IMPOSSIBLE}
    assert set(Feature) - impossible - shown[True] - UNSAYABLE == set()
    assert impossible - shown[False] - UNSAYABLE == set()


def test_envoy_accepts_every_golden(tmp_path: Path) -> None:
    """Without a warning, too: deprecated fields warn."""
    files = sorted(GOLDEN.glob("*/envoy/**/*.yaml"))
    assert files
    results = asyncio.run(validate(find_envoy(), [_runnable(file, tmp_path) for file in files]))
    assert not [
        (result.bootstrap.name, result.error, result.warnings) for result in results if result.error or result.warnings
    ]


def _runnable(file: Path, directory: Path) -> Path:
    """A copy whose certificate files exist: Envoy reads them when it validates."""
    name = "-".join(file.relative_to(GOLDEN).parts)
    text = file.read_text(encoding="utf-8")
    copy = directory / name
    copy.write_text(
        text.replace("/etc/meshc/tls", str(_certificates(directory)))
        .replace("/etc/keys", str(directory / "keys"))
        .replace("/etc/ssl/certs/ca-certificates.crt", str(directory / "tls" / "cluster.local.pem")),
        encoding="utf-8",
    )
    return copy


def _certificates(directory: Path) -> Path:
    from meshc.engine.authority import Authority
    from meshc.engine.tokens import TokenIssuer

    tls = directory / "tls"
    if not tls.exists():
        authority = Authority.create("cluster.local")
        credentials = authority.issue_workload("spiffe://cluster.local/ns/shop/sa/cart", tls, "cert")
        credentials.key.rename(tls / "key.pem")
        for domain in ("cluster.local", "shop.example", "ops.example"):
            (tls / f"{domain}.pem").write_bytes(authority.bundle)
        (directory / "keys").mkdir()
        (directory / "keys" / "ca.pem").write_bytes(authority.bundle)
        (directory / "keys" / "corp.json").write_text(TokenIssuer.create().jwks, encoding="utf-8")
    return tls
