"""The HTTP filters of a connection manager, in their order: what they refuse, count and log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect
from meshc.target import PortKey
from meshc_envoy.read.algebra import NEVER, every, some
from meshc_envoy.read.atoms import RouteMetadata, Surroundings
from meshc_envoy.read.hygiene import check_guards
from meshc_envoy.read.limits import RBAC_METADATA, limit
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import MARKED_LINES, ONE_LINE, Notes
from meshc_envoy.read.rules import condition_of, stage
from meshc_envoy.read.tokens import tokens

RBAC: Final = "envoy.extensions.filters.http.rbac.v3.RBAC"
FAULT: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"
_JWT: Final = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_LIMIT: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_STATE: Final = "envoy.extensions.filters.http.set_filter_state.v3.Config"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_DNS: Final = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
_HELD: Final = "shadow_effective_policy_id"
_ASKED: Final = "shadow_engine_result"


@dataclass(slots=True)
class HttpChain:
    """What the filters come to. `rbac` and `faults` are the names of filters that routes may tell otherwise.

    `guarding` are those among them that refuse what the language refuses anyway.
    """

    stages: list[ir.Stage] = field(default_factory=list)
    jwts: tuple[ir.Jwt, ...] = ()
    limits: list[ir.RateLimit] = field(default_factory=list)
    logs: tuple[ir.AccessLog, ...] = ()
    rbac: dict[str, tuple[ir.Stage, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    guarding: set[str] = field(default_factory=set)
    where: Surroundings | None = None


@dataclass(slots=True)
class _Walk:
    """A walk along the filters."""

    notes: Notes
    ports: tuple[PortKey, ...] | None
    where: Surroundings
    chain: HttpChain = field(default_factory=HttpChain)
    state: dict[str, str] = field(default_factory=dict)
    shadows: dict[str, Message] = field(default_factory=dict)
    at_shadow: dict[str, Surroundings] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    conditions: dict[str, ir.Condition] = field(default_factory=dict)

    def take(self, filter_: Message) -> None:
        name = filter_.text("name")
        kind, config = filter_.config()
        if filter_.flag("disabled"):
            raise filter_.error("a filter that is only on for some routes is not understood")
        filter_.flag("is_optional")
        filter_.finish()
        match kind:
            case _ if kind == RBAC:
                self._rbac(name, config)
            case _ if kind == _JWT:
                if self.chain.stages or self.chain.limits:
                    raise filter_.error("tokens that are verified after rules are not understood")
                if self.where.claims is not None:
                    raise filter_.error("a second filter that verifies tokens is not understood")
                found = tokens(config, self.notes)
                self.chain.jwts = found.jwts
                self.where = replace(self.where, claims=found.claims)
            case _ if kind == _LIMIT:
                self.chain.limits.append(limit(config, self.state, self.mark))
            case _ if kind == _STATE:
                self._state(config)
            case _ if kind == FAULT:
                if config.data.keys() - {"@type"}:
                    raise config.error("a fault that is not told by a route is not understood")
                self.chain.faults.append(name)
            case _ if kind in {_ROUTER, _DNS}:
                pass
            case _:
                raise filter_.error(f"the http filter `{kind}` is not understood")

    def _rbac(self, name: str, config: Message) -> None:
        config.ignore("rules_stat_prefix", "shadow_rules_stat_prefix", "track_per_rule_stats")
        own: list[ir.Stage] = []
        if config.has("shadow_rules"):
            prefix = config.text("shadow_rules_stat_prefix")
            self.shadows[prefix] = config.need("shadow_rules")
            self.at_shadow[prefix] = self.where
        if config.has("rules"):
            if self.chain.limits:
                raise config.error("rules after a rate limit are not understood")
            guards: set[str] = set()
            found = stage(config.need("rules"), replace(self.where, guards=guards), shadow=False)
            if guards:
                self.where.guards.update(guards)
                self.chain.guarding.add(name)
            if found.rules or found.effect is ir.Effect.ALLOW:
                own.append(found)
        config.finish()
        self.chain.stages += own
        self.chain.rbac[name] = tuple(own)

    def _state(self, config: Message) -> None:
        for one in config.messages("on_request_headers"):
            source = one.need("format_string").message("text_format_source")
            if source is not None:
                self.state[one.text("object_key")] = source.text("inline_string")

    def mark(self, key: str) -> ir.Condition | None:
        """When RBAC leaves this key in its metadata."""
        prefix = key.removesuffix(_HELD)
        rules = self.shadows.get(prefix)
        if rules is None or prefix == key:
            return None
        if prefix not in self.conditions:
            self.conditions[prefix] = self._marked(rules, self.at_shadow[prefix])
        self.marks.add(prefix)
        return self.conditions[prefix]

    def _marked(self, rules: Message, where: Surroundings) -> ir.Condition:
        """What is marked is counted or logged, and decides no access: repeated headers matter less there."""
        notes = Notes()
        found = condition_of(rules, replace(where, notes=notes))
        for one in notes.assumptions:
            self.notes.assume(MARKED_LINES if one.text == ONE_LINE else one.text, one.span)
        return found

    def observing(self) -> list[ir.Stage]:
        """Shadow rules that no log and no limit asks for: they are there to be seen."""
        return [
            stage(rules, self.at_shadow[prefix], shadow=True)
            for prefix, rules in self.shadows.items()
            if prefix not in self.marks
        ]


def http_chain(
    manager: Message,
    notes: Notes,
    ports: tuple[PortKey, ...] | None,
    *,
    is_outbound: bool,
    metadata: RouteMetadata | None = None,
) -> HttpChain:
    """The filters and logs of a connection manager. What is not understood is noted for the ports."""
    where = Surroundings(notes=notes, is_http=True, is_outbound=is_outbound)
    if metadata is not None:
        where = replace(where, metadata=metadata)
    walk = _Walk(notes=notes, ports=ports, where=where)
    filters = manager.messages("http_filters")
    if not filters or _kind(filters[-1]) != _ROUTER or any(_kind(one) == _ROUTER for one in filters[:-1]):
        raise manager.error("the last http filter, and no other, should be the router", "http_filters")
    router = filters[-1].config()[1]
    router.ignore("suppress_envoy_headers", "start_child_span", "dynamic_stats", "respect_expected_rq_timeout")
    try:
        router.finish()
    except NotUnderstoodError as error:
        notes.unknown(error, Aspect, ports)
    for one in filters:
        try:
            walk.take(one)
        except NotUnderstoodError as error:
            notes.unknown(error, _touched(one), ports)
    try:
        walk.chain.logs = tuple(_log(one, walk) for one in manager.messages("access_log"))
    except NotUnderstoodError as error:
        notes.unknown(error, (Aspect.SETTINGS,), ports)
    try:
        walk.chain.stages += walk.observing()
    except NotUnderstoodError as error:
        notes.unknown(error, (Aspect.SETTINGS,), ports)
    check_guards(where.guards, manager, notes)
    walk.chain.where = walk.where
    return walk.chain


def _kind(filter_: Message) -> str:
    return filter_.config()[0]


def _touched(filter_: Message) -> Iterable[Aspect]:
    config = filter_.data.get("typed_config")
    kind = config.get("@type") if isinstance(config, Mapping) else ""
    return (Aspect.SETTINGS,) if str(kind).endswith(_LIMIT) else tuple(Aspect)


# ---- access logs ----------------------------------------------------------------------------------------------------


def _log(logger: Message, walk: _Walk) -> ir.AccessLog:
    _, config = logger.config()
    layout = config.message("log_format")
    condition: ir.Condition = ir.ALWAYS
    if logger.has("filter"):
        condition = _logged(logger.need("filter"), walk)
    logger.finish()
    style = "json" if layout is not None and layout.has("json_format") else "text"
    return ir.AccessLog(format=style, condition=condition, span=logger.span)


def _logged(filter_: Message, walk: _Walk) -> ir.Condition:
    """The condition of a log. What was refused before a mark could be made is logged as well, which is no part of it."""
    if filter_.has("or_filter") or filter_.has("and_filter"):
        name = "or_filter" if filter_.has("or_filter") else "and_filter"
        inner = filter_.need(name)
        parts = [_logged(one, walk) for one in inner.messages("filters")]
        for one in (inner, filter_):
            one.finish()
        return some(parts) if name == "or_filter" else every(parts)
    found = filter_.need("metadata_filter")
    matcher = found.need("matcher")
    keys = tuple(one.text("key") for one in matcher.messages("path"))
    value = matcher.need("value")
    absent = found.flag("match_if_key_not_found", default=True)
    is_rbac = matcher.text("filter") == RBAC_METADATA and len(keys) == 1
    for one in (found, matcher, filter_):
        one.finish()
    if is_rbac and absent and value.has("null_match") and keys[0].endswith(_ASKED):
        return NEVER
    condition = walk.mark(keys[0]) if is_rbac and not absent and value.flag("present_match") else None
    if condition is None:
        raise filter_.error("this condition of a log is not understood")
    return condition
