"""What kustomize makes of a folder of configuration."""

import pytest

from meshc.reading import objects_of_source
from meshc.reading.kustomizations import unlike_kustomized
from meshc.source import SourceFile

HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
OBJECT = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def _found(files: dict[str, str]) -> list[str]:
    read = [objects_of_source(SourceFile(path, text))[0] for path, text in files.items()]
    return [one.message for one in unlike_kustomized([one for objects in read for one in objects])]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"d/kustomization.yaml": HEAD + "resources: [a.yaml]", "d/a.yaml": OBJECT}, []),
        ({"kustomization.yaml": HEAD + "resources: [./s/a.yaml]", "s/a.yaml": OBJECT}, []),
        ({"d/kustomization.yaml": HEAD + "resources: [a.yaml]", "d/a.yaml": OBJECT, "other.yaml": OBJECT}, []),
        ({"d/kustomization.yaml": HEAD + "resources: []", "d/mesh.yaml": "meshConfig: {}"}, []),
        (
            {"d/kustomization.yaml": HEAD + "resources: []", "d/a.yaml": OBJECT},
            ["`d/a.yaml` is not applied: it is not among the resources"],
        ),
        (
            {"d/kustomization.yaml": HEAD + "resources: [a.yaml, b.txt]", "d/a.yaml": OBJECT},
            ["`d/b.txt` is applied too, and was not read"],
        ),
        (
            {"d/kustomization.yaml": HEAD + "namespace: x\nresources: [a.yaml]", "d/a.yaml": OBJECT},
            ["what `namespace` makes of the objects cannot be said"],
        ),
        (
            {"d/kustomization.yaml": HEAD + "resources: [in]", "d/in/kustomization.yaml": HEAD, "d/in/a.yaml": OBJECT},
            ["`d/in/a.yaml` is not applied: it is not among the resources"],
        ),
    ],
)
def test_what_is_applied_is_what_was_read(files: dict[str, str], expected: list[str]) -> None:
    assert _found(files) == expected
