"""Objects against the schemas of real custom resource definitions; a field that the API server would prune is an error.

The definitions are not ours to copy: `MESHC_CRDS` names a folder with `linkerd.yaml` and `gateway-api/`.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

CRDS: Final = Path(os.environ.get("MESHC_CRDS") or Path(__file__).parents[1].parent / "shared" / "crds")

Key = tuple[str, str]
"""API version and kind."""


def schemas_or_skip() -> Mapping[Key, tuple[Validator, ...]]:
    """The validators of each kind, one a file that defines it; the test is skipped where there are no files."""
    files = sorted([*CRDS.glob("linkerd.yaml"), *CRDS.glob("gateway-api/*.yaml")])
    if not any(file.name == "linkerd.yaml" for file in files):
        message = f"no definitions at {CRDS}: set MESHC_CRDS to a folder that holds linkerd.yaml"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return _read(tuple(files))


@cache
def _read(files: tuple[Path, ...]) -> Mapping[Key, tuple[Validator, ...]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[Key, list[Validator]] = {}
    for file in files:
        for document in yaml.load_all(file.read_text(encoding="utf-8"), Loader=loader):
            if not document or document.get("kind") != "CustomResourceDefinition":
                continue
            spec = document["spec"]
            for version in spec["versions"]:
                schema = _strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
                if version["served"]:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    found.setdefault(key, []).append(Draft202012Validator(schema))
    return {key: tuple(validators) for key, validators in found.items()}


def _strict(schema: Any) -> Any:  # a JSON schema may be anything
    """The schema without room for unknown fields, unless it keeps them."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(one) for name, one in schema.items() if name not in {"format", "nullable"}}
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    if isinstance(schema.get("properties"), dict):
        strict["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict["additionalProperties"] = False
    return strict


def problems(data: Mapping[str, object]) -> list[str]:
    """What is wrong with an object, by each definition of its kind."""
    validators = schemas_or_skip().get((str(data["apiVersion"]), str(data["kind"])), ())
    assert validators, f"nobody defines {data['apiVersion']} {data['kind']}"
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for validator in validators
        for error in validator.iter_errors(data)
    ]
