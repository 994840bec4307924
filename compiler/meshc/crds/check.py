"""Check objects against definitions: what an API server would refuse on creation, and what it would drop."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from jsonschema_rs import Draft7Validator, ValidationError, ValidationErrorKind

from meshc.crds.read import Crd, CrdError, Schema, fields
from meshc.crds.rules import Path, Rules, read_rules
from meshc.crds.schemas import json_schema, with_defaults
from meshc.target import Json

_BUILT_IN: Final = frozenset({("v1", "Service")})
"""Kinds that every API server knows without a definition, as far as targets emit them."""

_LOCAL: Final = frozenset({"kustomize.config.k8s.io"})
"""Groups of files for tools, which never reach an API server."""

_LONGEST: Final = 300
"""Characters of a message; those about large values print them whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with an object: `subject` is its kind, namespace and name, `path` the field, empty for the whole."""

    subject: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.path}: {self.message}" if self.path else f"{self.subject}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Kind:
    schema: Schema
    validator: Draft7Validator
    rules: Rules | None


@dataclass(frozen=True, slots=True)
class Checker:
    """The definitions of a cluster, made ready."""

    kinds: Mapping[tuple[str, str], _Kind]

    @classmethod
    def of(cls, crds: Iterable[Crd]) -> Self:
        """Prepare the definitions that are served. Raises CrdError for a schema that is none."""
        return cls({(one.api_version, one.kind): _prepare(one) for one in crds if one.is_served})

    def check(self, objects: Iterable[Mapping[str, Json]]) -> Iterator[Problem]:
        """The problems of some objects, in order. What has neither `apiVersion` nor `kind` is no object, and passed over."""
        for one in objects:
            version, kind = one.get("apiVersion"), one.get("kind")
            if isinstance(version, str) and isinstance(kind, str):
                yield from self._check(version, kind, one)

    def _check(self, version: str, kind: str, one: Mapping[str, Json]) -> Iterator[Problem]:
        if (version, kind) in _BUILT_IN or version.partition("/")[0] in _LOCAL:
            return
        known = self.kinds.get((version, kind))
        subject = _subject(kind, one)
        if known is None:
            yield Problem(subject=subject, path="", message=self._unknown(version, kind))
            return
        filled = with_defaults(known.schema, one)
        found = [(tuple(error.instance_path), _words(error)) for error in known.validator.iter_errors(filled)]
        if not found and known.rules is not None:
            # The rules may assume that the schema holds, so an API server asks them only then.
            found = list(known.rules.broken(filled))
        yield from (Problem(subject=subject, path=_dotted(path), message=message) for path, message in found)

    def _unknown(self, version: str, kind: str) -> str:
        served = sorted(
            api for api, name in self.kinds if name == kind and api.partition("/")[0] == version.partition("/")[0]
        )
        other = f"; served: {', '.join(f'`{one}`' for one in served)}" if served else ""
        return f"no definition of `{kind}` of `{version}`{other}"


def _prepare(crd: Crd) -> _Kind:
    try:
        validator = Draft7Validator(dict(json_schema(crd.schema)), validate_formats=False)
        return _Kind(crd.schema, validator, read_rules(crd.schema))
    except (ValueError, ValidationError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise CrdError(f"the schema of `{crd.kind}` of `{crd.api_version}` is none: {problem}") from error


def _subject(kind: str, one: Mapping[str, Json]) -> str:
    metadata = fields(one.get("metadata"))
    name = str(metadata.get("name", "without a name"))
    namespace = metadata.get("namespace")
    return f"{kind} {namespace}/{name}" if isinstance(namespace, str) else f"{kind} {name}"


def _words(error: ValidationError) -> str:
    match error.kind:
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            shown = ", ".join(f"`{name}`" for name in names)
            return f"the definition has no field {shown}, so the cluster would drop it"
        case ValidationErrorKind.FalseSchema():
            return "the definition has no field in it, so the cluster would drop what is there"
        case _:
            return error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"


def _dotted(path: Path) -> str:
    """`spec.rules[0].to`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
