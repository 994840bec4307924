"""What the language has no words for, and the parts of what it has."""

from meshc import ir
from meshc.source import Span


class NotSayableError(Exception):
    """What the language has no words for; the text says what, `span` where."""

    def __init__(self, reason: str, span: Span) -> None:
        super().__init__(reason)
        self.span = span


def parts_of(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """What must hold together."""
    return condition.conditions if isinstance(condition, ir.AllOf) else (condition,)
