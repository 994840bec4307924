"""How calls travel: routes, timeouts, retries and ejection of each port, by routes, ServiceProfiles and annotations of Services."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject
from meshc_linkerd.read.account import TRAVEL, Account, NotUnderstoodError
from meshc_linkerd.read.outbound import Outbound, plain_route, routes_by_parent
from meshc_linkerd.read.profiles import acts, profile_routes
from meshc_linkerd.read.services import Services, check_services

PROFILES: Final = "linkerd.io"


@dataclass(slots=True)
class Travel:
    """Reads what callers' proxies do."""

    services: Services
    outbound: Outbound
    profiles: dict[tuple[str, str], list[ConfigObject]]
    account: Account

    def port(self, workload: ir.Workload, port: ir.PortPolicy) -> ir.PortPolicy:
        """A port with its routes and the settings of its connections."""
        profiles = self._profiles(workload)
        routes = self._by_profile(workload, port, profiles) if profiles else self.outbound.port(workload, port)
        settings = self._settings(workload, port, has_profile=bool(profiles))
        unrouted = self.services.unrouted(workload, port)
        is_plain = routes == (plain_route(workload, port),) and settings.outlier_detection is None
        if unrouted is not None and not is_plain:
            key = (workload.namespace, workload.name, port.number)
            error = NotUnderstoodError(unrouted.message, *unrouted.steps)
            self.account.not_understood(unrouted.source, error, (key,), *TRAVEL)
        return replace(port, routes=routes, settings=settings)

    def _profiles(self, workload: ir.Workload) -> list[ConfigObject]:
        """The profiles of a service that say anything of calls."""
        found: list[ConfigObject] = []
        for one in self.profiles.get((workload.namespace, workload.name), ()):
            try:
                if acts(one):
                    found.append(one)
            except NotUnderstoodError as error:
                self._unknown(one, error, workload)
        return found

    def _unknown(self, one: ConfigObject, error: NotUnderstoodError, workload: ir.Workload) -> None:
        ports = tuple((workload.namespace, workload.name, port.number) for port in workload.ports)
        self.account.not_understood(one, error, ports, *TRAVEL)

    def _by_profile(
        self, workload: ir.Workload, port: ir.PortPolicy, profiles: Sequence[ConfigObject]
    ) -> tuple[ir.Route, ...]:
        plain = plain_route(workload, port)
        if not port.protocol.is_http:
            return (plain,)
        if len(profiles) > 1 or profiles[0].namespace != workload.namespace:
            error = NotUnderstoodError("profiles for the callers of one namespace are not understood", "metadata")
            self._unknown(profiles[0], error, workload)
            return (plain,)
        try:
            return tuple(profile_routes(profiles[0], plain, self.account))
        except NotUnderstoodError as error:
            self._unknown(profiles[0], error, workload)
            return (plain,)

    def _settings(self, workload: ir.Workload, port: ir.PortPolicy, *, has_profile: bool) -> ir.Settings:
        notes = self.services.notes(workload)
        try:
            ejection = notes.ejection(self.account) if port.protocol.is_http and not has_profile else None
            return ir.Settings(outlier_detection=ejection, locality=self.services.locality(workload))
        except NotUnderstoodError as error:
            self._unknown(notes.source or ConfigObject(data={}, file=workload.span.path), error, workload)
            return ir.Settings()


def make_travel(objects: Sequence[ConfigObject], known: ir.Mesh, account: Account) -> Travel:
    """The reader of a mesh's traffic."""
    services = Services(objects, known, account)
    check_services(services, known.workloads, account)
    parents = routes_by_parent(objects, services, known, account)
    outbound = Outbound(services=services, account=account, trust_domain=known.trust_domain, parents=parents)
    profiles: dict[tuple[str, str], list[ConfigObject]] = {}
    for one in objects:
        if one.kind == "ServiceProfile" and one.group == PROFILES:
            name, _, rest = one.name.partition(".")
            namespace = rest.removesuffix(f".svc.{known.cluster_domain}")
            if services.known(namespace, name) is None:
                error = NotUnderstoodError(f"`{one.name}` is none of the known services", "metadata", "name")
                account.not_understood(one, error, (), *TRAVEL)
            profiles.setdefault((namespace, name), []).append(one)
    return Travel(services=services, outbound=outbound, profiles=profiles, account=account)
