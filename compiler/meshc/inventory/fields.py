"""Fields of a manifest, read by their type. What has another type is reported and counts as not given."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics import Diagnostic, diagnose
from meshc.inventory.documents import TEMPLATE
from meshc.inventory.nodes import ListNode, MapNode, Node, Scalar
from meshc.source import Span

LAST_PORT: Final = 65535

_DIGITS = re.compile(r"[0-9]{1,5}")


class TemplateError(Exception):
    """A field that matters holds a template that is still to be rendered; it does not leave the package."""

    def __init__(self, span: Span) -> None:
        super().__init__("template")
        self.span = span


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one mapping; `found` collects what is wrong."""

    node: MapNode
    found: list[Diagnostic]

    @property
    def span(self) -> Span:
        """The place of the whole mapping."""
        return self.node.span

    def fields(self, key: str) -> "Fields | None":
        """The mapping at a key. None if it is not given, or null."""
        value = self._given(key)
        if isinstance(value, MapNode):
            return Fields(value, self.found)
        self._report_other(key, value, "a mapping")
        return None

    def items(self, key: str) -> tuple["Fields", ...]:
        """The mappings in the list at a key. Empty if it is not given, or null."""
        value = self._given(key)
        if not isinstance(value, ListNode):
            self._report_other(key, value, "a list")
            return ()
        for item in value.items:
            if not isinstance(item, MapNode):
                self._report_other(key, item, "a list of mappings")
        return tuple(Fields(item, self.found) for item in value.items if isinstance(item, MapNode))

    def text(self, key: str) -> Scalar | None:
        """The scalar at a key, whatever its type in YAML. None if it is not given, or null. Raises TemplateError."""
        value = self._given(key)
        if not isinstance(value, Scalar):
            self._report_other(key, value, "a text")
            return None
        return _rendered(value)

    def texts(self, key: str) -> Mapping[str, Scalar]:
        """The scalars of the mapping at a key, such as labels; one that is null is the empty text. Raises TemplateError."""
        value = self._given(key)
        if not isinstance(value, MapNode):
            self._report_other(key, value, "a mapping")
            return {}
        texts: dict[str, Scalar] = {}
        for name, (_, one) in value.entries.items():
            if not isinstance(one, Scalar):
                self._report_other(name, one, "a text")
            elif one.is_null:
                texts[name] = Scalar(text="", is_plain=False, span=one.span)
            else:
                texts[name] = _rendered(one)
        return texts

    def port(self, key: str) -> Scalar | None:
        """A port's number. None if it is not given, or after a report. Raises TemplateError."""
        value = self.text(key)
        if value is None or is_port(value):
            return value
        message = f"`{key}` must be a number from 1 to {LAST_PORT}, found `{value.text}`"
        self.found.append(diagnose("inventory-invalid", value.span, message))
        return None

    def _given(self, key: str) -> Node | None:
        entry = self.node.entries.get(key)
        if entry is None or (isinstance(entry[1], Scalar) and entry[1].is_null):
            return None
        return entry[1]

    def _report_other(self, key: str, value: Node | None, wanted: str) -> None:
        if value is not None:
            if isinstance(value, Scalar):
                _rendered(value)
            self.found.append(diagnose("inventory-invalid", value.span, f"`{key}` must be {wanted}"))


def is_port(value: Scalar) -> bool:
    """Whether it is the number of a port."""
    return bool(_DIGITS.fullmatch(value.text)) and 1 <= int(value.text) <= LAST_PORT


def _rendered(value: Scalar) -> Scalar:
    if TEMPLATE in value.text:
        raise TemplateError(value.span)
    return value
