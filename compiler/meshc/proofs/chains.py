"""Chains of calls: from some callers over services of the program to a port, each hop allowed for some request."""

from collections import deque
from dataclasses import dataclass

from meshc import ir
from meshc.proofs.reach import Reacher
from meshc.request import Request
from meshc.semantics.principals import principals_check
from meshc.target import PortKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The requests of a chain, one a hop, in order; never empty."""

    requests: tuple[Request, ...]


def chain_to(
    reacher: Reacher, mesh: ir.Mesh, callers: ir.Principals, key: PortKey, condition: ir.Condition
) -> Chain | None:
    """The shortest chain from the callers to a port; the condition binds its last hop. None if there is none.

    Raises TooComplexError.
    """
    direct = reacher.allowed(key, callers, condition)
    if direct is not None:
        return Chain(requests=(direct,))
    return _search(reacher, mesh, _first_steps(reacher, mesh, callers), key, condition)


def chain_of_others(
    reacher: Reacher, mesh: ir.Mesh, callers: ir.Principals, key: PortKey, condition: ir.Condition
) -> Chain | None:
    """The same from everybody but the callers."""
    direct = reacher.allowed_others(key, callers, condition)
    if direct is not None:
        return Chain(requests=(direct,))
    is_meant = principals_check(callers)
    starts: dict[str, tuple[Request, ...]] = {one.identity: () for one in mesh.workloads if not is_meant(one.identity)}
    for workload in mesh.workloads:
        for port in workload.ports:
            if workload.identity not in starts:
                found = reacher.allowed_others((workload.namespace, workload.name, port.number), callers, ir.ALWAYS)
                if found is not None:
                    starts[workload.identity] = (found,)
    return _search(reacher, mesh, starts, key, condition)


def _first_steps(reacher: Reacher, mesh: ir.Mesh, callers: ir.Principals) -> dict[str, tuple[Request, ...]]:
    """The services that the callers get to, and the callers among the services themselves, with the hops so far."""
    is_meant = principals_check(callers)
    starts: dict[str, tuple[Request, ...]] = {one.identity: () for one in mesh.workloads if is_meant(one.identity)}
    for workload in mesh.workloads:
        for port in workload.ports:
            if workload.identity not in starts:
                found = reacher.allowed((workload.namespace, workload.name, port.number), callers, ir.ALWAYS)
                if found is not None:
                    starts[workload.identity] = (found,)
    return starts


def _search(
    reacher: Reacher,
    mesh: ir.Mesh,
    starts: dict[str, tuple[Request, ...]],
    key: PortKey,
    condition: ir.Condition,
) -> Chain | None:
    """Breadth first, so the first chain that is found is as short as any."""
    hops = dict(sorted(starts.items(), key=lambda one: len(one[1])))
    waiting = deque(hops)
    while waiting:
        identity = waiting.popleft()
        last = reacher.allowed(key, ir.Principals((ir.ExactIdentity(identity),)), condition) if hops[identity] else None
        if last is not None:
            return Chain(requests=(*hops[identity], last))
        caller = next(one for one in mesh.workloads if one.identity == identity)
        for workload in mesh.workloads:
            if workload.identity in hops:
                continue
            found = _any_hop(reacher, caller, workload)
            if found is not None:
                hops[workload.identity] = (*hops[identity], found)
                waiting.append(workload.identity)
    return None


def _any_hop(reacher: Reacher, caller: ir.Workload, workload: ir.Workload) -> Request | None:
    for port in workload.ports:
        found = reacher.hop((workload.namespace, workload.name, port.number), caller)
        if found is not None:
            return found
    return None
