"""Options: the name-and-value lines of a settings block such as `retry … { per-try 500ms }`."""

from collections.abc import Sequence
from fractions import Fraction

from meshc import ast
from meshc.diagnostics import Label
from meshc.lower import values
from meshc.lower.context import Context, either
from meshc.source import Span
from meshc.suggest import closest


class Options:
    """The options of one block, by name. Unknown ones and repeated ones are reported at once."""

    def __init__(self, context: Context, options: Sequence[ast.Option], block: str, known: Sequence[str]) -> None:
        self._context = context
        self._block = block
        self._known = known
        self._options: dict[str, ast.Option] = {}
        self._is_empty = not options
        self._has_unknown = any(option.name.text not in known for option in options)
        for option in options:
            self._accept(option)

    def _accept(self, option: ast.Option) -> None:
        name = option.name.text
        report = self._context.report
        if name not in self._known:
            near = closest(name, self._known)
            advice = f"did you mean `{near}`?" if near else f"`{self._block}` knows {either(self._known)}"
            report.add("unknown-setting", option.name.span, f"`{self._block}` has no option `{name}`", advice=advice)
        elif name in self._options:
            first = Label(span=self._options[name].span, text="first given here")
            report.add("duplicate-setting", option.span, f"`{name}` is given twice", labels=(first,))
        else:
            self._options[name] = option

    def _value(self, name: str) -> ast.Value | None:
        option = self._options.get(name)
        if option is None:
            return None
        if option.value is None or isinstance(option.value, ast.Range):
            needs = "one value" if isinstance(option.value, ast.Range) else "a value"
            self._context.report.add("type-mismatch", option.span, f"`{name}` takes {needs}")
            return None
        return option.value

    def duration(self, name: str) -> int | None:
        """Whole milliseconds, above 0."""
        value = self._value(name)
        return None if value is None else values.duration_ms(self._context, value, f"`{name}`")

    def integer(self, name: str, *, least: int = 0) -> int | None:
        value = self._value(name)
        return None if value is None else values.integer(self._context, value, f"`{name}`", least=least)

    def percent(self, name: str) -> Fraction | None:
        value = self._value(name)
        return None if value is None else values.percent(self._context, value, f"`{name}`")

    def duration_range(self, name: str) -> tuple[int, int] | None:
        """Two durations in milliseconds, the first not longer than the second."""
        option = self._options.get(name)
        if option is None:
            return None
        if not isinstance(option.value, ast.Range):
            advice = f"write `{name} 25ms..250ms`"
            self._context.report.add("type-mismatch", option.span, f"`{name}` takes a range", advice=advice)
            return None
        low = values.duration_ms(self._context, option.value.low, f"`{name}`")
        high = values.duration_ms(self._context, option.value.high, f"`{name}`")
        if low is None or high is None:
            return None
        if low > high:
            advice = "write the shorter one first"
            self._context.report.add("value-out-of-range", option.value.span, "the range is empty", advice=advice)
            return None
        return low, high

    def flag(self, name: str) -> bool:
        """Whether a bare option stands in the block."""
        option = self._options.get(name)
        if option is not None and option.value is not None:
            self._context.report.add("type-mismatch", option.value.span, f"`{name}` takes no value")
        return option is not None

    def names_any(self, *names: str) -> bool:
        """Whether one of these options stands in the block, or a misspelled one that may be meant for it."""
        return self._has_unknown or any(name in self._options for name in names)

    def require_some(self, span: Span) -> None:
        """Report a block that sets nothing; one with a misspelled option meant to set something."""
        if self._is_empty:
            advice = f"it knows {either(self._known)}"
            self._context.report.add("missing-setting", span, f"this `{self._block}` sets nothing", advice=advice)
