"""Matches of routes on servers: what each matches, as a condition, and which of two Linkerd prefers.

Two orders of precedence are in use. Before linkerd2-proxy#4604 a path counts by the length that it matches, an expression by
the whole; then headers, queries, and whether there is a method. After it an exact path comes first, and a method before headers.
Source: linkerd2-proxy `linkerd/http/route`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_linkerd.read.account import ASCII, HOSTS, ONE_VALUE, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.paths import (
    ANY,
    EXACT,
    EXPRESSION,
    PREFIX,
    PathTest,
    inner_of,
    literal,
    paths_overlap,
    read_path,
)

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"])
_BLANKS: Final = "[ \\t]*"
_ANYTHING: Final = ("(?s:.)*", ".*")


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a route. Empty texts stand for "any"; `host` may start with `*`."""

    host: str
    path: PathTest
    method: str
    tests: tuple[ir.HeaderIs | ir.QueryIs, ...]

    def condition(self, *, is_clean: bool) -> ir.Condition:
        """What it matches; `is_clean` says that no path holds `;`."""
        parts: list[ir.Condition] = []
        if self.method:
            parts.append(ir.MethodIs((self.method,)))
        if self.path != ANY:
            parts.append(self.path.condition(is_clean=is_clean))
        if self.host:
            parts.append(ir.HostIs(ir.EndsWith(self.host[1:]) if self.host.startswith("*") else ir.Equals(self.host)))
        return ir.AllOf((*parts, *self.tests))

    def counts(self, kind: type[ir.HeaderIs] | type[ir.QueryIs]) -> int:
        """How many tests of a kind there are."""
        return sum(isinstance(one, kind) for one in self.tests)


MatchReader = Callable[[Fields, str, Account], Match]
"""Reads one match of a rule, for a host in lower case, empty for any. Raises NotUnderstoodError."""

# ---- reading --------------------------------------------------------------------------------------------------------


def rules_of(route: Fields) -> list[Fields]:
    """The rules of a route's spec. An HTTPRoute without any gets one for everything when it is applied; source: both definitions."""
    if route.source.kind == "HTTPRoute" and not route.has("rules"):
        route.ignore("rules")
        return [Fields({}, route.source, route.steps)]
    return list(route.each("rules"))


def read_matches(route: Fields, account: Account, read: MatchReader) -> Iterator[Match]:
    """The matches of a server's route's spec; a rule without any matches everything. Raises NotUnderstoodError."""
    hosts = route.texts("hostnames") or ("",)
    if hosts != ("",):
        account.taken_for_granted(HOSTS, route.source, "spec", "hostnames")
    for rule in rules_of(route):
        if rule.has("filters"):
            raise rule.error("filters of a server's route are not understood", "filters")
        if rule.has("backendRefs"):
            raise rule.error("a server's route has no backends", "backendRefs")
        rule.ignore("name", "filters", "backendRefs")
        found = list(rule.each("matches"))
        rule.finish()
        for host in hosts:
            for one in found or [Fields({}, rule.source, rule.steps)]:
                yield read(one, host.lower(), account)


def read_match(one: Fields, host: str, account: Account) -> Match:
    """One match of a rule, for a host in lower case, empty for any. Raises NotUnderstoodError."""
    method = one.text("method")
    if method and method not in _METHODS:
        raise one.error(f"Linkerd knows no method `{method}`", "method")
    tests = (*read_tests(one, "headers", account), *read_tests(one, "queryParams", account))
    path = read_path(one, account)
    one.finish()
    return Match(host, path, method, tests)


def read_tests(one: Fields, name: str, account: Account) -> tuple[ir.HeaderIs | ir.QueryIs, ...]:
    """The `headers` or `queryParams` of a match. Raises NotUnderstoodError."""
    return tuple(_tests(one, name, account))


def _tests(one: Fields, name: str, account: Account) -> Iterator[ir.HeaderIs | ir.QueryIs]:
    seen: set[str] = set()
    for test in one.each(name):
        kind, key, value = test.text("type", EXACT), test.text("name"), test.text("value")
        test.finish()
        key = key.lower() if name == "headers" else key
        if key in seen:
            raise test.error(f"`{key}` is tested twice, of which Linkerd takes one", "name")
        seen.add(key)
        found: ir.TextTest
        if kind == EXACT:
            found = ir.Equals(value)
        elif kind == EXPRESSION:
            found = text_test(value, test)
            account.taken_for_granted(ASCII if name == "headers" else ONE_VALUE, test.source, *test.steps)
        else:
            raise test.error(f"a test of type `{kind}` is not understood", "type")
        if name == "queryParams":
            account.taken_for_granted(ONE_VALUE, test.source, *test.steps)
            yield ir.QueryIs(key, found)
        else:
            yield ir.HeaderIs(key, found)


def text_test(value: str, where: Fields) -> ir.TextTest:
    """An expression for a value, as the plainest test that says the same of ASCII values without blanks around them.

    Raises NotUnderstoodError.
    """
    trimmed = value
    if value.startswith(f"^{_BLANKS}(?:") and value.endswith(f"){_BLANKS}$"):
        trimmed = f"^{value[1 + len(_BLANKS) : -1 - len(_BLANKS)]}$"
    inner = inner_of(trimmed, where)
    if inner in _ANYTHING:
        return ir.IsPresent()
    for ending in _ANYTHING:
        if inner.endswith(ending) and (text := literal(inner.removesuffix(ending))) is not None:
            return ir.StartsWith(text)
        if inner.startswith(ending) and (text := literal(inner.removeprefix(ending))) is not None:
            return ir.EndsWith(text)
    text = literal(inner)
    return ir.Matches(inner) if text is None else ir.Equals(text)


# ---- precedence -----------------------------------------------------------------------------------------------------


def may_overlap(one: Match, other: Match) -> bool:
    """Whether some request may match both."""
    if one.method and other.method and one.method != other.method:
        return False
    return _hosts_overlap(one.host, other.host) and paths_overlap(one.path, other.path)


def _hosts_overlap(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    if one.startswith("*") and other.startswith("*"):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    wild, plain = (one, other) if one.startswith("*") else (other, one)
    return wild.startswith("*") and plain.endswith(wild[1:])


def preferred(one: Match, other: Match, *, newer: bool) -> int:
    """Which of two that overlap is preferred for every request that both match: 1, -1, or 0 where neither is for all of them."""
    outcomes = preferences(one, other, newer=newer)
    return outcomes.pop() if len(outcomes) == 1 else 0


def preferences(one: Match, other: Match, *, newer: bool) -> set[int]:
    """Which of two is preferred, for one request or another that both match: 1, -1, or 0 where their age decides."""
    paths = _path_order(one.path, other.path, newer=newer)
    host = _compare(_host_rank(one.host), _host_rank(other.host))
    headers = _compare(one.counts(ir.HeaderIs), other.counts(ir.HeaderIs))
    queries = _compare(one.counts(ir.QueryIs), other.counts(ir.QueryIs))
    method = _compare(bool(one.method), bool(other.method))
    later = (method, headers, queries) if newer else (headers, queries, method)
    return {_first((host, path, *later)) for path in paths}


def settles(third: Match, one: Match, other: Match) -> bool:
    """Whether a third match takes all that both match, before either of them."""
    if third in {one, other}:
        return False
    both = {*one.tests, *other.tests}
    takes_all = (
        third.host in {"", one.host, other.host}
        and third.method in {"", one.method, other.method}
        and (third.path in {one.path, other.path, ANY})
        and set(third.tests) <= both
    )
    return takes_all and all(
        preferred(third, loser, newer=newer) > 0 for loser in (one, other) for newer in (False, True)
    )


def _first(order: tuple[int, ...]) -> int:
    return next((one for one in order if one), 0)


def _compare(one: int, other: int) -> int:
    return (one > other) - (one < other)


def _host_rank(host: str) -> int:
    """None, then a suffix, then a whole name; the longer the better."""
    if not host:
        return 0
    return len(host) if host.startswith("*") else 1_000 + len(host)


def _path_order(one: PathTest, other: PathTest, *, newer: bool) -> tuple[int, ...]:
    """How two paths may compare, over all paths that pass both: by the length that is matched, a prefix's its own."""
    if newer and (one.kind == EXACT) is not (other.kind == EXACT):
        return (1,) if one.kind == EXACT else (-1,)
    if one.kind == other.kind == PREFIX:
        return (_compare(len(one.value), len(other.value)),)
    if PREFIX not in {one.kind, other.kind}:
        return (0,)
    sign, whole, prefix = (1, one, other) if other.kind == PREFIX else (-1, other, one)
    if whole.kind == EXACT:
        return (0,) if whole.value.rstrip("/") == prefix.value.rstrip("/") else (sign,)
    at_prefix = PathTest(EXACT, prefix.value, (ir.ExactPath(prefix.value),))
    return (sign, 0) if paths_overlap(whole, at_prefix) else (sign,)
