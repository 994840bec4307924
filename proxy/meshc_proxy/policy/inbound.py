"""Decide what arrives at a workload: snapshot, request, peer and time -> forward it, answer it, or refuse the connection.

In the language's order: connection, 400, 401, 403, 429; a refused request takes no token. What is forwarded is what was
judged: the normalized path, and headers that say only what is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from meshc.ir import Mesh, PortPolicy, RateLimit, Workload
from meshc.request import Decision, Request
from meshc.semantics import Evaluator, Malformed
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.decide import UNKNOWN_DESTINATION
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import connection_facts
from meshc_proxy.policy import replies
from meshc_proxy.policy.hygiene import clean_inbound, drop_token, without_port
from meshc_proxy.policy.moment import Moment
from meshc_proxy.policy.rate_limits import Buckets
from meshc_proxy.policy.replies import Reply
from meshc_proxy.policy.texts import target_of, with_head
from meshc_proxy.policy.tokens import BadToken, GoodToken, KeySet, verify_token
from meshc_proxy.wire.events import RequestHead
from meshc_proxy.wire.spiffe import SpiffeId

_NO_KEYS: Final[Mapping[str, KeySet]] = {}
_HEADER_PREFIX: Final = "header:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One rate limit with its condition as a function, and its buckets."""

    limit: RateLimit
    holds: Check
    buckets: Buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one workload's proxy decides with. `keys` are the key sets of its providers, by port and name."""

    evaluator: Evaluator
    workload: Workload
    limits: Mapping[int, tuple[Limit, ...]]
    keys: Mapping[int, Mapping[str, KeySet]]

    def port(self, number: int) -> PortPolicy | None:
        """The policy of the service's port."""
        return next((one for one in self.workload.ports if one.number == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection: its verified identity, or None, and its address."""

    identity: SpiffeId | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send this head, and what follows it, to the application."""

    head: RequestHead
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer with `reply`; nothing goes to the application. `decision` is None where no rule was asked.

    `target` is the normalized one, None where there is none.
    """

    reply: Reply
    decision: Decision | None = None
    target: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """There is no connection for this peer: close it without an answer."""

    decision: Decision


Inbound: TypeAlias = Forward | Answer | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One request under way through the steps."""

    snapshot: Snapshot
    policy: PortPolicy
    head: RequestHead
    peer: Peer
    facts: Facts
    token: GoodToken | None = field(default=None)


def build_snapshot(
    mesh: Mesh,
    namespace: str,
    name: str,
    keys: Mapping[int, Mapping[str, KeySet]] | None = None,
    *,
    before: Snapshot | None = None,
) -> Snapshot:
    """The snapshot of one workload. Raises LookupError if the mesh has no such workload.

    A limit that was in the snapshot `before` goes on with its buckets.
    """
    found = [one for one in mesh.workloads if (one.namespace, one.name) == (namespace, name)]
    if not found:
        raise LookupError(f"no workload `{namespace}.{name}`")
    (workload,) = found
    old = {} if before is None else before.limits
    limits = {
        policy.number: tuple(_limit(one, old.get(policy.number, ())) for one in policy.limits)
        for policy in workload.ports
    }
    return Snapshot(evaluator=Evaluator(mesh), workload=workload, limits=limits, keys=keys or {})


def decide_connection(snapshot: Snapshot, number: int, peer: Peer, sni: str | None = None) -> Decision:
    """What becomes of a connection to a port of the service's that is not HTTP: allowed or closed."""
    key = (snapshot.workload.namespace, snapshot.workload.name, number)
    compiled = snapshot.evaluator.port(key)
    if compiled is None or compiled.policy.protocol.is_http:
        return UNKNOWN_DESTINATION
    facts = connection_facts(_request(snapshot, number, None, peer, sni))
    return snapshot.evaluator.judge(key, facts, None).decision


def decide_inbound(snapshot: Snapshot, number: int, head: RequestHead, peer: Peer, now: Moment) -> Inbound:
    """What becomes of a request to a port of the service's. Buckets take their tokens; nothing else changes."""
    policy = snapshot.port(number)
    compiled = snapshot.evaluator.port((snapshot.workload.namespace, snapshot.workload.name, number))
    if policy is None or compiled is None:
        return Answer(reply=replies.NO_ROUTE)
    request = _request(snapshot, number, head, peer, None)
    facts = snapshot.evaluator.observe(compiled, request)
    if isinstance(facts, Malformed):
        decision = snapshot.evaluator.malformed(compiled, request, facts)
        return Refuse(decision=decision) if decision.status is None else Answer(reply=replies.BAD_REQUEST)
    return _judge(_Case(snapshot=snapshot, policy=policy, head=head, peer=peer, facts=facts), now)


def facts_of(snapshot: Snapshot, number: int, head: RequestHead, peer: Peer) -> Facts | None:
    """What conditions see of a request, as logs ask them; None for one that is none of the model."""
    compiled = snapshot.evaluator.port((snapshot.workload.namespace, snapshot.workload.name, number))
    facts = (
        None if compiled is None else snapshot.evaluator.observe(compiled, _request(snapshot, number, head, peer, None))
    )
    return None if isinstance(facts, Malformed) else facts


def _judge(case: _Case, now: Moment) -> Inbound:
    """401, 403 and 429. A peer that gets no connection learns nothing of its token."""
    snapshot, policy, facts = case.snapshot, case.policy, case.facts
    keys = snapshot.keys.get(policy.number, _NO_KEYS)
    token = verify_token(policy.jwts, keys, facts.headers, now.wall)
    claims = token.claims if isinstance(token, GoodToken) else None
    key = (snapshot.workload.namespace, snapshot.workload.name, policy.number)
    judged = snapshot.evaluator.judge(key, facts, claims)
    decision = judged.decision
    if decision.status is None and not decision.allowed:
        return Refuse(decision=decision)
    if isinstance(token, BadToken):
        return Answer(reply=replies.unauthenticated(token.text, _realm(case)), target=target_of(facts))
    if not decision.allowed:
        text = replies.UNTOLD if token is None else "Audiences in Jwt are not allowed"
        missing = replies.unauthenticated(text, _realm(case))
        reply = missing if decision.status == 401 else replies.ACCESS_DENIED
        return Answer(reply=reply, decision=decision, target=target_of(facts))
    if not _within_limits(snapshot, policy, judged.facts or facts, case.peer, now.steady):
        return Answer(reply=replies.RATE_LIMITED, decision=decision, target=target_of(facts))
    return Forward(head=_forwarded(case, token), decision=decision)


def _realm(case: _Case) -> bytes:
    """The URL that was asked for, without what a header could not hold."""
    path = target_of(case.facts).partition(b"?")[0]
    url = case.head.scheme + b"://" + without_port(case.head.authority) + path
    return url.replace(b"\\", b"").replace(b'"', b"")


def _within_limits(snapshot: Snapshot, policy: PortPolicy, facts: Facts, peer: Peer, steady: float) -> bool:
    matching = (one for one in snapshot.limits[policy.number] if one.holds(facts))
    return all(one.buckets.take(_counted(one.limit, facts, peer), steady) for one in matching)


def _counted(limit: RateLimit, facts: Facts, peer: Peer) -> str:
    """What a limit counts apart: everything together, a source, or the first value of a header."""
    if limit.per is None:
        return ""
    if limit.per.startswith(_HEADER_PREFIX):
        return next(iter(facts.headers.get(limit.per.removeprefix(_HEADER_PREFIX).lower(), ())), "")
    return facts.identity or peer.address


def _forwarded(case: _Case, token: GoodToken | None) -> RequestHead:
    facts, head = case.facts, case.head
    headers = head.headers
    if token is not None and not token.provider.forward:
        headers = drop_token(headers, token.provider.from_headers)
    identity = case.peer.identity if facts.identity is not None else None
    own = case.snapshot.workload.identity
    cleaned = clean_inbound(headers, peer=identity, own=own, address=case.peer.address, scheme=head.scheme)
    return replace(head, path=target_of(facts), authority=without_port(head.authority), headers=cleaned)


def _limit(limit: RateLimit, before: tuple[Limit, ...]) -> Limit:
    same = next((one for one in before if one.limit == limit), None)
    buckets = Buckets(limit) if same is None else same.buckets
    return Limit(limit=limit, holds=condition_check(limit.condition), buckets=buckets)


def _request(snapshot: Snapshot, number: int, head: RequestHead | None, peer: Peer, sni: str | None) -> Request:
    """The request as the evaluator takes it."""
    request = Request(
        identity=None if peer.identity is None else str(peer.identity),
        namespace=snapshot.workload.namespace,
        service=snapshot.workload.name,
        port=number,
        source_ip=peer.address,
        sni=sni,
    )
    return request if head is None else with_head(request, head)
