"""YAML streams: the text of a manifest -> the nodes of its documents, with the place of everything in them.

Each document is read on its own, so that a broken one does not hide the others. Anchors, aliases and merge keys are followed,
and what they multiply is counted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import SourceFile, Span
from meshc.yaml_places import Mapping, Node, Scalar, ScalarKind, Sequence

DEEPEST = 256
"""Levels of nesting; a deeper document is refused."""

LARGEST = 250_000
"""Scalars, lists and mappings of one document, aliases written out; a larger document is refused."""

_LONGEST_GAP = 200
"""Characters of white space at most that are cut from the end of a block's place."""

_MARKER = re.compile(r"^(?:---|\.\.\.)(?=\s|\Z)", re.MULTILINE)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMENT = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_NOTHING = re.compile(r"(?:[ \t]*(?:[#%].*)?(?:\r?\n|\Z))*")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = re.compile(r"(?i:yes|no|true|false|on|off)")
_NUMBER = re.compile(r"[-+]?(?:\.?[0-9][0-9_.:]*(?:[eE][-+]?[0-9]+)?|0[xb][0-9a-fA-F_]+|\.(?i:inf|nan))")
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_RENDER = "render it first, as with `helm template`, and take the result for the inventory"


def read_documents(source: SourceFile) -> tuple[tuple[Node, ...], tuple[Diagnostic, ...]]:
    """The documents of a file that can be read, in its order, empty ones left out.

    A file that is a template is not read any further, and reported once.
    """
    unprintable = _UNPRINTABLE.search(source.text)
    if unprintable is not None:
        at = unprintable.start()
        return (), (
            _invalid(source.span(at, at + 1), f"the character U+{ord(unprintable[0]):04X} may not stand in YAML"),
        )
    nodes: list[Node] = []
    found: list[Diagnostic] = []
    for start, end in _parts(source.text):
        composer = _Composer(source, start, end)
        composer.read()
        nodes.extend(composer.documents)
        found.extend(composer.found)
        if composer.is_template:
            break
    return tuple(nodes), tuple(found)


def template_refusal(span: Span) -> Diagnostic:
    """The report of a template in a manifest's place."""
    return _invalid(span, "this is a template, not a manifest", _RENDER)


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """The ranges of the documents: a line that starts with `---` or `...` ends one, whatever stands around it."""
    start = 1 if text.startswith("\ufeff") else 0
    for marker in _MARKER.finditer(text):
        yield from _part(text, start, marker.start())
        start = marker.start() if marker[0] == "---" else marker.end()
    yield from _part(text, start, len(text))


def _part(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    nothing = _NOTHING.match(text, start, end)
    if nothing is None or nothing.end() < end:
        yield start, end


class _Refused(Exception):  # noqa: N818  it never leaves this module
    """The rest of the document is not read."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet; a mapping's items are its keys and values in turn."""

    is_mapping: bool
    start: int
    anchor: str | None
    size_before: int
    items: list[Node] = field(default_factory=list)


class _Composer:
    """Composes the events of one range of the text, without recursion."""

    def __init__(self, source: SourceFile, start: int, end: int) -> None:
        self._source = source
        self._start = start
        self._text = source.text[start:end]
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._size = 0
        self.documents: list[Node] = []
        self.found: list[Diagnostic] = []
        self.is_template = False

    def read(self) -> None:
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                self._take(event)
        except _Refused as refusal:
            self.found.append(refusal.diagnostic)
        except yaml.MarkedYAMLError as error:
            self.found.append(self._syntax_error(error))
        except (yaml.YAMLError, ValueError, OverflowError):
            # The parser in Python lets the ValueError of `chr` and `int` through for `"\UFFFFFFFF"` and overlong numbers.
            place = self._source.span(self._start, self._start)
            self.found.append(_invalid(place, "not YAML: a character or number is out of range"))

    def _take(self, event: Event) -> None:
        match event:
            case MappingStartEvent() | SequenceStartEvent():
                if len(self._open) >= DEEPEST:
                    raise _Refused(_invalid(self._span(event), f"nested deeper than {DEEPEST} levels"))
                is_mapping = isinstance(event, MappingStartEvent)
                self._open.append(_Open(is_mapping, _index(event.start_mark), event.anchor, self._size))
            case MappingEndEvent() | SequenceEndEvent():
                self._close(event)
            case ScalarEvent():
                node = Scalar(text=event.value, kind=_kind(event), span=self._span(event))
                self._add(node, 1, event.anchor)
            case AliasEvent():
                self._alias(event)
            case DocumentEndEvent():
                self._anchors.clear()
                self._size = 0
            case _:
                pass

    def _alias(self, event: AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise _Refused(_invalid(self._span(event), f"the alias `*{event.anchor}` has no anchor before it"))
        node, size = self._anchors[event.anchor]
        self._add(node, size, None)

    def _close(self, event: Event) -> None:
        opened = self._open.pop()
        end = _index(event.end_mark)
        if _index(event.start_mark) == end:
            tail = self._text[max(opened.start, end - _LONGEST_GAP) : end]
            end -= len(tail) - len(tail.rstrip())
        span = self._source.span(self._start + opened.start, self._start + end)
        node = self._mapping(opened, span) if opened.is_mapping else Sequence(items=tuple(opened.items), span=span)
        inner, self._size = self._size - opened.size_before, opened.size_before
        self._add(node, inner + 1, opened.anchor)

    def _add(self, node: Node, size: int, anchor: str | None) -> None:
        self._size += size
        if self._size > LARGEST:
            raise _Refused(_invalid(node.span, f"the document holds more than {LARGEST} values, aliases written out"))
        if anchor is not None:
            self._anchors[anchor] = node, size
        if self._open:
            self._open[-1].items.append(node)
        elif not (isinstance(node, Scalar) and node.kind is ScalarKind.NOTHING):
            self.documents.append(node)

    def _mapping(self, opened: _Open, span: Span) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Node] = []
        for key, value in zip(opened.items[::2], opened.items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._refuse_key(key)
            elif key.text == "<<":
                merged.extend(value.items if isinstance(value, Sequence) else (value,))
            elif key.text in entries:
                labels = (Label(span=entries[key.text][0].span, text="first given here"),)
                message = f"`{_short(key.text)}` is given twice"
                self.found.append(
                    diagnose("inventory-invalid", key.span, message, labels=labels, advice="remove one of them")
                )
            else:
                entries[key.text] = key, value
        for other in merged:
            if not isinstance(other, Mapping):
                raise _Refused(_invalid(other.span, "`<<` takes mappings alone"))
            self._size += len(other.entries)
            for key, value in other.entries:
                entries.setdefault(key.text, (key, value))
        return Mapping(entries=tuple(entries.values()), span=span)

    def _refuse_key(self, key: Node) -> None:
        start = key.span.start
        if self._source.text.startswith("{", start) and self._source.text[start - 1 : start] == "{":
            self.is_template = True
            raise _Refused(template_refusal(self._source.span(start - 1, start + 1)))
        self.found.append(_invalid(key.span, "a key must be a word"))

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> Diagnostic:
        bare = _COMMENT.sub(lambda comment: " " * len(comment[0]), self._text)
        at = bare.find("{{")
        if at >= 0:
            self.is_template = True
            return template_refusal(self._source.span(self._start + at, self._start + at + 2))
        at = self._start + min(_index(error.problem_mark), len(self._text))
        problem = (error.problem or "the text ends here").replace("'", "`")
        return _invalid(self._source.span(at, min(at + 1, len(self._source.text))), f"not YAML: {problem}")

    def _span(self, event: Event) -> Span:
        return self._source.span(self._start + _index(event.start_mark), self._start + _index(event.end_mark))


class _Mark(Protocol):
    """A place as PyYAML gives it."""

    index: int


def _index(mark: _Mark | None) -> int:
    """The offset of a mark in characters; both parsers give one."""
    return 0 if mark is None else mark.index


def _kind(event: ScalarEvent) -> ScalarKind:
    """What YAML 1.1, which Kubernetes reads, takes a scalar for."""
    text = event.value
    if event.tag is not None:
        return ScalarKind.TEXT if event.tag in _STRING_TAGS else ScalarKind.OTHER
    if not event.implicit[0]:
        return ScalarKind.TEXT
    if text in _NULL:
        return ScalarKind.NOTHING
    if _TRUTH.fullmatch(text):
        return ScalarKind.TRUTH
    return ScalarKind.NUMBER if _is_number(text) else ScalarKind.TEXT


def _is_number(text: str) -> bool:
    """Whether a plain scalar is a number; `1.2.3` is a text, and so is `10:30` for Kubernetes' reader."""
    return _NUMBER.fullmatch(text) is not None and text.count(".") <= 1 and ":" not in text


def _short(text: str) -> str:
    """A user's word for a message, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"


def _invalid(span: Span, message: str, advice: str = "") -> Diagnostic:
    return diagnose("inventory-invalid", span, message, advice=advice)
