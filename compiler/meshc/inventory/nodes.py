"""YAML values with their places: what a document of a manifest is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A scalar, as written but for quotes and escapes. `is_plain`: it stands without quotes and without a tag."""

    text: str
    is_plain: bool
    span: Span = field(compare=False)

    @property
    def is_null(self) -> bool:
        """Whether YAML takes it for no value at all."""
        return self.is_plain and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNode:
    items: tuple["Node", ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode:
    """`entries` has each key's own place and its value, in the order of the file; of two equal keys the first counts."""

    entries: Mapping[str, tuple[Scalar, "Node"]]
    span: Span = field(compare=False)


Node = Scalar | ListNode | MapNode
