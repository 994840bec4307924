"""YAML of a small, plain kind with the place of everything in it: `SourceFile` -> `Node`.

Mappings with words as keys, sequences and scalars; no anchors, aliases, tags or second documents, so that a file says what it
seems to say. What is wrong becomes a diagnostic of the name that the caller gives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import SourceFile, Span

LARGEST_TEXT = 64 * 1024
"""Characters; a longer text is refused."""

DEEPEST = 16
"""Levels of nesting; a deeper text is refused."""


class ScalarKind(Enum):
    """What YAML 1.1 takes a scalar for; the value is how a message calls it."""

    TEXT = "a text"
    NUMBER = "a number"
    TRUTH = "`true` or `false`"
    NOTHING = "nothing"
    OTHER = "a date or another special value"


_KINDS = {
    "tag:yaml.org,2002:str": ScalarKind.TEXT,
    "tag:yaml.org,2002:int": ScalarKind.NUMBER,
    "tag:yaml.org,2002:float": ScalarKind.NUMBER,
    "tag:yaml.org,2002:bool": ScalarKind.TRUTH,
    "tag:yaml.org,2002:null": ScalarKind.NOTHING,
}


_RESOLVE: Callable[[type, str, tuple[bool, bool]], str] = yaml.SafeLoader("").resolve
"""The tag of a scalar; PyYAML's own stubs do not say its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A scalar, as written but for quotes."""

    text: str
    kind: ScalarKind
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: tuple["Node", ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Keys and values in the order of the file; no key stands twice."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    span: Span = field(compare=False)


Node = Scalar | Sequence | Mapping


class _Mark(Protocol):
    """A place as PyYAML gives it."""

    index: int


def read_yaml(source: SourceFile, name: str) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    """The one document of a file, None if it is empty or cannot be read; diagnostics are called `name`."""
    reader = _Reader(source, name)
    try:
        return reader.document(), tuple(reader.found)
    except _Refused as refusal:
        return None, (*reader.found, refusal.diagnostic)


class _Refused(Exception):  # noqa: N818  it never leaves this module
    """The rest of the text is not read."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Reader:
    def __init__(self, source: SourceFile, name: str) -> None:
        self._source = source
        self._name = name
        self._events = _events(source, name)
        self.found: list[Diagnostic] = []

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            match event:
                case DocumentStartEvent() if root is not None:
                    advice = "keep one document, without a `---` between"
                    self._refuse(event, "the file holds more than one YAML document", advice)
                case ScalarEvent() | MappingStartEvent() | SequenceStartEvent() | AliasEvent():
                    root = self._node(event, 0)
                case _:
                    pass
        is_empty = isinstance(root, Scalar) and root.kind is ScalarKind.NOTHING and not root.text
        return None if is_empty else root

    def _node(self, event: Event, depth: int) -> Node:
        if depth > DEEPEST:
            raise _Refused(self._diagnostic(event, f"nested deeper than {DEEPEST} levels"))
        self._check_plain(event)
        match event:
            case MappingStartEvent():
                return self._mapping(event, depth)
            case SequenceStartEvent():
                return self._sequence(event, depth)
            case ScalarEvent(value=str(text)):
                return Scalar(text=text, kind=_kind(event), span=self._span(event))
            case _:
                return Scalar(text="", kind=ScalarKind.NOTHING, span=self._span(event))

    def _check_plain(self, event: Event) -> None:
        match event:
            case AliasEvent():
                self._refuse(event, "YAML aliases may not be used here", "write the value out")
            case NodeEvent(anchor=str()):
                self._refuse(event, "YAML anchors may not be used here", "remove the `&` and its name")
            case ScalarEvent(tag=str()) | CollectionStartEvent(tag=str()):
                self._refuse(event, "YAML tags may not be used here", "remove the `!` and its name")
            case _:
                pass

    def _sequence(self, start: Event, depth: int) -> Sequence:
        items: list[Node] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                return Sequence(items=tuple(items), span=self._span(start).to(self._span(event)))
            items.append(self._node(event, depth + 1))
        raise _Refused(self._diagnostic(start, "the list does not end"))

    def _mapping(self, start: Event, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                return Mapping(entries=tuple(entries.values()), span=self._span(start).to(self._span(event)))
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._refuse(event, "a key must be a word", "")
            elif key.text in entries:
                labels = (Label(span=entries[key.text][0].span, text="first given here"),)
                message = f"`{key.text}` is given twice"
                self.found.append(diagnose(self._name, key.span, message, labels=labels, advice="remove one of them"))
            else:
                entries[key.text] = (key, value)
        raise _Refused(self._diagnostic(start, "the mapping does not end"))

    def _refuse(self, event: Event, message: str, advice: str) -> None:
        self.found.append(self._diagnostic(event, message, advice))

    def _diagnostic(self, event: Event, message: str, advice: str = "") -> Diagnostic:
        return diagnose(self._name, self._span(event), message, advice=advice)

    def _span(self, event: Event) -> Span:
        """The place of an event; that of a block's end is where its last line ends."""
        start, end = _index(event.start_mark), _index(event.end_mark)
        if isinstance(event, SequenceEndEvent | MappingEndEvent) and start == end:
            start = end = len(self._source.text[:end].rstrip())
        return self._source.span(start, end)


def _index(mark: _Mark | None) -> int:
    """The offset of a mark; the parser in Python, used here, always gives one."""
    return 0 if mark is None else mark.index


def _kind(event: ScalarEvent) -> ScalarKind:
    if not event.implicit[0]:
        return ScalarKind.TEXT
    return _KINDS.get(_RESOLVE(yaml.ScalarNode, event.value, event.implicit), ScalarKind.OTHER)


def _events(source: SourceFile, name: str) -> Iterator[Event]:
    """The parser's events. A text that is no YAML ends them with `_Refused`."""
    if len(source.text) > LARGEST_TEXT:
        raise _Refused(diagnose(name, source.span(0, 0), f"the file is longer than {LARGEST_TEXT // 1024} KiB"))
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(source.text)
        take: Callable[[], Event] = loader.get_event
        while loader.check_event():
            event = take()
            if not isinstance(event, StreamStartEvent | StreamEndEvent):
                yield event
    except yaml.reader.ReaderError as error:
        message = f"the character U+{ord(source.text[error.position]):04X} may not stand in YAML"
        raise _Refused(diagnose(name, source.span(error.position, error.position + 1), message)) from error
    except yaml.MarkedYAMLError as error:
        raise _Refused(_syntax_error(error, source, name)) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets the ValueError of `chr` and `int` through for `"\UFFFFFFFF"` and overlong version numbers.
        at = min(loader.index, len(source.text)) if loader is not None else 0
        raise _Refused(diagnose(name, source.span(at, at), "not YAML: a number is out of range")) from error


def _syntax_error(error: yaml.MarkedYAMLError, source: SourceFile, name: str) -> Diagnostic:
    mark, context = error.problem_mark, error.context_mark
    at = min(_index(mark), len(source.text))
    labels: tuple[Label, ...] = ()
    if context is not None and error.context and _index(context) < at:
        labels = (Label(span=source.span(_index(context), _index(context) + 1), text=error.context),)
    problem = (error.problem or "the text ends here").replace("'", "`")
    return diagnose(name, source.span(at, min(at + 1, len(source.text))), f"not YAML: {problem}", labels=labels)
