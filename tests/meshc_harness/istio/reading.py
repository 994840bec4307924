"""Reading of objects: plain data -> typed values, and a reason for whatever Istio would not take, or we do not know.

What is not read is refused: `Fields.finish` names the fields that nobody asked for. Source: the CRDs' schemas, whose
pruning of unknown fields counts as an error here, and Istio's validating webhook.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_UNIT_NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class RejectedError(Exception):
    """Istio would not take this, or this evaluator does not know what Istio makes of it; the text says why."""


def reject(where: str, why: str) -> NoReturn:
    raise RejectedError(f"{where}: {why}")


class Fields:
    """The fields of one part of an object; `where` is its place for messages."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            reject(where, f"should be an object, is {value!r}")
        self.where = where
        self._data: Mapping[object, object] = value
        self._asked: set[object] = set()
        for name, part in self._data.items():
            if part is None:
                reject(where, f"`{name}` is null")

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def __len__(self) -> int:
        return len(self._data)

    def place(self, name: str) -> str:
        return f"{self.where}.{name}"

    def value(self, name: str) -> object:
        """The value as it is; None where there is none."""
        self._asked.add(name)
        return self._data.get(name)

    def finish(self) -> None:
        """Reject fields that nobody has asked for."""
        if unknown := sorted(map(str, self._data.keys() - self._asked)):
            reject(self.where, f"unknown or unsupported fields {unknown}")

    def ignore(self, *names: str) -> None:
        """Take fields for read: they change nothing that is decided here."""
        self._asked.update(names)

    def text(self, name: str) -> str | None:
        found = self.value(name)
        if found is not None and not isinstance(found, str):
            reject(self.place(name), f"should be a string, is {found!r}")
        return found

    def needed_text(self, name: str) -> str:
        found = self.text(name)
        if not found:
            reject(self.where, f"`{name}` is missing or empty")
        return found

    def choice(self, name: str, *options: str) -> str | None:
        found = self.text(name)
        if found is not None and found not in options:
            reject(self.place(name), f"should be one of {options}, is {found!r}")
        return found

    def flag(self, name: str) -> bool | None:
        found = self.value(name)
        if found is not None and not isinstance(found, bool):
            reject(self.place(name), f"should be true or false, is {found!r}")
        return found

    def integer(self, name: str, low: int = 0, high: int = 2**32 - 1) -> int | None:
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            reject(self.place(name), f"should be an integer in {low}..{high}, is {found!r}")
        return found

    def number(self, name: str) -> float | None:
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, int | float) or isinstance(found, bool):
            reject(self.place(name), f"should be a number, is {found!r}")
        return float(found)

    def duration_ms(self, name: str) -> int | None:
        """A duration in milliseconds; Istio takes whole milliseconds, one at least."""
        found = self.text(name)
        if found is None:
            return None
        if not _DURATION.fullmatch(found):
            reject(self.place(name), f"`{found}` is no duration")
        nanoseconds = sum(float(part[1]) * _UNIT_NANOSECONDS[part[2]] for part in _DURATION_PART.finditer(found))
        if nanoseconds < 10**6 or nanoseconds % 10**6:
            reject(self.place(name), f"`{found}` is less than 1ms or not in whole milliseconds")
        return int(nanoseconds // 10**6)

    def sequence(self, name: str) -> Sequence[object] | None:
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, list | tuple):
            reject(self.place(name), f"should be a list, is {found!r}")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, none of them empty; none at all where the field is not there."""
        found = self.sequence(name) or ()
        texts = tuple(one for one in found if isinstance(one, str))
        if len(texts) != len(found) or "" in texts:
            reject(self.place(name), f"should be strings, none of them empty: {found!r}")
        return texts

    def fields(self, name: str) -> "Fields | None":
        found = self.value(name)
        return None if found is None else Fields(found, self.place(name))

    def items(self, name: str) -> "tuple[Fields, ...] | None":
        found = self.sequence(name)
        if found is None:
            return None
        return tuple(Fields(one, f"{self.place(name)}[{number}]") for number, one in enumerate(found))

    def text_map(self, name: str) -> Mapping[str, str]:
        """An object of strings by strings; empty where the field is not there."""
        found = self.fields(name)
        if found is None:
            return {}
        return {key: value for key, _ in found.pairs() if (value := found.text(key)) is not None}

    def pairs(self) -> Iterator[tuple[str, object]]:
        """Every field, by a name that is a string, and its value."""
        for name, value in self._data.items():
            if not isinstance(name, str):
                reject(self.where, f"key {name!r} is no string")
            self._asked.add(name)
            yield name, value


def check_dns_label(text: str, where: str) -> None:
    if not _LABEL.fullmatch(text):
        reject(where, f"`{text}` is no DNS label")


def check_host(text: str, where: str, *, wildcard: bool) -> None:
    """A DNS name; where `wildcard`, its first label may be `*`, but not the whole name."""
    name = text.removeprefix("*.") if wildcard else text
    if not name or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        reject(where, f"`{text}` is no host")
