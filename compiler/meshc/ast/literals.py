"""Names, references and literals, with the spelling that the user gave them."""

from dataclasses import dataclass, field

from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One name as written: a declared name, or a word that a later stage knows (a protocol, a mode, a type)."""

    text: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A reference: `name`, `scope.name`, `name:port`, `name@version`, and their combinations.

    `scope` is a namespace for services and an import's alias for groups and profiles. `port` is a number or a port's name.
    """

    name: str
    scope: str | None = None
    port: str | None = None
    version: str | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A literal that starts with a digit, or an IPv6 address, as spelled: `5`, `250ms`, `5%`, `100/s`, `10.0.0.0/8`, `5xx`."""

    text: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class String:
    """A string literal; `value` has its escapes undone."""

    value: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """`re"..."`; `pattern` is RE2 syntax, matched against the whole of a text."""

    pattern: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path pattern as spelled, bare or quoted: `/charge/{id}`, `/legacy/**`."""

    text: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Var:
    """`$name` or `$alias.name`: a `let`, or a parameter of the profile that it stands in."""

    name: str
    scope: str | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """`low..high`."""

    low: "Value"
    high: "Value"
    span: Span = field(compare=False)


Text = String | Var
Value = Quantity | String | Var
Literal = Quantity | String | Var | Regex
OptionValue = Value | Range
