"""Callers without proxies: nobody routes what they send, and no server knows who they are.

What refuses such a caller anyway stays known, and so does access where rules judge it alike with its identity and without.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from meshc import ir
from meshc.reading import Aspect
from meshc.semantics.principals import principals_check
from meshc_istio.directory import Owner
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.hiding import is_refused
from meshc_istio.read.pods import Bare

_TRAVEL = frozenset((Aspect.ROUTING, Aspect.SETTINGS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproxied:
    """The callers of a mesh that was read as if all of them had proxies."""

    mesh: ir.Mesh
    account: Account

    def check(self, pods: Iterable[Bare]) -> None:
        """Say what of the calls of these pods is not known; what is called at them is said elsewhere."""
        named = {(one.namespace, one.name): one for one in self.mesh.workloads}
        for one in pods:
            touched: dict[frozenset[Aspect], dict[PortKey, None]] = {}
            for caller in (named[key] for key in one.services):
                self._add(caller, touched, one.services)
            for aspects, ports in touched.items():
                message = f"{one.message}, and nobody routes or vouches for their calls"
                self.account.not_understood(one.object, one.steps, message, tuple(ports), *aspects)

    def _add(
        self,
        caller: ir.Workload,
        touched: dict[frozenset[Aspect], dict[PortKey, None]],
        own: frozenset[tuple[str, str]],
    ) -> None:
        owners: tuple[Owner, ...] = (*self.mesh.workloads, *self.mesh.externals)
        for owner in owners:
            for port in owner.ports if (owner.namespace, owner.name) not in own else ():
                if not is_refused(caller, owner, port):
                    aspects = _TRAVEL if _is_judged_alike(caller, owner, port) else frozenset(Aspect)
                    touched.setdefault(aspects, {})[owner.namespace, owner.name, port.number] = None


def _is_judged_alike(caller: ir.Workload, owner: Owner, port: ir.PortPolicy) -> bool:
    """Whether a port lets in the same of a caller whether or not it is known who calls. Rules of externals are its own proxy's."""
    if isinstance(owner, ir.External):
        return not port.access
    checks = (principals_check(rule.principals) for stage in port.access for rule in stage.rules)
    return port.mtls is not ir.MtlsMode.STRICT and all(check(caller.identity) == check(None) for check in checks)
