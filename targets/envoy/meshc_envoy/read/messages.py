"""Protobuf messages as plain data, which remember what of them was read: what nobody asked for was not understood."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final

from meshc.reading import ConfigObject, Step
from meshc.source import Span
from meshc.target import Json

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)s")


@lru_cache(maxsize=1024)
def _milliseconds(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    amount = None if found is None else Fraction(found[1]) * 1000
    return None if amount is None or amount.denominator != 1 else int(amount)


class NotUnderstoodError(Exception):
    """Some configuration that cannot be said in the intermediate form, or that is not known here; `span` is its place."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


_MESSAGE: Final = (dict, Mapping)
_LIST: Final = (list, tuple)
"""As tuples: a union is made anew at each of many hundred thousand checks."""


class Message:
    """One message. Asking for a field of another type than it has raises NotUnderstoodError, and so does `finish`."""

    __slots__ = ("_asked", "_parent", "_source", "_step", "data")

    def __init__(
        self,
        data: Mapping[str, Json],
        source: ConfigObject,
        parent: "Message | None" = None,
        step: tuple[Step, ...] = (),
    ) -> None:
        self.data = data
        self._source = source
        self._parent = parent
        self._step = step
        self._asked: set[str] = set()

    @property
    def span(self) -> Span:
        """The place of the message."""
        return self.place()

    def place(self, *steps: Step) -> Span:
        """The place of a part of the message."""
        path, at = steps, self
        while at._parent is not None:
            path, at = (*at._step, *path), at._parent
        return self._source.span(*path)

    def error(self, message: str, *steps: Step) -> NotUnderstoodError:
        return NotUnderstoodError(message, self.place(*steps))

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def ignore(self, *names: str) -> None:
        """Say of fields that they mean nothing here."""
        self._asked.update(names)

    def finish(self) -> None:
        """Raises NotUnderstoodError if there is a field that nobody has asked for."""
        for name, value in self.data.items():
            if name not in self._asked and name != "@type" and value is not None:
                raise self.error(f"the field `{name}` is not understood", name)

    def text(self, name: str, default: str = "") -> str:
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(f"`{name}` should be a text", name)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, also as the wrapper message or a text."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"`{name}` should be true or false", name)
        return value

    def number(self, name: str) -> int | float | None:
        value = self._get(name)
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.error(f"`{name}` should be a number", name)
        return value

    def whole(self, name: str) -> int | None:
        value = self.number(name)
        if isinstance(value, float) and not value.is_integer():
            raise self.error(f"`{name}` should be a whole number", name)
        return None if value is None else int(value)

    def milliseconds(self, name: str) -> int | None:
        """A duration; None if it is not given."""
        value = self._get(name)
        if value is None:
            return None
        amount = _milliseconds(value) if isinstance(value, str) else None
        if amount is None:
            raise self.error(f"`{name}` should be a duration in seconds, down to a millisecond", name)
        return amount

    def message(self, name: str) -> "Message | None":
        value = self._get(name)
        if value is None:
            return None
        if not isinstance(value, _MESSAGE):
            raise self.error(f"`{name}` should be a message", name)
        return Message(value, self._source, self, (name,))

    def need(self, name: str) -> "Message":
        found = self.message(name)
        if found is None:
            raise self.error(f"`{name}` is missing")
        return found

    def messages(self, name: str) -> tuple["Message", ...]:
        return tuple(self._each(name))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        if value is None:
            return ()
        if not isinstance(value, _LIST) or not all(isinstance(one, str) for one in value):
            raise self.error(f"`{name}` should be a list of texts", name)
        return tuple(one for one in value if isinstance(one, str))

    def entries(self, name: str) -> tuple[tuple[str, "Message"], ...]:
        """A map of messages."""
        inner = self.message(name)
        if inner is None:
            return ()
        return tuple((key, inner.need(key)) for key in inner.data)

    def config(self) -> tuple[str, "Message"]:
        """The type of what an extension is configured with, without its package's prefix, and the configuration."""
        found = self.need("typed_config")
        self.ignore("name")
        kind = found.data.get("@type")
        if not isinstance(kind, str):
            raise found.error("`@type` is missing")
        return kind.rpartition("/")[2], found

    def _each(self, name: str) -> Iterator["Message"]:
        value = self._get(name)
        if value is None:
            return
        if not isinstance(value, _LIST):
            raise self.error(f"`{name}` should be a list", name)
        for place, one in enumerate(value):
            if not isinstance(one, _MESSAGE):
                raise self.error(f"`{name}` should be a list of messages", name, place)
            yield Message(one, self._source, self, (name, place))

    def _get(self, name: str) -> Json:
        self._asked.add(name)
        return self.data.get(name)
