"""Invariants, tests, environments, and the file that holds all declarations."""

from dataclasses import dataclass, field

from meshc.ast.conditions import Condition, Operation, Source, Sources
from meshc.ast.literals import Name, Ref, String, Text, Value
from meshc.ast.policies import Access, Authenticate, RateLimit, Scope, Telemetry
from meshc.ast.services import External, Import, Inventory, MeshDecl, Namespace, Service
from meshc.ast.traffic import Group, Let, Profile, Traffic
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`never|only|always SOURCES reach TARGET …`; `mode` is the first word."""

    mode: str
    sources: Sources
    target: Scope
    addresses: tuple[Value, ...] = ()
    operations: tuple[Operation, ...] = ()
    condition: Condition | None = None
    transitively: bool = False
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    target: Scope
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    title: String
    claims: tuple[Reach | Encrypted, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A part of a test request after `with`: `kind` is `header`, `query`, `claim` or `host`; `names` are empty for `host`."""

    kind: str
    names: tuple[Text, ...]
    value: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A request in a test. `method` may be `GRPC` or `TCP`; `target` is a path as sent, or `package.Service/Method`."""

    source: Source
    method: Name
    service: Ref
    target: String | None = None
    address: Value | None = None
    attributes: tuple[Attribute, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTest:
    """`allow REQUEST` or `deny REQUEST`, which `expected` names."""

    expected: str
    request: RequestLine
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTest:
    request: RequestLine
    destination: Ref
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectTest:
    """`expect REQUEST -> status N` or `-> redirect "…"`: exactly one of the two is given."""

    request: RequestLine
    status: Value | None = None
    redirect: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDecl:
    title: String
    cases: tuple[AccessTest | RouteTest | ExpectTest, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


ScopedDeclaration = (
    MeshDecl
    | Namespace
    | Service
    | External
    | Let
    | Group
    | Profile
    | Access
    | Traffic
    | RateLimit
    | Authenticate
    | Telemetry
    | Invariant
    | TestDecl
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`declarations` are applied on top of the program with `--env`."""

    name: Name
    declarations: tuple[ScopedDeclaration, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


Declaration = Import | Inventory | Environment | ScopedDeclaration


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file. `path` is the one that spans carry."""

    path: str
    declarations: tuple[Declaration, ...]
