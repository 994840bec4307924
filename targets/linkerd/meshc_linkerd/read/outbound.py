"""The callers' side of a service: HTTPRoutes on its Service, by Linkerd's precedence -> routes that are tried in order.

A port without a route sends calls to itself; with one, a call that none takes is answered 404. Routes in a caller's namespace are for
the callers there, beside those of the Service's namespace. Source: Linkerd's `policy-controller/k8s/index/src/outbound`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc.source import Span
from meshc.target import PortKey
from meshc_linkerd.read.account import PLAIN_PATHS, Account, NotUnderstoodError
from meshc_linkerd.read.actions import Action, read_action
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.matches import Match, may_overlap, outcomes, read_rule_matches, settles
from meshc_linkerd.read.notes import Notes, read_accrual, read_notes
from meshc_linkerd.read.paths import ANY
from meshc_linkerd.read.services import Services
from meshc_linkerd.segments import CLEAN_PATH

_NOT_FOUND: Final = 404
TRAVEL: Final = (Aspect.ROUTING, Aspect.SETTINGS)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One match of a rule with what is done; `age` is what decides between two that are alike, `callers` who has it."""

    match: Match
    action: Action
    age: tuple[str, str, int]
    callers: ir.Principals | None
    span: Span


@dataclass(slots=True)
class Outbound:
    """Reads the routes and settings of ports."""

    known: ir.Mesh
    services: Services
    account: Account
    _routes: dict[tuple[str, str], list[tuple[ConfigObject, int | None]]] = field(default_factory=dict)
    _profiles: dict[tuple[str, str], ConfigObject] = field(default_factory=dict)

    def add(self, one: ConfigObject) -> None:
        """Take note of an object that may say how calls travel."""
        if one.kind == "Service" and not one.group:
            self.services.add(one)
        elif one.kind == "ServiceProfile":
            name = one.name.split(".")
            self._profiles[name[1] if len(name) > 1 else one.namespace, name[0]] = one
        elif one.kind in {"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"}:
            for parent in map(mapping, items(mapping(one.data.get("spec")).get("parentRefs"))):
                # A parent without a group is one of the Gateway API's own.
                if parent.get("kind") == "Service" and parent.get("group") in {"", "core"}:
                    port = parent.get("port")
                    namespace = str(parent.get("namespace") or one.namespace)
                    found = self._routes.setdefault((namespace, str(parent.get("name"))), [])
                    found.append((one, port if isinstance(port, int) else None))

    def port(self, workload: ir.Workload, port: ir.PortPolicy) -> ir.PortPolicy:
        """A port with its routes and the settings of its endpoints."""
        key = (workload.namespace, workload.name, port.number)
        itself = ir.Destination(namespace=workload.namespace, service=workload.name, port=port.number)
        settings = ir.Settings(outlier_detection=self._accrual(workload, key))
        plain = (_plain(port, itself, self._of_service(workload, key) if port.protocol.is_http else Notes()),)
        profile = self._profiles.get((workload.namespace, workload.name))
        if profile is not None:
            error = NotUnderstoodError("a service profile takes the place of routes, and cannot be said", "spec")
            self.account.not_understood(profile, error, (key,), *TRAVEL)
        attached = [one for one, at in self._routes.get(key[:2], ()) if at in {None, port.number}]
        if not port.protocol.is_http:
            others = [one for one in attached if one.kind in {"TCPRoute", "TLSRoute"}]
            self._unread(others, key)
            return replace(port, routes=plain, settings=settings)
        if any(one.kind == "GRPCRoute" for one in attached):
            self._unread([one for one in attached if one.kind == "GRPCRoute"], key)
            return replace(port, routes=plain, settings=settings)
        http = [one for one in attached if one.kind == "HTTPRoute"]
        routes = self._read(http, workload, key)
        return replace(port, routes=plain if routes is None else routes, settings=settings)

    def _unread(self, some: Iterable[ConfigObject], key: PortKey) -> None:
        for one in some:
            error = NotUnderstoodError(f"routes of the kind `{one.kind}` are not understood", "kind")
            self.account.not_understood(one, error, (key,), *TRAVEL)

    # ---- annotations ------------------------------------------------------------------------------------------------

    def _of_service(self, workload: ir.Workload, key: PortKey) -> Notes:
        for one in self.services.of(workload):
            try:
                notes = read_notes(one)
            except NotUnderstoodError as error:
                self.account.not_understood(one, error, (key,), Aspect.SETTINGS)
                continue
            if notes != Notes():
                return notes
        return Notes()

    def _accrual(self, workload: ir.Workload, key: PortKey) -> ir.OutlierDetection | None:
        for one in self.services.of(workload):
            try:
                found = read_accrual(one)
            except NotUnderstoodError as error:
                self.account.not_understood(one, error, (key,), Aspect.SETTINGS)
                continue
            if found is not None:
                return found
        return None

    # ---- routes -----------------------------------------------------------------------------------------------------

    def _read(self, routes: list[ConfigObject], workload: ir.Workload, key: PortKey) -> tuple[ir.Route, ...] | None:
        """The routes of a port; None where there is none, or none that is understood."""
        choices: list[_Choice] = []
        inherited = self._of_service(workload, key) if routes else Notes()
        for one in routes:
            try:
                choices += self._choices(one, workload, inherited)
            except NotUnderstoodError as error:
                self.account.not_understood(one, error, (key,), *TRAVEL)
        if not choices:
            return None
        looked_at = [one for one in choices if one.match.path != ANY]
        is_clean = all(one.match.path.takes_clean_alone for one in looked_at)
        if is_clean and any(one.match.path.is_clean for one in looked_at):
            self.account.taken_for_granted(PLAIN_PATHS, routes[0])
        try:
            ordered = _in_order([one for one in choices if one.match.path.patterns])
        except NotUnderstoodError as error:
            self.account.not_understood(routes[0], error, (key,), *TRAVEL)
            return None
        found = [made for one in ordered for made in _made(one, is_clean=is_clean)]
        return tuple(found) if found and _takes_all(found[-1]) else (*found, _nowhere(routes[0].span("spec")))

    def _choices(self, one: ConfigObject, workload: ir.Workload, inherited: Notes) -> Iterator[_Choice]:
        spec = Fields.spec(one)
        spec.ignore("parentRefs")
        if spec.texts("hostnames"):
            raise spec.error("routes of a Service for some of its names are not understood", "hostnames")
        notes = _joined(read_notes(one), inherited)
        callers: ir.Principals | None = None
        if one.namespace != workload.namespace:
            prefix = f"spiffe://{self.known.trust_domain}/ns/{one.namespace}/sa/"
            callers = ir.Principals((ir.IdentityPrefix(prefix),))
        created = str(mapping(one.data.get("metadata")).get("creationTimestamp") or "")
        rules = list(spec.each("rules"))
        spec.finish()
        for place, rule in enumerate(rules):
            own = _with_own_timeout(rule, notes, inherited, one)
            matches = list(read_rule_matches(rule, self.account))
            action = read_action(rule, self.services, own)
            for match in matches:
                yield _Choice(match, action, (created, one.name, place), callers, one.span(*rule.steps))


def _joined(own: Notes, inherited: Notes) -> Notes:
    """What a route says, and of what it says nothing, what its Service does."""
    if not own.has_retries:
        own = replace(own, retry=inherited.retry)
    if not own.has_timeouts:
        own = replace(own, request_ms=inherited.request_ms, idle_ms=inherited.idle_ms)
    return own


def _with_own_timeout(rule: Fields, notes: Notes, inherited: Notes, one: ConfigObject) -> Notes:
    """A rule that has any timeout takes none from the Service."""
    has_own = rule.fields("timeouts").has("request")
    if has_own and not read_notes(one).has_timeouts and inherited.has_timeouts:
        return replace(notes, request_ms=None, idle_ms=None)
    return notes


def _made(one: _Choice, *, is_clean: bool) -> Iterator[ir.Route]:
    """The routes of a match: one for each way to write its paths."""
    match = one.match
    parts: list[ir.Condition] = list(match.tests)
    if match.path.is_clean and not is_clean:
        parts.append(ir.PathIs(ir.RegexPath(CLEAN_PATH)))
    for pattern in match.path.patterns:
        yield ir.Route(
            methods=(match.method,) if match.method else (),
            path=pattern,
            condition=parts[0] if len(parts) == 1 else ir.AllOf(tuple(parts)) if parts else ir.ALWAYS,
            callers=one.callers,
            action=one.action.action,
            settings=one.action.settings,
            span=one.span,
        )


def _plain(port: ir.PortPolicy, itself: ir.Destination, notes: Notes) -> ir.Route:
    settings = ir.Settings(timeout_ms=notes.request_ms, idle_timeout_ms=notes.idle_ms, retry=notes.retry)
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=ir.Forward(destinations=(itself,)),
        settings=settings,
        span=port.span,
    )


def _nowhere(span: Span) -> ir.Route:
    """A request that no route takes is answered 404."""
    action = ir.Respond(status=_NOT_FOUND, body="", span=span)
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=action,
        settings=ir.Settings(),
        span=span,
    )


def _takes_all(route: ir.Route) -> bool:
    return route.path == ir.ANY_PATH and not route.methods and route.condition == ir.ALWAYS and route.callers is None


# ---- precedence -----------------------------------------------------------------------------------------------------


def _in_order(choices: list[_Choice]) -> list[_Choice]:
    """The choices such that the first that takes a call is the one that Linkerd prefers, under both of its orders.

    Raises NotUnderstoodError where that depends on the release, or on ages that are not told.
    """
    after: dict[int, set[int]] = {place: set() for place in range(len(choices))}
    for place, one in enumerate(choices):
        for number, other in enumerate(choices[place + 1 :], start=place + 1):
            order = _order(one, other, choices)
            if order > 0:
                after[number].add(place)
            elif order < 0:
                after[place].add(number)
    ordered: list[int] = []
    placed: set[int] = set()
    while len(ordered) < len(choices):
        ready = [place for place in after if place not in placed and after[place] <= placed]
        if not ready:
            raise NotUnderstoodError("which of some routes is preferred depends on the call", "spec", "rules")
        ordered += ready
        placed |= set(ready)
    return [choices[place] for place in ordered]


def _order(one: _Choice, other: _Choice, choices: list[_Choice]) -> int:
    """Which comes first: 1, -1, or 0 where it makes no difference."""
    if one.action == other.action and one.callers == other.callers:
        return 0
    if not may_overlap(one.match, other.match):
        return 0
    tie = _older(one, other)
    found = {outcome or tie for newer in (False, True) for outcome in outcomes(one.match, other.match, newer=newer)}
    if len(found) == 1 and (order := found.pop()):
        return order
    if any(settles(third.match, one.match, other.match) for third in choices):
        return 0
    message = "which of two routes is preferred depends on the release of Linkerd, on their age, or on the call"
    raise NotUnderstoodError(message, "spec", "rules")


def _older(one: _Choice, other: _Choice) -> int:
    """Which of two that tie counts: the earlier rule of an object, the older object; 0 where no age is told."""
    if one.age[1] != other.age[1] and not (one.age[0] and other.age[0]):
        return 0
    return 1 if one.age < other.age else -1
