"""Durations as Istio's API reads them."""


def duration(milliseconds: int) -> str:
    """`500ms`, or `2s` where the seconds are whole."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest or not whole else f"{whole}s"
