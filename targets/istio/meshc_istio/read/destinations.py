"""DestinationRules of hosts: subsets as versions, and policies of ports as settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import texts
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.choosing import ByHost
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.policies import DEFAULT, Policy, read_policy
from meshc_istio.read.world import World

_BOTH = (Aspect.ROUTING, Aspect.SETTINGS)
_PLAIN = Policy(settings=DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What is said of one host: subsets by name, with the versions that they are, and policies by the number of a port."""

    subsets: Mapping[str, str | None] = field(default_factory=dict)
    policies: Mapping[int, Policy] = field(default_factory=dict)
    is_said: bool = False

    def policy(self, number: int) -> Policy:
        """The policy of a port."""
        return self.policies.get(number, _PLAIN)


NOTHING_SAID = Destination()


@dataclass(slots=True)
class Destinations:
    """The rules of a mesh, each read once."""

    rules: ByHost
    world: World
    root: str
    account: Account
    added: dict[tuple[str, str], dict[str, ir.Version]] = field(default_factory=dict)
    _known: dict[str, Destination] = field(default_factory=dict)

    def of(self, host: str) -> Destination:
        """What is said of a host."""
        if host not in self._known:
            self._known[host] = self._read(host)
        return self._known[host]

    def _read(self, host: str) -> Destination:
        owner = self.world.hosts.get(host)
        found = self.rules.of(host)
        if owner is None or not found:
            return NOTHING_SAID
        here = [one for one in found if (one.namespace or "default") == owner.namespace and self._is_for_all(one)]
        root = [one for one in found if (one.namespace or "default") == self.root and self._is_for_all(one)]
        chosen = here or root
        for one in found:
            if one not in here and one not in root:
                message = f"`{one.name}`: it is for callers of some namespaces alone"
                self._unread(one, ("spec",), message, self.world.keys(owner))
        return self._joined(owner, chosen) if chosen else NOTHING_SAID

    def _is_for_all(self, one: ConfigObject) -> bool:
        spec = one.data.get("spec")
        exported = texts(spec.get("exportTo")) if isinstance(spec, Mapping) else ()
        return not exported or exported == ("*",) or len({each.namespace for each in self.world.mesh.workloads}) <= 1

    def _joined(self, owner: Owner, chosen: list[ConfigObject]) -> Destination:
        subsets: dict[str, str | None] = {}
        policies: dict[int, Policy] = {}
        stated: ConfigObject | None = None
        for one in chosen:
            spec = self._spec(one, owner)
            if spec is None:
                continue
            policy = spec.value("trafficPolicy")
            if policy and stated is not None:
                message = f"which of `{stated.name}` and `{one.name}` holds depends on their age"
                self._unread(one, ("spec", "trafficPolicy"), message, self.world.keys(owner))
            elif policy:
                stated = one
                policies |= self._policies(spec, owner)
            for name, version in self._subsets(spec, owner).items():
                subsets.setdefault(name, version)
        return Destination(subsets=subsets, policies=policies, is_said=True)

    def _spec(self, one: ConfigObject, owner: Owner) -> Fields | None:
        try:
            spec = Fields(one, ("spec",), one.data.get("spec"))
            spec.ignore("host", "exportTo", "trafficPolicy", "subsets")
            spec.finish()
        except NotReadError as error:
            self._unread(one, error.steps, f"`{one.name}`: {error} cannot be said", self.world.keys(owner))
            return None
        return spec

    def _policies(self, spec: Fields, owner: Owner) -> Mapping[int, Policy]:
        found: dict[int, Policy] = {}
        for port in owner.ports:
            number = called_number(owner, port)
            try:
                found[number] = read_policy(spec.fields("trafficPolicy"), number)
            except NotReadError as error:
                message = f"`{spec.where.name}`: {error} cannot be said"
                self._unread(spec.where, error.steps, message, ((owner.namespace, owner.name, port.number),))
        return found

    def _subsets(self, spec: Fields, owner: Owner) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        try:
            for one in spec.items("subsets"):
                name, labels = one.text("name") or "", one.text_map("labels")
                if one.value("trafficPolicy"):
                    raise one.error(f"what is set for the subset `{name}` alone", "trafficPolicy")
                one.finish()
                found[name] = self._version(owner, name, labels, one)
        except NotReadError as error:
            message = f"`{spec.where.name}`: {error} cannot be said"
            self._unread(spec.where, error.steps, message, self.world.keys(owner))
        return found

    def _version(self, owner: Owner, name: str, labels: Mapping[str, str], at: Fields) -> str | None:
        if isinstance(owner, ir.External):
            raise at.error("a subset of an external")
        version = self.world.version(owner, name, labels)
        if version is not None:
            self._add(owner, version, labels, at)
        return version

    def assume(self, owner: ir.Workload, name: str, at: Fields) -> None:
        """A version that is named and that nothing here defines: it is labelled with its name."""
        self._add(owner, name, {"version": name}, at)

    def _add(self, owner: ir.Workload, name: str, labels: Mapping[str, str], at: Fields) -> None:
        if all(one.name != name for one in owner.versions):
            own = {key: value for key, value in labels.items() if owner.labels.get(key) != value}
            made = ir.Version(name=name, labels=own, span=at.where.span(*at.steps))
            self.added.setdefault((owner.namespace, owner.name), {})[name] = made

    def _unread(self, one: ConfigObject, steps: tuple[str | int, ...], message: str, ports: Iterable[PortKey]) -> None:
        listed = tuple(ports)
        self.account.not_understood(one, steps, message, listed, *_BOTH)


def with_versions(workload: ir.Workload, added: Mapping[str, ir.Version]) -> ir.Workload:
    """The workload with the versions that subsets name and nothing else declares."""
    return (
        replace(workload, versions=(*workload.versions, *(added[name] for name in sorted(added))))
        if added
        else workload
    )
