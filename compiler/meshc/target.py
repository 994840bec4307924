"""What a target is: a table of what it can express, and a function from a mesh to resources.

Targets are separate packages, found through the entry-point group `meshc.targets`; a third party can add one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from meshc.diagnostics import Diagnostic
from meshc.features import Feature
from meshc.ir import Mesh
from meshc.source import Span

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""Plain data, as it is written to YAML or JSON."""


class Exactness(Enum):
    """How well a target expresses a feature."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    STRICTER = "stricter"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """One row of a support table.

    `note` says what differs (APPROXIMATE), what is refused in addition (STRICTER), or why it cannot be said (IMPOSSIBLE);
    `instead` what to write in its place. `may_omit` marks a feature that `unsupported: warn` may leave out: never one
    that access depends on.
    """

    exactness: Exactness
    note: str = ""
    instead: str = ""
    may_omit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One output file: `path` is relative to the target's folder; `sources` are the places that it comes from."""

    path: str
    resources: tuple[Mapping[str, Json], ...]
    sources: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What a target made of a mesh; documents are sorted by path."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A mesh that programs compile to. `oldest_version` is the oldest release that `support` holds for."""

    name: str
    oldest_version: str
    support: Mapping[Feature, Support]
    emit: Callable[[Mesh], Emission]
