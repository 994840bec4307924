"""Small random programs, and random edits of them, by which what `meshc diff` says is held against brute force.

A program is kept as its pieces, so that an edit is one change of a piece; `text` puts them together. Everything is drawn from a
`Random`, and the literals are those that `meshc_harness.alphabet` has requests for, so that an edit that means something shows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

SCOPES = ("mesh", "namespace a", "back", "back:80", "data")
SOURCES = (
    "front",
    "back",
    "data",
    "namespace a",
    "group g",
    "anyone",
    "authenticated",
    'identity "spiffe://ops.example/*"',
)
ADDRESSES = ("", "", "", "10.0.0.0/8", "10.1.0.0/16", "192.168.0.1")
METHODS = ("", "GET", "POST", "GET|POST", "PUT")
PATHS = ("", "/a", "/a/b", "/a/{id}", "/a/**", "/b", "/**", "/{x}/b")
CONDITIONS = (
    "",
    "",
    "",
    'header "x-a" == "1"',
    'header "x-a" is present',
    'not header "x-a" == "1"',
    'header "x-a" in ("1", "2")',
)
EFFECTS = ("allow", "allow", "deny")
VERSIONS = ("back@v1", "back@v2", "back@v1 90%, back@v2 10%", "back@v1 50%, back@v2 50%", "front:80")
SETTINGS = (
    "timeout 1s",
    "timeout 5s",
    "idle-timeout 1m",
    "retry 2 on connect-failure",
    "retry 2 on connect-failure { budget 20% }",
    'set request header "x-new" "1"',
    'remove request header "x-a"',
    "mirror 10% to back@v2",
    "fault delay 200ms for 1%",
    "fault abort 503 for 100%",
    'fault abort 503 for 100% when header "x-a" == "1"',
    'rewrite path "/w"',
    'rewrite host "other.example"',
)
ANSWERS = ('redirect "/w" status 308', 'redirect "/w"', "respond 404", 'respond 200 "ok"')
ENDPOINTS = (
    "load-balance random",
    "load-balance least-request",
    "circuit-breaker { connections 10 }",
    "connect-timeout 1s",
)
LIMITS = ("10/s", "10/s burst 20", "10/s per source", "5/s to GET /a", "5/s to GET", '5/s when header "x-a" == "1"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One access rule, in a scope."""

    scope: str
    effect: str
    sources: tuple[str, ...]
    address: str
    method: str
    path: str
    condition: str
    shadow: bool = False

    @property
    def text(self) -> str:
        parts = ["shadow"] if self.shadow else []
        parts += [self.effect, ", ".join(self.sources)]
        parts += [f"from {self.address}"] if self.address else []
        operation = f"{self.method} {self.path}".strip()
        parts += [f"to {operation}"] if operation else []
        parts += [f"when {self.condition}"] if self.condition else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of `back`; `target` is where it goes, or what it answers."""

    method: str
    path: str
    condition: str
    by: str
    target: str
    settings: tuple[str, ...]

    @property
    def text(self) -> str:
        answers = self.target in ANSWERS
        parts = ["route", f"{self.method} {self.path}".strip()]
        parts += [f"when {self.condition}"] if self.condition else []
        parts += [f"by {self.by}"] if self.by else []
        parts += [] if answers else [f"-> {self.target}"]
        return f"{' '.join(parts)} {{ {' '.join((self.target, *self.settings) if answers else self.settings)} }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A program; `order` is the seed of the order of its declarations."""

    default: str = "deny"
    namespace_default: str = ""
    mtls: str = "strict"
    group: str = "g"
    members: tuple[str, ...] = ("front", "data")
    rules: tuple[Rule, ...] = ()
    settings: tuple[str, ...] = ()
    split: str = ""
    endpoints: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    limits: tuple[str, ...] = ()
    order: int = field(default=0)

    @property
    def text(self) -> str:
        """The program; its declarations in an order of their own, which means nothing."""
        rng = Random(self.order)
        parts = [
            f'mesh m {{ trust-domain "m.example" also "ops.example" default access {self.default} mtls {self.mtls} }}',
            f"namespace a {{ {self.namespace_default} }}",
            "namespace b",
            "service front in a { port 80 http }",
            "service back in a { port 80 http version v1 version v2 }",
            "service data in b { port 5432 tcp }",
            f"group {self.group} = {', '.join(self.members)}",
        ]
        rules = list(self.rules)
        rng.shuffle(rules)
        for scope in SCOPES:
            lines = [one.text.replace("group g", f"group {self.group}") for one in rules if one.scope == scope]
            parts += [f"access {scope} {{ {' '.join(lines)} }}"] if lines else []
        routes = [one.text for one in self.routes]
        rng.shuffle(routes)
        inside = [*self.settings, *([f"split {self.split}"] if self.split else []), *self.endpoints, *routes]
        parts += [f"traffic back {{ {' '.join(inside)} }}"] if inside else []
        parts += [f"rate-limit back {{ {' '.join(self.limits)} }}"] if self.limits else []
        rng.shuffle(parts)
        return "\n".join(parts) + "\n"


def random_pieces(rng: Random) -> Pieces:
    """A program. It may have errors, such as ambiguous routes."""
    return Pieces(
        default=rng.choice(("deny", "deny", "allow")),
        namespace_default=rng.choice(("", "", "default access allow", "default access deny")),
        mtls=rng.choice(("strict", "strict", "permissive")),
        rules=tuple(_rule(rng) for _ in range(rng.randint(1, 5))),
        settings=_some(rng, SETTINGS, 2),
        split=rng.choice(("", "back@v1 90%, back@v2 10%")),
        endpoints=_some(rng, ENDPOINTS, 1),
        routes=tuple(_route(rng) for _ in range(rng.randint(0, 3))),
        limits=_some(rng, LIMITS, 2),
        order=rng.random().__hash__(),
    )


def _some(rng: Random, pool: tuple[str, ...], most: int) -> tuple[str, ...]:
    return tuple(rng.sample(pool, rng.randint(0, most)))


def _rule(rng: Random) -> Rule:
    scope = rng.choice(SCOPES)
    is_tcp = scope == "data"
    return Rule(
        scope=scope,
        effect=rng.choice(EFFECTS),
        sources=tuple(rng.sample(SOURCES, rng.choice((1, 1, 2)))),
        address=rng.choice(ADDRESSES),
        method="" if is_tcp else rng.choice(METHODS),
        path="" if is_tcp else rng.choice(PATHS),
        condition="" if is_tcp else rng.choice(CONDITIONS),
        shadow=rng.random() < 0.05,
    )


def _route(rng: Random) -> Route:
    target = rng.choice((*VERSIONS, *VERSIONS, *ANSWERS))
    return Route(
        method=rng.choice(METHODS),
        path=rng.choice(PATHS[1:]),
        condition=rng.choice(CONDITIONS[2:]) if rng.random() < 0.3 else "",
        by=rng.choice(("", "", "front", "namespace a")),
        target=target,
        settings=() if target in ANSWERS else _some(rng, SETTINGS, 2),
    )


# ---- edits ----------------------------------------------------------------------------------------------------------

Edit = Callable[[Random, Pieces], Pieces]


def _reordered(rng: Random, one: Pieces) -> Pieces:
    return replace(one, order=rng.random().__hash__())


def _group_renamed(_rng: Random, one: Pieces) -> Pieces:
    return replace(one, group="renamed")


def _rules_split(rng: Random, one: Pieces) -> Pieces:
    """A rule for two sources becomes two rules."""
    long = [rule for rule in one.rules if len(rule.sources) > 1]
    if not long:
        return _reordered(rng, one)
    chosen = rng.choice(long)
    halves = tuple(replace(chosen, sources=(source,)) for source in chosen.sources)
    return replace(one, rules=(*(rule for rule in one.rules if rule != chosen), *halves))


HARMLESS: tuple[Edit, ...] = (_reordered, _group_renamed, _rules_split)
"""Edits that change nothing."""


def _rule_edit(change: Callable[[Random, Rule], Rule]) -> Edit:
    def edit(rng: Random, one: Pieces) -> Pieces:
        at = rng.randrange(len(one.rules)) if one.rules else None
        if at is None:
            return replace(one, rules=(_rule(rng),))
        return replace(one, rules=(*one.rules[:at], change(rng, one.rules[at]), *one.rules[at + 1 :]))

    return edit


def _route_edit(change: Callable[[Random, Route], Route]) -> Edit:
    def edit(rng: Random, one: Pieces) -> Pieces:
        at = rng.randrange(len(one.routes)) if one.routes else None
        if at is None:
            return replace(one, routes=(_route(rng),))
        return replace(one, routes=(*one.routes[:at], change(rng, one.routes[at]), *one.routes[at + 1 :]))

    return edit


def _operation(rng: Random, rule: Rule, *, method: bool = False) -> Rule:
    if rule.scope == "data":
        return replace(rule, address=rng.choice(ADDRESSES))
    return replace(rule, method=rng.choice(METHODS)) if method else replace(rule, path=rng.choice(PATHS))


def _moved(rng: Random, rule: Rule) -> Rule:
    scope = rng.choice(SCOPES)
    return (
        replace(rule, scope=scope, method="", path="", condition="") if scope == "data" else replace(rule, scope=scope)
    )


def _rule_removed(rng: Random, one: Pieces) -> Pieces:
    at = rng.randrange(len(one.rules))
    return replace(one, rules=(*one.rules[:at], *one.rules[at + 1 :]))


EDITS: dict[str, Edit] = {
    "path of a rule": _rule_edit(_operation),
    "method of a rule": _rule_edit(lambda rng, rule: _operation(rng, rule, method=True)),
    "condition of a rule": _rule_edit(
        lambda rng, rule: rule if rule.scope == "data" else replace(rule, condition=rng.choice(CONDITIONS))
    ),
    "address of a rule": _rule_edit(lambda rng, rule: replace(rule, address=rng.choice(ADDRESSES))),
    "sources of a rule": _rule_edit(lambda rng, rule: replace(rule, sources=tuple(rng.sample(SOURCES, 1)))),
    "effect of a rule": _rule_edit(lambda _, rule: replace(rule, effect="deny" if rule.effect == "allow" else "allow")),
    "scope of a rule": _rule_edit(_moved),
    "shadow": _rule_edit(lambda _, rule: replace(rule, shadow=not rule.shadow)),
    "rule added": lambda rng, one: replace(one, rules=(*one.rules, _rule(rng))),
    "rule removed": _rule_removed,
    "default access": lambda rng, one: replace(one, default=rng.choice(("deny", "allow"))),
    "default of a namespace": lambda rng, one: replace(
        one, namespace_default=rng.choice(("", "default access allow", "default access deny"))
    ),
    "mtls": lambda _, one: replace(one, mtls="permissive" if one.mtls == "strict" else "strict"),
    "members of a group": lambda rng, one: replace(one, members=tuple(rng.sample(("front", "back", "data"), 2))),
    "split": lambda rng, one: replace(
        one, split=rng.choice(("", "back@v1 90%, back@v2 10%", "back@v1 50%, back@v2 50%"))
    ),
    "settings": lambda rng, one: replace(one, settings=_some(rng, SETTINGS, 2)),
    "endpoints": lambda rng, one: replace(one, endpoints=_some(rng, ENDPOINTS, 2)),
    "limits": lambda rng, one: replace(one, limits=_some(rng, LIMITS, 2)),
    "route added": lambda rng, one: replace(one, routes=(*one.routes, _route(rng))),
    "route removed": lambda _, one: replace(one, routes=one.routes[1:]),
    "path of a route": _route_edit(lambda rng, route: replace(route, path=rng.choice(PATHS[1:]))),
    "target of a route": _route_edit(lambda rng, route: replace(route, target=rng.choice(VERSIONS), settings=())),
    "condition of a route": _route_edit(lambda rng, route: replace(route, condition=rng.choice(CONDITIONS))),
    "callers of a route": _route_edit(lambda rng, route: replace(route, by=rng.choice(("", "front", "namespace a")))),
    "settings of a route": _route_edit(
        lambda rng, route: route if route.target in ANSWERS else replace(route, settings=_some(rng, SETTINGS, 2))
    ),
}
"""Edits that may change something; some draw what was there before."""
