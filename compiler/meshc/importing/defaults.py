"""What all services of a mesh, or of a namespace, have in common: the mode of mTLS, and whether they are open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshc import ir
from meshc.importing.rules import is_open

Owner = ir.Workload | ir.External


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Of a scope: the mode of its workloads' ports, and whether what no rule speaks of is allowed."""

    mtls: ir.MtlsMode = ir.MtlsMode.STRICT
    is_allowed: bool = False

    def lines(self, outer: "Defaults") -> Iterator[str]:
        """What the scope says that the one around does not."""
        if self.is_allowed is not outer.is_allowed:
            yield f"default access {'allow' if self.is_allowed else 'deny'}"
        if self.mtls is not outer.mtls:
            yield f"mtls {self.mtls.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllDefaults:
    """Those of the mesh and of its namespaces."""

    mesh: Defaults
    namespaces: Mapping[str, Defaults]


def find_defaults(mesh: ir.Mesh) -> AllDefaults:
    """Defaults that hold for every port of their scope, the safe ones where its ports differ.

    A namespace is open by default only where all of its ports are, so that no default opens what was closed.
    """
    owners: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    whole = _defaults(owners, Defaults())
    names = sorted({one.namespace for one in owners})
    namespaces = {name: _defaults([one for one in owners if one.namespace == name], whole) for name in names}
    return AllDefaults(mesh=whole, namespaces=namespaces)


def _defaults(owners: Sequence[Owner], outer: Defaults) -> Defaults:
    ports = [port for one in owners for port in one.ports]
    workloads = [one for one in owners if isinstance(one, ir.Workload)]
    # What passes TLS through has no mTLS of the mesh.
    modes = {port.mtls for one in workloads for port in one.ports if port.protocol is not ir.Protocol.TLS}
    return Defaults(
        mtls=modes.pop() if len(modes) == 1 else outer.mtls,
        is_allowed=bool(ports) and all(map(is_open, ports)),
    )
