"""What callers' proxies know of: `Sidecar` objects, and whether they let anything out that they do not know.

Source: Istio's API reference, Sidecar. A workload has the Sidecar that selects it, else that of its namespace, else that of the root
namespace, and calls only what the `egress` of that names. The intermediate form has one view of a port for all callers. So what is hidden
from a caller is unknown, unless it is as if it were not: the port refuses the caller anyway, and its routes lead nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshc import ir
from meshc.reading import Aspect, Assumption, ConfigObject
from meshc.reading.plain import mapping
from meshc_istio.directory import Owner, called_hosts, is_wildcard, make_directory
from meshc_istio.read.account import REGISTRY, Account, PortKey
from meshc_istio.read.choosing import age
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.hiding import is_refused
from meshc_istio.read.pod_labels import PodLabels
from meshc_istio.read.traffic import Traffic

_REGISTRY_ONLY = "REGISTRY_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sidecar:
    """One that is understood. `hosts` are pairs of namespace and host that its workloads know; None where it does not say."""

    object: ConfigObject
    labels: dict[str, str]
    hosts: tuple[tuple[str, str], ...] | None
    may_go_anywhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scopes:
    """The callers of a mesh that was read as if there were no Sidecars; `root` is the root namespace."""

    mesh: ir.Mesh
    traffic: Traffic
    root: str
    account: Account

    def check(self, sidecars: Sequence[ConfigObject], config: ConfigObject | None) -> None:
        """Say what Sidecars make unknown, and which rules of externals bind nobody."""
        read = [found for one in sidecars if (found := _read(one, self.account)) is not None]
        guarded = tuple(one for one in self.mesh.externals if any(port.access for port in one.ports))
        for one in read:
            self._check_hidden(one, read)
            if one.may_go_anywhere and guarded:
                ports = tuple((each.namespace, each.name, port.number) for each in guarded for port in each.ports)
                message = (
                    f"the Sidecar `{one.object.name}` lets its workloads out anywhere, past the rules of externals"
                )
                steps = ("spec", "outboundTrafficPolicy")
                self.account.not_understood(one.object, steps, message, ports, Aspect.ACCESS)
        _check_registry(guarded, config, self.account)

    def _check_hidden(self, one: _Sidecar, others: Sequence[_Sidecar]) -> None:
        callers = [
            caller
            for caller in self.mesh.workloads
            if _may_have(caller, one, others, self.root, self.traffic.world.pods)
        ]
        hidden: dict[PortKey, str] = {}
        directory = make_directory(self.mesh)
        owners: tuple[Owner, ...] = (*self.mesh.workloads, *self.mesh.externals)
        for owner in owners if one.hosts is not None and callers else ():
            for host in called_hosts(directory, owner):
                blind = [caller for caller in callers if not self._sees(one, caller, owner, host)]
                for port in owner.ports:
                    if any(not is_refused(caller, owner, port) for caller in blind):
                        hidden[owner.namespace, owner.name, port.number] = owner.name
        if hidden:
            names = ", ".join(f"`{name}`" for name in dict.fromkeys(hidden.values()))
            message = (
                f"the Sidecar `{one.object.name}` hides {names} from callers that would get there, which cannot be said"
            )
            self.account.not_understood(one.object, ("spec", "egress"), message, tuple(hidden), *Aspect)

    def _sees(self, one: _Sidecar, caller: ir.Workload, owner: Owner, host: str) -> bool:
        """Whether a caller knows a host, and the routes of it that it would have otherwise."""
        routes = self.traffic.view(caller.namespace).services.of(host)
        homes = {owner.namespace, *(each.namespace or "default" for each in routes)}
        return all(any(_fits(pair, home, host) for pair in one.hosts or ()) for home in homes)


def _check_registry(guarded: tuple[ir.External, ...], config: ConfigObject | None, account: Account) -> None:
    if config is None:
        for external in guarded[:1]:
            account.assumptions.setdefault(REGISTRY, Assumption(text=REGISTRY, span=external.span))
        return
    if mapping(mapping(config.data["meshConfig"]).get("outboundTrafficPolicy")).get("mode") == _REGISTRY_ONLY:
        return
    for external in guarded:
        for port in external.ports:
            if port.access:
                key = (external.namespace, external.name, port.number)
                message = f"rules of `{external.name}` bind callers only with `outboundTrafficPolicy` REGISTRY_ONLY"
                account.missing(message, key, port.access[0].span, Aspect.ACCESS)


# ---- one Sidecar ----------------------------------------------------------------------------------------------------


def _read(one: ConfigObject, account: Account) -> _Sidecar | None:
    try:
        return _understood(one)
    except NotReadError as error:
        message = f"what the Sidecar `{one.name}` leaves to callers, by {error} cannot be said"
        account.not_understood(one, error.steps or ("spec",), message, None, *Aspect)
        return None


def _understood(one: ConfigObject) -> _Sidecar:
    spec = Fields(one, ("spec",), one.data.get("spec"))
    if not spec.data:
        raise spec.error("a specification without a field, which Istio refuses,")
    spec.ignore("ingress")  # that is named by itself
    selector, policy = spec.fields("workloadSelector"), spec.fields("outboundTrafficPolicy")
    labels = {} if selector is None else dict(selector.text_map("labels"))
    if selector is not None:
        selector.finish()
    mode = None
    if policy is not None:
        mode = policy.text("mode") or _REGISTRY_ONLY
        policy.finish()
    hosts = tuple(_hosts(spec)) if "egress" in spec else None
    spec.value("egress")
    spec.finish()
    return _Sidecar(object=one, labels=labels, hosts=hosts, may_go_anywhere=mode == "ALLOW_ANY")


def _hosts(spec: Fields) -> Iterator[tuple[str, str]]:
    for listener in spec.items("egress"):
        for text in listener.texts("hosts"):
            namespace, slash, host = text.partition("/")
            if not (slash and namespace and host):
                raise listener.error(f"the host `{text}`, which is not `namespace/host`,", "hosts")
            home = spec.where.namespace or "default"
            yield home if namespace == "." else namespace, host.lower()
        listener.finish()


# ---- what is hidden -------------------------------------------------------------------------------------------------


def _may_have(caller: ir.Workload, one: _Sidecar, others: Sequence[_Sidecar], root: str, pods: PodLabels) -> bool:
    """Whether this may be the Sidecar of some pod of a workload: no other is nearer to all of them, or older."""
    rank = _rank(caller, one, root, pods)
    if rank is None:
        return False
    for other in others:
        nearer = _rank(caller, other, root, pods)
        if nearer is None or other is one or not pods.are_on_all(other.labels, caller):
            continue
        is_older = nearer == rank and age(one.object) > age(other.object) > ""
        # One that does not name hosts leaves that to the ones behind it.
        if (nearer < rank or is_older) and other.hosts is not None:
            return False
    return True


def _rank(caller: ir.Workload, one: _Sidecar, root: str, pods: PodLabels) -> int | None:
    """How near a Sidecar is to a workload, the nearest first; None for one that is not for it."""
    home = one.object.namespace or "default"
    if one.labels:
        is_for_it = home == caller.namespace and pods.are_on_some(one.labels, caller)
        return 0 if is_for_it else None
    if home == caller.namespace:
        return 1
    return 2 if home == root else None


def _fits(pair: tuple[str, str], namespace: str, host: str) -> bool:
    home, pattern = pair
    is_host = pattern in {"*", host} or (is_wildcard(pattern) and host.endswith(pattern[1:]))
    return home in {"*", namespace} and is_host
