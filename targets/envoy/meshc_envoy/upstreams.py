"""Upstreams: the clusters that a caller's routes send to, each known by what tells it from the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshc import ir
from meshc.addresses import cluster_name
from meshc.target import PortKey
from meshc_envoy.directory import Directory
from meshc_envoy.reach import route_destinations, visible_routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One cluster: a port, of one version or of all; for externals one host.

    `budget` is the share of retries in percent that its requests may be, None for no budget. It belongs to the cluster,
    since that is where Envoy counts, so routes with different budgets have clusters of their own.
    """

    key: PortKey
    version: str | None = None
    host: str | None = None
    budget: float | None = None
    is_shared: bool = True
    """Whether every route to the destination agrees on the budget, so that the name need not tell it."""

    @property
    def name(self) -> str:
        """The cluster's name, stable under changes elsewhere."""
        name = cluster_name(*self.key)
        if self.host is not None:
            name += f"/{self.host}"
        if self.version is not None:
            name += f"@{self.version}"
        if not self.is_shared:
            name += "#no-budget" if self.budget is None else f"#budget-{self.budget:g}%"
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One port that a caller's sidecar holds, as it was asked for: for externals with one of its hosts."""

    owner: ir.Workload | ir.External
    port: ir.PortPolicy
    host: str | None = None

    @property
    def key(self) -> PortKey:
        return self.owner.namespace, self.owner.name, self.port.number

    @property
    def name(self) -> str:
        """The name of its own cluster, and of its virtual host or listener."""
        return Upstream(key=self.key, host=self.host).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """Which cluster each destination means, for all routes of one caller."""

    directory: Directory
    budgets: frozenset[tuple[PortKey, str | None, float | None]]
    """The budgets of the routes that retry, each with the destination's port and version."""

    def of(self, held: Held, destination: ir.Destination, settings: ir.Settings) -> Upstream:
        """The cluster of a destination of one of the port's routes."""
        key = (destination.namespace, destination.service, destination.port)
        budget = None if settings.retry is None else settings.retry.budget_percent
        found = {one for port, version, one in self.budgets if (port, version) == (key, destination.version)}
        is_shared = len(found) <= 1
        if is_shared:
            budget = next(iter(found), None)
        return Upstream(
            key=key,
            version=destination.version,
            host=self._host(held, key, settings),
            budget=budget,
            is_shared=is_shared,
        )

    def _host(self, held: Held, key: PortKey, settings: ir.Settings) -> str | None:
        """The host of an external: the one that the request is rewritten to, else the one asked for, else the first."""
        owner, _ = self.directory.owners[key]
        if isinstance(owner, ir.Workload):
            return None
        rewritten = host_of(owner, settings.rewrite_host or "")
        return rewritten or (held.host if key == held.key else None) or owner.hosts[0]


def host_of(external: ir.External, name: str) -> str | None:
    """The host of an external that covers a name, an exact one before a wildcard; None if none does."""
    if name in external.hosts:
        return name
    return next((host for host in external.hosts if host.startswith("*.") and name.endswith(host[1:])), None)


def upstreams_of(directory: Directory, held: Iterable[Held], identity: str) -> Upstreams:
    """The clusters of everything that a caller's sidecar holds."""
    budgets = {budget for one in held for budget in _budgets(one, identity)}
    return Upstreams(directory=directory, budgets=frozenset(budgets))


def _budgets(held: Held, identity: str) -> Iterator[tuple[PortKey, str | None, float | None]]:
    for route in visible_routes(held.owner, held.port, identity):
        if route.settings.retry is not None:
            for one in route_destinations(route):
                yield (one.namespace, one.service, one.port), one.version, route.settings.retry.budget_percent
