"""Objects of configuration: what YAML and JSON say, and where each part stands."""

import pytest

from meshc.reading import objects_of_documents, objects_of_source
from meshc.source import SourceFile
from meshc.target import Document


def _read(text: str):
    found, diagnostics = objects_of_source(SourceFile("mesh.yaml", text))
    assert not diagnostics
    return found


def test_plain_data_is_what_the_cluster_would_take_it_for() -> None:
    (one,) = _read('a: {n: 1, f: 0.5, t: true, y: "yes", o: on, z: ~, s: "1", d: 2026-11-23, m: 010}\n')
    assert one.data["a"] == {
        "n": 1, "f": 0.5, "t": True, "y": "yes", "o": True, "z": None, "s": "1", "d": "2026-11-23", "m": 8,
    }  # fmt: skip


def test_a_list_of_kubectl_is_its_items_with_their_places() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  metadata: {name: x, namespace: n}\n- kind: B\n"
    first, second = _read(text)
    assert (first.kind, first.namespace, first.name, second.kind) == ("A", "n", "x", "B")
    assert second.span("kind").line == 6


def test_json_is_read_like_yaml() -> None:
    (one,) = _read('{"kind": "A",\n "apiVersion": "security.istio.io/v1",\n "spec": {"rules": [1, 2]}}')
    assert one.group == "security.istio.io"
    assert one.span("spec", "rules", 1).line == 3


def test_a_part_that_is_not_there_is_at_the_nearest_one_that_is() -> None:
    (one,) = _read("a:\n  b: 1\n")
    assert one.span("a", "c", 3) == one.span("a")


def test_a_file_that_cannot_be_read_is_said_and_costs_no_other_document() -> None:
    found, diagnostics = objects_of_source(SourceFile("mesh.yaml", "a: [1\n---\nkind: B\n"))
    assert [one.kind for one in found] == ["B"]
    assert [one.name for one in diagnostics] == ["configuration-invalid"]


def test_emitted_objects_are_at_the_start_of_their_file() -> None:
    document = Document(path="x.yaml", resources=({"a": 1}, {"kind": "A", "spec": {"rules": ["one", "two"]}}))
    first, second = objects_of_documents((document,), "istio")
    assert (first.data, second.kind) == ({"a": 1}, "A")
    assert str(second.span("spec", "rules", 1)) == "istio/x.yaml:1"


def test_items_of_the_apis_own_lists_are_what_their_list_says() -> None:
    text = (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\nitems: [{metadata: {name: a}}, {kind: B}]\n"
    )
    objects, wrong = objects_of_source(SourceFile("live.yaml", text))
    assert [(one.group, one.kind, one.name) for one in objects] == [
        ("security.istio.io", "AuthorizationPolicy", "a"),
        ("security.istio.io", "B", ""),
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("items", "problem"), [("{}", "are no list"), ("[[]]", "is no object"), ("[a]", "is no object")]
)
def test_a_list_of_something_else_is_not_passed_over(items: str, problem: str) -> None:
    objects, wrong = objects_of_source(SourceFile("live.yaml", f"kind: List\nitems: {items}\n"))
    assert not objects
    assert [(one.name, one.message.endswith(problem)) for one in wrong] == [("configuration-invalid", True)]
