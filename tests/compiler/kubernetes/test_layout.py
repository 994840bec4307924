"""Files of emitted objects: one a service, and a kustomization of all of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from meshc.errors import InternalError
from meshc.kubernetes import ApiModel, Placed, Resource, lay_out, metadata, resource_data
from meshc.source import Span
from meshc.target import Document
from meshc.yaml_printer import print_documents


class Source(ApiModel):
    from_: str | None = None
    not_request_principals: tuple[str, ...] | None = None


class Gate(Resource):
    api_version: str = "example.com/v1"
    kind: str = "Gate"
    spec: Source


def gate(name: str, namespace: str, spec: Source | None = None) -> Gate:
    return Gate(metadata=metadata(name, namespace, []), spec=spec or Source())


def place(line: int) -> Span:
    return Span("a.mesh", line, line, line, 1)


def test_models_have_the_names_of_the_api() -> None:
    one = resource_data(gate("a", "b", Source(from_="x", not_request_principals=("*",))))
    assert one["spec"] == {"from": "x", "notRequestPrincipals": ["*"]}
    assert resource_data(gate("a", "b"))["spec"] == {}
    assert list(one) == ["apiVersion", "kind", "metadata", "spec"]
    assert Gate.model_validate(one) == gate("a", "b", Source(from_="x", not_request_principals=("*",)))


def test_a_file_for_each_service_and_one_for_the_mesh() -> None:
    documents = lay_out(
        [
            Placed(owner=("shop", "web"), resource=gate("two", "shop"), sources=(place(2), place(1))),
            Placed(owner=None, resource=gate("all", "root")),
            Placed(owner=("shop", "web"), resource=gate("one", "shop"), sources=(place(2),)),
            Placed(owner=("bank", "pay"), resource=gate("three", "bank")),
        ],
        [Document(path="settings.yaml", resources=({"meshConfig": {}},))],
    )
    assert [one.path for one in documents] == [
        "bank/pay.yaml",
        "kustomization.yaml",
        "mesh.yaml",
        "settings.yaml",
        "shop/web.yaml",
    ]
    assert documents[1].resources[0]["resources"] == ["bank/pay.yaml", "mesh.yaml", "shop/web.yaml"]
    assert [dict(one)["metadata"]["name"] for one in documents[4].resources] == ["two", "one"]  # type: ignore[call-overload, index]
    assert documents[4].sources == (place(2), place(1))


def test_two_objects_of_one_name_are_a_fault() -> None:
    twice = [Placed(owner=("shop", name), resource=gate("a", "shop")) for name in ("web", "cart")]
    with pytest.raises(InternalError):
        lay_out(twice)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kubectl_takes_the_folder(tmp_path: Path) -> None:
    for one in lay_out([Placed(owner=("shop", "web"), resource=gate("a", "shop"))]):
        file = tmp_path / one.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(print_documents(one.resources), encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, check=True)
    assert "name: a" in done.stdout
