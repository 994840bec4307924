"""Examples: one request for each region, such as people know them, re-run through `decide` on both sides before it is shown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial

from meshc.difference.commands import command_of
from meshc.difference.model import Presence, Witness
from meshc.difference.naming import Naming
from meshc.difference.ports import Ports
from meshc.difference.replay import at_port
from meshc.errors import InternalError
from meshc.ir import ExactIdentity, External, IdentityPrefix
from meshc.request import Decision, Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.identities import trust_domain_of
from meshc.semantics.regions.diagram import Region
from meshc.semantics.regions.forest import Bits, bits_of
from meshc.semantics.regions.ports import Outcome, PortSide
from meshc.semantics.regions.space import Space
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain, Variable
from meshc.semantics.regions.witness import is_outcome


class Examples:
    """The examples of one space. `sides` are the new one and the old one."""

    def __init__(self, space: Space, naming: Naming, sides: tuple[PortSide, PortSide]) -> None:
        self._space = space
        self._naming = naming
        self._sides = sides
        self.preferred: Sequence[int] = [variable.preferred for variable in space.aspects.ordered]
        self._evaluators: dict[PortSide, Evaluator] = {}

    @cached_property
    def _workloads(self) -> dict[int, str]:
        """A workload of either program for each class of callers that has one; all are of class 0 where nobody is told apart."""
        caller = self._space.aspects.caller
        class_of = _classes_of(caller) if caller is not None else lambda _: 0
        found: dict[int, str] = {}
        for side in self._sides:
            # A service that calls itself is a poor example where there is another.
            for workload in sorted(side.mesh.workloads, key=lambda one: (one.namespace, one.name) == side.key[:2]):
                found.setdefault(class_of(workload.identity), workload.identity)
        return found

    def request(self, region: Region) -> Request:
        """A request of a region, from a workload of the mesh if one is among its callers. Raises InternalError for none."""
        space = self._space
        caller, method = space.aspects.caller, space.aspects.method
        preferred = list(self.preferred)
        if method is not None and not (classes := region.classes(method.level)) >> method.preferred & 1:
            named = [one for one in bits_of(classes) if any(bits >> one & 1 for bits in method.holds)]
            preferred[method.level] = next(iter(named), method.preferred)
        if caller is not None:
            classes = region.classes(caller.level)
            known = [one for one in self._workloads if classes >> one & 1]
            usual = [one for one in known if one == preferred[caller.level]]
            if known:
                preferred[caller.level] = (usual or known)[0]
        assignment = (region & space.feasible).any_path(preferred)
        if assignment is None:
            raise InternalError("a region that differs has no request")
        request = space.request(assignment)
        if request.identity is None:
            return request
        workload = self._workloads.get(0 if caller is None else assignment[caller.level])
        return replace(request, identity=workload or request.identity)

    def access_witness(self, region: Region, ports: Ports, pair: tuple[Outcome, Outcome]) -> Witness:
        """A request of a region on which the two sides come to these outcomes."""
        request = self.request(region)
        old, new = (self._at_port(side).decide(request) for side in (ports.old, ports.new))
        if not is_outcome(old, pair[0]) or not is_outcome(new, pair[1]):
            raise InternalError(f"regions say {pair} of {request}, and `decide` says {old} and {new}")
        return self.witness(
            request,
            None if ports.presence is Presence.ADDED else old,
            None if ports.presence is Presence.REMOVED else new,
        )

    def _at_port(self, side: PortSide) -> Evaluator:
        if side not in self._evaluators:
            self._evaluators[side] = at_port(side)
        return self._evaluators[side]

    def witness(self, request: Request, old: Decision | None, new: Decision | None) -> Witness:
        """A request with what both sides decide of it."""
        side = self._sides[0]
        host = side.default_host if isinstance(side.owner, External) else None
        command = command_of(request, side.port.protocol, host)
        return Witness(
            request=request,
            caller=self._naming.caller(request.identity),
            command=command.line,
            notes=command.notes,
            old=old,
            new=new,
        )


def _classes_of(caller: Variable) -> Callable[[str], int]:
    """The class of a caller by its identity: the one that passes the tests that the identity passes."""
    named: dict[str, Bits] = {}
    others: list[tuple[Callable[[str], bool], Bits]] = []
    unnamed = caller.full
    for test, holds in zip(caller.tests, caller.holds, strict=True):
        match test:
            case ExactIdentity(identity=identity):
                named[identity] = holds
                unnamed &= ~holds
            case HasIdentity():
                others.append((lambda _: True, holds))
            case InTrustDomain(domain=domain):
                others.append((partial(_is_in, domain), holds))
            case IdentityPrefix(prefix=prefix):
                others.append((partial(_starts, prefix), holds))
            case _:
                raise InternalError(f"no test of callers: {test}")

    def class_of(identity: str) -> int:
        classes = named.get(identity, unnamed)
        for passes, holds in others:
            classes &= holds if passes(identity) else ~holds
        return classes.bit_length() - 1

    return class_of


def _is_in(domain: str, identity: str) -> bool:
    return trust_domain_of(identity) == domain


def _starts(prefix: str, identity: str) -> bool:
    return identity.startswith(prefix)
