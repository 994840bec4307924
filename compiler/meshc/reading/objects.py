"""Objects of configuration as plain data, with the place of every part: from files, or from what was just emitted.

A part is named by its path in the object: `("spec", "rules", 0, "to")`. Parts of emitted objects are all at the start of
their file: who needs more prints them and reads the text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from meshc.diagnostics import Diagnostic, diagnose
from meshc.inventory.documents import read_documents
from meshc.inventory.nodes import ListNode, MapNode, Node, Scalar
from meshc.source import SourceFile, Span
from meshc.target import Document, Json

Step = str | int
"""A key, or a place in a list."""

_INVALID: Final = "configuration-invalid"
_NOTHING: Final[Mapping[str, str]] = {}

_LARGEST_INTEGER: Final = 400
"""Digits; more stay a text. No field of any API has as many."""

_TRUE: Final = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfigObject:
    """One object: a Kubernetes resource, an Envoy bootstrap or config dump. `file` is its file, as people know it.

    `data` is as YAML 1.1 or JSON say it; what YAML takes for a date stays a text.
    """

    data: Mapping[str, Json]
    file: str
    node: MapNode | None = None

    def span(self, *steps: Step) -> Span:
        """The place of a part, or of the nearest thing around it that there is."""
        return Span(self.file, 0, 0, 1, 1) if self.node is None else _span_of(self.node, steps)

    @property
    def kind(self) -> str:
        """The kind, or an empty text."""
        return self._text("kind")

    @property
    def group(self) -> str:
        """The API group without its version: `security.istio.io`, empty for the core group."""
        return self._text("apiVersion").rpartition("/")[0]

    @property
    def name(self) -> str:
        """The name, or an empty text."""
        return self._metadata("name")

    @property
    def namespace(self) -> str:
        """The namespace, or an empty text where none is given."""
        return self._metadata("namespace")

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def _metadata(self, key: str) -> str:
        metadata = self.data.get("metadata")
        value = metadata.get(key) if isinstance(metadata, Mapping) else None
        return value if isinstance(value, str) else ""


def objects_of_source(source: SourceFile) -> tuple[tuple[ConfigObject, ...], tuple[Diagnostic, ...]]:
    """The objects of a YAML or JSON file, those in a `List` one by one, and what of the file could not be read."""
    documents = read_documents(source)
    found: list[ConfigObject] = []
    wrong = [replace(one, name=_INVALID) for one in documents.diagnostics]
    for root in documents.roots:
        for one in _unlisted(root, source.path):
            if isinstance(one, ConfigObject):
                found.append(one)
            else:
                wrong.append(one)
    return tuple(found), tuple(wrong)


def objects_of_documents(documents: Iterable[Document], folder: str) -> tuple[ConfigObject, ...]:
    """The objects of emitted files; each file is known as `<folder>/<path>`."""
    return tuple(
        ConfigObject(data=data, file=f"{folder}/{document.path}")
        for document in documents
        for data in document.resources
    )


def _unlisted(root: MapNode, file: str, inherited: Mapping[str, str] = _NOTHING) -> Iterator[ConfigObject | Diagnostic]:
    """A document, or what `kubectl get -o yaml` and its like put into one. `inherited` is what an item leaves to its list to say."""
    kind, version = _word(root, "kind"), _word(root, "apiVersion")
    if kind.endswith("List"):
        # The API's own lists say once, in their kind, what each of their items is.
        said = {"apiVersion": version, "kind": kind.removesuffix("List")} if kind != "List" else _NOTHING
        items = root.entries.get("items")
        match items:
            case None | (_, Scalar(is_null=True)):
                return
            case (_, ListNode(items=listed)):
                for item in listed:
                    if isinstance(item, MapNode):
                        yield from _unlisted(item, file, said)
                    else:
                        yield diagnose(_INVALID, item.span, f"an item of `{kind}` is no object")
            case (_, other):
                yield diagnose(_INVALID, other.span, f"the `items` of `{kind}` are no list")
        return
    data = cast("Mapping[str, Json]", _plain(root))
    yield ConfigObject(data={**inherited, **data}, file=file, node=root)


def _word(node: MapNode, key: str) -> str:
    entry = node.entries.get(key)
    return entry[1].text if entry is not None and isinstance(entry[1], Scalar) else ""


def _span_of(node: Node, steps: Sequence[Step]) -> Span:
    for step in steps:
        match node:
            case MapNode(entries=entries) if isinstance(step, str) and step in entries:
                node = entries[step][1]
            case ListNode(items=items) if isinstance(step, int) and 0 <= step < len(items):
                node = items[step]
            case _:
                break
    return node.span


def _plain(node: Node) -> Json:
    match node:
        case MapNode(entries=entries):
            return {key: _plain(value) for key, (_, value) in entries.items()}
        case ListNode(items=items):
            return [_plain(item) for item in items]
        case Scalar():
            return _scalar(node)


def _scalar(node: Scalar) -> Json:
    text = node.text
    if not node.is_plain:
        return text
    if node.is_null:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text) and len(text) <= _LARGEST_INTEGER:
        # YAML 1.1 reads a leading 0 as octal, which no API means; kubectl takes `010` for 8 as well.
        digits = text.lstrip("+-")
        is_octal = len(digits) > 1 and digits.startswith("0") and not set(digits) & {"8", "9"}
        return int(text, 8) if is_octal else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
