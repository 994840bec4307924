"""One rule of an AuthorizationPolicy -> the rules that it is on one port of a workload.

`from`, `to` and `when` are joined by `and`, the items of `from` and of `to` by `or`. Ports are those of the workload. On a port
without requests an ALLOW rule that looks at them never matches, and a DENY rule loses just these parts, so that it refuses more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading.plain import items, mapping, texts
from meshc.source import Span
from meshc.target import Json
from meshc_istio.read import tests
from meshc_istio.read.account import PLAIN_SUBJECTS
from meshc_istio.read.forms import NotSayableError, Said, all_of, any_of, hosts, methods, paths
from meshc_istio.read.sources import ANYBODY, TOKEN, Who, World, who

_HTTP_FIELDS: Final = frozenset({"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"})
_OPERATION: Final = _HTTP_FIELDS | {"ports", "notPorts"}
_NO_TOKEN: Final = ir.Not(TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What a rule has to know of a port."""

    number: int
    target: int
    is_http: bool
    is_deny: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a rule is on one port. `wants_token`: it does nothing but refuse requests without a valid token."""

    rules: tuple[ir.Rule, ...]
    assumptions: tuple[str, ...] = ()
    wants_token: bool = False


def read_rule(rule: Json, port: Port, world: World, identifier: str, span: Span) -> Read:
    """The rules of one port; none where the rule is not about it. Raises NotSayableError."""
    fields = mapping(rule)
    if not isinstance(rule, Mapping):
        raise NotSayableError("a rule that is no mapping")
    if set(fields) - {"from", "to", "when"}:
        raise NotSayableError("a rule with other fields than `from`, `to`, `when`")
    if any(name in fields and not items(fields[name]) for name in fields):
        raise NotSayableError("an empty list, which Istio refuses,")
    operations = _operations(fields, port)
    whens = _whens(fields, port)
    if operations is None or whens is None:
        return Read(rules=())
    sources = [who(mapping(one).get("source"), world) for one in items(fields.get("from"))] or [ANYBODY]
    found = [_rule(one, operations, whens, port) for one in sources]
    made = [one for one in found if one is not None]
    return Read(
        rules=tuple(
            ir.Rule(identifier=f"{identifier}.{number}", principals=principals, condition=said.condition, span=span)
            for number, (principals, said) in enumerate(made)
        ),
        assumptions=tuple(dict.fromkeys(text for _, said in made for text in said.assumptions)),
        wants_token=port.is_deny and port.is_http and [said.condition for _, said in made] == [_NO_TOKEN]
        and made[0][0] == ANYBODY.principals,
    )  # fmt: skip


def _rule(source: Who, operations: Said, whens: Said, port: Port) -> tuple[ir.Principals, Said] | None:
    parts = [source.condition.condition]
    assumptions = (*source.condition.assumptions, *operations.assumptions, *whens.assumptions)
    if source.token is not None:
        if port.is_http:
            parts.append(source.token)
            assumptions = (*assumptions, PLAIN_SUBJECTS)
        elif not port.is_deny:
            return None
    return source.principals, Said(all_of((*parts, operations.condition, whens.condition)), assumptions)


def _operations(fields: Mapping[str, Json], port: Port) -> Said | None:
    """What is called; None where none of the operations is about the port."""
    if "to" not in fields:
        return Said(ir.ALWAYS)
    found = [said for one in items(fields["to"]) if (said := _operation(mapping(one).get("operation"), port))]
    if not found:
        return None
    assumptions = tuple(text for one in found for text in one.assumptions)
    if any(one.condition == ir.ALWAYS for one in found):
        return Said(ir.ALWAYS, assumptions)
    return Said(any_of(one.condition for one in found), assumptions)


def _operation(operation: Json, port: Port) -> Said | None:
    # An empty list says nothing.
    fields = {name: value for name, value in mapping(operation).items() if value not in ([], ())}
    strange = sorted(set(fields) - _OPERATION)
    if strange:
        raise NotSayableError(f"the field `{strange[0]}` of an operation")
    if not fields:
        raise NotSayableError("an empty operation, which Istio refuses,")
    if "ports" in fields and str(port.target) not in texts(fields["ports"]):
        return None
    if str(port.target) in texts(fields.get("notPorts")):
        return None
    if not port.is_http:
        return None if not port.is_deny and _HTTP_FIELDS & set(fields) else Said(ir.ALWAYS)
    return _joined(_http_parts(fields, port))


def _joined(parts: Iterator[Said]) -> Said:
    listed = list(parts)
    return Said(all_of(one.condition for one in listed), tuple(text for one in listed for text in one.assumptions))


def _http_parts(fields: Mapping[str, Json], port: Port) -> Iterator[Said]:
    if "methods" in fields:
        yield methods(texts(fields["methods"]))
    if "notMethods" in fields:
        yield _not(methods(texts(fields["notMethods"])))
    if "paths" in fields:
        yield paths(texts(fields["paths"]))
    if "notPaths" in fields:
        yield _not(paths(texts(fields["notPaths"])))
    numbers = (port.number, port.target)
    named, excepted = texts(fields.get("hosts")), texts(fields.get("notHosts"))
    # Of a prefix that ends in a dot, the host that is all of it but its last dot is no host of the language's prefix.
    spared = {text for form in named if form.endswith(".*") for text in (form[:-1], f"{form[:-1]}:*")}
    if named:
        yield hosts(named, numbers, may_take_less=not port.is_deny)
    if left := [one for one in excepted if one not in spared]:
        yield _not(hosts(left, numbers, may_take_less=port.is_deny))


def _not(said: Said) -> Said:
    return Said(ir.Not(said.condition), said.assumptions)


def _whens(fields: Mapping[str, Json], port: Port) -> Said | None:
    """All tests; None where the rule looks at requests and there are none."""
    listed = [mapping(one) for one in items(fields.get("when"))]
    about_requests = [one for one in listed if tests.is_http(str(one.get("key", "")))]
    if about_requests and not port.is_http:
        if not port.is_deny:
            return None
        listed = [one for one in listed if one not in about_requests]
    return _joined(tests.when(one) for one in listed)
