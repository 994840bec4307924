"""Objects against definitions: what a server refuses, and what it would drop."""

from collections.abc import Mapping

import pytest
import yaml

from meshc.crds import Checker, CrdError, read_crds
from meshc.target import Json

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.example.com}
spec:
  group: example.com
  names: {kind: Gate, plural: gates}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: "self.low <= self.high", message: low must not be above high}
            - {rule: "self.low == oldSelf.low", message: low never changes}
            required: [low]
            properties:
              low: {type: integer, minimum: 0, exclusiveMinimum: true}
              high: {type: integer, default: 10}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, nullable: true}
              labels: {type: object, additionalProperties: {type: string}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              one:
                type: object
                oneOf:
                - required: [a]
                - required: [b]
                properties: {a: {type: string}, b: {type: string}}
              refs:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                x-kubernetes-validations:
                - {rule: "self.all(one, !has(one.__namespace__))", message: no namespace}
                items:
                  type: object
                  properties:
                    name: {type: string}
                    namespace: {type: string}
              words: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              wait: {type: string, x-kubernetes-validations: [{rule: "duration(self) >= duration('1ms')"}]}
              odd: {type: string, x-kubernetes-validations: [{rule: "nobodyKnows(self)"}]}
          status: {type: object}
  - name: v1alpha1
    served: false
    storage: false
    schema: {openAPIV3Schema: {type: object}}
"""


def problems(spec: Mapping[str, Json], **fields: Json) -> list[str]:
    one = {"apiVersion": "example.com/v1", "kind": "Gate", "metadata": {"name": "a", "namespace": "b"}, "spec": spec}
    return [str(found) for found in Checker.of(read_crds([("gates.yaml", DEFINITION)])).check([{**one, **fields}])]


@pytest.mark.parametrize(
    "spec",
    [
        {"low": 1},
        {"low": 10, "port": "http", "note": None},
        {"low": 1, "port": 80, "labels": {"a": "b", "": "c"}, "free": {"any": {"thing": 1}}},
        {"low": 1, "one": {"a": "x"}, "refs": [{"name": "a"}, {"name": "b"}], "words": ["a", "b"], "wait": "1.5s"},
    ],
)
def test_good_objects_pass(spec: Mapping[str, Json]) -> None:
    assert problems(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, '"low" is a required property'),
        ({"low": 0}, "less than or equal to the minimum of 0"),
        ({"low": "1"}, 'spec.low: "1" is not of type "integer"'),
        ({"low": 1, "hihg": 2}, "the definition has no field `hihg`, so the cluster would drop it"),
        ({"low": 1, "refs": [{"name": "a", "x": 1}]}, "spec.refs[0]: the definition has no field `x`"),
        ({"low": 1, "labels": {"a": 1}}, 'spec.labels.a: 1 is not of type "string"'),
        ({"low": 1, "port": 1.5}, "spec.port: 1.5 is not of types"),
        ({"low": 1, "one": {}}, "spec.one: {} is not valid under any"),
        ({"low": 1, "one": {"a": "x", "b": "y"}}, "valid under more than one"),
        ({"low": 11}, "spec: low must not be above high"),
        ({"low": 1, "refs": [{"name": "a", "namespace": "b"}]}, "spec.refs: no namespace"),
        ({"low": 1, "refs": [{"name": "a"}, {"name": "a"}]}, "spec.refs[1]: another item has the same name"),
        ({"low": 1, "words": ["a", "a"]}, "spec.words[1]: another item has the same value"),
        ({"low": 1, "wait": "0s"}, "spec.wait: breaks the rule `duration(self) >= duration('1ms')`"),
        ({"low": 1, "wait": "soon"}, "is not decided"),
        ({"low": 1, "odd": "x"}, "spec.odd: the rule `nobodyKnows(self)` is not decided"),
    ],
)
def test_bad_ones_are_named(spec: Mapping[str, Json], problem: str) -> None:
    found = problems(spec)
    assert len(found) == 1, found
    assert found[0].startswith("Gate b/a: spec")
    assert problem in found[0]


def test_fields_outside_of_spec() -> None:
    assert problems({"low": 1}, status={"x": 1}) == [
        "Gate b/a: status: the definition has no field in it, so the cluster would drop what is there"
    ]
    assert problems({"low": 1}, spek={}) == [
        "Gate b/a: the definition has no field `spek`, so the cluster would drop it"
    ]


def test_kinds_without_a_definition() -> None:
    assert problems({}, apiVersion="example.com/v1alpha1") == [
        "Gate b/a: no definition of `Gate` of `example.com/v1alpha1`; served: `example.com/v1`"
    ]
    assert problems({}, kind="Door") == ["Door b/a: no definition of `Door` of `example.com/v1`"]
    checker = Checker.of(read_crds([("gates.yaml", DEFINITION)]))
    others: list[Mapping[str, Json]] = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}},
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"},
        {"meshConfig": {}},
    ]
    assert list(checker.check(others)) == []


def test_lists_of_definitions_are_read() -> None:
    listed = yaml.safe_dump(
        {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(DEFINITION), {"kind": "Pod"}]}
    )
    assert [(one.api_version, one.kind, one.is_served) for one in read_crds([("all.yaml", listed)])] == [
        ("example.com/v1", "Gate", True),
        ("example.com/v1alpha1", "Gate", False),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no CustomResourceDefinition in it"),
        ("kind: Pod", "there is no CustomResourceDefinition in it"),
        ("a: [", "`x.yaml` is not YAML"),
        ("kind: CustomResourceDefinition\nspec: {versions: [{name: v1}]}", "without a group"),
        (
            "kind: CustomResourceDefinition\nspec: {group: a, names: {kind: A}, versions: [{name: v1}]}",
            "`A` of `a/v1` without a schema",
        ),
    ],
)
def test_what_is_no_definition(text: str, problem: str) -> None:
    with pytest.raises(CrdError) as raised:
        read_crds([("x.yaml", text)])
    assert problem in str(raised.value)


def test_a_schema_that_is_none() -> None:
    text = DEFINITION.replace("low: {type: integer,", "low: {type: wholly,")
    with pytest.raises(CrdError) as raised:
        Checker.of(read_crds([("x.yaml", text)]))
    assert "the schema of `Gate` of `example.com/v1` is none" in str(raised.value)
