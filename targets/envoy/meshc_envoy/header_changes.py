"""Header changes: what a list of them comes to, header by header.

Envoy removes first and then adds in order, whatever the order in the program, so each header's changes are put together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from meshc import ir
from meshc.target import Json
from meshc_envoy.shapes import Object


@dataclass(frozen=True, slots=True)
class _Effect:
    """What becomes of one header: whether what was there stays, and the values that are added."""

    keeps: bool = True
    values: tuple[str, ...] = ()


def header_changes(changes: Iterable[ir.HeaderChange], *, also_removed: Iterable[str] = ()) -> Object:
    """The fields of a route that change headers of requests and responses; `also_removed` are headers of responses."""
    listed = tuple(changes)
    request = _effects(change for change in listed if change.direction == "request")
    response = {name: _Effect(keeps=False) for name in also_removed}
    response |= _effects(change for change in listed if change.direction == "response")
    return {**_fields("request", request), **_fields("response", response)}


def _effects(changes: Iterable[ir.HeaderChange]) -> dict[str, _Effect]:
    effects: dict[str, _Effect] = {}
    for change in changes:
        before = effects.get(change.name, _Effect())
        value = (change.value or "").strip(" \t")
        if change.operation == "remove":
            effects[change.name] = _Effect(keeps=False)
        elif change.operation == "set":
            effects[change.name] = _Effect(keeps=False, values=(value,))
        else:
            effects[change.name] = replace(before, values=(*before.values, value))
    return effects


def _fields(direction: str, effects: dict[str, _Effect]) -> Object:
    removed: list[Json] = [name for name, effect in effects.items() if not effect.keeps and not effect.values]
    added: list[Json] = [
        _option(name, value, replaces=number == 0 and not effect.keeps)
        for name, effect in effects.items()
        for number, value in enumerate(effect.values)
    ]
    return {
        **({f"{direction}_headers_to_remove": removed} if removed else {}),
        **({f"{direction}_headers_to_add": added} if added else {}),
    }


def _option(name: str, value: str, *, replaces: bool) -> Object:
    # A `%` would start one of Envoy's formats.
    return {
        "header": {"key": name, "value": value.replace("%", "%%")},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" if replaces else "APPEND_IF_EXISTS_OR_ADD",
        **({} if value else {"keep_empty_value": True}),
    }
