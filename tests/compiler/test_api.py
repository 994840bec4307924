"""The public interface: short, and pinned."""

from pathlib import Path

import pytest

import meshc

SHOP = "namespace shop\nservice web in shop\nservice cart in shop { port 8080 http }\naccess cart { allow web }\n"


def test_the_list_of_public_names() -> None:
    assert meshc.__all__ == ["Diagnostic", "Document", "PolicyError", "__version__", "check_policy", "compile_policy"]
    assert all(getattr(meshc, name) is not None for name in meshc.__all__)
    with pytest.raises(AttributeError):
        _ = meshc.compile  # type: ignore[attr-defined]


def test_check_and_compile(tmp_path: Path) -> None:
    (tmp_path / "a.mesh").write_text(SHOP)
    assert meshc.check_policy(tmp_path) == ()
    documents = meshc.compile_policy(tmp_path, "envoy")
    assert [document.path for document in documents] == ["shop/cart.yaml", "shop/web.yaml"]
    with pytest.raises(ValueError, match="no environment"):
        meshc.check_policy(tmp_path, environment="prod")


def test_a_program_with_errors_is_not_compiled(tmp_path: Path) -> None:
    (tmp_path / "a.mesh").write_text(SHOP + "access cart { allow wep }\n")
    with pytest.raises(meshc.PolicyError, match="`wep` is not declared") as error:
        meshc.compile_policy(tmp_path, "envoy")
    assert error.value.diagnostics == meshc.check_policy(tmp_path)
    (tmp_path / "a.mesh").write_text(SHOP + "traffic cart { fault delay 1s for 1% when source ip in (10.0.0.0/8) }\n")
    with pytest.raises(meshc.PolicyError, match="envoy cannot express"):
        meshc.compile_policy(tmp_path, "envoy")
