"""The mesh, its namespaces, services and externals."""

from dataclasses import dataclass, field

from meshc.ast.literals import Name, Path, Regex, String, Text, Value
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    path: String
    alias: Name | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """`inventory "glob"`, relative to the file that holds it."""

    pattern: String
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDomain:
    domain: Text
    also: tuple[Text, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDomain:
    domain: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedHops:
    hops: Value
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultAccess:
    """`default access allow|deny`."""

    access: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mtls:
    """`mtls strict|permissive|off`."""

    mode: Name
    span: Span = field(compare=False)


MeshItem = TrustDomain | ClusterDomain | TrustedHops | DefaultAccess | Mtls


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshDecl:
    name: Name
    items: tuple[MeshItem, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    name: Name
    items: tuple[DefaultAccess | Mtls, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    number: Value
    protocol: Name
    target: Value | None = None
    name: Name | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    name: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Pairs of key and value; a key is a name or, quoted, any Kubernetes label key."""

    pairs: tuple[tuple[Name, Text], ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    name: Name
    labels: tuple[Labels, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointZone:
    zone: Text
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointVersion:
    version: Name
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWeight:
    weight: Value
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    address: Text
    items: tuple[EndpointZone | EndpointVersion | EndpointWeight, ...] = ()
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discover:
    """`discover kubernetes|dns "name"|static|eds`."""

    kind: Name
    dns_name: Text | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`probe GET /path`, `probe GRPC` (the gRPC health protocol) or `probe TCP` (a mere connection)."""

    method: Name
    path: Path | Regex | None = None
    port: Value | None = None
    span: Span = field(compare=False)


ServiceItem = Port | ServiceAccount | Labels | Version | Endpoint | Discover | Probe | DefaultAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    name: Name
    namespace: Name
    items: tuple[ServiceItem, ...] = ()
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalHosts:
    hosts: tuple[Text, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    name: Name
    namespace: Name
    items: tuple[ExternalHosts | Port, ...]
    doc: str | None = field(default=None, compare=False)
    span: Span = field(compare=False)
