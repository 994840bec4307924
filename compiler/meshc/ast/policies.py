"""Access, limits, authentication and telemetry: what the server's side enforces and reports."""

from dataclasses import dataclass, field

from meshc.ast.conditions import Condition, Operation, Sources
from meshc.ast.literals import Name, Ref, Text, Value
from meshc.ast.services import Mtls
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshScope:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceScope:
    namespace: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceScope:
    """A service or external; with a port in `service`, that port alone."""

    service: Ref
    span: Span = field(compare=False)


Scope = MeshScope | NamespaceScope | ServiceScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    text: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    date: Value
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An access rule; `action` is `allow` or `deny`. Empty `addresses` and `operations` restrict nothing."""

    shadow: bool = False
    action: str
    sources: Sources
    addresses: tuple[Value, ...] = ()
    operations: tuple[Operation, ...] = ()
    condition: Condition | None = None
    notes: tuple[Because | Until, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    scope: Scope
    rules: tuple[Rule, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerSource:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerHeader:
    header: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    rate: Value
    burst: Value | None = None
    per: PerSource | PerHeader | None = None
    operations: tuple[Operation, ...] = ()
    condition: Condition | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    service: Ref
    limits: tuple[Limit, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMtls:
    port: Name | Value
    mode: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtIssuer:
    issuer: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAudiences:
    audiences: tuple[Text, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwks:
    """`kind` is `file`, `url` or `inline`; `location` the file's path, the URL, or the JWKS itself."""

    kind: str
    location: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtFromHeader:
    """Read the token from this header, after `prefix` where one is given."""

    header: Text
    prefix: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtFlag:
    """`kind` is `forward` or `required`."""

    kind: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    name: Name
    items: tuple[JwtIssuer | JwtAudiences | Jwks | JwtFromHeader | JwtFlag, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    scope: Scope
    items: tuple[Mtls | PortMtls | Jwt, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    format: Name
    condition: Condition | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    sampling: Value
    collector: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    scope: Scope
    items: tuple[AccessLog | Trace | Metrics, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)
