"""Literals with units: from spelling to a typed value.

Every quantity of the language starts with a digit (or is an IPv6 address); its spelling alone says which type it has.
"""

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

Address = IPv4Network | IPv6Network


class LiteralError(ValueError):
    """A spelling that is no literal, or one with an impossible value; `advice` says how to mend it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Duration:
    """A whole number of milliseconds, at least 0."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Percent:
    """A share in percent, exact, between 0 and 100."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in every `per_ms` milliseconds; `count` is at least 1."""

    count: int
    per_ms: int


@dataclass(frozen=True, slots=True)
class Size:
    bytes: int


@dataclass(frozen=True, slots=True)
class Integer:
    value: int


@dataclass(frozen=True, slots=True)
class Cidr:
    block: Address


@dataclass(frozen=True, slots=True)
class StatusClass:
    """`5xx`: every status with this first digit."""

    digit: int


@dataclass(frozen=True, slots=True)
class Day:
    day: date


Typed = Duration | Percent | Rate | Size | Integer | Cidr | StatusClass | Day

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_RATE = re.compile(r"([0-9]+)/(s|m|h)")
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ADDRESS = re.compile(r"[0-9]+\.[0-9.]+(?:/[0-9]+)?")

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_UNIT_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LONGEST_NUMBER = 15
_LONGEST_LITERAL = 64

KINDS = {
    "duration": "a duration such as `250ms` or `2s`",
    "percent": "a percentage such as `5%`",
    "rate": "a rate such as `100/s`",
    "size": "a size such as `64KiB`",
    "int": "a whole number",
    "cidr": "an address block such as `10.0.0.0/8`",
    "status": "an HTTP status such as `503`",
    "string": "a string in double quotes",
    "date": "a date such as `2027-03-31`",
    "regex": 'a regular expression such as `re"a+"`',
}
"""Each type's name, as in a profile's parameters, and how messages speak of it."""


@lru_cache(maxsize=4096)
def read_quantity(text: str) -> Typed:
    """Give a quantity's spelling its type and value. Raises LiteralError, with the user's words in its message."""
    if len(text) > _LONGEST_LITERAL:
        raise LiteralError(f"`{text[:20]}…` is too long for a literal")
    if ":" in text:
        return Cidr(_network(text))
    if len(text) > _LONGEST_NUMBER and text.isdigit():
        raise LiteralError(f"`{text}` is too large a number")
    if text.isascii() and text.isdigit():
        return Integer(int(text))
    if match := _DURATION.fullmatch(text):
        return Duration(_milliseconds(text, match[1], match[2]))
    if match := _PERCENT.fullmatch(text):
        return Percent(_share(text, match[1]))
    if match := _RATE.fullmatch(text):
        return _rate(text, match[1], match[2])
    if match := _SIZE.fullmatch(text):
        return Size(int(match[1]) * _UNIT_BYTES[match[2]])
    if len(text) == 3 and text[0] in "12345" and text.endswith("xx"):
        return StatusClass(int(text[0]))
    if _DAY.fullmatch(text):
        return _day(text)
    if _ADDRESS.fullmatch(text):
        return Cidr(_network(text))
    raise LiteralError(f"`{text}` is no literal", _advice(text))


def _milliseconds(text: str, number: str, unit: str) -> int:
    value = Fraction(number) * _UNIT_MS[unit]
    if value.denominator != 1:
        raise LiteralError(f"`{text}` is not a whole number of milliseconds")
    if value > 1000 * 3_600_000:
        raise LiteralError(f"`{text}` is longer than 1000 hours")
    return int(value)


def _share(text: str, number: str) -> Fraction:
    value = Fraction(number)
    if value > 100:
        raise LiteralError(f"`{text}` is more than 100 %")
    if (value * 10_000).denominator != 1:
        raise LiteralError(f"`{text}` is finer than proxies can split", "four digits after the point are the most")
    return value


def _rate(text: str, number: str, unit: str) -> Rate:
    count = int(number)
    if count == 0:
        raise LiteralError(
            f"a rate of `{text}` lets nothing through", "write a `deny` rule in an `access` block instead"
        )
    return Rate(count, _UNIT_MS[unit])


def _day(text: str) -> Day:
    try:
        return Day(date.fromisoformat(text))
    except ValueError:
        raise LiteralError(f"`{text}` is not a day of the calendar") from None


def _network(text: str) -> Address:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise LiteralError(f"`{text}` is not an address or address block") from None
    raise LiteralError(
        f"`{text}` has bits set after its prefix",
        f"write `{wider}` for the block, or `{text.partition('/')[0]}` for the one address",
    )


_RATE_UNITS = {"sec": "s", "min": "m", "hour": "h", "hr": "h"}


def _advice(text: str) -> str:
    lower = text.lower()
    count, slash, unit = lower.partition("/")
    if slash and count.isdigit():
        meant = next((short for word, short in _RATE_UNITS.items() if unit.startswith(word)), None)
        return "rates are counted by `/s`, `/m` or `/h`" if meant is None else f"write `{count}/{meant}`"
    for unit, meant in (("sec", "s"), ("min", "m"), ("hour", "h"), ("us", "ms"), ("kb", "KiB"), ("mb", "MiB")):
        if unit in lower:
            number = "".join(c for c in text if c.isdigit() or c == ".")
            return f"write `{number}{meant}`"
    return "durations are `250ms 2s 5m 1h`, shares `5%`, rates `100/s 600/m 10/h`, sizes `64KiB 1MiB`"


def kind_of(value: Typed) -> str:
    """The name of a value's type, a key of `KINDS` (a status class counts as `status`)."""
    return _KIND[type(value)]


_KIND: dict[type[Typed], str] = {
    Duration: "duration",
    Percent: "percent",
    Rate: "rate",
    Size: "size",
    Integer: "int",
    Cidr: "cidr",
    StatusClass: "status",
    Day: "date",
}
