"""Objects for hosts that are none of the known ones: said of those that stand among known services, and of hosts within a known wildcard.

An object of a namespace that no known service is in is passed over: a cluster holds many that say nothing of the services that are asked of.
"""

from collections.abc import Iterable, Mapping, Sequence

from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import mapping, texts
from meshc_istio.directory import covers, is_wildcard
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.matching import MESH_GATEWAY
from meshc_istio.read.world import World

_ASPECTS = {"VirtualService": (Aspect.ACCESS, Aspect.ROUTING, Aspect.SETTINGS), "DestinationRule": (Aspect.SETTINGS,)}


def check_strangers(objects: Mapping[str, Sequence[ConfigObject]], world: World, account: Account) -> None:
    """Say of each such object that it is not read."""
    homes = {one.namespace for one in world.mesh.workloads}
    for kind, aspects in _ASPECTS.items():
        for one in objects.get(kind, ()):
            hosts = _hosts(one, world)
            strange = [host for host in hosts if not _is_known(host, world)]
            around = tuple(dict.fromkeys((*_around(strange, world), *_called(one, strange, world)))) if strange else ()
            is_mine = (one.namespace or "default") in homes
            if around or (strange and is_mine and len(strange) == len(hosts)):
                message = f"`{one.name}`: `{strange[0]}` is none of the known hosts"
                account.not_understood(one, ("spec",), message, around, *aspects)


def _hosts(one: ConfigObject, world: World) -> tuple[str, ...]:
    """The hosts that callers in the mesh know an object by."""
    spec = mapping(one.data.get("spec"))
    gateways, host = texts(spec.get("gateways")), spec.get("host")
    if gateways and MESH_GATEWAY not in gateways:
        return ()
    listed = (*texts(spec.get("hosts")), *((host,) if isinstance(host, str) else ()))
    return tuple(world.full(name, one.namespace or "default") for name in listed)


def _is_known(host: str, world: World) -> bool:
    """Whether a host is a known one, or a wildcard that holds one."""
    return host in world.hosts or (host.startswith("*") and any(name.endswith(host[1:]) for name in world.hosts))


def _called(one: ConfigObject, hosts: Iterable[str], world: World) -> Iterable[PortKey]:
    """The ports of services that callers may call by a host that is not their full name, which routes do not go by."""
    for service in world.mesh.workloads if one.kind == "VirtualService" else ():
        short = f"{service.name}.{service.namespace}"
        if not {short, f"{short}.svc"}.isdisjoint(hosts):
            yield from world.keys(service)


def _around(hosts: Iterable[str], world: World) -> Iterable[PortKey]:
    """The ports of externals of which a host is a part, by a wildcard of theirs."""
    for name, owner in world.hosts.items():
        if is_wildcard(name) and any(covers(name, host) for host in hosts):
            yield from world.keys(owner)
