"""Groups: the same callers named more than once get a name."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc import ir
from meshc.semantics.show import Names, identity_names, show_principals

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

    def declarations(self) -> Iterator[str]:
        """The groups as they are declared."""
        for members, name in self.declared.items():
            yield f"group {name} = {members}\n"


def find_groups(mesh: ir.Mesh) -> Groups:
    """The groups of a mesh, numbered in the order of its services."""
    names = _short_names(mesh)
    rules = (rule for one in mesh.workloads for port in one.ports for stage in port.access for rule in stage.rules)
    uses = Counter(
        show_principals(rule.principals, names)
        for rule in rules
        if len(rule.principals.include) >= LEAST and not rule.principals.exclude
    )
    often = [members for members, count in uses.items() if count >= LEAST]
    return Groups(names, {members: f"callers-{number}" for number, members in enumerate(often, 1)})


def _short_names(mesh: ir.Mesh) -> Names:
    """Services by their own names, where no other namespace has one of that name."""
    count = Counter(one.name for one in mesh.workloads)
    short = {f"{one.namespace}.{one.name}": one.name for one in mesh.workloads if count[one.name] == 1}
    return {
        identity: ", ".join(short.get(part, part) for part in shown.split(", "))
        for identity, shown in identity_names(mesh).items()
    }
