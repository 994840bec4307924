"""Re-run requests: `decide` for one port, with no more of its mesh than the answer depends on."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from meshc.ir import External, Forward, Mesh, PortPolicy, Settings, Workload
from meshc.semantics.decide import Evaluator, PortKey
from meshc.semantics.regions.ports import PortSide, sides_of


def at_port(side: PortSide) -> Evaluator:
    """`decide` for requests that reach a port, whatever its callers' proxies do before."""
    return Evaluator(_with_ports(side.mesh, [replace(side, port=replace(side.port, routes=(), settings=Settings()))]))


def from_caller(side: PortSide) -> Evaluator:
    """`decide` for requests to a port: its routes, and the ports that they lead to."""
    others = sides_of(side.mesh)
    keys = dict.fromkeys(key for key in _destinations(side.port) if key != side.key)
    return Evaluator(_with_ports(side.mesh, [side, *(others[key] for key in keys if key in others)]))


def _destinations(port: PortPolicy) -> Iterator[PortKey]:
    for route in port.routes:
        if isinstance(route.action, Forward):
            yield from ((one.namespace, one.service, one.port) for one in route.action.destinations)


def _with_ports(mesh: Mesh, sides: Iterable[PortSide]) -> Mesh:
    """The mesh with these ports and no others."""
    workloads: dict[tuple[str, str], Workload] = {}
    externals: dict[tuple[str, str], External] = {}
    for side in sides:
        name = side.key[:2]
        match side.owner:
            case Workload():
                workload = workloads.setdefault(name, replace(side.owner, ports=()))
                workloads[name] = replace(workload, ports=(*workload.ports, side.port))
            case External():
                external = externals.setdefault(name, replace(side.owner, ports=()))
                externals[name] = replace(external, ports=(*external.ports, side.port))
    return replace(mesh, workloads=tuple(workloads.values()), externals=tuple(externals.values()))
