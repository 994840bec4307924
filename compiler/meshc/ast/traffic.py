"""Traffic: settings, profiles of settings, and routes."""

from dataclasses import dataclass, field

from meshc.ast.conditions import Condition, Operation, Source
from meshc.ast.literals import Literal, Name, OptionValue, Path, Ref, Regex, Text, Value
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Let:
    name: Name
    values: tuple[Literal, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    name: Name
    members: tuple[Source, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: Name
    type: Name
    default: Literal | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A value for a profile's parameter, by position or by name."""

    name: Name | None = None
    value: Literal
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One profile after `uses`."""

    profile: Ref
    arguments: tuple[Argument, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where requests go; `share` is a percentage where several destinations split them."""

    target: Ref
    share: Value | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One line of a settings block: `consecutive-5xx 5`, `backoff 25ms..250ms`, or a bare flag."""

    name: Name
    value: OptionValue | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """`timeout`, `idle-timeout` or `connect-timeout`, which `kind` names."""

    kind: str
    duration: Value
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`retry N on …`; `conditions` are words (`5xx` is a quantity), status codes or variables."""

    attempts: Value
    conditions: tuple[Name | Value, ...]
    options: tuple[Option, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNever:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashBy:
    """What a consistent hash reads: `kind` is `header`, `cookie` or `source-ip`; `name` that of the header or cookie."""

    kind: str
    name: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalance:
    policy: Name
    by: HashBy | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    options: tuple[Option, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    options: tuple[Option, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    method: Name
    path: Path | Regex
    options: tuple[Option, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityPrefer:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityFailover:
    source: Text
    target: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDelay:
    duration: Value
    share: Value
    condition: Condition | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultAbort:
    status: Value
    share: Value
    condition: Condition | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    share: Value
    target: Ref
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    destinations: tuple[Destination, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChange:
    """`operation` is `set`, `add` or `remove`, `direction` `request` or `response`; `value` is None for `remove`."""

    operation: str
    direction: str
    name: Text
    value: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewritePath:
    path: Path | Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteHost:
    host: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    target: Path | Text
    status: Value | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    status: Value
    body: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCa:
    file: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSni:
    name: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    items: tuple[TlsCa | TlsSni, ...]
    span: Span = field(compare=False)


Setting = (
    Timeout
    | Retry
    | RetryNever
    | LoadBalance
    | CircuitBreaker
    | OutlierDetection
    | HealthCheck
    | LocalityPrefer
    | LocalityFailover
    | FaultDelay
    | FaultAbort
    | Mirror
    | Split
    | HeaderChange
    | RewritePath
    | RewriteHost
    | Redirect
    | Respond
    | Tls
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    name: Name
    parameters: tuple[Parameter, ...] = ()
    uses: tuple[Use, ...] = ()
    settings: tuple[Setting, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route; each of its operations is a route of its own. `by` may name services, namespaces and groups."""

    operations: tuple[Operation, ...]
    condition: Condition | None = None
    by: tuple[Source, ...] = ()
    destinations: tuple[Destination, ...] = ()
    settings: tuple[Setting, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    service: Ref
    uses: tuple[Use, ...] = ()
    settings: tuple[Setting, ...] = ()
    routes: tuple[Route, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)
