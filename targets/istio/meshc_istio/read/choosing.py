"""Which of several objects holds for a host: one VirtualService, the oldest; the DestinationRules of the nearest namespace.

Source: the API reference; `pilot/pkg/model/destination_rule.go`, `push_context.go`. VirtualServices for one host are not merged for
sidecars. DestinationRules are looked for in the namespace of the caller, then of the service, then in the root namespace.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import mapping, texts
from meshc_istio.read.account import Account
from meshc_istio.read.matching import MESH_GATEWAY
from meshc_istio.read.policies import speaks
from meshc_istio.read.world import World


@dataclass(slots=True)
class ByHost:
    """Objects by the hosts that they are for; `wild` are those for wildcards, without their star."""

    exact: dict[str, list[ConfigObject]] = field(default_factory=dict)
    wild: dict[str, list[ConfigObject]] = field(default_factory=dict)

    def add(self, host: str, one: ConfigObject) -> None:
        """Take an object in under a host."""
        if host.startswith("*"):
            self.wild.setdefault(host[1:], []).append(one)
        self.exact.setdefault(host, []).append(one)

    def of(self, host: str) -> list[ConfigObject]:
        """The objects of the most specific host that is or holds this one."""
        if host in self.exact:
            return self.exact[host]
        held = [end for end in self.wild if host.endswith(end) and len(host) > len(end)]
        return self.wild[max(held, key=len)] if held else []


def services_by_host(objects: Iterable[ConfigObject], world: World) -> tuple[ByHost, list[ConfigObject]]:
    """The VirtualServices that sidecars heed, by host; and those that they do not, or that name no host."""
    found, others = ByHost(), []
    for one in objects:
        spec = mapping(one.data.get("spec"))
        gateways, hosts = texts(spec.get("gateways")), texts(spec.get("hosts"))
        if gateways and MESH_GATEWAY not in gateways:
            others.append(one)
            continue
        for host in dict.fromkeys(world.full(name, one.namespace or "default") for name in hosts):
            found.add(host, one)
    return found, others


def rules_by_host(objects: Iterable[ConfigObject], world: World) -> dict[str, ByHost]:
    """DestinationRules by the namespace that they stand in, and by host."""
    found: dict[str, ByHost] = {}
    for one in objects:
        host, home = mapping(one.data.get("spec")).get("host"), one.namespace or "default"
        if isinstance(host, str):
            found.setdefault(home, ByHost()).add(world.full(host, home), one)
    return found


def for_everybody(
    rules: Iterable[ConfigObject], world: World, account: Account
) -> tuple[list[ConfigObject], frozenset[str]]:
    """The DestinationRules that are for all workloads of their callers' namespaces, and hosts with subsets in others.

    Says what these others make unknown.
    """
    found: list[ConfigObject] = []
    partial: set[str] = set()
    for one in rules:
        spec = mapping(one.data.get("spec"))
        if spec.get("workloadSelector") is None:
            found.append(one)
            continue
        labels = {
            key: str(value) for key, value in mapping(mapping(spec["workloadSelector"]).get("matchLabels")).items()
        }
        home, host = one.namespace or "default", spec.get("host")
        full = world.full(host, home) if isinstance(host, str) else ""
        hosts = [
            name
            for name in world.hosts
            if full and (name == full or (full.startswith("*") and name.endswith(full[1:])))
        ]
        callers = [
            each for each in world.mesh.workloads if each.namespace == home and world.pods.are_on_some(labels, each)
        ]
        if hosts and callers:
            partial |= {*hosts} if spec.get("subsets") else set()
            ports = tuple(dict.fromkeys(key for name in hosts for key in world.keys(world.hosts[name])))
            aspects = [Aspect.SETTINGS, *([Aspect.ROUTING] if spec.get("subsets") else [])]
            message = f"`{one.name}`: what holds for calls of some workloads alone cannot be said"
            account.not_understood(
                one, ("spec", "workloadSelector"), message, ports, *(Aspect if speaks(spec) else aspects)
            )
    return found, frozenset(partial)


def age(one: ConfigObject) -> str:
    """When an object was made; an empty text where that is not said."""
    made = mapping(one.data.get("metadata")).get("creationTimestamp")
    return made if isinstance(made, str) else ""


def oldest(objects: list[ConfigObject]) -> ConfigObject | None:
    """The oldest one; None if that cannot be told."""
    if len(objects) == 1:
        return objects[0]
    ages = sorted((age(one), place) for place, one in enumerate(objects))
    return None if not ages or not ages[0][0] or ages[0][0] == ages[1][0] else objects[ages[0][1]]
