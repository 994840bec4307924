"""Parts of plain data by the kind that a reader expects; anything else counts as not given, for the reader to report."""

from collections.abc import Mapping

from meshc.target import Json


def mapping(value: Json) -> Mapping[str, Json]:
    """A mapping, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Json) -> tuple[Json, ...]:
    """The items of a list, or none for anything else."""
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def texts(value: Json) -> tuple[str, ...]:
    """The texts of a list; numbers count as they are written."""
    return tuple(str(one) for one in items(value) if isinstance(one, str | int) and not isinstance(one, bool))
