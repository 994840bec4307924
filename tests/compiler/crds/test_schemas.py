"""Converted schemas: two validators agree on them."""

import jsonschema
import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.crds.schemas import json_schema, with_defaults
from meshc.target import Json

SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "b": {"type": "string", "enum": ["x", "y"], "nullable": True},
        "c": {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "maxProperties": 2,
        },
        "d": {
            "type": "array",
            "items": {"type": "object", "properties": {"e": {"type": "integer"}}, "required": ["e"]},
        },
    },
    "not": {"required": ["a", "b"]},
    "anyOf": [{"required": ["a"]}, {"properties": {"c": {"minProperties": 1}}}],
}
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["x", "y", "z"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=3)
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4))
def test_a_fast_validator_and_a_slow_one_agree(value: dict[str, Json]) -> None:
    schema = dict(json_schema(SCHEMA))
    is_valid = jsonschema.Draft7Validator(schema).is_valid(value)
    assert jsonschema_rs.Draft7Validator(schema).is_valid(value) == is_valid


def test_defaults_are_filled_in_all_the_way_down() -> None:
    schema: dict[str, Json] = {
        "properties": {
            "a": {"properties": {"b": {"default": 1}}, "default": {}},
            "c": {"items": {"properties": {"d": {"default": "x"}}}},
            "e": {"additionalProperties": {"properties": {"f": {"default": True}}}},
        }
    }
    assert with_defaults(schema, {"c": [{}, {"d": "y"}], "e": {"k": {}}}) == {
        "a": {"b": 1},
        "c": [{"d": "x"}, {"d": "y"}],
        "e": {"k": {"f": True}},
    }
    assert with_defaults(schema, {"a": None}) == {"a": None}
