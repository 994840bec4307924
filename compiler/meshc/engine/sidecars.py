"""The sidecars of a scene: whatever runs a placed mesh and can be asked where it listens."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from meshc import ir
from meshc.diagnostics import Severity
from meshc.engine.placement import PlacedMesh
from meshc.engine.processes import Envoy, Fleet, Sidecar
from meshc.engine.translate import EngineError
from meshc.target import PlacedEmission, PortKey, Target
from meshc.yaml_printer import print_yaml


class Sidecars(Protocol):
    """All sidecars of one mesh. `inbound` and `outbound` are the ports of their listeners, as in `PlacedEmission`."""

    @property
    def inbound(self) -> Mapping[PortKey, int]: ...

    @property
    def outbound(self) -> Mapping[PortKey, int]: ...

    async def start(self, stack: AsyncExitStack) -> None:
        """Run until the stack is left. Raises EngineError and EnvoyError."""
        ...

    def check(self) -> None:
        """Raise EnvoyError or EngineError if any has ended by itself."""
        ...


class EnvoySidecars:
    """Real Envoys, which run the files of a target that emits them. Raises EngineError for a mesh that it cannot emit."""

    def __init__(self, placed: PlacedMesh, target: Target, envoy: Envoy, directory: Path) -> None:
        if target.place is None:
            raise EngineError(f"the target `{target.name}` cannot be run by Envoys on one machine")
        self.emission = _checked(target.place(placed.mesh, placed.placement))
        self._fleet = Fleet(envoy, directory / "logs")
        self._directory = directory

    @property
    def inbound(self) -> Mapping[PortKey, int]:
        return self.emission.inbound

    @property
    def outbound(self) -> Mapping[PortKey, int]:
        return self.emission.outbound

    async def start(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self._fleet)
        await self._fleet.start([self._write(document.path) for document in self.emission.emission.documents])

    def check(self) -> None:
        self._fleet.check()

    def _write(self, path: str) -> Sidecar:
        document = next(one for one in self.emission.emission.documents if one.path == path)
        file = self._directory / "envoy" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(print_yaml(resource) for resource in document.resources), encoding="utf-8")
        return Sidecar(name=path.removesuffix(".yaml").replace("/", "."), bootstrap=file)


def keys_of(mesh: ir.Mesh) -> Mapping[PortKey, tuple[ir.Workload | ir.External, ir.PortPolicy]]:
    """Every port of a mesh, with its owner."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    return {(owner.namespace, owner.name, port.number): (owner, port) for owner in owners for port in owner.ports}


def _checked(emission: PlacedEmission) -> PlacedEmission:
    errors = [one for one in emission.emission.diagnostics if one.severity is Severity.ERROR]
    if errors:
        raise EngineError(f"{errors[0].span}: {errors[0].message}")
    return emission
