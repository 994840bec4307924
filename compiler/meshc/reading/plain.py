"""Parts of plain data by the kind that a reader expects; anything else counts as not given, for the reader to report."""

from collections.abc import Mapping

from meshc.target import Json

_MAPPING = (dict, Mapping)
_LIST = (list, tuple)
_WRITTEN = (str, int)
"""Plain kinds first and as tuples: these checks are made some hundred thousand times for a large mesh."""


def mapping(value: Json) -> Mapping[str, Json]:
    """A mapping, or an empty one for anything else."""
    return value if isinstance(value, _MAPPING) else {}


def items(value: Json) -> tuple[Json, ...]:
    """The items of a list, or none for anything else."""
    return tuple(value) if isinstance(value, _LIST) else ()


def texts(value: Json) -> tuple[str, ...]:
    """The texts of a list; numbers count as they are written."""
    if not isinstance(value, _LIST):
        return ()
    return tuple([str(one) for one in value if isinstance(one, _WRITTEN) and not isinstance(one, bool)])
