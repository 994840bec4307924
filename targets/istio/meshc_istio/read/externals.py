"""Services outside the mesh: ServiceEntries, with the routes and rules of their hosts.

Each host is read by itself, and an external of several hosts has them all. What a ServiceEntry does not name is not known to callers'
proxies. Source: Istio's API reference, ServiceEntry; DestinationRule for TLS that callers originate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect
from meshc.reading.plain import mapping
from meshc.target import Json
from meshc_istio.directory import called_number, is_wildcard
from meshc_istio.read.account import PLAIN_CALLS, VERIFIED, Account
from meshc_istio.read.entries import Entries
from meshc_istio.read.fields import NotReadError
from meshc_istio.read.policies import Policy
from meshc_istio.read.refusals import as_access, only_of, refusal
from meshc_istio.read.traffic import Traffic

_SYSTEM: Final = "system"
_REGISTRY_ONLY: Final = "REGISTRY_ONLY"


@dataclass(slots=True)
class Externals:
    """Reads the ports of externals."""

    traffic: Traffic
    entries: Entries
    settings: Mapping[str, Json] | None
    """MeshConfig; None where it is not given."""

    account: Account

    def external(self, external: ir.External) -> ir.External:
        """An external with the rules, routes and settings of its ports."""
        return replace(external, ports=tuple(self._port(external, one) for one in external.ports))

    def _port(self, external: ir.External, port: ir.PortPolicy) -> ir.PortPolicy:
        made = {
            host: self.traffic.port(external, port, host, is_routed=self._is_routed(external, port, host))
            for host in external.hosts
        }
        settings: dict[str, ir.Settings] = {}
        for host in external.hosts:
            try:
                self._check_entry(external, port, host)
                settings[host] = self._settings(external, port, host)
            except NotReadError as error:
                self._unread(external, port, str(error))
        routes = _together({host: one.routes for host, one in made.items()})
        plain = [one for host, one in settings.items() if not is_wildcard(host)]
        chosen = next(iter((*plain, *settings.values())), ir.Settings())
        for host, one in settings.items():
            same = replace(chosen, load_balance=None, locality=None) if is_wildcard(host) else chosen
            if one != same:
                self._unread(external, port, "settings that hosts of one external differ in")
        return self._limited(external, replace(port, routes=routes, settings=chosen))

    def _limited(self, external: ir.External, port: ir.PortPolicy) -> ir.PortPolicy:
        """The port with rules in the place of refusals, and of what callers in some namespaces do not know at all."""
        made = as_access(external, port)
        seen = {self.entries.exported(host) for host in external.hosts if host in self.entries.by_host}
        if len(seen) > 1:
            self._unread(external, port, "hosts of one external that are exported to different namespaces")
        namespaces = next(iter(seen), None)
        if namespaces is None:
            return made
        mode = None if self.settings is None else mapping(self.settings.get("outboundTrafficPolicy")).get("mode")
        if self.settings is not None and mode != _REGISTRY_ONLY:
            self._unread(external, port, "an external that callers in other namespaces get to without knowing it")
        trust_domain = self.traffic.world.mesh.trust_domain
        known = (only_of(one, trust_domain, name) for name in sorted(namespaces) for one in port.routes)
        routes = (*(one for one in known if one is not None), refusal(external.span))
        return replace(made, access=as_access(external, replace(port, routes=routes)).access)

    def _is_routed(self, external: ir.External, port: ir.PortPolicy, host: str) -> bool:
        """Whether routes of requests hold: not where applications are to speak TLS of their own."""
        said = self.entries.by_host.get(host)
        entry = said[0].ports.get(called_number(external, port)) if said else None
        return entry is None or not port.protocol.is_http or entry.protocol.is_http

    def _check_entry(self, external: ir.External, port: ir.PortPolicy, host: str) -> None:
        number = called_number(external, port)
        entry = self.entries.entry(host, number)
        if entry is None:
            raise NotReadError(f"port {number} of `{host}`, which no ServiceEntry that is read names,")
        is_https = port.protocol is ir.Protocol.HTTPS
        spoken = entry.protocol.is_http if port.protocol.is_http else entry.protocol is port.protocol
        if is_https and entry.protocol is ir.Protocol.TLS:
            # TLS of the application's own would be put into the proxy's.
            self.account.taken_for_granted(PLAIN_CALLS, entry.object, "spec")
            spoken = True
        if entry.target != port.number or not spoken:
            kind = "HTTP" if is_https else port.protocol.value
            raise NotReadError(f"port {number} of `{host}`, which is not of {kind} to port {port.number},")

    def _settings(self, external: ir.External, port: ir.PortPolicy, host: str) -> ir.Settings:
        policy = self.traffic.destinations.of(host).policy(called_number(external, port))
        settings = policy.settings
        if is_wildcard(host):
            # Callers' proxies connect to wherever the application wanted to.
            settings = replace(settings, load_balance=None, locality=None)
        if port.protocol is not ir.Protocol.HTTPS:
            if policy.tls is not None and policy.tls.mode != "DISABLE":
                raise NotReadError(f"TLS that callers originate to port {port.number}")
            return settings
        return self._originated(settings, policy, host, external)

    def _originated(self, settings: ir.Settings, policy: Policy, host: str, external: ir.External) -> ir.Settings:
        tls = policy.tls
        if tls is None or tls.mode != "SIMPLE":
            raise NotReadError(f"calls to `{host}` without TLS that verifies the server")
        name = tls.sni or host
        if tls.authorities is None or not tls.names:
            rule = self.traffic.destinations.objects(host)
            self.account.taken_for_granted(VERIFIED, rule[0], "spec")
        if tls.names not in {(), (name,)}:
            raise NotReadError(f"servers that are verified for other names than `{name}`")
        is_plain = name == host or external.hosts == (name,)
        authorities = None if tls.authorities in {None, _SYSTEM} else tls.authorities
        return replace(settings, tls_sni=None if is_plain else name, tls_ca_file=authorities)

    def _unread(self, external: ir.External, port: ir.PortPolicy, what: str) -> None:
        key = (external.namespace, external.name, port.number)
        one = self.entries.object(external.hosts)
        if one is None:
            self.account.missing(f"{what} cannot be said", key, external.span, *Aspect)
        else:
            self.account.not_understood(one, ("spec",), f"{what} cannot be said", (key,), *Aspect)


def _together(by_host: dict[str, tuple[ir.Route, ...]]) -> tuple[ir.Route, ...]:
    """One list for all hosts; where they differ, each route asks for its host."""
    lists = list(by_host.values())
    if all(one == lists[0] for one in lists):
        return lists[0]
    found: list[ir.Route] = []
    for host in sorted(by_host, key=lambda one: (is_wildcard(one), -len(one))):
        test = ir.HostIs(ir.EndsWith(host[1:]) if is_wildcard(host) else ir.Equals(host))
        found += (replace(one, condition=ir.AllOf((test, one.condition))) for one in by_host[host])
    return (*found, lists[0][-1])
