"""Permissions and matchers of headers as conditions of the language."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.semantics.texts import text_check
from meshc_envoy.joined_headers import JOINED
from meshc_envoy.read import patterns
from meshc_envoy.read.algebra import NEVER, every, list_holds, negated, some
from meshc_envoy.read.hygiene import BAD_HOST, CONNECT, ODD_PATH
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import BLANKS, HOST_CASE, HOST_PORT, ONE_LINE, SNI_DOT, Notes

JWT: Final = "envoy.filters.http.jwt_authn"

_DROPPED: Final = ("x-envoy-", "x-forwarded-client-cert")
"""What the language takes no request to have."""
_WRITTEN: Final = frozenset(
    {
        *("x-forwarded-for", "x-forwarded-proto", "x-request-id"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        "content-length",
    }
)
"""What Envoy puts into requests, or takes out of them, before rules and routes look at them."""

RouteMetadata = Callable[[str, str, Message], ir.Condition]
"""Namespace and key of metadata of routes -> when the route that is taken has it set to true."""


def _no_metadata(_namespace: str, _key: str, _at: Message) -> ir.Condition:
    return NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a matcher stands: `claims` is the key under which verified tokens lie, None where nobody verifies any.

    It is empty where they are verified and nothing of them is kept. `is_outbound` says that authorities are as the
    application wrote them, with their ports; `is_guarding`, that what is matched here is refused, whatever else holds.
    """

    notes: Notes
    is_http: bool
    is_outbound: bool = False
    is_guarding: bool = False
    claims: str | None = None
    metadata: RouteMetadata = _no_metadata
    guards: set[str] = field(default_factory=set)
    """What was recognized as a refusal of what the language refuses anyway."""

    def guard(self, name: str) -> None:
        """Such a thing is matched here."""
        if self.is_guarding:
            self.guards.add(name)

    def ask_requests(self, at: Message) -> None:
        """Raises NotUnderstoodError on a connection, where no request, and nothing that is found out of one, is seen."""
        if not self.is_http:
            raise at.error("something of requests is tested on a connection, before there are any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A `StringMatcher`."""

    test: ir.TextTest
    ignores_case: bool = False


def string_matcher(matcher: Message) -> Text:
    """Raises NotUnderstoodError for matchers that no text test is."""
    found: list[Text] = []
    ignores_case = matcher.flag("ignore_case")
    for name, kind in (("exact", ir.Equals), ("prefix", ir.StartsWith), ("suffix", ir.EndsWith)):
        if matcher.has(name):
            found.append(Text(test=kind(matcher.text(name)), ignores_case=ignores_case))
    if matcher.has("contains"):
        inner = rf"\C*{patterns.quoted(matcher.text('contains'))}\C*"
        found.append(Text(test=ir.Matches(f"(?i:{inner})" if ignores_case else inner)))
    if matcher.has("safe_regex"):
        found.append(Text(test=regex(matcher.need("safe_regex"))))
    matcher.finish()
    if len(found) != 1:
        raise matcher.error("a text matcher should have exactly one test")
    return found[0]


def regex(matcher: Message) -> ir.Matches:
    """A `RegexMatcher`."""
    matcher.ignore("google_re2")
    pattern = matcher.text("regex")
    matcher.finish()
    try:
        text_check(ir.Matches(pattern))
    except ValueError as error:
        raise matcher.error(f"`{pattern}` is no regular expression that can be read") from error
    return ir.Matches(pattern)


def folded(text: Text, at: Message) -> ir.TextTest:
    """The test of a text that is not lower-cased before."""
    if not text.ignores_case or isinstance(text.test, ir.Matches | ir.IsPresent):
        return text.test
    value = patterns.quoted(text.test.value)
    if not text.test.value.isascii():
        raise at.error("text beyond ascii is compared without regard to case")
    match text.test:
        case ir.Equals():
            return ir.Matches(f"(?i:{value})")
        case ir.StartsWith():
            return ir.Matches(rf"(?i:{value}\C*)")
        case ir.EndsWith():
            return ir.Matches(rf"(?i:\C*{value})")


# ---- headers --------------------------------------------------------------------------------------------------------


def header(matcher: Message, where: Surroundings) -> ir.Condition:
    """A `HeaderMatcher`, the old spellings included."""
    where.ask_requests(matcher)
    name = matcher.text("name").lower()
    if not name:
        raise matcher.error("a matcher of a header without a name")
    if name.startswith(_DROPPED) or name in _WRITTEN:
        raise matcher.error(f"the header `{name}`, which Envoy writes or drops by itself, is tested")
    inverted = matcher.flag("invert_match")
    if inverted:
        where = replace(where, is_guarding=False)
    missing_is_empty = matcher.flag("treat_missing_header_as_empty")
    if missing_is_empty and (matcher.has("present_match") or not any(map(matcher.has, _TESTS))):
        raise matcher.error("a header is asked for that is taken to be there always")
    if matcher.has("present_match"):
        present = matcher.flag("present_match")
        matcher.finish()
        holds = _present(name)
        return holds if present is not inverted else negated(holds)
    text = _value(matcher)
    matcher.finish()
    if text is None:
        return negated(_present(name)) if inverted else _present(name)
    condition = _pseudo(name, text, matcher, where)
    if condition is not None:
        return negated(condition) if inverted else condition
    test = _ordinary(name, text, matcher, where)
    on_empty = text_check(test)("") and not isinstance(test, ir.IsPresent)
    holds = NEVER if patterns.is_blank_at_an_end(test) else ir.HeaderIs(name, test)
    if inverted:
        absent_too = missing_is_empty and not on_empty
        return negated(holds) if absent_too else every((_present(name), negated(holds)))
    return some((holds, negated(_present(name)))) if missing_is_empty and on_empty else holds


_TESTS: Final = (
    "string_match",
    "safe_regex_match",
    "exact_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
)


def _present(name: str) -> ir.Condition:
    return ir.ALWAYS if name.startswith(":") else ir.HeaderIs(name, ir.IsPresent())


def _value(matcher: Message) -> Text | None:
    if matcher.has("string_match"):
        return string_matcher(matcher.need("string_match"))
    if matcher.has("safe_regex_match"):
        return Text(test=regex(matcher.need("safe_regex_match")))
    for name, kind in (("exact_match", ir.Equals), ("prefix_match", ir.StartsWith), ("suffix_match", ir.EndsWith)):
        if matcher.has(name):
            return Text(test=kind(matcher.text(name)))
    if matcher.has("contains_match"):
        return Text(test=ir.Matches(rf"\C*{patterns.quoted(matcher.text('contains_match'))}\C*"))
    return None


def _ordinary(name: str, text: Text, at: Message, where: Surroundings) -> ir.TextTest:
    """The test of a value without the blanks at its ends."""
    test = folded(text, at)
    trimmed = patterns.header_test(test)
    if name in JOINED:
        where.notes.assume(ONE_LINE, at.span)
    if trimmed == test and not patterns.is_blank_at_an_end(test):
        where.notes.assume(BLANKS, at.span)
    return trimmed


def _pseudo(name: str, text: Text, at: Message, where: Surroundings) -> ir.Condition | None:
    if not name.startswith(":") and name != "host":
        return None
    match name:
        case ":method":
            return _method(text, at, where)
        case ":path":
            return _target(text, at)
        case ":authority" | "host":
            return _authority(text, at, where)
        case _:
            raise at.error(f"the pseudo header `{name}` is not understood")


def _method(text: Text, at: Message, where: Surroundings) -> ir.Condition:
    match text.test:
        case ir.Equals("CONNECT") if not text.ignores_case:
            where.guard(CONNECT)
            return NEVER  # the language refuses it anyway
        case ir.Equals(method) if not text.ignores_case:
            return ir.MethodIs((method,))
        case ir.Matches(pattern) if patterns.is_anything(pattern):
            return ir.ALWAYS
        case ir.Matches(pattern) if (methods := patterns.alternatives(pattern)) is not None:
            return some(ir.MethodIs((one,)) for one in methods if one != "CONNECT")
        case _:
            raise at.error("a test of the method that names no methods is not understood")


def _target(text: Text, at: Message) -> ir.Condition:
    """A test of the path with its query."""
    if isinstance(text.test, ir.Matches):
        found = patterns.query_test(text.test.pattern)
        if found is not None:
            return found
        if patterns.is_anything(text.test.pattern):
            return ir.ALWAYS
    if isinstance(text.test, ir.StartsWith) and text.test.value in {"", "/"}:
        return ir.ALWAYS
    raise at.error("a test of the path together with its query is not understood")


def _authority(text: Text, at: Message, where: Surroundings) -> ir.Condition:
    if not text.ignores_case and patterns.minds_case(text.test):
        where.notes.assume(HOST_CASE, at.span)
    if where.is_outbound and patterns.names_ports(text.test):
        where.notes.assume(HOST_PORT, at.span)
    test = patterns.host_test(text.test, ignores_case=text.ignores_case, is_outbound=where.is_outbound)
    if test is None:
        where.guard(BAD_HOST)
        return NEVER
    return ir.ALWAYS if isinstance(test, ir.IsPresent) else ir.HostIs(test)


# ---- permissions ----------------------------------------------------------------------------------------------------


def permission(message: Message, where: Surroundings) -> ir.Condition:
    """A `Permission`."""
    kind = _kind(message)
    match kind:
        case "any":
            holds = message.flag("any")
            message.finish()
            return ir.ALWAYS if holds else NEVER
        case "and_rules" | "or_rules":
            inner = message.need(kind)
            within = where if kind == "or_rules" else replace(where, is_guarding=False)
            parts = [permission(one, within) for one in inner.messages("rules")]
            inner.finish()
            return every(parts) if kind == "and_rules" else some(parts)
        case "not_rule":
            return negated(permission(message.need(kind), replace(where, is_guarding=False)))
        case "header":
            return header(message.need(kind), where)
        case "url_path":
            return path(message.need(kind), where)
        case "requested_server_name":
            return server_name(message.need(kind), where)
        case "sourced_metadata":
            return sourced_metadata(message.need(kind), where)
        case "metadata":
            return metadata(message.need(kind), where, is_route=False)
        case _:
            raise message.error(f"the permission `{kind}` is not understood", kind)


def _kind(message: Message) -> str:
    kinds = [name for name, value in message.data.items() if value is not None]
    if len(kinds) != 1:
        raise message.error("exactly one kind of matcher is expected")
    return kinds[0]


def path(matcher: Message, where: Surroundings) -> ir.Condition:
    """A `PathMatcher`: the path without its query."""
    where.ask_requests(matcher)
    text = string_matcher(matcher.need("path"))
    matcher.finish()
    if patterns.is_odd_path(text.test):
        where.guard(ODD_PATH)
        return NEVER
    pattern = patterns.path_pattern(folded(text, matcher))
    return ir.ALWAYS if pattern == ir.ANY_PATH else ir.PathIs(pattern)


_NAMED: Final = ir.SniIs(ir.IsPresent())


def server_name(matcher: Message, where: Surroundings) -> ir.Condition:
    """A test of the server name, which is the empty text where there is none."""
    text = string_matcher(matcher)
    test = text.test
    if not patterns.bears_a_dot(test):
        where.notes.assume(SNI_DOT, matcher.span)
    if isinstance(test, ir.Matches):
        if test.pattern in {r"\C+", ".+"}:
            return _NAMED
        plain = test.pattern.removesuffix(r"\.?")
        before = r"\C*"
        if plain.startswith(before + "(?i:"):
            inner = patterns.uncased(plain.removeprefix(before))
            known = patterns.literal(inner)
            test = ir.EndsWith(known) if known is not None else ir.Matches(before + inner)
        else:
            test = patterns.text_test(ir.Matches(patterns.uncased(plain)))
    elif isinstance(test, ir.Equals | ir.StartsWith | ir.EndsWith) and text.ignores_case:
        test = type(test)(test.value.lower())
    holds = ir.SniIs(test)
    return some((holds, negated(_NAMED))) if text_check(test)("") else holds


# ---- metadata -------------------------------------------------------------------------------------------------------


def sourced_metadata(message: Message, where: Surroundings) -> ir.Condition:
    """Metadata of the request, or of the route that it takes."""
    source = message.text("metadata_source", "DYNAMIC")
    found = metadata(message.need("metadata_matcher"), where, is_route=source == "ROUTE")
    message.finish()
    return found


def metadata(matcher: Message, where: Surroundings, *, is_route: bool) -> ir.Condition:
    """A `MetadataMatcher`: of a claim of the verified token, or of a mark of the route."""
    where.ask_requests(matcher)
    namespace = matcher.text("filter")
    keys = tuple(one.text("key") for one in matcher.messages("path"))
    inverted = matcher.flag("invert")
    value = matcher.need("value")
    matcher.finish()
    if is_route:
        if len(keys) != 1 or not value.flag("bool_match"):
            raise matcher.error("this metadata of a route is not understood")
        value.finish()
        holds = where.metadata(namespace, keys[0], matcher)
    elif namespace == JWT and len(keys) > 1:
        # Where nobody verifies tokens, no claim is there; nor is it in the language, whatever it is called.
        holds = _claim(keys[1:], value) if where.claims in {None, keys[0]} else NEVER
    else:
        raise matcher.error(f"metadata of `{namespace}` is not understood")
    return negated(holds) if inverted else holds


def _claim(path: tuple[str, ...], value: Message) -> ir.Condition:
    if value.has("string_match"):
        test = string_matcher(value.need("string_match"))
        value.finish()
        return ir.ClaimIs(path, folded(test, value))
    if value.has("list_match"):
        members = value.need("list_match")
        inner = members.need("one_of")
        text = string_matcher(inner.need("string_match"))
        for one in (inner, members, value):
            one.finish()
        if isinstance(text.test, ir.Equals) and not text.ignores_case:
            return list_holds(path, ir.Contains(text.test.value))
        if isinstance(text.test, ir.Matches) and patterns.is_anything(text.test.pattern):
            return list_holds(path, ir.IsPresent())
    raise value.error("this test of a claim is not understood")
