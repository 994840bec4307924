"""DestinationRules of hosts, for callers of one namespace: subsets as versions, and policies of ports as settings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.choosing import ByHost
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.policies import DEFAULT, Policy, read_policy, speaks, with_subset
from meshc_istio.read.world import World

_BOTH = (Aspect.ROUTING, Aspect.SETTINGS)
_PLAIN = Policy(settings=DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A subset: the version that it is, None for all of the service, and its own policies by the number of a port.

    There are none where it says nothing of its own; None is one that is not understood.
    """

    version: str | None
    policies: Mapping[int, Policy | None]
    place: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What is said of one host: subsets by name, and policies by the number of a port."""

    subsets: Mapping[str, Subset] = field(default_factory=dict)
    policies: Mapping[int, Policy] = field(default_factory=dict)
    is_said: bool = False
    is_partial: bool = False
    """Whether there may be subsets that are not among these."""

    def policy(self, number: int) -> Policy:
        """The policy of a port."""
        return self.policies.get(number, _PLAIN)


NOTHING_SAID = Destination()


@dataclass(slots=True)
class Destinations:
    """The rules that hold for callers of one namespace, each read once. `rules` are by the namespace that they stand in."""

    rules: Mapping[str, ByHost]
    caller: str
    world: World
    root: str
    account: Account
    partial: frozenset[str] = frozenset()
    """Hosts with subsets that only some callers of a namespace know."""

    added: dict[tuple[str, str], dict[str, ir.Version]] = field(default_factory=dict)
    used: dict[str, set[str | None]] = field(default_factory=dict)
    """The subsets of each host that some route leads to; None where one leads to all of it."""
    _known: dict[str, Destination] = field(default_factory=dict)
    _used: dict[str, set[tuple[int | bool, str | None]]] = field(default_factory=dict)
    """Ports and subsets by host; in the place of a port that the route does not name, whether it is one of requests."""

    def of(self, host: str) -> Destination:
        """What is said of a host."""
        if host not in self._known:
            owner, found = self.world.hosts.get(host), self.objects(host)
            said = NOTHING_SAID if owner is None or not found else self._joined(owner, found)
            self._known[host] = replace(said, is_partial=True) if host in self.partial else said
        return self._known[host]

    def objects(self, host: str) -> list[ConfigObject]:
        """The rules of a host: those of the nearest namespace that has any."""
        owner = self.world.hosts.get(host)
        homes = () if owner is None else (self.caller, owner.namespace, self.root)
        return next((found for home in homes if home in self.rules and (found := self.rules[home].of(host))), [])

    def lead(self, host: str, number: int | None, subset: str | None, *, is_http: bool) -> None:
        """Say that a route leads to a subset of a host, None for all of it, at a port, None for the one that is called."""
        self._used.setdefault(host, set()).add((is_http if number is None else number, subset))

    def in_use(self, host: str, number: int, protocol: ir.Protocol) -> "list[tuple[Policy | None, Fields | None]]":
        """The policies of a port of a host where routes lead, with the subsets that say them; None for one that is not understood."""
        said = self.of(host)
        used = {
            subset
            for port, subset in self._used.get(host, ())
            if (port is protocol.is_http if isinstance(port, bool) else port == number)
        }
        subsets = (said.subsets.get(name or "") for name in sorted(used, key=str))
        return [
            (one.policies[number], one.place)
            if one is not None and number in one.policies
            else (said.policy(number), None)
            for one in subsets
        ]

    def _joined(self, owner: Owner, chosen: Sequence[ConfigObject]) -> Destination:
        specs = [spec for one in chosen if (spec := self._spec(one, owner)) is not None]
        stated = [spec for spec in specs if spec.value("trafficPolicy")]
        for other in stated[1:]:
            message = f"which of `{stated[0].where.name}` and `{other.where.name}` holds depends on their age"
            self._unread(other.where, ("spec", "trafficPolicy"), message, self.world.keys(owner))
        rule = stated[0] if stated else None
        listed = [self._subsets(spec, owner, rule) for spec in specs]
        is_partial = len(specs) < len(chosen) or None in listed
        subsets: dict[str, Subset] = {}
        for found in listed:
            for name, subset in (found or {}).items():
                subsets.setdefault(name, subset)
        policies = {} if rule is None else self._policies(rule, owner)
        return Destination(subsets=subsets, policies=policies, is_said=True, is_partial=is_partial)

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
                continue
            for one in found[number].unsaid:
                key, message = (owner.namespace, owner.name, port.number), f"`{spec.where.name}`: {one} cannot be said"
                self.account.not_understood(spec.where, one.steps, message, (key,), Aspect.SETTINGS)
        return found

    def _subsets(self, spec: Fields, owner: Owner, rule: Fields | None) -> Mapping[str, Subset] | None:
        """The subsets of a rule; None if they are not all understood."""
        found: dict[str, Subset] = {}
        try:
            for one in spec.items("subsets"):
                name, labels = one.text("name") or "", one.text_map("labels")
                policies = self._own_policies(one, owner, rule) if one.value("trafficPolicy") else {}
                one.finish()
                if name in found:
                    raise one.error(f"the subset `{name}`, which is named twice,")
                found[name] = Subset(version=self._version(owner, name, labels, one), policies=policies, place=one)
        except NotReadError as error:
            message = f"`{spec.where.name}`: {error} cannot be said"
            self._unread(spec.where, error.steps, message, self.world.keys(owner))
            return None
        return found

    def _own_policies(self, subset: Fields, owner: Owner, rule: Fields | None) -> Mapping[int, Policy | None]:
        """The policies of a subset by the number of a port; None for one that is not understood."""
        found: dict[int, Policy | None] = {}
        for number in (called_number(owner, port) for port in owner.ports):
            try:
                own, around = subset.fields("trafficPolicy"), None if rule is None else rule.fields("trafficPolicy")
                policy = None if own is None else with_subset(around, own, number)
                found[number] = None if policy is None or policy.unsaid else policy
            except NotReadError:
                found[number] = None
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
        aspects = Aspect if speaks(one.data.get("spec")) else _BOTH
        self.account.not_understood(one, steps, message, tuple(ports), *aspects)


def with_versions(workload: ir.Workload, added: Mapping[str, ir.Version]) -> ir.Workload:
    """The workload with the versions that subsets name and nothing else declares."""
    return (
        replace(workload, versions=(*workload.versions, *(added[name] for name in sorted(added))))
        if added
        else workload
    )
