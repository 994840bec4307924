"""Groups: the same callers named more than once get a name."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc import ir
from meshc.semantics.show import Names, show_principals

LEAST: int = 2
"""Members, and uses, of what becomes a group."""
MOST_NAMED: int = 2
"""Services that the name of a group names."""


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
    """The groups of a mesh, called by the services that they call, in the order of these."""
    uses: dict[str, list[str]] = {}
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for owner in owners:
        for one in _named(owner):
            if len(one.include) >= LEAST and not one.exclude:
                uses.setdefault(show_principals(one, names), []).append(owner.name)
    often = {members: tuple(dict.fromkeys(called)) for members, called in uses.items() if len(called) >= LEAST}
    count: Counter[str] = Counter()
    declared: dict[str, str] = {}
    for members, called in often.items():
        name = _name(called)
        count[name] += 1
        declared[members] = name if count[name] == 1 else f"{name}-{count[name]}"
    return Groups(names, declared)


def _named(owner: ir.Workload | ir.External) -> Iterator[ir.Principals]:
    for port in owner.ports:
        yield from (rule.principals for stage in port.access for rule in stage.rules)
        yield from (route.callers for route in port.routes if route.callers is not None)


def _name(called: tuple[str, ...]) -> str:
    """What callers of some services are called as a group."""
    shown = called if len(called) <= MOST_NAMED else (called[0], "others")
    return f"callers-of-{'-and-'.join(shown)}"
