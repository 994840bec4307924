"""What Linkerd cannot say of the callers' side."""


class InexpressibleError(Exception):
    """`reason` says what cannot be said; `instead` is what to write in its place."""

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.instead = instead
