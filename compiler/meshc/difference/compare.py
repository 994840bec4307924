"""Compare two programs: every port, every service and the mesh itself, and all that differs as values.

Ports that say the same are told by comparing what they say, in whichever order. Only what is left is compared by meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from meshc.difference.access import access_regions
from meshc.difference.conditional import limit_changes, log_changes
from meshc.difference.declared import Sides, mesh_changes, port_changes, service_changes
from meshc.difference.model import Difference, Presence, SettingChange, Side, Subject, SubjectDifference, Undecided
from meshc.difference.naming import naming_of
from meshc.difference.ports import Ports, pair_ports
from meshc.difference.routing import routing_differences
from meshc.difference.shadows import shadow_changes
from meshc.ir import External, Workload
from meshc.semantics.regions.alike import is_alike
from meshc.semantics.regions.ports import PortSide, sides_of

Owner = Workload | External

Known = dict[object, SubjectDifference]
"""What was found of two ports, by all that it depends on."""


@dataclass(slots=True)
class Comparer:
    """Compares pairs of programs. What was found of two ports is kept: most environments change few of them."""

    _known: Known = field(default_factory=dict)

    def compare(self, old: Side, new: Side) -> Difference:
        """All that differs, by subject in order of their names."""
        return _Comparison(old, new, self._known).all()


class _Comparison:
    def __init__(self, old: Side, new: Side, known: Known) -> None:
        self._sides = Sides(old=old, new=new)
        self._naming = naming_of(old, new)
        self._known = known
        self._names = repr((sorted(self._naming.names.items()), sorted(self._naming.groups.items())))

    def all(self) -> Difference:
        old, new = sides_of(self._sides.old.mesh), sides_of(self._sides.new.mesh)
        keys = sorted(old.keys() | new.keys())
        found = [self._mesh(), *self._services()]
        found += (self._port(*pair) for key in keys if _may_differ(*(pair := (old.get(key), new.get(key)))))
        changed = [one for one in found if not one.is_empty]
        return Difference(subjects=tuple(sorted(changed, key=lambda one: str(one.subject))), compared=len(keys))

    # ---- the mesh and its services ----------------------------------------------------------------------------------

    def _mesh(self) -> SubjectDifference:
        return SubjectDifference(subject=Subject(), kind="", settings=mesh_changes(self._sides))

    def _services(self) -> Iterator[SubjectDifference]:
        """What is declared of each service; one that only one side has, with ports, is told by these."""
        before, after = _owners(self._sides.old), _owners(self._sides.new)
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old is not None and new is not None:
                if old != new:
                    yield self._service(old, new)
            elif new is not None and not new.ports:
                yield self._lone(new, Presence.ADDED)
            elif old is not None and not old.ports:
                yield self._lone(old, Presence.REMOVED)

    def _service(self, old: Owner, new: Owner) -> SubjectDifference:
        logs: tuple[SettingChange, ...] = ()
        undecided: tuple[Undecided, ...] = ()
        if isinstance(old, Workload) and isinstance(new, Workload):
            logs, undecided = log_changes(self._sides, old, new)
        return SubjectDifference(
            subject=_subject(new),
            kind=_kind(new),
            settings=(*service_changes(self._sides, old, new), *logs),
            undecided=undecided,
            old_place=self._sides.old.place(old.span),
            new_place=self._sides.new.place(new.span),
        )

    def _lone(self, owner: Owner, presence: Presence) -> SubjectDifference:
        is_new = presence is Presence.ADDED
        return SubjectDifference(
            subject=_subject(owner),
            kind=_kind(owner),
            presence=presence,
            old_place=None if is_new else self._sides.old.place(owner.span),
            new_place=self._sides.new.place(owner.span) if is_new else None,
        )

    # ---- ports ------------------------------------------------------------------------------------------------------

    def _port(self, old: PortSide | None, new: PortSide | None) -> SubjectDifference:
        ports = pair_ports(old, new, (self._sides.old, self._sides.new), self._naming)
        bare = SubjectDifference(
            subject=Subject(namespace=ports.new.key[0], service=ports.new.key[1], port=ports.new.key[2]),
            kind=_port_kind(ports),
            presence=ports.presence,
            old_place=None if old is None else self._sides.old.place(old.port.span),
            new_place=None if new is None else self._sides.new.place(new.port.span),
        )
        key = (ports.presence, _depends_on(ports.old), _depends_on(ports.new), self._names)
        if key not in self._known:
            self._known[key] = self._compared(ports, bare)
        return self._known[key]

    def _compared(self, ports: Ports, bare: SubjectDifference) -> SubjectDifference:
        regions, open_access = access_regions(ports)
        routing = routing_differences(ports)
        limits, open_limits = limit_changes(ports)
        shadows, open_shadows = shadow_changes(ports)
        declared = port_changes(self._sides, ports.old.port, ports.new.port)
        return replace(
            bare,
            regions=(*regions, *routing.regions),
            settings=(*declared, *routing.settings, *limits, *shadows),
            undecided=(*open_access, *routing.undecided, *open_limits, *open_shadows),
        )


def _may_differ(old: PortSide | None, new: PortSide | None) -> bool:
    """Whether two ports say anything else, or only one is there."""
    if old is None or new is None:
        return True
    if _depends_on(old) == _depends_on(new):
        return False
    return _depends_on(_with_shadows_alone(old)) != _depends_on(_with_shadows_alone(new)) or not is_alike(old, new)


def _with_shadows_alone(side: PortSide) -> PortSide:
    """The port without the stages that decide, which are compared by what they let through."""
    shadows = tuple(stage for stage in side.port.access if stage.shadow)
    return replace(side, port=replace(side.port, access=shadows))


def _depends_on(side: PortSide) -> tuple[object, ...]:
    """All that what is said of a port depends on. Places are no part of it."""
    mesh = side.mesh
    hosts = side.owner.hosts if isinstance(side.owner, External) else None
    return side.key, hosts, side.port, mesh.trust_domains, mesh.trusted_hops


def _owners(side: Side) -> dict[tuple[str, str], Owner]:
    owners: tuple[Owner, ...] = (*side.mesh.workloads, *side.mesh.externals)
    return {(one.namespace, one.name): one for one in owners}


def _subject(owner: Owner) -> Subject:
    return Subject(namespace=owner.namespace, service=owner.name)


def _kind(owner: Owner) -> str:
    return "service" if isinstance(owner, Workload) else "external"


def _port_kind(ports: Ports) -> str:
    kinds = dict.fromkeys(side.port.protocol.value for side in (ports.old, ports.new))
    external = "external " if ports.new.is_external else ""
    return f"{external}{' to '.join(kinds)} port"
