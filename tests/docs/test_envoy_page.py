"""The page on Envoy: its recipe for certificates makes some that sidecars take."""

import re
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshc_proxy.wire.trust import Role, Trust, verify_peer

PAGE = (Path(__file__).parents[2] / "docs" / "envoy.md").read_text(encoding="utf-8")
(RECIPE,) = re.findall(r"^```sh\n(mesh=.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the recipe was followed."""
    found = tmp_path_factory.mktemp("recipe")
    subprocess.run(["sh", "-eu", "-c", RECIPE], cwd=found, check=True, capture_output=True)
    return found / "tls"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("service", ["web", "cart"])
def test_certificates_of_the_recipe_are_taken(folder: Path, service: str, role: Role) -> None:
    own = folder / service
    trust = Trust.from_pem({"cluster.local": (own / "cluster.local.pem").read_bytes()})
    certificate = ssl.PEM_cert_to_DER_cert((own / "cert.pem").read_text(encoding="ascii"))
    identity = verify_peer([certificate], trust, datetime.now(tz=UTC), role=role)
    assert str(identity) == f"spiffe://cluster.local/ns/shop/sa/{service}"


@pytest.mark.parametrize("service", ["web", "cart"])
def test_keys_of_the_recipe_are_those_of_the_certificates(folder: Path, service: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / service / "cert.pem", folder / service / "key.pem")
