"""Settings that several declarations may give: a higher layer replaces a lower one, one layer must agree with itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from meshc.diagnostics import Label
from meshc.lower.context import Report
from meshc.source import Span

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Given(Generic[Value]):
    """A value, the layer that gives it, and where."""

    value: Value
    layer: int
    span: Span


@dataclass(slots=True)
class Layered(Generic[Value]):
    """Values by key. Giving one key two values in one layer is reported as `duplicate-setting`."""

    report: Report
    given: dict[str, Given[Value]] = field(default_factory=dict)

    def give(self, key: str, value: Value, layer: int, span: Span, *, shown: str = "") -> None:
        """Record a value; `shown`, or else `key`, is what messages call the setting."""
        present = self.given.get(key)
        if present is not None and present.layer == layer and present.value != value:
            self.report.add(
                "duplicate-setting",
                span,
                f"`{shown or key}` is given two different values in one scope",
                label="this one differs",
                labels=(Label(span=present.span, text="first given here"),),
                advice="keep one of the two",
            )
            return
        if present is None or present.layer <= layer:
            self.given[key] = Given(value, layer, span)

    def get(self, key: str) -> Value | None:
        present = self.given.get(key)
        return None if present is None else present.value

    def where(self, key: str) -> Span | None:
        present = self.given.get(key)
        return None if present is None else present.span

    def of_top_layer(self, keys: Iterable[str]) -> list[Value]:
        """The values of those keys that the highest layer among them gives."""
        chosen = [self.given[key] for key in keys if key in self.given]
        top = max((one.layer for one in chosen), default=0)
        return [one.value for one in chosen if one.layer == top]
