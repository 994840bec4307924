"""ServiceEntries: what callers' proxies know outside the mesh, host by host, and who knows it.

An entry of another kind than an external is not understood, and neither are hosts of which several entries say different things. Source:
Istio's API reference, ServiceEntry; `exportTo` and its default are those of services.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping, texts
from meshc.target import Json
from meshc_istio.directory import is_wildcard
from meshc_istio.read.account import Account
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.service_exports import Exported, default_export, exported
from meshc_istio.read.world import World

_PROTOCOLS: Final = {
    "HTTP": ir.Protocol.HTTP,
    "HTTP2": ir.Protocol.HTTP2,
    "GRPC": ir.Protocol.GRPC,
    "HTTPS": ir.Protocol.TLS,
    "TLS": ir.Protocol.TLS,
    "TCP": ir.Protocol.TCP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A port of a ServiceEntry. `target` is the one that callers' proxies connect to."""

    object: ConfigObject
    target: int
    protocol: ir.Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A ServiceEntry: its ports by number, and the namespaces whose callers know it, None for all."""

    object: ConfigObject
    hosts: tuple[str, ...]
    ports: Mapping[int, Entry]
    exported: Exported

    def says_as(self, other: "Declared") -> bool:
        """Whether both have the same ports."""
        mine, others = (
            {number: (port.target, port.protocol) for number, port in one.ports.items()} for one in (self, other)
        )
        return mine == others


@dataclass(slots=True)
class Entries:
    """All ServiceEntries that can be read, and by host; `unread` are those of each host that cannot."""

    listed: dict[tuple[str, str], Declared] = field(default_factory=dict)
    by_host: dict[str, list[Declared]] = field(default_factory=dict)
    unread: dict[str, ConfigObject] = field(default_factory=dict)

    def entry(self, host: str, number: int) -> Entry | None:
        """The port of a host. Raises NotReadError where it cannot be told."""
        said = self.by_host.get(host, [])
        if host in self.unread or any(not one.says_as(said[0]) for one in said[1:]):
            raise NotReadError(f"`{host}`, of which not all ServiceEntries are understood to say the same,")
        return said[0].ports.get(number) if said else None

    def object(self, hosts: Iterable[str]) -> ConfigObject | None:
        """An entry that names some of these hosts."""
        for host in hosts:
            if host in self.by_host or host in self.unread:
                return self.by_host[host][0].object if host in self.by_host else self.unread[host]
        return None

    def exported(self, host: str) -> Exported:
        """Whose callers know a host."""
        said = [one.exported for one in self.by_host.get(host, ())]
        return None if None in said else frozenset(name for one in said for name in one or ())


def read_entries(
    objects: Iterable[ConfigObject], known: ir.Mesh, settings: Mapping[str, Json], account: Account
) -> Entries:
    """All that can be read of them; `settings` is MeshConfig."""
    found, world = Entries(), World(known)
    for one in objects:
        home = one.namespace or "default"
        try:
            if (home, one.name) in found.listed:
                raise NotReadError("an object that is given twice", ("metadata",))  # noqa: TRY301
            declared = _declared_by(one, settings, home)
            _check_hosts(declared, world)
        except NotReadError as error:
            hosts = [host.lower() for host in texts(mapping(one.data.get("spec")).get("hosts"))]
            owners = [owner for host in hosts if (owner := world.hosts.get(host)) is not None]
            ports = tuple(dict.fromkeys(key for owner in owners for key in world.keys(owner)))
            account.not_understood(one, error.steps, f"`{one.name}`: {error} cannot be said", ports, *Aspect)
            found.unread |= dict.fromkeys(hosts, one)
            continue
        found.listed[home, one.name] = declared
        for host in declared.hosts:
            found.by_host.setdefault(host, []).append(declared)
    return found


def _check_hosts(declared: Declared, world: World) -> None:
    for host in declared.hosts:
        if isinstance(world.hosts.get(host), ir.Workload):
            raise NotReadError(f"`{host}`, which is a service of the mesh,", ("spec", "hosts"))


def _declared_by(one: ConfigObject, settings: Mapping[str, Json], home: str) -> Declared:
    spec = Fields(one, ("spec",), one.data.get("spec"))
    hosts, resolution = tuple(host.lower() for host in spec.texts("hosts")), spec.text("resolution") or "NONE"
    if not hosts:
        raise spec.error("a ServiceEntry without hosts", "hosts")
    if spec.text("location") not in {None, "MESH_EXTERNAL"}:
        raise spec.error("a service of the mesh that is declared by hand", "location")
    listed = spec.texts("exportTo")
    allowed = {"NONE", "DYNAMIC_DNS"} if any(map(is_wildcard, hosts)) else {"DNS", "DNS_ROUND_ROBIN"}
    if resolution not in allowed:
        raise spec.error(f"the resolution `{resolution}`", "resolution")
    ports = dict(named := list(_ports(spec.items("ports"))))
    spec.finish()
    if len(ports) < len(named):
        raise spec.error("a port that is named twice", "ports")
    if len(hosts) > 1 and any(one.protocol is ir.Protocol.TCP for one in ports.values()):
        raise spec.error("connections to one of several hosts, which Istio cannot tell,", "hosts")
    seen = exported(listed, home) if listed else default_export(settings, home)
    return Declared(object=one, hosts=hosts, ports=ports, exported=seen)


def _ports(listed: Iterable[Fields]) -> Iterator[tuple[int, Entry]]:
    for port in listed:
        number, target = port.whole("number"), port.whole("targetPort")
        name, word = port.text("name"), (port.text("protocol") or "").upper()
        port.finish()
        if number is None or not name:
            raise port.error("a port without a number or a name, which is refused,")
        if word not in _PROTOCOLS:
            raise port.error(
                f"a port of the protocol `{word}`" if word else "a port whose protocol is found out by its calls"
            )
        yield number, Entry(object=port.where, target=target or number, protocol=_PROTOCOLS[word])


def discovered(known: ir.Mesh, entries: Entries, verified: Collection[tuple[str, int | None]]) -> ir.Mesh:
    """The mesh with the externals that entries name and nothing else does; `verified` are the ports that callers speak TLS to."""
    hosts = {host for one in known.externals for host in one.hosts}
    owners: tuple[ir.Workload | ir.External, ...] = (*known.workloads, *known.externals)
    names = {(one.namespace, one.name) for one in owners}
    found: list[ir.External] = []
    for (namespace, name), declared in sorted(entries.listed.items()):
        left = tuple(host for host in dict.fromkeys(declared.hosts) if host not in hosts)
        if not left or not declared.ports:
            continue
        hosts |= {*left}
        free = next(one for one in _names(name) if (namespace, one) not in names)
        names.add((namespace, free))
        span = declared.object.span("spec")
        made = [_declared(number, port, left[0], verified) for number, port in sorted(declared.ports.items())]
        # Of two with one number that counts for which proxies originate TLS; `check_ports` names the other.
        made.sort(key=lambda one: (one.protocol is ir.Protocol.HTTPS, one.number))
        listed = tuple(sorted({one.number: one for one in made}.values(), key=lambda one: one.number))
        found.append(ir.External(namespace=namespace, name=free, hosts=left, ports=listed, span=span))
    everything = sorted((*known.externals, *found), key=lambda one: (one.namespace, one.name))
    return replace(known, externals=tuple(everything)) if found else known


def check_ports(mesh: ir.Mesh, entries: Entries, account: Account) -> None:
    """Say of each port that entries name, and no external of the mesh has."""
    world = World(mesh)
    for host, said in entries.by_host.items():
        owner = world.hosts.get(host)
        if owner is None:
            continue
        for one, number in ((declared, number) for declared in said for number in declared.ports):
            if world.port(owner, number) is None:
                message = f"port {number} of `{host}`, which is none of the ports of `{owner.name}`,"
                account.not_understood(one.object, ("spec", "ports"), f"{message} cannot be said", (), *Aspect)


def _names(name: str) -> Iterator[str]:
    """What an external may be called whose entry has a name: that, if no service has it."""
    yield name
    yield f"{name}-external"
    yield from (f"{name}-external-{number}" for number in count(2))


def _declared(called: int, entry: Entry, host: str, verified: Collection[tuple[str, int | None]]) -> ir.PortPolicy:
    is_https = (host, called) in verified or (entry.protocol.is_http and (host, None) in verified)
    number = entry.target if is_https else called
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
