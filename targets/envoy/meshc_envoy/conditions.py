"""Conditions as RBAC permissions or principals.

Envoy's two algebras have the same shape, but not the same atoms: only a permission reads the server name of a TLS hello,
only a principal reads addresses. `split` therefore divides a condition into what each of them can say.
"""

from dataclasses import dataclass
from enum import Enum
from itertools import product
from math import prod
from typing import Final, assert_never

from meshc import ir
from meshc.target import Json
from meshc_envoy.queries import query_matcher
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import caseless_matcher, quote, regex, server_name_matcher, text_matcher, trimmed_matcher

JWT_FILTER: Final = "envoy.filters.http.jwt_authn"
CLAIMS_KEY: Final = "claims"
"""The key in the JWT filter's metadata under which the verified token's claims lie."""


class Algebra(Enum):
    """Which of RBAC's two algebras; the values are the names of `and`, `or`, `not` and the list inside."""

    PERMISSION = ("and_rules", "or_rules", "not_rule", "rules")
    PRINCIPAL = ("and_ids", "or_ids", "not_id", "ids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """A condition in two halves that must both hold: `permission` (None: anything) and `principal` (None: anybody)."""

    permission: ir.Condition | None
    principal: ir.Condition | None


def split(condition: ir.Condition) -> tuple[Halves, ...]:
    """The condition as alternatives of two halves each; one alternative unless server names and addresses are mixed."""
    conjuncts = condition.conditions if isinstance(condition, ir.AllOf) else (condition,)
    if any(_needs(part, ir.SniIs) and _needs(part, ir.AddressIn) for part in conjuncts):
        return tuple(_halves(alternative) for alternative in _alternatives(condition, negated=False))
    return (_halves(conjuncts),)


def alternatives(condition: ir.Condition, *, negated: bool = False) -> int:
    """How many alternatives `split` makes of a condition, or would have to, if it mixed server names and addresses."""
    match condition:
        case ir.Not(inner):
            return alternatives(inner, negated=not negated)
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            counts = [alternatives(part, negated=negated) for part in conditions]
            return sum(counts) if isinstance(condition, ir.AllOf) is negated else prod(counts)
        case _:
            return 1


def _halves(conjuncts: tuple[ir.Condition, ...]) -> Halves:
    principals = tuple(part for part in conjuncts if _needs(part, ir.AddressIn))
    permissions = tuple(part for part in conjuncts if not _needs(part, ir.AddressIn))
    return Halves(
        permission=_conjunction(permissions) if permissions else None,
        principal=_conjunction(principals) if principals else None,
    )


def _conjunction(parts: tuple[ir.Condition, ...]) -> ir.Condition:
    return parts[0] if len(parts) == 1 else ir.AllOf(parts)


def _needs(condition: ir.Condition, *atoms: type[ir.Atom]) -> bool:
    return any(isinstance(atom, atoms) for atom in atoms_of(condition))


def atoms_of(condition: ir.Condition) -> tuple[ir.Atom, ...]:
    """All atoms of a condition, in order."""
    match condition:
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            return tuple(atom for part in conditions for atom in atoms_of(part))
        case ir.Not(inner):
            return atoms_of(inner)
        case _:
            return (condition,)


def _alternatives(condition: ir.Condition, *, negated: bool) -> tuple[tuple[ir.Condition, ...], ...]:
    """The disjunctive normal form, for the few conditions on tls ports that mix server names and addresses."""
    match condition:
        case ir.Not(inner):
            return _alternatives(inner, negated=not negated)
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            parts = [_alternatives(part, negated=negated) for part in conditions]
            if isinstance(condition, ir.AllOf) is negated:
                return tuple(alternative for part in parts for alternative in part)
            return tuple(tuple(atom for chosen in choice for atom in chosen) for choice in product(*parts))
        case _:
            return ((ir.Not(condition) if negated else condition,),)


# ---- translation ----------------------------------------------------------------------------------------------------


def translate(condition: ir.Condition, algebra: Algebra) -> Object:
    """A condition as a permission or principal; every atom must be one that the algebra has."""
    _, _, negation, _ = algebra.value
    match condition:
        case ir.AllOf(conditions):
            return every([translate(part, algebra) for part in conditions], algebra)
        case ir.AnyOf(conditions):
            return some([translate(part, algebra) for part in conditions], algebra)
        case ir.Not(inner):
            return {negation: translate(inner, algebra)}
        case _:
            return _atom(condition, algebra)


def every(parts: list[Object], algebra: Algebra) -> Object:
    """All of `parts`; anything at all if there are none."""
    conjunction, _, _, items = algebra.value
    if not parts:
        return {"any": True}
    return parts[0] if len(parts) == 1 else {conjunction: {items: list(parts)}}


def some(parts: list[Object], algebra: Algebra) -> Object:
    """Any of `parts`; nothing if there are none."""
    _, disjunction, _, items = algebra.value
    if not parts:
        return nothing(algebra)
    return parts[0] if len(parts) == 1 else {disjunction: {items: list(parts)}}


def nothing(algebra: Algebra) -> Object:
    """What never matches."""
    return {algebra.value[2]: {"any": True}}


def _atom(atom: ir.Atom, algebra: Algebra) -> Object:
    match atom:
        case ir.MethodIs(methods):
            return some([_header(":method", {"exact": method}) for method in methods], algebra)
        case ir.PathIs(pattern):
            return _path(pattern, algebra)
        case ir.HostIs(test):
            return _host(test, algebra)
        case ir.HeaderIs(name, test):
            return _value(name, test, algebra)
        case ir.QueryIs():
            return query_matcher(atom) or nothing(algebra)
        case ir.ClaimIs(path, test):
            return some([_claim(path, value) for value in _claim_values(test)], algebra)
        case ir.SniIs(test):
            return _sni(test, algebra)
        case ir.AddressIn(address, blocks):
            return some([_address(address, block) for block in blocks], algebra)
        case _:
            assert_never(atom)


def _header(name: str, matcher: Object) -> Object:
    return {"header": {"name": name, "string_match": matcher}}


def _value(name: str, test: ir.TextTest, algebra: Algebra) -> Object:
    if isinstance(test, ir.IsPresent):
        return {"header": {"name": name, "present_match": True}}
    matcher = trimmed_matcher(test)
    return nothing(algebra) if matcher is None else _header(name, matcher)


def _path(pattern: ir.PathPattern, algebra: Algebra) -> Object:
    if pattern == ir.ANY_PATH:
        return {"any": True}
    return some([{"url_path": {"path": matcher}} for matcher in path_matchers(pattern)], algebra)


def path_matchers(pattern: ir.PathPattern) -> tuple[Object, ...]:
    """String matchers of the normalized path, one of which must match."""
    match pattern:
        case ir.ExactPath(path):
            return ({"exact": path},)
        case ir.RegexPath(expression):
            return (regex(expression),)
        case ir.TemplatePath(segments, _, rest):
            if None in segments:
                steps = "".join("/" + ("[^/]+" if step is None else quote(step)) for step in segments)
                return (regex(steps + (r"(?:/\C*)?" if rest else "")),)
            path = "".join(f"/{step}" for step in segments)
            return ({"exact": path}, {"prefix": f"{path}/"}) if rest else ({"exact": path},)
        case _:
            assert_never(pattern)


def _host(test: ir.TextTest, algebra: Algebra) -> Object:
    if isinstance(test, ir.IsPresent):
        return {"header": {"name": ":authority", "present_match": True}}
    matcher = caseless_matcher(test)
    return nothing(algebra) if matcher is None else _header(":authority", matcher)


def _claim(path: tuple[str, ...], value: Object) -> Object:
    keys: list[Json] = [{"key": key} for key in (CLAIMS_KEY, *path)]
    return {"sourced_metadata": {"metadata_matcher": {"filter": JWT_FILTER, "path": keys, "value": value}}}


def _claim_values(test: ir.TextTest | ir.Contains) -> list[Object]:
    match test:
        case ir.Contains(value):
            members: list[Object] = [{"list_match": {"one_of": {"string_match": {"exact": value}}}}]
            part = regex(rf"(?:\C* )?{quote(value)}(?: \C*)?")
            return members if " " in value else [*members, {"string_match": part}]
        case ir.IsPresent():
            text: Object = {"string_match": regex(r"\C*")}
            return [text, {"list_match": {"one_of": text}}]
        case _:
            return [{"string_match": text_matcher(test)}]


def _sni(test: ir.TextTest, algebra: Algebra) -> Object:
    if isinstance(test, ir.IsPresent):
        return {"requested_server_name": regex(r"\C+")}
    matcher = server_name_matcher(test)
    if matcher is None:
        return nothing(algebra)
    present: Object = {"requested_server_name": regex(r"\C+")}
    # Without a server name the text is empty, which only presence tells from a name.
    return every([present, {"requested_server_name": matcher}], algebra)


def _address(address: ir.AddressOf, block: ir.IpBlock) -> Object:
    source = "direct_remote_ip" if address is ir.AddressOf.PEER else "remote_ip"
    return {source: {"address_prefix": str(block.network_address), "prefix_len": block.prefixlen}}
