"""Documents: the text of a manifest file -> the values of its YAML documents, each with its place.

The text is cut at its `---` lines first, so that a broken document costs no other. Values are built from the parser's events
without recursion; nesting is capped, and so is what aliases may repeat, hence time and memory stay linear in the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.inventory.nodes import ListNode, MapNode, Node, Scalar
from meshc.source import SourceFile, Span

if TYPE_CHECKING:
    from yaml._yaml import Mark as CMark
    from yaml.error import Mark

DEEPEST: Final = 100
"""Levels of nesting; a deeper document is refused."""

MOST_REPEATED: Final = 100_000
"""Values that the aliases and merge keys of one document may repeat in all; a document with more is refused."""

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_DIRECTIVES = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n|%[^\n]*\n)*\Z")
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
TEMPLATE: Final = "{{"
"""What templates of Helm and its like start with."""


# Both give the same places; the one in C is ten times as fast, and not everywhere installed.
_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The documents of a file that could be read, in order, and what is wrong with the others."""

    roots: tuple[MapNode, ...]
    diagnostics: tuple[Diagnostic, ...]


def read_documents(source: SourceFile) -> Documents:
    """Read a file. Documents that are empty or a list are left out; one that is a mere word is reported.

    A file that holds templates still to be rendered is reported once, and no document of it is read.
    """
    roots: list[MapNode] = []
    found: list[Diagnostic] = []
    for start, end in _cut(source.text):
        read = _read_part(source, start, end)
        roots.extend(read.roots)
        found.extend(read.diagnostics)
        if read.is_template:
            return Documents(roots=(), diagnostics=read.diagnostics)
    return Documents(roots=tuple(roots), diagnostics=tuple(found))


def template_diagnostic(span: Span) -> Diagnostic:
    """What to say of a place that a template engine has yet to fill in."""
    return diagnose(
        "inventory-invalid",
        span,
        "this is a template, not a manifest",
        label="still to be filled in",
        advice="render it first: `helm template CHART > rendered.yaml`, and name the rendered file in `inventory`",
    )


def _cut(text: str) -> Iterator[tuple[int, int]]:
    """The ranges between the `---` lines, each without its marker, and without byte order mark and directives."""
    start = len(text) - len(text.lstrip("\ufeff"))
    for separator in _SEPARATOR.finditer(text):
        if not _DIRECTIVES.match(text, start, separator.start()):
            yield start, separator.start()
        start = separator.end()
    yield start, len(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    roots: tuple[MapNode, ...]
    diagnostics: tuple[Diagnostic, ...]
    is_template: bool = False


def _read_part(source: SourceFile, start: int, end: int) -> _Part:
    if not source.text[start:end].strip():
        return _Part(roots=(), diagnostics=())
    reader = _Reader(source, start, end)
    try:
        reader.read()
    except _Refused as refusal:
        reader.found.append(refusal.diagnostic)
        template = source.text.find(TEMPLATE, start, end)
        if template >= 0:
            why = Label(span=refusal.diagnostic.span, text=refusal.diagnostic.message)
            span = source.span(template, template + len(TEMPLATE))
            found = (replace(template_diagnostic(span), labels=(why,)),)
            return _Part(roots=(), diagnostics=found, is_template=True)
    return _Part(roots=tuple(reader.roots), diagnostics=tuple(reader.found))


class _Refused(Exception):  # noqa: N818  it never leaves this module
    """The rest of a part cannot be read."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True, kw_only=True)
class _Open:
    """A mapping or list that is still being read. `size` counts the values below it, those that aliases repeat too."""

    is_map: bool
    start: int
    last_end: int
    anchor: str | None
    size: int = 1
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    merged: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    key: Scalar | None = None


class _Reader:
    """Builds the values of one part of a file, which starts at `offset`."""

    def __init__(self, source: SourceFile, offset: int, end: int) -> None:
        self._source = source
        self._offset = offset
        self._text = source.text[offset:end]
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._stack: list[_Open] = []
        self._repeated = 0
        self.roots: list[MapNode] = []
        self.found: list[Diagnostic] = []

    def read(self) -> None:
        for event in self._events():
            match event:
                case DocumentStartEvent():
                    self._anchors, self._stack, self._repeated = {}, [], 0
                case MappingStartEvent() | SequenceStartEvent():
                    self._open(event)
                case MappingEndEvent() | SequenceEndEvent():
                    self._close(event)
                case ScalarEvent():
                    is_plain = event.implicit[0] and event.tag is None
                    node = Scalar(text=event.value, is_plain=is_plain, span=self._span(event))
                    self._add(node, 1, event.anchor)
                case AliasEvent():
                    self._repeat(event)
                case _:
                    pass

    def _events(self) -> Iterator[Event]:
        strange = _UNPRINTABLE.search(self._text)
        if strange is not None:
            at = self._offset + strange.start()
            message = f"the character U+{ord(strange[0]):04X} may not stand in YAML"
            raise self._refused(self._source.span(at, at + 1), message)
        loader = _LOADER(self._text)
        take: Callable[[], Event | None] = loader.get_event
        try:
            while (event := take()) is not None:
                yield event
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # A number after `\U` or in `%YAML` that no machine holds; the error has no place.
            span = self._source.span(self._offset, self._offset)
            raise self._refused(span, "not YAML: a number is out of range") from error

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> _Refused:
        at = _index(error.problem_mark)
        labels: tuple[Label, ...] = ()
        if error.context and error.context_mark is not None and _index(error.context_mark) < at:
            first = _index(error.context_mark)
            labels = (Label(span=self._place(first, first + 1), text=error.context),)
        problem = (error.problem or "the text ends here").replace("'", "`")
        return _Refused(diagnose("inventory-invalid", self._place(at, at + 1), f"not YAML: {problem}", labels=labels))

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if len(self._stack) >= DEEPEST:
            raise self._refused(self._span(event), f"nested deeper than {DEEPEST} levels")
        start = _index(event.start_mark)
        is_map = isinstance(event, MappingStartEvent)
        self._stack.append(_Open(is_map=is_map, start=start, last_end=_index(event.end_mark), anchor=event.anchor))

    def _close(self, event: MappingEndEvent | SequenceEndEvent) -> None:
        done = self._stack.pop()
        first, last = _index(event.start_mark), _index(event.end_mark)
        # The end of a block has no character of its own: PyYAML puts it where the next thing starts.
        span = self._place(done.start, last if last > first else done.last_end)
        node: Node
        if done.is_map:
            node = MapNode(entries={**done.merged, **done.entries}, span=span)
        else:
            node = ListNode(items=tuple(done.items), span=span)
        self._add(node, done.size, done.anchor)

    def _repeat(self, event: AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise self._refused(self._span(event), f"`*{event.anchor}` stands for nothing", "define it before with `&`")
        node, size = known
        self._count(size, self._span(event))
        self._add(node, size, None)

    def _count(self, size: int, span: Span) -> None:
        self._repeated += size
        if self._repeated > MOST_REPEATED:
            raise self._refused(span, f"aliases repeat more than {MOST_REPEATED} values", "write the values out")

    def _add(self, node: Node, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            self._finish(node)
            return
        parent = self._stack[-1]
        parent.size += size
        parent.last_end = max(parent.last_end, node.span.end - self._offset)
        if not parent.is_map:
            parent.items.append(node)
        elif parent.key is None:
            if not isinstance(node, Scalar):
                raise self._refused(node.span, "a key must be a word", "write it in quotes")
            parent.key = node
        else:
            self._enter(parent, parent.key, node)
            parent.key = None

    def _enter(self, parent: _Open, key: Scalar, value: Node) -> None:
        if key.text == "<<" and key.is_plain:
            self._merge(parent, value)
        elif key.text in parent.entries:
            first = Label(span=parent.entries[key.text][0].span, text="first given here")
            message = f"`{key.text}` is given twice"
            self.found.append(
                diagnose("inventory-invalid", key.span, message, labels=(first,), advice="remove one of them")
            )
        else:
            parent.entries[key.text] = (key, value)

    def _merge(self, parent: _Open, value: Node) -> None:
        """The merge key of YAML 1.1: what is not given otherwise comes from there."""
        for one in value.items if isinstance(value, ListNode) else (value,):
            if not isinstance(one, MapNode):
                raise self._refused(value.span, "only mappings can be merged with `<<`")
            self._count(len(one.entries), value.span)
            for key, entry in one.entries.items():
                parent.merged.setdefault(key, entry)

    def _finish(self, node: Node) -> None:
        match node:
            case MapNode():
                self.roots.append(node)
            case ListNode() | Scalar(is_null=True):
                pass  # a list is a JSON patch, or the like
            case _:
                raise self._refused(node.span, "a manifest is a mapping with `apiVersion` and `kind`")

    def _refused(self, span: Span, message: str, advice: str = "") -> _Refused:
        return _Refused(diagnose("inventory-invalid", span, message, advice=advice))

    def _span(self, event: Event) -> Span:
        return self._place(_index(event.start_mark), _index(event.end_mark))

    def _place(self, start: int, end: int) -> Span:
        last = len(self._text)
        return self._source.span(self._offset + min(start, last), self._offset + min(end, last))


def _index(mark: "Mark | CMark | None") -> int:
    return 0 if mark is None else mark.index
