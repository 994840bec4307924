"""Header changes: what a list of them comes to, as Istio's three operations.

Envoy removes first, then sets, then adds, and Istio knows one value a header for each, so a header to which more than one
value is added is an obstacle.
"""

from collections.abc import Iterable, Iterator

from meshc import ir
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import HeaderOperations, Headers


def headers(changes: Iterable[ir.HeaderChange], *, also_removed: tuple[str, ...] = ()) -> Headers | None:
    """The changes of requests and responses; `also_removed` are headers of responses."""
    listed = tuple(changes)
    if not listed and not also_removed:
        return None
    request = _operations(tuple(one for one in listed if one.direction == "request"), ())
    response = _operations(tuple(one for one in listed if one.direction == "response"), also_removed)
    return None if request is None and response is None else Headers(request=request, response=response)


def _operations(changes: tuple[ir.HeaderChange, ...], removed: tuple[str, ...]) -> HeaderOperations | None:
    gone, set_, added = dict.fromkeys(removed), dict[str, str](), dict[str, str]()
    for change in changes:
        if change.operation == "remove":
            gone[change.name] = None
            set_.pop(change.name, None)
            added.pop(change.name, None)
        elif change.operation == "set":
            gone.pop(change.name, None)
            added.pop(change.name, None)
            set_[change.name] = _value(change)
        elif change.name in gone:
            # What is added to a header that is taken away replaces it.
            del gone[change.name]
            set_[change.name] = _value(change)
        else:
            added[change.name] = _value(change)
    if not gone and not set_ and not added:
        return None
    return HeaderOperations(remove=tuple(gone) or None, set_=set_ or None, add=added or None)


def _value(change: ir.HeaderChange) -> str:
    # A `%` would start one of Envoy's formats.
    return (change.value or "").strip(" \t").replace("%", "%%")


def header_obstacles(changes: Iterable[ir.HeaderChange]) -> Iterator[tuple[ir.HeaderChange, Obstacle]]:
    """The changes that Istio cannot express, with why."""
    free: dict[tuple[str, str], int] = {}
    for change in changes:
        key = (change.direction, change.name)
        if change.operation != "remove" and not (change.value or "").strip(" \t"):
            yield change, Obstacle(reason=f"give `{change.name}` an empty value", advice="remove the header")
        elif change.operation != "add":
            free[key] = 1 if change.operation == "set" else 2
        else:
            free[key] = free.get(key, 1) - 1
            if free[key] < 0:
                yield (
                    change,
                    Obstacle(
                        reason=f"add several values to `{change.name}`", advice="add one, or have the service do it"
                    ),
                )
