"""Services outside the mesh: ServiceEntries, with the routes and rules of their hosts.

Each host is read by itself, and an external of several hosts has them all. What a ServiceEntry does not name is not known to callers'
proxies. Source: Istio's API reference, ServiceEntry; DestinationRule for TLS that callers originate.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc_istio.directory import called_number, is_wildcard
from meshc_istio.read.account import PLAIN_CALLS, VERIFIED, Account
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.policies import Policy
from meshc_istio.read.refusals import as_access
from meshc_istio.read.traffic import Traffic

_PROTOCOLS: Final = {
    "HTTP": ir.Protocol.HTTP,
    "HTTP2": ir.Protocol.HTTP2,
    "GRPC": ir.Protocol.GRPC,
    "HTTPS": ir.Protocol.TLS,
    "TLS": ir.Protocol.TLS,
    "TCP": ir.Protocol.TCP,
}
_SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A port of a ServiceEntry. `target` is the one that callers' proxies connect to."""

    object: ConfigObject
    number: int
    target: int
    name: str
    protocol: ir.Protocol
    hosts: tuple[str, ...]


@dataclass(slots=True)
class Entries:
    """The ports of all ServiceEntries, by host and number."""

    by_host: dict[str, dict[int, Entry]] = field(default_factory=dict)
    listed: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)


def read_entries(objects: Iterable[ConfigObject], account: Account) -> Entries:
    """All that can be read of them."""
    found = Entries()
    for one in objects:
        try:
            ports = tuple(_ports(one))
        except NotReadError as error:
            account.not_understood(one, error.steps, f"`{one.name}`: {error} cannot be said", (), *Aspect)
            continue
        found.listed[one.namespace or "default", one.name] = list(ports)
        for port in ports:
            for host in port.hosts:
                found.by_host.setdefault(host, {}).setdefault(port.number, port)
    return found


def _ports(one: ConfigObject) -> Iterator[Entry]:
    spec = Fields(one, ("spec",), one.data.get("spec"))
    hosts, resolution = tuple(host.lower() for host in spec.texts("hosts")), spec.text("resolution") or "NONE"
    if not hosts:
        raise spec.error("a ServiceEntry without hosts", "hosts")
    if spec.text("location") not in {None, "MESH_EXTERNAL"}:
        raise spec.error("a service of the mesh that is declared by hand", "location")
    if spec.texts("exportTo") not in {(), ("*",)}:
        raise spec.error("an external for some namespaces alone", "exportTo")
    allowed = {"NONE", "DYNAMIC_DNS"} if any(map(is_wildcard, hosts)) else {"DNS", "DNS_ROUND_ROBIN"}
    if resolution not in allowed:
        raise spec.error(f"the resolution `{resolution}`", "resolution")
    ports = spec.items("ports")
    spec.finish()
    for port in ports:
        number, target = port.whole("number"), port.whole("targetPort")
        name, word = port.text("name") or "", (port.text("protocol") or "TCP").upper()
        port.finish()
        if number is None or word not in _PROTOCOLS:
            raise port.error(f"a port of the protocol `{word}`")
        yield Entry(
            object=one, number=number, target=target or number, name=name, protocol=_PROTOCOLS[word], hosts=hosts
        )


def discovered(known: ir.Mesh, entries: Entries, verified: Collection[tuple[str, int | None]]) -> ir.Mesh:
    """The mesh with the externals that entries name and nothing else does; `verified` are the ports that callers speak TLS to."""
    hosts = {host for one in known.externals for host in one.hosts}
    names = {(one.namespace, one.name) for one in known.workloads}
    names |= {(one.namespace, one.name) for one in known.externals}
    found: list[ir.External] = []
    for (namespace, name), ports in sorted(entries.listed.items()):
        if ports and not set(ports[0].hosts) & hosts and (namespace, name) not in names:
            span = ports[0].object.span("spec")
            listed = tuple(_declared(one, verified) for one in ports)
            found.append(ir.External(namespace=namespace, name=name, hosts=ports[0].hosts, ports=listed, span=span))
    everything = sorted((*known.externals, *found), key=lambda one: (one.namespace, one.name))
    return replace(known, externals=tuple(everything)) if found else known


def _declared(entry: Entry, verified: Collection[tuple[str, int | None]]) -> ir.PortPolicy:
    host = entry.hosts[0]
    is_https = (host, entry.number) in verified or (entry.protocol.is_http and (host, None) in verified)
    number = entry.target if is_https else entry.number
    return ir.PortPolicy(
        number=number,
        protocol=ir.Protocol.HTTPS if is_https else entry.protocol,
        target=number,
        name=None,
        mtls=ir.MtlsMode.PERMISSIVE,
        access=(),
        settings=ir.Settings(),
        span=entry.object.span("spec"),
    )


def verified_ports(rules: Iterable[ConfigObject]) -> frozenset[tuple[str, int | None]]:
    """The hosts, and ports or None for all others, that DestinationRules have callers speak TLS to."""
    found: set[tuple[str, int | None]] = set()
    for one in rules:
        spec = mapping(one.data.get("spec"))
        policy = mapping(spec.get("trafficPolicy"))
        host = str(spec.get("host")).lower()
        for block in (policy, *map(mapping, items(policy.get("portLevelSettings")))):
            number = mapping(block.get("port")).get("number")
            if mapping(block.get("tls")).get("mode") in {"SIMPLE", "MUTUAL"}:
                found.add((host, number if isinstance(number, int) else None))
    return frozenset(found)


@dataclass(slots=True)
class Externals:
    """Reads the ports of externals."""

    traffic: Traffic
    entries: Entries
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
        return as_access(external, replace(port, routes=routes, settings=chosen))

    def _is_routed(self, external: ir.External, port: ir.PortPolicy, host: str) -> bool:
        """Whether routes of requests hold: not where applications are to speak TLS of their own."""
        entry = self.entries.by_host.get(host, {}).get(called_number(external, port))
        return entry is None or not port.protocol.is_http or entry.protocol.is_http

    def _check_entry(self, external: ir.External, port: ir.PortPolicy, host: str) -> None:
        number = called_number(external, port)
        entry = self.entries.by_host.get(host, {}).get(number)
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
        one = next(
            (entry.object for host in external.hosts for entry in self.entries.by_host.get(host, {}).values()), None
        )
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
