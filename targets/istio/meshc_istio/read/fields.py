"""Objects field by field: what is read is remembered, so that nothing is ignored unsaid."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from meshc.reading import ConfigObject, Step
from meshc.target import Json

_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+")
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


class NotReadError(Exception):
    """A part that is not understood or that the language cannot say; the text says which, `steps` where in `where`, if that is known."""

    def __init__(self, message: str, steps: tuple[Step, ...] = (), where: ConfigObject | None = None) -> None:
        super().__init__(message)
        self.steps = steps
        self.where = where


class Fields:
    """A part of an object. A field that is null is not there. Every reader raises NotReadError for another kind of value."""

    def __init__(self, where: ConfigObject, steps: tuple[Step, ...], data: Json) -> None:
        self.where = where
        self.steps = steps
        if not isinstance(data, (dict, Mapping)):
            raise NotReadError("a part that is no mapping", steps)
        self.data: Mapping[str, Json] = data
        self._seen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.data.get(name) is not None

    def value(self, name: str) -> Json:
        """Whatever is there."""
        self._seen.add(name)
        return self.data.get(name)

    def ignore(self, *names: str) -> None:
        """Fields that change nothing of what is read."""
        self._seen.update(names)

    def finish(self) -> None:
        """Raise NotReadError for the first field that nobody asked for."""
        for name, value in self.data.items():
            if name not in self._seen and value is not None:
                raise self.error(f"the field `{name}`", name)

    def error(self, message: str, *steps: Step) -> NotReadError:
        """What is wrong here."""
        return NotReadError(message, (*self.steps, *steps), self.where)

    def fields(self, name: str) -> "Fields | None":
        """A message."""
        value = self.value(name)
        return None if value is None else Fields(self.where, (*self.steps, name), value)

    def items(self, name: str) -> "tuple[Fields, ...]":
        """Messages."""
        return tuple(
            Fields(self.where, (*self.steps, name, number), one) for number, one in enumerate(self._listed(name))
        )

    def entries(self, name: str) -> "Iterator[tuple[str, Fields]]":
        """The messages of a map, by key."""
        found = self.fields(name)
        for key in () if found is None else found.data:
            yield key, Fields(self.where, (*self.steps, name, key), found.data[key] if found is not None else None)

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        raise self.error(f"`{name}` that is no text", name)

    def texts(self, name: str) -> tuple[str, ...]:
        listed = self._listed(name)
        if not all(isinstance(one, str) for one in listed):
            raise self.error(f"`{name}` that holds other things than texts", name)
        return tuple(str(one) for one in listed)

    def text_map(self, name: str) -> Mapping[str, str]:
        value = self.value(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
            raise self.error(f"`{name}` that is no mapping of texts", name)
        return {str(key): str(one) for key, one in value.items()}

    def whole(self, name: str) -> int | None:
        value = self.value(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise self.error(f"`{name}` that is no whole number", name)

    def number(self, name: str) -> float | None:
        value = self.value(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self.error(f"`{name}` that is no number", name)

    def flag(self, name: str) -> bool:
        """False where it is not there."""
        value = self.value(name)
        if value is None or isinstance(value, bool):
            return value is True
        raise self.error(f"`{name}` that is neither true nor false", name)

    def milliseconds(self, name: str) -> int | None:
        """A duration as Go writes it: `1.5s`, `1m30s`."""
        text = self.text(name)
        if text is None:
            return None
        if _DURATION.fullmatch(text) is None:
            raise self.error(f"the duration `{text}`", name)
        whole = sum(Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if whole.denominator != 1:
            raise self.error(f"the duration `{text}`, which is no whole number of milliseconds,", name)
        return int(whole)

    def _listed(self, name: str) -> tuple[Json, ...]:
        value = self.value(name)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            raise self.error(f"`{name}` that is no list", name)
        return tuple(value)
