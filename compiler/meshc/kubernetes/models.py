"""Models of Kubernetes objects: pydantic classes whose fields are the API's own, spelled as Python names are.

A field `not_request_principals` is `notRequestPrincipals` in the API; one that Python reserves ends in `_` (`from_`).
Reading takes the API's names and refuses what it does not know; None stands for a field that is not there.
"""

from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from meshc.target import Json


def _api_name(name: str) -> str:
    return to_camel(name.removesuffix("_"))


class ApiModel(BaseModel):
    """A part of an object. Optional fields default to None, and are then left out of the output; an empty list is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_api_name, populate_by_name=True)


class Metadata(ApiModel):
    """Kubernetes' ObjectMeta, as far as we write it."""

    name: str
    namespace: str | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None


class Resource(ApiModel):
    """A whole object. Subclasses give `api_version` and `kind` their values as defaults, and add `spec`."""

    api_version: str
    kind: str
    metadata: Metadata


def resource_data(resource: ApiModel) -> Mapping[str, Json]:
    """The object as plain data, under the API's names, in the order of its fields."""
    return cast("Mapping[str, Json]", resource.model_dump(mode="json", by_alias=True, exclude_none=True))
