"""Groups: the same callers named more than once get a name."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc import ir
from meshc.semantics.show import Names, show_principals

LEAST: int = 2
"""Members, and uses, of what becomes a group."""


@dataclass(frozen=True, slots=True)
class Groups:
    """How callers are called, and the groups that there are: by their members, as they are written."""

    names: Names
    declared: Mapping[str, str]

    def shortened(self, principals: ir.Principals, rule: str) -> str:
        """The text of a rule with its callers as a group, where they are one."""
        shown = show_principals(principals, self.names)
        name = self.declared.get(shown)
        return rule if name is None else f"group {name}{rule.removeprefix(shown)}"

    def callers(self, principals: ir.Principals) -> str:
        """The callers of a route, as a group where they are one."""
        shown = show_principals(principals, self.names)
        name = self.declared.get(shown)
        return shown if name is None else f"group {name}"

    def declarations(self) -> Iterator[str]:
        """The groups as they are declared."""
        for members, name in self.declared.items():
            yield f"group {name} = {members}\n"


def find_groups(mesh: ir.Mesh, names: Names) -> Groups:
    """The groups of a mesh, numbered in the order of its services."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    ports = [port for one in owners for port in one.ports]
    named = [rule.principals for port in ports for stage in port.access for rule in stage.rules]
    named += [route.callers for port in ports for route in port.routes if route.callers is not None]
    uses = Counter(show_principals(one, names) for one in named if len(one.include) >= LEAST and not one.exclude)
    often = [members for members, count in uses.items() if count >= LEAST]
    return Groups(names, {members: f"callers-{number}" for number, members in enumerate(often, 1)})
