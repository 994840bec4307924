"""Sources, operations and conditions: the parts of rules, routes, limits and invariants."""

from dataclasses import dataclass, field

from meshc.ast.literals import Literal, Name, Path, Ref, Regex, Text
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSource:
    service: Ref
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSource:
    namespace: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSource:
    group: Ref
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySource:
    """A SPIFFE id, or with a final `/*` every id below it."""

    identity: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedSource:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyoneSource:
    span: Span = field(compare=False)


Source = ServiceSource | NamespaceSource | GroupSource | IdentitySource | AuthenticatedSource | AnyoneSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A list of sources, less those after `except`."""

    include: tuple[Source, ...]
    exclude: tuple[Source, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOperation:
    """Methods (none: any) and a path (none: any); never neither."""

    methods: tuple[Name, ...] = ()
    path: Path | Regex | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcOperation:
    """`rpc package.Service/Method`, or `package.Service/*`; `target` is the part after `rpc`."""

    target: Text
    span: Span = field(compare=False)


Operation = HttpOperation | RpcOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a test looks at. `kind` is one of `header query claim issuer subject host sni source-ip remote-ip`.

    `arguments` are the name of a header or query parameter, or the steps to a nested claim; empty for the other kinds.
    """

    kind: str
    arguments: tuple[Text, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """`subject operator operands`.

    `operator` is one of `== != in has starts-with ends-with matches present absent`. `matches` has one `Regex` or `Var`,
    `in` one operand or more, `present` and `absent` none, the others one.
    """

    subject: Subject
    operator: str
    operands: tuple[Literal, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """Two conditions or more joined by `and`."""

    conditions: tuple["Condition", ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """Two conditions or more joined by `or`."""

    conditions: tuple["Condition", ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTest:
    condition: "Condition"
    span: Span = field(compare=False)


Condition = Test | AllOf | AnyOf | NotTest
