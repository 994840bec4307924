"""Decide what a workload's own call becomes: the first route that matches, its faults, its destination, its changes.

Routes, faults and redirects see the request as the application sent it; rewrites and header changes come after. Calls to
externals are judged here, since nobody else would; all others by the server's proxy. Chance comes in as a function.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from meshc.ir import (
    Destination,
    FaultAbort,
    FaultDelay,
    Forward,
    HeaderChange,
    Mirror,
    Redirect,
    Respond,
    Route,
    Settings,
)
from meshc.request import Request
from meshc.semantics import Malformed
from meshc.semantics.decide import CompiledPort, PortKey, first_route
from meshc.semantics.facts import Facts
from meshc.semantics.routing import FaultCheck, active_faults, leaving_request, redirect_target
from meshc_proxy.policy import replies
from meshc_proxy.policy.hygiene import clean_outbound, without_dot
from meshc_proxy.policy.inbound import Snapshot
from meshc_proxy.policy.replies import Flag, Reply
from meshc_proxy.policy.texts import encoded, target_of, with_head
from meshc_proxy.wire.events import Headers, RequestHead

Chance: TypeAlias = Callable[[], float]
"""Gives numbers in [0, 1), evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this head, and what follows it, to `destination`, after `delay_ms`.

    `settings` say how (timeouts, retries, balancing), `mirrors` who gets a copy of this one, `route` which route decided,
    None where the port has none, and `target` is the normalized one that was asked for.
    """

    head: RequestHead
    destination: Destination
    settings: Settings
    mirrors: tuple[Mirror, ...] = ()
    delay_ms: int = 0
    route: Route | None = None
    target: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLater:
    """Answer with `reply` after `delay_ms`; nothing is sent anywhere. `target` is the normalized one, where there is one."""

    reply: Reply
    delay_ms: int = 0
    route: Route | None = None
    target: bytes | None = None


Outbound: TypeAlias = Send | AnswerLater


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call under way through the steps, with the route that it takes."""

    snapshot: Snapshot
    called: PortKey
    head: RequestHead
    facts: Facts
    route: Route | None
    settings: Settings
    faults: tuple[FaultCheck, ...]


def decide_outbound(snapshot: Snapshot, called: PortKey, head: RequestHead, chance: Chance) -> Outbound:
    """What becomes of a call to a service's port: namespace, service, number."""
    compiled = snapshot.evaluator.port(called)
    if compiled is None:
        return AnswerLater(reply=replies.NO_ROUTE)
    facts = snapshot.evaluator.observe(compiled, _request(snapshot, called, head))
    if isinstance(facts, Malformed):
        return AnswerLater(reply=replies.BAD_REQUEST)
    call = _routed(snapshot, called, head, facts, compiled)
    if call is None:
        return AnswerLater(reply=replies.NO_ROUTE)
    delay_ms, abort = _strike(active_faults(call.faults, facts), chance)
    if abort is not None:
        text = b"fault filter abort"
        reply = Reply(status=abort.status, body=text, flag=Flag.FAULT_INJECTED, details="fault_filter_abort")
        changed = _changed(reply, call.settings)
        return AnswerLater(reply=changed, delay_ms=delay_ms, route=call.route, target=target_of(facts))
    outcome = _act(call, chance)
    return replace(outcome, delay_ms=delay_ms, target=target_of(facts))


def call_facts(snapshot: Snapshot, called: PortKey, head: RequestHead) -> Facts | None:
    """What conditions see of a call, as logs ask them; None for one that is none of the model."""
    compiled = snapshot.evaluator.port(called)
    facts = None if compiled is None else snapshot.evaluator.observe(compiled, _request(snapshot, called, head))
    return None if isinstance(facts, Malformed) else facts


def change_headers(headers: Headers, changes: tuple[HeaderChange, ...], direction: str) -> Headers:
    """The changes of a route, in order, to headers of the `direction` `request` or `response`."""
    for change in changes:
        if change.direction != direction:
            continue
        name, value = change.name.lower().encode(), encoded((change.value or "").strip(" \t"))
        if change.operation != "add":
            headers = tuple(field for field in headers if field[0] != name)
        if change.operation != "remove":
            headers = (*headers, (name, value))
    return headers


def _routed(
    snapshot: Snapshot, called: PortKey, head: RequestHead, facts: Facts, compiled: CompiledPort
) -> _Call | None:
    """The call with its route and settings; None if the port has routes and none matches."""
    found = first_route(compiled, facts) if compiled.routes else None
    if compiled.routes and found is None:
        return None
    return _Call(
        snapshot=snapshot,
        called=called,
        head=head,
        facts=facts,
        route=None if found is None else found.route,
        settings=compiled.policy.settings if found is None else found.route.settings,
        faults=compiled.faults if found is None else found.faults,
    )


def _strike(faults: tuple[FaultDelay | FaultAbort, ...], chance: Chance) -> tuple[int, FaultAbort | None]:
    """The longest delay that strikes this call, and the first abort."""
    struck = [fault for fault in faults if chance() * 100.0 < fault.percent]
    delays = (fault.delay_ms for fault in struck if isinstance(fault, FaultDelay))
    return max(delays, default=0), next((fault for fault in struck if isinstance(fault, FaultAbort)), None)


def _act(call: _Call, chance: Chance) -> Outbound:
    route = call.route
    if route is None:
        namespace, service, port = call.called
        return _send(call, Destination(namespace=namespace, service=service, port=port), chance)
    match route.action:
        case Redirect() as redirect:
            return AnswerLater(reply=_redirect(redirect, route, call), route=route)
        case Respond(status=status, body=body):
            reply = Reply(status=status, body=body.encode(), details="direct_response")
            return AnswerLater(reply=_changed(reply, call.settings), route=route)
        case Forward(destinations=destinations):
            return _send(call, choose(destinations, chance), chance)
        case _:
            assert_never(route.action)


def _redirect(redirect: Redirect, route: Route, call: _Call) -> Reply:
    """The target with the caller's own scheme, host and query where it names none. Source: Envoy's `path_redirect`."""
    target = redirect_target(redirect.target, route.path, call.facts)
    base = b"" if "://" in target else call.head.scheme + b"://" + without_dot(call.head.authority)
    has_query = "?" in target or call.facts.query_text is None
    query = b"" if has_query else b"?" + encoded(call.facts.query_text or "")
    location = (b"location", base + encoded(target) + query)
    return _changed(Reply(status=redirect.status, headers=(location,), details="direct_response"), call.settings)


def _changed(reply: Reply, settings: Settings) -> Reply:
    return replace(reply, headers=change_headers(reply.headers, settings.header_changes, "response"))


def choose(destinations: tuple[Destination, ...], chance: Chance) -> Destination:
    """One of the destinations, each as often as its weight says."""
    weighty = [one for one in destinations if one.weight > 0]
    left = chance() * sum(one.weight for one in weighty)
    for one in weighty[:-1]:
        if left < one.weight:
            return one
        left -= one.weight
    return weighty[-1]


def _send(call: _Call, destination: Destination, chance: Chance) -> Outbound:
    leaving = call.facts
    if call.route is not None:
        changed = leaving_request(call.settings, call.route.path, call.facts)
        if isinstance(changed, Malformed):
            return AnswerLater(reply=replies.BAD_REQUEST, route=call.route)
        leaving = changed
    key = (destination.namespace, destination.service, destination.port)
    compiled = call.snapshot.evaluator.port(key)
    if compiled is None:
        return AnswerLater(reply=replies.NO_ROUTE, route=call.route)
    if not _may_reach(call, destination, leaving):
        return AnswerLater(reply=replies.ACCESS_DENIED, route=call.route)
    struck = (one for one in call.settings.mirrors if chance() * 100.0 < one.percent)
    mirrors = tuple(one for one in struck if _may_reach(call, one.destination, leaving))
    return Send(
        head=_left(call, leaving),
        destination=destination,
        settings=call.settings,
        mirrors=mirrors,
        route=call.route,
    )


def _may_reach(call: _Call, destination: Destination, leaving: Facts) -> bool:
    """Whether this request may go there, as far as it is judged here: for externals; a service's own proxy judges for it.

    Copies ask as requests do: else a mirror would be a way around a rule.
    """
    key = (destination.namespace, destination.service, destination.port)
    compiled = call.snapshot.evaluator.port(key)
    if compiled is None:
        return False
    return not compiled.external or call.snapshot.evaluator.judge(key, leaving, None).decision.allowed is True


def _left(call: _Call, leaving: Facts) -> RequestHead:
    """The head that leaves: the path that was matched, or what it was rewritten to, and never what was not looked at."""
    authority = call.head.authority if call.settings.rewrite_host is None else encoded(leaving.host or "")
    authority = without_dot(authority)
    headers = clean_outbound(call.head.headers)
    if call.route is not None:
        headers = change_headers(headers, call.settings.header_changes, "request")
    return replace(call.head, path=target_of(leaving), authority=authority, headers=headers)


def _request(snapshot: Snapshot, called: PortKey, head: RequestHead) -> Request:
    namespace, service, port = called
    identity = snapshot.workload.identity
    return with_head(Request(identity=identity, namespace=namespace, service=service, port=port), head)
