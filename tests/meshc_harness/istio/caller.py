"""The caller's side: which virtual host a request falls into, which route it takes, and where it may end up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshc_harness.istio.actions import Redirect, Target
from meshc_harness.istio.attachment import is_subset
from meshc_harness.istio.calls import (
    DEFAULT_RETRIES,
    Call,
    Caller,
    Destination,
    Outcome,
    Request,
    Retries,
    request_of,
)
from meshc_harness.istio.destination_rules import DestinationRule, Policy, find_rule, is_exported
from meshc_harness.istio.matching import HttpMatch
from meshc_harness.istio.others import HTTP, ServiceEntry, Sidecar
from meshc_harness.istio.paths import BadTargetError
from meshc_harness.istio.virtual_services import Forward, HttpRoute, VirtualService, first_match, host_matches
from meshc_harness.istio.world import MeshSettings, Workload

ClusterPorts = Mapping[int, bool]
"""Whether each service port of a host is HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSide:
    """All that callers' sidecars apply. `workloads` are by full name."""

    settings: MeshSettings
    workloads: Mapping[str, Workload]
    virtual_services: tuple[VirtualService, ...]
    destination_rules: tuple[DestinationRule, ...]
    entries: tuple[ServiceEntry, ...]
    sidecars: tuple[Sidecar, ...]
    default_retries: Retries = DEFAULT_RETRIES

    def send(self, caller: Caller, call: Call) -> Outcome:
        """What a caller's sidecar does with a call."""
        host = self.host_of(caller, call)
        if host is None:
            return Outcome(status=502 if self._is_registry_only(caller) else None, route="unknown host")
        if call.method is None:
            return self._connect(caller, call, host)
        try:
            request = request_of(call, self.settings)
        except BadTargetError as error:
            return Outcome(status=400, route=str(error))
        service = self._virtual_service(caller, host)
        routes = () if service is None else service.routes_for(caller, call.port)
        if not routes:
            plain = Destination(host=host, port=call.port)
            return Outcome(route="default", destinations=((plain, 1),), leaving=request, retries=self.default_retries)
        found = first_match(routes, request)
        if found is None:
            return Outcome(status=404, route="no route of the VirtualService matches")
        return self._routed(found, request, host, call.port)

    def _routed(self, found: tuple[HttpRoute, HttpMatch], request: Request, host: str, port: int) -> Outcome:
        route, match = found
        outcome = Outcome(route=route.name, faults=route.faults, response_headers=route.response_headers)
        if (abort := next((one for one in route.faults if one.status and one.percent >= 100), None)) is not None:
            return replace(outcome, status=abort.status)
        match route.action:
            case Redirect():
                location = route.action.location(request, match.uri)
                return replace(outcome, status=route.action.code, location=location)
            case int():
                return replace(outcome, status=route.action)
            case Forward():
                changed = replace(request, headers=route.request_headers.apply(request.headers))
                return replace(
                    outcome,
                    destinations=tuple(
                        (self._destination(target, host, port), weight) for target, weight in route.action.targets
                    ),
                    leaving=route.action.rewrite.apply(changed, match.uri),
                    timeout_ms=route.action.timeout_ms,
                    retries=route.action.retries,
                    mirrors=tuple(
                        (self._destination(target, host, port), percent) for target, percent in route.action.mirrors
                    ),
                )

    def _connect(self, caller: Caller, call: Call, host: str) -> Outcome:
        service = self._virtual_service(caller, host)
        for route in () if service is None else service.l4:
            if any(one.matches(caller, call) for one in route.matches):
                found = tuple((self._destination(target, host, call.port), weight) for target, weight in route.targets)
                return Outcome(route="l4", destinations=found)
        return Outcome(route="default", destinations=((Destination(host=host, port=call.port), 1),))

    def _destination(self, target: Target, _host: str, port: int) -> Destination:
        """A written destination; without a port, the only one of its service, else the one that was called."""
        ports = self._ports(target.host) or {}
        chosen = target.port or (next(iter(ports)) if len(ports) == 1 else port)
        return Destination(host=target.host, port=chosen, subset=target.subset)

    # ---- hosts ------------------------------------------------------------------------------------------------------

    def host_of(self, caller: Caller, call: Call) -> str | None:
        """The service or entry that a call's authority means on this port, by its full name; None for an unknown one."""
        name = call.authority.lower()
        bare = name.rpartition(":")[0] if name.rpartition(":")[2].isdecimal() and ":" in name else name
        for full, workload in self.workloads.items():
            is_here = any(
                port.number == call.port and port.is_http == (call.method is not None) for port in workload.ports
            )
            if is_here and bare in self._names(full, workload, caller) and self._sees(caller, workload.namespace, full):
                return full
        entries = [
            (pattern, entry)
            for entry in self.entries
            for pattern in entry.hosts
            if host_matches(pattern, bare)
            and any(port.number == call.port for port in entry.ports)
            and is_exported(entry.export_to, entry.identity.namespace, caller.namespace)
            and self._sees(caller, entry.identity.namespace, pattern)
        ]
        exact = sorted(entries, key=lambda one: (one[0].startswith("*"), -len(one[0]), one[1].identity.age))
        return exact[0][0] if exact else None

    def _names(self, full: str, workload: Workload, caller: Caller) -> frozenset[str]:
        """What a Host header may call a service. The dot at the end counts after the full name alone."""
        name, namespace = workload.name, workload.namespace
        short = {name} if caller.namespace == namespace else set()
        return frozenset({full, f"{full}.", f"{name}.{namespace}", f"{name}.{namespace}.svc", *short})

    def _sidecar(self, caller: Caller) -> Sidecar | None:
        """The workload's own Sidecar, else its namespace's, else the root namespace's; the oldest of each."""
        by_age = sorted(self.sidecars, key=lambda one: one.identity.age)
        own = [one for one in by_age if one.identity.namespace == caller.namespace]
        root = [one for one in by_age if one.identity.namespace == self.settings.root_namespace]
        candidates = [
            *(one for one in own if one.selector and is_subset(one.selector, caller.labels)),
            *(one for one in own if not one.selector),
            *(one for one in root if not one.selector),
        ]
        return candidates[0] if candidates else None

    def _sees(self, caller: Caller, namespace: str, host: str) -> bool:
        sidecar = self._sidecar(caller)
        return sidecar is None or sidecar.sees(namespace, host)

    def _is_registry_only(self, caller: Caller) -> bool:
        sidecar = self._sidecar(caller)
        if sidecar is None or sidecar.registry_only is None:
            return self.settings.registry_only
        return sidecar.registry_only

    def _virtual_service(self, caller: Caller, host: str) -> VirtualService | None:
        """The one of a host: exact before wildcard, then the oldest; the others are ignored."""
        found = [
            (pattern, one)
            for one in self.virtual_services
            for pattern in one.hosts
            if host_matches(pattern, host) and is_exported(one.export_to, one.identity.namespace, caller.namespace)
        ]
        found.sort(key=lambda pair: (pair[0].startswith("*"), -len(pair[0]), pair[1].identity.age))
        return found[0][1] if found else None

    # ---- what is behind a destination -------------------------------------------------------------------------------

    def _ports(self, host: str) -> ClusterPorts | None:
        if (workload := self.workloads.get(host)) is not None:
            return {port.number: port.is_http for port in workload.ports}
        for entry in self.entries:
            if host in entry.hosts:
                return {port.number: port.protocol in HTTP for port in entry.ports}
        return None

    def backends(self, caller: Caller, destination: Destination) -> tuple[Mapping[str, str], ...]:
        """The labels of the pods that may serve a destination, with the sidecar's view of it; none means 503."""
        ports = self._ports(destination.host)
        if ports is None or destination.port not in ports:
            return ()
        wanted: Mapping[str, str] = {}
        if destination.subset is not None:
            rule = self.rule(caller, destination.host)
            if rule is None or destination.subset not in rule.subsets:
                return ()
            wanted = rule.subsets[destination.subset]
        workload = self.workloads.get(destination.host)
        if workload is not None:
            return tuple(labels for labels in workload.pods() if is_subset(wanted, labels))
        entry = next(one for one in self.entries if destination.host in one.hosts)
        if entry.resolution == "NONE":
            # A cluster that connects to where the application wanted to; labels of a subset do not choose there.
            return ({},)
        return tuple(labels for labels in entry.endpoints or ({},) if is_subset(wanted, labels))

    def rule(self, caller: Caller, host: str) -> DestinationRule | None:
        """The DestinationRule that a caller's sidecar has for a host."""
        workload = self.workloads.get(host)
        entry = next((one for one in self.entries if host in one.hosts), None)
        owner = workload.namespace if workload is not None else entry.identity.namespace if entry is not None else ""
        return find_rule(
            self.destination_rules,
            host,
            caller=caller.namespace,
            owner=owner,
            root=self.settings.root_namespace,
        )

    def policy(self, caller: Caller, destination: Destination) -> Policy:
        """The trafficPolicy of a destination: of its subset's, the blocks that are there; of its port's settings, all."""
        rule = self.rule(caller, destination.host)
        if rule is None:
            return Policy()
        base = (rule.policy or Policy()).at(destination.port)
        own = rule.subset_policies.get(destination.subset or "")
        if own is None:
            return base
        own = own.at(destination.port)
        return Policy(
            tls=own.tls or base.tls,
            balancer=own.balancer or base.balancer,
            outlier=own.outlier or base.outlier,
            pool=own.pool or base.pool,
        )
