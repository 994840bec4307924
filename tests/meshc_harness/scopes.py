"""Read back the scopes that differences are told with: whether a request lies in what the words say.

A reader of its own, for the literals of `meshc_harness.edits`: what `meshc diff` says is checked, and not what it computed.
"""

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network

from meshc.difference.model import Scope
from meshc.request import Request

_NAMED = {
    "a.front": "spiffe://m.example/ns/a/sa/front",
    "a.back": "spiffe://m.example/ns/a/sa/back",
    "b.data": "spiffe://m.example/ns/b/sa/data",
}
_PREFIXES = {"namespace a": "spiffe://m.example/ns/a/sa/", "namespace b": "spiffe://m.example/ns/b/sa/"}


class UnreadableError(ValueError):
    """Words that this reader does not know."""


def lies_in(request: Request, scope: Scope, groups: dict[str, tuple[str, ...]]) -> bool:
    """Whether a request is one that a scope speaks of. Raises UnreadableError."""
    return (
        _listed(scope.sources, lambda one: _is_source(one, request.identity, groups))
        and (not scope.addresses or _listed(scope.addresses, lambda one: _is_address(one, request.source_ip)))
        and (not scope.operations or _is_operation(scope.operations, request))
        and all(_holds(one, request) for one in scope.conditions)
    )


def _listed(text: str, is_one) -> bool:
    include, _, exclude = text.partition(" except ")
    excluded = [one for one in exclude.split(", ") if one]
    return any(is_one(one) for one in include.split(", ")) and not any(is_one(one) for one in excluded)


def _is_source(text: str, identity: str | None, groups: dict[str, tuple[str, ...]]) -> bool:
    if text == "anyone":
        return True
    if text == "callers without identity":
        return identity is None
    if text == "authenticated":
        return identity is not None
    if text.startswith("group "):
        return any(_NAMED[member] == identity for member in groups[text.removeprefix("group ")])
    if text in _PREFIXES:
        return identity is not None and identity.startswith(_PREFIXES[text])
    if text in _NAMED:
        return identity == _NAMED[text]
    if found := re.fullmatch(r'trust domain "(.*)"', text):
        return identity is not None and identity.startswith(f"spiffe://{found[1]}/")
    if found := re.fullmatch(r'identity "(.*?)(\*?)"', text):
        return identity is not None and (identity.startswith(found[1]) if found[2] else identity == found[1])
    if text.startswith("others of "):
        prefix = _PREFIXES.get(text.removeprefix("others of "))
        if prefix is not None:
            return identity is not None and identity.startswith(prefix) and identity not in _NAMED.values()
    raise UnreadableError(text)


def _is_address(text: str, address: str) -> bool:
    return text == "anywhere" or ip_address(address) in ip_network(text)


def _is_operation(text: str, request: Request) -> bool:
    path = request.path
    if path is None:
        raise UnreadableError(text)
    text, _, other = text.partition(" by any method but ")
    if other and request.method in other.split("|"):
        return False
    if text.startswith("any method but "):
        return request.method not in text.removeprefix("any method but ").split("|")
    include, _, exclude = text.partition(" except ")
    if exclude and any(_pattern(one).fullmatch(path) for one in exclude.split(", ")):
        return False
    return any(_is_one_operation(one, request) for one in include.split(", "))


def _is_one_operation(text: str, request: Request) -> bool:
    methods, blank, path = text.partition(" ")
    if not blank:
        methods, path = ("", text) if text.startswith("/") else (text, "")
    if methods and not re.fullmatch(r"[A-Z|]+", methods):
        raise UnreadableError(text)
    return (not methods or request.method in methods.split("|")) and (
        not path or _pattern(path).fullmatch(request.path or "") is not None
    )


@lru_cache
def _pattern(path: str) -> re.Pattern[str]:
    if not path.startswith("/"):
        raise UnreadableError(path)
    stem = path.removesuffix("/**")
    parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in stem.split("/"))
    return re.compile("/".join(parts) + ("(/.*)?" if path.endswith("/**") else ""))


# ---- conditions -----------------------------------------------------------------------------------------------------


def _holds(text: str, request: Request) -> bool:
    """A condition of tests of one header, `and`, `or`, `not` and parentheses."""
    values = [value for name, value in request.headers if name == "x-a"]
    left, said = _disjunction(re.findall(r'header "x-a"|==|!=|"[^"]*"|[(),]|\w+', text), values)
    if left:
        raise UnreadableError(text)
    return said


_Read = tuple[list[str], bool]


def _disjunction(tokens: list[str], values: list[str]) -> _Read:
    tokens, said = _conjunction(tokens, values)
    while tokens[:1] == ["or"]:
        tokens, other = _conjunction(tokens[1:], values)
        said = said or other
    return tokens, said


def _conjunction(tokens: list[str], values: list[str]) -> _Read:
    tokens, said = _term(tokens, values)
    while tokens[:1] == ["and"]:
        tokens, other = _term(tokens[1:], values)
        said = said and other
    return tokens, said


def _term(tokens: list[str], values: list[str]) -> _Read:
    match tokens:
        case ["not", *rest]:
            rest, said = _term(rest, values)
            return rest, not said
        case ["(", *rest]:
            rest, said = _disjunction(rest, values)
            if rest[:1] != [")"]:
                raise UnreadableError(" ".join(tokens))
            return rest[1:], said
        case ['header "x-a"', "==", value, *rest]:
            return rest, value.strip('"') in values
        case ['header "x-a"', "!=", value, *rest]:
            return rest, value.strip('"') not in values
        case ['header "x-a"', "is", "present", *rest]:
            return rest, bool(values)
        case ['header "x-a"', "is", "absent", *rest]:
            return rest, not values
        case ['header "x-a"', "in", "(", *rest]:
            end = rest.index(")")
            return rest[end + 1 :], any(f'"{one}"' in rest[:end] for one in values)
        case _:
            raise UnreadableError(" ".join(tokens))
