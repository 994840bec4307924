"""Conditions over a request: a small boolean algebra of atoms, and the principals a rule speaks of.

A condition is `AllOf`, `AnyOf`, `Not` or an atom. `AllOf(())` is always true, `AnyOf(())` never. Every engine and every
target gives the atoms the meaning written here, on the request that `meshc.semantics.normalize` made.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

IpBlock = IPv4Network | IPv6Network

# ---- tests of one string --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equals:
    """The text is `value`, letter for letter."""

    value: str


@dataclass(frozen=True, slots=True)
class StartsWith:
    value: str


@dataclass(frozen=True, slots=True)
class EndsWith:
    value: str


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole text matches `pattern`, in RE2 syntax, byte by byte: text beyond ASCII counts as its UTF-8 bytes."""

    pattern: str


@dataclass(frozen=True, slots=True)
class IsPresent:
    """There is a value, the empty one included."""


@dataclass(frozen=True, slots=True)
class Contains:
    """For claims alone: a list of strings holds `value`, or a string does among its parts between single spaces."""

    value: str


TextTest = Equals | StartsWith | EndsWith | Matches | IsPresent

# ---- paths ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExactPath:
    """The normalized path is `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class TemplatePath:
    """Whole segments: a literal, or None for exactly one non-empty segment; then, if `rest`, anything below or nothing.

    `/a/{id}/**` is `segments=("a", None), names=("id",), rest=True`; it matches `/a/1`, `/a/1/` and `/a/1/x`. Without any
    None this is a prefix of whole segments: `/a/**` is `segments=("a",), rest=True`. `/**` has no segments and matches
    every path. A trailing slash in a template without `rest` is a last segment "".
    """

    segments: tuple[str | None, ...]
    names: tuple[str, ...]
    rest: bool


@dataclass(frozen=True, slots=True)
class RegexPath:
    """The whole normalized path matches `pattern`, in RE2 syntax."""

    pattern: str


PathPattern = ExactPath | TemplatePath | RegexPath

ANY_PATH = TemplatePath((), (), rest=True)

# ---- atoms ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MethodIs:
    """The method is one of these; never empty."""

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PathIs:
    pattern: PathPattern


@dataclass(frozen=True, slots=True)
class HostIs:
    """The host, lower-cased, without port and trailing dot."""

    test: TextTest


@dataclass(frozen=True, slots=True)
class HeaderIs:
    """Some single value of the header passes; `name` is lower-case. Values are trimmed of white space at both ends."""

    name: str
    test: TextTest


@dataclass(frozen=True, slots=True)
class QueryIs:
    """The first value of the parameter, as sent, passes. `b` and `b=` have the empty value."""

    name: str
    test: TextTest


@dataclass(frozen=True, slots=True)
class ClaimIs:
    """The claim at `path` of the verified JWT passes; one that is neither a string nor a list that holds strings never does.

    A list passes `Contains` and `IsPresent` alone, by its strings. The issuer is `("iss",)`, the subject `("sub",)`.
    """

    path: tuple[str, ...]
    test: TextTest | Contains


@dataclass(frozen=True, slots=True)
class SniIs:
    """The server name of the TLS hello, lower-cased."""

    test: TextTest


class AddressOf(Enum):
    """Whose address an address test reads: the direct peer's, or the client's by X-Forwarded-For, `trusted_hops` deep."""

    PEER = "source ip"
    CLIENT = "remote ip"


@dataclass(frozen=True, slots=True)
class AddressIn:
    """The address lies in one of these blocks; never empty."""

    address: AddressOf
    blocks: tuple[IpBlock, ...]


Atom = MethodIs | PathIs | HostIs | HeaderIs | QueryIs | ClaimIs | SniIs | AddressIn

# ---- algebra --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AllOf:
    conditions: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


Condition = AllOf | AnyOf | Not | Atom

ALWAYS = AllOf(())

# ---- principals -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnyPeer:
    """Everybody, with a verified identity or without."""


@dataclass(frozen=True, slots=True)
class AnyIdentity:
    """Every peer with a verified identity."""


@dataclass(frozen=True, slots=True)
class ExactIdentity:
    """The peer with this SPIFFE id."""

    identity: str


@dataclass(frozen=True, slots=True)
class IdentityPrefix:
    """Every peer whose SPIFFE id starts with `prefix`, which ends in `/`."""

    prefix: str


Principal = AnyPeer | AnyIdentity | ExactIdentity | IdentityPrefix


@dataclass(frozen=True, slots=True)
class Principals:
    """Who is meant: any of `include`, but none of `exclude`."""

    include: tuple[Principal, ...]
    exclude: tuple[Principal, ...] = ()
