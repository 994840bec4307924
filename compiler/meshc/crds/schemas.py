"""Structural schemas: -> JSON Schema draft 7 in which a field that the API server would prune is an error.

Pruning drops fields that no schema names, without a word; of a policy that means a rule that is wider than it was written.
Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions": structural schemas, field pruning.
"""

from collections.abc import Mapping
from typing import Final

from meshc.crds.read import Schema, fields, items
from meshc.target import Json

_KEPT: Final = frozenset(
    {
        "enum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "required",
        "uniqueItems",
    }
)
_OBJECT_META: Final[Schema] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}


def json_schema(root: Schema) -> Schema:
    """The schema of a whole object; its metadata is for the API server itself to check."""
    found = dict(_convert(root))
    found["properties"] = {**fields(found.get("properties")), **_OBJECT_META}
    return found


def _convert(schema: Schema) -> Schema:
    """A part that describes data, where every field has to be named."""
    found = dict(_restrictions(schema))
    if schema.get("x-kubernetes-int-or-string") is True:
        found["type"] = ["integer", "string"]
    elif isinstance(kind := schema.get("type"), str):
        found["type"] = [kind, "null"] if schema.get("nullable") is True else kind
    properties = fields(schema.get("properties"))
    if properties:
        found["properties"] = {name: _convert(fields(inner)) for name, inner in properties.items()}
    if schema.get("x-kubernetes-embedded-resource") is True:
        found["properties"] = {**fields(found.get("properties")), **_OBJECT_META}
    if isinstance(inner := schema.get("items"), Mapping):
        found["items"] = _convert(inner)
    found.update(_others(schema))
    return found


def _others(schema: Schema) -> Schema:
    """What holds for fields that are not named."""
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        return {"additionalProperties": _convert(others)}
    is_open = others is True or schema.get("x-kubernetes-preserve-unknown-fields") is True
    is_object = schema.get("type") == "object"
    return {"additionalProperties": False} if is_object and not is_open else {}


def _restrictions(schema: Schema) -> Schema:
    """What a part demands of its value, in this part and in those that only restrict it further."""
    found: dict[str, Json] = {name: value for name, value in schema.items() if name in _KEPT}
    for bound, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        # OpenAPI 3.0 says with a boolean whether a bound is excluded; JSON Schema since draft 6 with the bound itself.
        if schema.get(strict) is True and bound in found:
            found[strict] = found.pop(bound)
    for name in ("allOf", "anyOf", "oneOf"):
        if parts := items(schema.get(name)):
            found[name] = [_restriction(fields(part)) for part in parts]
    if isinstance(inner := schema.get("not"), Mapping):
        found["not"] = _restriction(inner)
    return found


def _restriction(schema: Schema) -> Schema:
    """A part inside of `anyOf` and the like, which restricts and never declares."""
    found = dict(_restrictions(schema))
    if isinstance(kind := schema.get("type"), str):
        found["type"] = kind
    if properties := fields(schema.get("properties")):
        found["properties"] = {name: _restriction(fields(inner)) for name, inner in properties.items()}
    if isinstance(inner := schema.get("items"), Mapping):
        found["items"] = _restriction(inner)
    if isinstance(inner := schema.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _restriction(inner)
    return found


def with_defaults(schema: Schema, value: Json) -> Json:
    """A value with the defaults that the API server fills in before it checks; what is given is never changed."""
    if isinstance(value, Mapping):
        properties = fields(schema.get("properties"))
        others = fields(schema.get("additionalProperties"))
        filled = {name: with_defaults(fields(properties.get(name, others)), inner) for name, inner in value.items()}
        for name, inner in properties.items():
            if name not in filled and "default" in fields(inner):
                filled[name] = with_defaults(fields(inner), fields(inner)["default"])
        return filled
    if isinstance(value, list | tuple):
        each = fields(schema.get("items"))
        return [with_defaults(each, inner) for inner in value]
    return value
