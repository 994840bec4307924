"""Read CustomResourceDefinitions: YAML or JSON texts -> `Crd`, one for each version.

Takes what `kubectl get crd -o yaml` prints, and what projects publish; other objects between them are passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from meshc.target import Json

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Schema = Mapping[str, Json]
"""A structural schema, or a part of one: OpenAPI v3 as Kubernetes restricts it."""


class CrdError(Exception):
    """Definitions that cannot be read; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crd:
    """One version of a kind. `api_version` is `group/version`; `is_served` tells whether the cluster answers for it."""

    api_version: str
    kind: str
    is_served: bool
    schema: Schema


def read_crds(texts: Iterable[tuple[str, str]]) -> tuple[Crd, ...]:
    """All definitions in some files, given as pairs of a name for messages and a text. Raises CrdError."""
    found = tuple(crd for name, text in texts for document in _documents(name, text) for crd in _crds(name, document))
    if not found:
        raise CrdError(
            "there is no CustomResourceDefinition in it; `kubectl get crd -o yaml` prints those of a cluster"
        )
    return found


def fields(value: Json) -> Schema:
    """A mapping as it is; anything else is as good as an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Json) -> tuple[Json, ...]:
    """A list as it is; anything else is as good as an empty one."""
    return tuple(value) if isinstance(value, list | tuple) else ()


def _documents(name: str, text: str) -> Iterator[Json]:
    try:
        for document in yaml.load_all(text, _LOADER):
            if fields(document).get("kind") == "List":
                yield from items(fields(document).get("items"))
            else:
                yield document
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise CrdError(f"`{name}` is not YAML: {problem}") from error


def _crds(name: str, document: Json) -> Iterator[Crd]:
    if fields(document).get("kind") != "CustomResourceDefinition":
        return
    spec = fields(fields(document).get("spec"))
    group = spec.get("group")
    kind = fields(spec.get("names")).get("kind")
    for version in map(fields, items(spec.get("versions"))):
        schema = fields(version.get("schema")).get("openAPIV3Schema")
        label = version.get("name")
        if not (isinstance(group, str) and isinstance(kind, str) and isinstance(label, str)):
            raise CrdError(f"`{name}` holds a CustomResourceDefinition without a group, a kind or a name of a version")
        if not isinstance(schema, Mapping):
            raise CrdError(f"`{name}` holds `{kind}` of `{group}/{label}` without a schema")
        served = version.get("served") is not False
        yield Crd(api_version=f"{group}/{label}", kind=kind, is_served=served, schema=schema)
