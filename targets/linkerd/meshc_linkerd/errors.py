"""What Linkerd cannot say of the callers' side."""

from meshc.source import Span


class InexpressibleError(Exception):
    """`reason` says what cannot be said; `instead` is what to write in its place; `span` is where it is said, if that is known."""

    def __init__(self, reason: str, instead: str = "", span: Span | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.instead = instead
        self.span = span
