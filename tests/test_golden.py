"""Goldens: small programs beside what they compile to. `python tests/update_goldens.py` rewrites them; read the difference."""

import asyncio
from pathlib import Path

import pytest

from golden_cases import GOLDEN, cases, compile_case
from meshc.engine.processes import find_envoy, validate


@pytest.mark.parametrize("case", cases())
def test_output_is_the_golden_one(case: str) -> None:
    files = compile_case(case)
    stored = {
        path.relative_to(GOLDEN / case / "envoy").as_posix(): path.read_text(encoding="utf-8")
        for path in (GOLDEN / case / "envoy").rglob("*.yaml")
    }
    assert files == stored


def test_envoy_accepts_every_golden(tmp_path: Path) -> None:
    """Without a warning, too: deprecated fields warn."""
    files = sorted(GOLDEN.rglob("*.yaml"))
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
        (directory / "keys" / "corp.json").write_text(TokenIssuer.create().jwks, encoding="utf-8")
    return tls
