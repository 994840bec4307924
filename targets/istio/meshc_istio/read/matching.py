"""The `match` of routes: `HTTPMatchRequest` -> methods, path, conditions and callers.

Source: Istio's API reference, VirtualService; `pilot/pkg/networking/core/route/route.go`. A prefix is one of the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.semantics.texts import fullmatcher, text_check
from meshc_istio.read.account import PLAIN_HOSTS
from meshc_istio.read.expressions import alternatives, host_test, parameter_test, path_pattern, quoted, text_test
from meshc_istio.read.expressions import literal as literal_of
from meshc_istio.read.fields import Fields
from meshc_istio.read.forms import all_of, any_of
from meshc_istio.read.world import World

MESH_GATEWAY: Final = "mesh"
_KINDS: Final = ("exact", "prefix", "regex")


@dataclass(frozen=True, slots=True)
class Uri:
    """What was written of the path: rewrites depend on it. `kind` is `exact`, `prefix`, `regex`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One entry. `port` is the one that it is for, None for all; `callers` None for everybody."""

    port: int | None = None
    methods: tuple[str, ...] = ()
    path: ir.PathPattern = ir.ANY_PATH
    condition: ir.Condition = ir.ALWAYS
    callers: ir.Principals | None = None
    uri: Uri | None = None
    assumptions: tuple[str, ...] = ()


EVERYTHING: Final = Match()


def read_match(fields: Fields, world: World) -> Match | None:
    """An entry; None for one of gateways alone. Raises NotReadError."""
    gateways = fields.texts("gateways")
    fields.ignore("name", "statPrefix")
    if gateways and MESH_GATEWAY not in gateways:
        return None
    port, methods = fields.whole("port") or None, _methods(fields)
    path, below, uri = _path(fields)
    host, assumptions = _host(fields)
    conditions = (
        *below,
        *host,
        *(_header(name.lower(), test) for name, test in fields.entries("headers")),
        *(_without(name.lower(), test) for name, test in fields.entries("withoutHeaders")),
        *(_query(name, test) for name, test in fields.entries("queryParams")),
    )
    callers = world.callers(fields.text_map("sourceLabels"), fields.text("sourceNamespace"))
    fields.finish()
    return Match(
        port=port,
        methods=methods,
        path=path,
        condition=all_of(conditions),
        callers=callers,
        uri=uri,
        assumptions=assumptions,
    )


def joined(matches: Iterable[Match]) -> tuple[Match, ...]:
    """The entries, with `exactly /a` and `starts with /a/`, one after the other, as the one pattern that they come to."""
    found: list[Match] = []
    for one in matches:
        if found and (both := _both(found[-1], one)) is not None:
            found[-1] = both
        else:
            found.append(one)
    return tuple(found)


def _both(first: Match, second: Match) -> Match | None:
    if first.uri is None or second.uri is None or (first.uri.kind, second.uri.kind) != ("exact", "prefix"):
        return None
    same = (first.port, first.methods, first.callers) == (second.port, second.methods, second.callers)
    if not same or second.uri.text != f"{first.uri.text}/":
        return None
    below = ir.Not(ir.PathIs(ir.ExactPath(first.uri.text)))
    if all_of((below, first.condition)) != second.condition and second.condition != _after(below, first.condition):
        return None
    return Match(
        port=first.port,
        methods=first.methods,
        path=second.path,
        condition=first.condition,
        callers=first.callers,
        uri=None,
        assumptions=first.assumptions,
    )


def _after(below: ir.Condition, rest: ir.Condition) -> ir.Condition:
    return all_of((below, *rest.conditions)) if isinstance(rest, ir.AllOf) else all_of((below, rest))


def _string(fields: Fields, *, may_be_empty: bool = False) -> tuple[str, str] | None:
    """The kind and the text of a StringMatch; None for presence."""
    kinds = [kind for kind in _KINDS if kind in fields]
    if not kinds:
        fields.finish()
        return None
    if len(kinds) > 1:
        raise fields.error("a text that is matched in two ways")
    text = fields.text(kinds[0]) or ""
    fields.finish()
    if kinds[0] == "regex":
        try:
            fullmatcher(text)
        except ValueError as error:
            raise fields.error(f"the expression `{text}`, which is not RE2 syntax,") from error
    if not text and not (may_be_empty and kinds[0] == "prefix"):
        raise fields.error("an empty text, which Istio takes for none,")
    return kinds[0], text


def _test(kind: str, text: str) -> ir.TextTest:
    match kind:
        case "exact":
            return ir.Equals(text)
        case "prefix":
            return ir.StartsWith(text)
        case _:
            return text_test(text)


# ---- methods, paths, hosts ------------------------------------------------------------------------------------------


def _methods(fields: Fields) -> tuple[str, ...]:
    method = fields.fields("method")
    found = None if method is None else _string(method)
    if method is None or found is None or found == ("regex", ".*"):
        return ()
    return _named_methods(method, *found)


def _named_methods(fields: Fields, kind: str, text: str) -> tuple[str, ...]:
    named = [text] if kind == "exact" else [literal_of(one) or "" for one in alternatives(text)]
    if kind == "prefix" or not all(named):
        raise fields.error(f"methods by the pattern `{text}`")
    return tuple(named)


def _path(fields: Fields) -> tuple[ir.PathPattern, tuple[ir.Condition, ...], Uri | None]:
    """The pattern, what it must not be, and what was written."""
    uri = fields.fields("uri")
    ignores_case = fields.flag("ignoreUriCase")
    found = None if uri is None else _string(uri, may_be_empty=True)
    if found is None:
        return ir.ANY_PATH, (), None
    kind, text = found
    written = Uri(kind, text)
    if ignores_case and kind != "regex":
        more = ".*" if kind == "prefix" else ""
        return ir.RegexPath(f"(?i:{quoted(text)}){more}"), (), written
    if kind != "regex" and text and (not text.startswith("/") or "//" in text):
        # No path is so: `/` comes first, and never twice.
        return ir.RegexPath(quoted(text)), (ir.Not(ir.ALWAYS),), written
    if kind == "exact":
        return ir.ExactPath(text), (), written
    if kind == "regex":
        return path_pattern(text), (), written
    if text in {"", "/"}:
        return ir.ANY_PATH, (), written
    if not text.endswith("/"):
        return ir.RegexPath(f"{quoted(text)}.*"), (), written
    stem = text[:-1]
    pattern = ir.TemplatePath(tuple(stem.split("/")[1:]), (), rest=True)
    return pattern, (ir.Not(ir.PathIs(ir.ExactPath(stem))),), written


def _host(fields: Fields) -> tuple[tuple[ir.Condition, ...], tuple[str, ...]]:
    scheme = fields.fields("scheme")
    if scheme is not None:
        raise scheme.error("the scheme of a request")
    authority = fields.fields("authority")
    found = None if authority is None else _string(authority)
    if authority is None or found is None:
        return (), ()
    kind, text = found
    if kind == "regex":
        test = host_test(text)
        if test is None:
            raise authority.error(f"hosts by the pattern `{text}`, which may match their ports,")
        return ((ir.HostIs(test),) if not isinstance(test, ir.IsPresent) else ()), ()
    test = ir.Equals(text.lower()) if kind == "exact" else ir.StartsWith(text.lower())
    return (ir.HostIs(test),), (PLAIN_HOSTS,)


# ---- headers and parameters -----------------------------------------------------------------------------------------


def _header(name: str, fields: Fields) -> ir.Condition:
    found = _string(fields)
    if name.startswith((":", "@")):
        raise fields.error(f"a test of `{name}`")
    if found is None:
        return ir.HeaderIs(name, ir.IsPresent())
    return ir.HeaderIs(name, _test(*found))


def _without(name: str, fields: Fields) -> ir.Condition:
    """The opposite. A header that is not there counts as an empty one."""
    found = _string(fields)
    if found is None:
        return ir.Not(ir.HeaderIs(name, ir.IsPresent()))
    kind, text = found
    if name.startswith((":", "@")):
        return _not_pseudo(name, kind, text, fields)
    tests = [_test("regex", one) for one in alternatives(text)] if kind == "regex" else [_test(kind, text)]
    refused = ir.Not(any_of(ir.HeaderIs(name, one) for one in tests))
    takes_empty = any(_takes_empty(one) for one in tests)
    return all_of((ir.HeaderIs(name, ir.IsPresent()), refused)) if takes_empty else refused


def _takes_empty(test: ir.TextTest) -> bool:
    return text_check(test)("")


def _not_pseudo(name: str, kind: str, text: str, fields: Fields) -> ir.Condition:
    parts = alternatives(text) if kind == "regex" else (quoted(text),)
    found: list[ir.Condition] = []
    if name == ":method" and kind != "prefix":
        return ir.Not(ir.MethodIs(_named_methods(fields, "regex", text if kind == "regex" else quoted(text))))
    for one in parts if kind == "regex" else ():
        if name == ":authority" and (test := host_test(one)) is not None:
            found.append(ir.HostIs(test))
        elif name == ":path" and (query := parameter_test(one)) is not None:
            found.append(query)
    if not found or len(found) != len(parts):
        raise fields.error(f"a test of `{name}` by `{text}`")
    return ir.Not(any_of(found))


def _query(name: str, fields: Fields) -> ir.Condition:
    found = _string(fields)
    return ir.QueryIs(name, ir.IsPresent() if found is None else _test(*found))
