"""Services that configuration names and nobody has declared: each sidecar is one, with a port for each inbound listener."""

from collections.abc import Sequence
from dataclasses import replace

from meshc import ir
from meshc.addresses import FIRST_INBOUND_PORT
from meshc_envoy.read.bootstraps import Sidecar
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import Notes

_NAMED = "a sidecar's node id is its service's namespace and name"
_NUMBERED = "an inbound listener is called by its service's port, `inbound/<port>`"


def discovered(known: ir.Mesh, sidecars: Sequence[Sidecar], notes: Notes) -> ir.Mesh:
    """The known mesh with the services of all further sidecars."""
    names = {(one.namespace, one.name) for one in known.workloads}
    found: list[ir.Workload] = []
    for car in sidecars:
        namespace, slash, name = car.node.partition("/")
        if slash and namespace and name and (namespace, name) not in names:
            names.add((namespace, name))
            notes.assume(_NAMED, car.message.place("node"))
            found.append(_workload(known, car, namespace, name, notes))
    workloads = sorted((*known.workloads, *found), key=lambda one: (one.namespace, one.name))
    return replace(known, workloads=tuple(workloads)) if found else known


def _workload(known: ir.Mesh, car: Sidecar, namespace: str, name: str, notes: Notes) -> ir.Workload:
    numbers = sorted(number for one in car.listeners if (number := _number(one)) is not None)
    if numbers:
        notes.assume(_NUMBERED, car.message.place("static_resources", "listeners"))
    return ir.Workload(
        namespace=namespace,
        name=name,
        service_account=name,
        identity=f"spiffe://{known.trust_domain}/ns/{namespace}/sa/{name}",
        labels={"app": name},
        discovery=ir.Discovery.KUBERNETES,
        ports=tuple(_port(number, car.message) for number in numbers),
        span=car.message.span,
    )


def _number(listener: Message) -> int | None:
    name = listener.text("name")
    address = listener.need("address").message("socket_address")
    bound = None if address is None else address.whole("port_value")
    number = name.removeprefix("inbound/")
    is_ours = name != number and number.isdecimal() and bound is not None and bound >= FIRST_INBOUND_PORT
    return int(number) if is_ours else None


def _port(number: int, message: Message) -> ir.PortPolicy:
    return ir.PortPolicy(
        number=number,
        protocol=ir.Protocol.HTTP,
        target=number,
        name=None,
        mtls=ir.MtlsMode.PERMISSIVE,
        access=(),
        settings=ir.Settings(),
        span=message.span,
    )
