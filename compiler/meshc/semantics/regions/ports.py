"""What is compared: one port of one mesh, and what becomes of a request that reaches it."""

from dataclasses import dataclass
from enum import Enum

from meshc.ir import Effect, External, Jwt, Mesh, MtlsMode, PortPolicy, Protocol, Stage, Workload
from meshc.semantics.decide import PortKey, default_host, external_host


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortSide:
    """One port of a mesh: one side of a comparison. Two of them are never equal; `is_alike` compares what they say."""

    mesh: Mesh
    owner: Workload | External
    port: PortPolicy

    @property
    def key(self) -> PortKey:
        return self.owner.namespace, self.owner.name, self.port.number

    @property
    def is_external(self) -> bool:
        return isinstance(self.owner, External)

    @property
    def is_http(self) -> bool:
        return self.port.protocol.is_http

    @property
    def hides_identities(self) -> bool:
        """Whether rules see no identity here, whoever calls."""
        return not self.is_external and (self.port.protocol is Protocol.TLS or self.port.mtls is MtlsMode.OFF)

    @property
    def view(self) -> "View":
        """How rules see requests here."""
        is_http = self.is_http
        return View(
            is_http=is_http,
            hides_identities=self.hides_identities,
            trusted_hops=self.mesh.trusted_hops if is_http else 0,
            providers=self.port.jwts if is_http else (),
        )

    @property
    def default_host(self) -> str:
        """The host that a request names if its sender says nothing else."""
        match self.owner:
            case Workload(namespace=namespace, name=name):
                return default_host(namespace, name)
            case External(hosts=hosts):
                return external_host(hosts)

    @property
    def stages(self) -> tuple[tuple[int, Stage], ...]:
        """The stages that decide, with their places among all stages of the port; shadow stages have no say."""
        return tuple((place, stage) for place, stage in enumerate(self.port.access) if not stage.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a port sees requests: all that the meaning of principals and conditions depends on.

    `trusted_hops` is 0 and `providers` is empty where only connections are seen.
    """

    is_http: bool
    hides_identities: bool
    trusted_hops: int
    providers: tuple[Jwt, ...]


def sides_of(mesh: Mesh) -> dict[PortKey, PortSide]:
    """All ports of a mesh."""
    owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
    sides = (PortSide(mesh=mesh, owner=owner, port=port) for owner in owners for port in owner.ports)
    return {side.key: side for side in sides}


class Outcome(Enum):
    """What becomes of a well-formed request, in the server's order. One that is not well formed is answered with 400 anyway.

    FORBIDDEN is 403; on tcp and tls ports the connection is closed.
    """

    NO_CONNECTION = "no connection"
    UNAUTHENTICATED = "401"
    FORBIDDEN = "403"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What decided: `stage` counts in `PortPolicy.access`, `rule` in that stage's rules.

    `rule` is None where an ALLOW stage refuses. Both are None where no stage was asked or none had a say.
    """

    outcome: Outcome
    stage: int | None = None
    rule: int | None = None


def outcome_of(effect: Effect) -> Outcome:
    """What a matching rule does where it decides."""
    return Outcome.FORBIDDEN if effect is Effect.DENY else Outcome.ALLOWED
