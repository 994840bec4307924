"""One generation of what a sidecar runs: made whole, or not at all, and never changed; a reload makes the next one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshc.ir import ALWAYS, External, Jwt, Mesh, PortPolicy, Settings, Workload
from meshc.site import Site
from meshc_proxy.io.secrets import Secrets
from meshc_proxy.io.upstreams import Upstreams
from meshc_proxy.policy.hosts import Hosts, hosts_of, listed_hosts
from meshc_proxy.policy.inbound import Snapshot, build_snapshot
from meshc_proxy.policy.tokens import KeySet


class SetupError(Exception):
    """A configuration that cannot be run; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a sidecar runs. `keys` is the one part that changes: key sets from URLs are fetched anew."""

    mesh: Mesh
    site: Site
    workload: Workload
    snapshot: Snapshot
    hosts: Hosts
    secrets: Secrets
    upstreams: Upstreams
    keys: dict[int, dict[str, KeySet]] = field(compare=False)

    @property
    def asks_facts(self) -> bool:
        """Whether some log has a condition, for which requests must be looked at once more."""
        return any(log.condition != ALWAYS for log in self.workload.telemetry.access_logs)

    def remote_sets(self) -> list[tuple[int, Jwt]]:
        """The providers whose key sets come from URLs, by port."""
        return [(port.number, jwt) for port in self.workload.ports for jwt in port.jwts if jwt.jwks_kind == "url"]


def prepare(mesh: Mesh, site: Site, before: Setup | None = None) -> Setup:
    """Everything that a sidecar of `site` needs. Reads files; raises SetupError and SecretsError.

    What is counted goes on from `before` where the limit is the same.
    """
    found = [one for one in mesh.workloads if (one.namespace, one.name) == site.workload]
    if not found:
        raise SetupError(f"the configuration has no service `{'.'.join(site.workload)}`")
    workload = found[0]
    keys = {port.number: _local_sets(port) for port in workload.ports}
    if before is not None:
        _carry_over(before, workload, keys)
    secrets = Secrets(site.tls_directory, mesh.trust_domains, site.ca_file)
    snapshot = build_snapshot(mesh, *site.workload, keys, before=None if before is None else before.snapshot)
    return Setup(
        mesh=mesh,
        site=site,
        workload=workload,
        snapshot=snapshot,
        hosts=hosts_of(mesh, workload) if site.hosts is None else listed_hosts(mesh, site.hosts),
        secrets=secrets,
        upstreams=Upstreams(mesh, site, secrets),
        keys=keys,
    )


def not_enforced(mesh: Mesh) -> tuple[str, ...]:
    """What a program may ask of traffic and this proxy does not do, each once, in the language's words."""
    settings = [one for port in _ports(mesh) for one in (port.settings, *(route.settings for route in port.routes))]
    found = dict.fromkeys(word for one in settings for word in _left_out(one))
    if any(workload.telemetry.trace is not None for workload in mesh.workloads):
        found["trace"] = None
    return tuple(found)


def _local_sets(port: PortPolicy) -> dict[str, KeySet]:
    sets: dict[str, KeySet] = {}
    for jwt in port.jwts:
        try:
            if jwt.jwks_kind == "inline":
                sets[jwt.name] = KeySet.read(jwt.jwks)
            elif jwt.jwks_kind == "file":
                sets[jwt.name] = KeySet.read(Path(jwt.jwks).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SetupError(f"the keys of `{jwt.name}` cannot be read: {error}") from error
    return sets


def _carry_over(before: Setup, workload: Workload, keys: Mapping[int, dict[str, KeySet]]) -> None:
    """Key sets that were fetched already, for providers that are the same."""
    old = {(number, jwt.name, jwt.jwks): before.keys[number].get(jwt.name) for number, jwt in before.remote_sets()}
    for port in workload.ports:
        for jwt in port.jwts:
            known = old.get((port.number, jwt.name, jwt.jwks))
            if known is not None:
                keys[port.number][jwt.name] = known


def _ports(mesh: Mesh) -> list[PortPolicy]:
    owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
    return [port for owner in owners for port in owner.ports]


def _left_out(settings: Settings) -> list[str]:
    asked = {
        "circuit-breaker": settings.circuit_breaker is not None,
        "outlier-detection": settings.outlier_detection is not None,
        "health-check": settings.health_check is not None,
        "locality": settings.locality is not None,
        "retry budget": settings.retry is not None and settings.retry.budget_percent is not None,
    }
    return [word for word, is_asked in asked.items() if is_asked]
