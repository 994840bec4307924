"""Fields of Kubernetes objects: typed access to YAML nodes, with a report where a field has the wrong shape.

An absent field and one that is `null` are the same, as for Kubernetes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.inventory.stream import template_refusal
from meshc.source import Span
from meshc.yaml_places import Mapping, Node, Scalar, ScalarKind, Sequence

HIGHEST_PORT = 65535

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def is_label(text: str) -> bool:
    """Whether a text is a DNS label: lower-case letters, digits and inner `-`, at most 63."""
    return _LABEL.fullmatch(text) is not None


def port_number(text: str) -> int | None:
    """The port that a decimal number names."""
    is_decimal = text.isascii() and text.isdigit() and len(text) <= 5 and not text.startswith("0")
    return int(text) if is_decimal and int(text) <= HIGHEST_PORT else None


@dataclass(slots=True)
class Fields:
    """Reads fields; what is wrong is gathered in `found`."""

    found: list[Diagnostic] = field(default_factory=list)

    def report(self, name: str, span: Span, message: str, *, advice: str = "", labels: tuple[Label, ...] = ()) -> None:
        self.found.append(diagnose(name, span, message, advice=advice, labels=labels))

    def mapping(self, parent: Mapping, *keys: str) -> Mapping | None:
        """The mapping at the end of a chain of keys; None where one of them is absent, or after a report."""
        node = parent
        for key in keys:
            value = _value(node, key)
            if value is None:
                return None
            if not isinstance(value, Mapping):
                self._refuse(value, key, "a mapping")
                return None
            node = value
        return node

    def mappings(self, parent: Mapping, key: str) -> Iterator[Mapping]:
        """The mappings of a list; others are reported."""
        value = _value(parent, key)
        if value is None:
            return
        if not isinstance(value, Sequence):
            self._refuse(value, key, "a list")
            return
        for item in value.items:
            if isinstance(item, Mapping):
                yield item
            else:
                self._refuse(item, key, "a list of mappings")

    def text(self, parent: Mapping, key: str) -> ast.Name | None:
        """A text with its place."""
        value = _value(parent, key)
        if value is None:
            return None
        if isinstance(value, Scalar) and value.kind is ScalarKind.TEXT:
            return self._no_template(value)
        self._refuse(value, key, "a text")
        return None

    def label_name(self, parent: Mapping, key: str) -> ast.Name | None:
        """A text that is a DNS label."""
        name = self.text(parent, key)
        if name is None or is_label(name.text):
            return name
        advice = "at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
        self.report("inventory-invalid", name.span, f"`{shown(name.text)}` is no `{key}`", advice=advice)
        return None

    def subdomain(self, parent: Mapping, key: str) -> ast.Name | None:
        """A text that is a name of a Kubernetes object: a DNS label, or several with dots between."""
        name = self.text(parent, key)
        if name is None or _SUBDOMAIN.fullmatch(name.text):
            return name
        advice = "at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends"
        self.report("inventory-invalid", name.span, f"`{shown(name.text)}` is no `{key}`", advice=advice)
        return None

    def port(self, parent: Mapping, key: str, *, or_name: bool = False) -> ast.Name | None:
        """A port's number in decimal; with `or_name`, a port's name as well. Other than digits is a name."""
        value = _value(parent, key)
        if value is None:
            return None
        if isinstance(value, Scalar) and value.kind in {ScalarKind.NUMBER, ScalarKind.TEXT}:
            if port_number(value.text) is not None:
                return ast.Name(text=value.text, span=value.span)
            if or_name and value.kind is ScalarKind.TEXT and is_label(value.text) and not value.text.isdigit():
                return ast.Name(text=value.text, span=value.span)
            if self._no_template(value) is None:
                return None
        self._refuse(value, key, f"a port between 1 and {HIGHEST_PORT}" + (" or a port's name" if or_name else ""))
        return None

    def texts(self, parent: Mapping, *keys: str) -> tuple[tuple[ast.Name, ast.Name], ...]:
        """The pairs of a mapping of texts, such as labels; its keys stand sorted."""
        mapping = self.mapping(parent, *keys)
        if mapping is None:
            return ()
        pairs = []
        for key, _ in sorted(mapping.entries, key=lambda entry: entry[0].text):
            value = self.text(mapping, key.text)
            if value is not None:
                pairs.append((ast.Name(text=key.text, span=key.span), value))
        return tuple(pairs)

    def _no_template(self, value: Scalar) -> ast.Name | None:
        if "{{" in value.text:
            self.found.append(template_refusal(value.span))
            return None
        return ast.Name(text=value.text, span=value.span)

    def _refuse(self, value: Node, key: str, wanted: str) -> None:
        quoted = isinstance(value, Scalar) and wanted == "a text" and "\n" not in value.text
        advice = f'write `"{value.text}"`' if quoted and isinstance(value, Scalar) else ""
        self.report("inventory-invalid", value.span, f"`{shown(key)}` must be {wanted}", advice=advice)


def shown(text: str) -> str:
    """A user's word for a message, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"


def _value(parent: Mapping, key: str) -> Node | None:
    for name, value in parent.entries:
        if name.text == key:
            is_null = isinstance(value, Scalar) and value.kind is ScalarKind.NOTHING
            return None if is_null else value
    return None
