"""Show parts of the intermediate form as `.mesh` text, for people to read.

What the language can say is shown as it would be written. The intermediate form is more general, so that imported
policies fit: an operation in the middle of a condition is shown as `(POST /charge)`, which no program can hold.
"""

import re
from collections.abc import Iterable, Mapping
from typing import assert_never

from meshc.ir import (
    ALWAYS,
    ANY_PATH,
    AddressIn,
    AddressOf,
    AllOf,
    AnyIdentity,
    AnyOf,
    AnyPeer,
    ClaimIs,
    Condition,
    Contains,
    Destination,
    EndsWith,
    Equals,
    ExactIdentity,
    ExactPath,
    Forward,
    HeaderIs,
    HostIs,
    IdentityPrefix,
    IpBlock,
    IsPresent,
    Matches,
    Mesh,
    MethodIs,
    Not,
    PathIs,
    PathPattern,
    Principal,
    Principals,
    QueryIs,
    Redirect,
    RegexPath,
    Respond,
    Route,
    SniIs,
    StartsWith,
    TemplatePath,
    TextTest,
)

Names = Mapping[str, str]
"""How identities and identity prefixes are called in the program; the others are shown as they are."""

TextAtom = HostIs | HeaderIs | QueryIs | ClaimIs | SniIs
_BARE_PATH = re.compile(r'/(?:[^\s,(){}"]|\{[^\s{}"]*\})*')
_RPC = re.compile(r"/([A-Za-z_]\w*(?:\.\w+)*)/([A-Za-z_]\w*|\{[^{}]*\})", re.ASCII)
_REGEX_PART = re.compile(r'\\.|"|\n', re.DOTALL)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_SPECIAL_CLAIMS: Mapping[tuple[str, ...], str] = {("iss",): "issuer", ("sub",): "subject"}


def identity_names(mesh: Mesh) -> Names:
    """The names of a mesh's own identities: `namespace.service`, and `namespace N` for all of one namespace."""
    names: dict[str, str] = {}
    for workload in mesh.workloads:
        shown = f"{workload.namespace}.{workload.name}"
        names[workload.identity] = f"{names[workload.identity]}, {shown}" if workload.identity in names else shown
        names[f"spiffe://{mesh.trust_domain}/ns/{workload.namespace}/sa/"] = f"namespace {workload.namespace}"
    return names


def show_text(text: str) -> str:
    """A string literal."""
    return (
        '"'
        + "".join(_ESCAPES.get(char, char if char.isprintable() else f"\\u{{{ord(char):x}}}") for char in text)
        + '"'
    )


def show_regex(pattern: str) -> str:
    """A regular expression literal."""
    return 're"' + _REGEX_PART.sub(_regex_part, pattern) + '"'


def _regex_part(found: re.Match[str]) -> str:
    if found[0] == "\n":
        return "\\n"
    return '\\"' if found[0].endswith('"') else found[0]


def show_path(pattern: PathPattern) -> str:
    """A path pattern; captures without a name are `{_}`."""
    match pattern:
        case RegexPath(pattern=regex):
            return show_regex(regex)
        case ExactPath(path=path):
            return _path_text(path)
        case TemplatePath(segments=segments, names=names, rest=rest):
            holes = iter(names)
            shown = "".join(f"/{{{next(holes, '_')}}}" if one is None else f"/{one}" for one in segments)
            return _path_text(f"{shown}/**" if rest else shown)
        case _:
            assert_never(pattern)


def _path_text(path: str) -> str:
    return path if _BARE_PATH.fullmatch(path) else show_text(path)


# ---- sources --------------------------------------------------------------------------------------------------------


def show_principal(principal: Principal, names: Names) -> str:
    """One source."""
    match principal:
        case AnyPeer():
            return "anyone"
        case AnyIdentity():
            return "authenticated"
        case ExactIdentity(identity=identity):
            return names.get(identity) or f"identity {show_text(identity)}"
        case IdentityPrefix(prefix=prefix):
            return names.get(prefix) or f"identity {show_text(prefix + '*')}"
        case _:
            assert_never(principal)


def show_principals(principals: Principals, names: Names) -> str:
    """A list of sources, with `except`; `nobody` for an empty one."""
    include = ", ".join(show_principal(one, names) for one in principals.include) or "nobody"
    exclude = ", ".join(show_principal(one, names) for one in principals.exclude)
    return f"{include} except {exclude}" if exclude else include


def show_identity(identity: str | None, names: Names) -> str:
    """A caller by name, or by its identity."""
    if identity is None:
        return "a caller without verified identity"
    return names.get(identity, identity)


# ---- operations -----------------------------------------------------------------------------------------------------


def show_operation(methods: Iterable[str], path: PathPattern, *, is_rpc: bool = False) -> str:
    """`GET|HEAD /charge/{id}`; every method is left out, and so is every path where methods are named.

    What reads like a gRPC call is shown as `rpc package.Service/Method`; with `is_rpc`, a service without a package too.
    """
    named = "|".join(methods)
    if named and path == ANY_PATH:
        return named
    shown = show_path(path)
    return rpc_of(named, shown, is_rpc=is_rpc) or f"{named} {shown}".strip()


def rpc_of(methods: str, path: str, *, is_rpc: bool = False) -> str | None:
    """A method and a path, both as shown, as an `rpc`; None where they are none, or, without `is_rpc`, may be none."""
    found = _RPC.fullmatch(path) if methods == "POST" else None
    if found is None or not (is_rpc or "." in found[1]):
        return None
    return f"rpc {found[1]}/{'*' if found[2].startswith('{') else found[2]}"


def operation_condition(methods: tuple[str, ...], path: PathPattern) -> Condition:
    """The condition that is one operation; the inverse of `operation_of`."""
    if not methods:
        return PathIs(path)
    return MethodIs(methods) if path == ANY_PATH else AllOf((MethodIs(methods), PathIs(path)))


def operation_of(condition: Condition) -> tuple[tuple[str, ...], PathPattern] | None:
    """The methods (none: any) and the path of a condition that is one operation; None for any other condition."""
    match condition:
        case MethodIs(methods=methods):
            return methods, ANY_PATH
        case PathIs(pattern=pattern):
            return (), pattern
        case AllOf(conditions=(MethodIs(methods=methods), PathIs(pattern=pattern))):
            return methods, pattern
        case _:
            return None


def operations_of(condition: Condition) -> tuple[tuple[tuple[str, ...], PathPattern], ...] | None:
    """The operations of a condition that is one or any of several; None for any other condition."""
    parts = condition.conditions if isinstance(condition, AnyOf) else (condition,)
    found = tuple(operation for part in parts if (operation := operation_of(part)) is not None)
    return found if found and len(found) == len(parts) else None


# ---- conditions -----------------------------------------------------------------------------------------------------


def show_condition(condition: Condition) -> str:
    """A condition as it stands after `when`."""
    match condition:
        case AllOf(conditions=()):
            return "always"
        case AnyOf(conditions=()):
            return "never"
        case AllOf(conditions=parts):
            operation = operation_of(condition)
            if operation is not None:
                return f"({show_operation(*operation)})"
            return " and ".join(_grouped(part, inside="and") for part in parts)
        case AnyOf(conditions=parts):
            return _show_one_of(parts) or " or ".join(_grouped(part, inside="or") for part in parts)
        case Not(condition=inner):
            return _show_not(inner)
        case MethodIs() | PathIs():
            operation = operation_of(condition)
            return f"({show_operation(*operation)})" if operation is not None else ""
        case AddressIn(address=address, blocks=blocks):
            return f"{address.value} in ({show_blocks(blocks)})"
        case HostIs() | HeaderIs() | QueryIs() | ClaimIs() | SniIs():
            return f"{show_subject(condition)} {_show_test(condition.test)}"
        case _:
            assert_never(condition)


def _grouped(condition: Condition, *, inside: str) -> str:
    """A part of a conjunction (`and`) or disjunction (`or`), in parentheses where it would bind less."""
    shown = show_condition(condition)
    is_or = isinstance(condition, AnyOf) and len(condition.conditions) > 1 and not _show_one_of(condition.conditions)
    return f"({shown})" if is_or and inside == "and" else shown


def _show_not(inner: Condition) -> str:
    match inner:
        case HostIs(test=Equals(value=value)) | SniIs(test=Equals(value=value)):
            return f"{show_subject(inner)} != {show_text(value)}"
        case HeaderIs(test=Equals(value=value)) | QueryIs(test=Equals(value=value)) | ClaimIs(test=Equals(value=value)):
            return f"{show_subject(inner)} != {show_text(value)}"
        case HostIs(test=IsPresent()) | SniIs(test=IsPresent()):
            return f"{show_subject(inner)} is absent"
        case HeaderIs(test=IsPresent()) | QueryIs(test=IsPresent()) | ClaimIs(test=IsPresent()):
            return f"{show_subject(inner)} is absent"
        case AllOf() | AnyOf() if operation_of(inner) is None:
            return f"not ({show_condition(inner)})"
        case _:
            return f"not {show_condition(inner)}"


def _show_one_of(parts: tuple[Condition, ...]) -> str | None:
    """`subject in ("a", "b")`, where the parts are that."""
    values: list[str] = []
    subjects: set[str] = set()
    for part in parts:
        if not isinstance(part, TextAtom) or not isinstance(part.test, Equals):
            return None
        subjects.add(show_subject(part))
        values.append(show_text(part.test.value))
    return f"{subjects.pop()} in ({', '.join(values)})" if len(subjects) == 1 and len(values) > 1 else None


def show_subject(atom: TextAtom) -> str:
    """What a test looks at."""
    match atom:
        case HostIs():
            return "host"
        case SniIs():
            return "sni"
        case HeaderIs(name=name):
            return f"header {show_text(name)}"
        case QueryIs(name=name):
            return f"query {show_text(name)}"
        case ClaimIs(path=path):
            return _SPECIAL_CLAIMS.get(path) or "claim " + " ".join(show_text(step) for step in path)
        case _:
            assert_never(atom)


def _show_test(test: TextTest | Contains) -> str:
    match test:
        case Equals(value=value):
            return f"== {show_text(value)}"
        case StartsWith(value=value):
            return f"starts with {show_text(value)}"
        case EndsWith(value=value):
            return f"ends with {show_text(value)}"
        case Contains(value=value):
            return f"has {show_text(value)}"
        case Matches(pattern=pattern):
            return f"matches {show_regex(pattern)}"
        case IsPresent():
            return "is present"
        case _:
            assert_never(test)


def show_blocks(blocks: Iterable[IpBlock]) -> str:
    """Address blocks; a block of one address is that address."""
    return ", ".join(str(block.network_address) if block.num_addresses == 1 else str(block) for block in blocks)


# ---- rules ----------------------------------------------------------------------------------------------------------


def show_rule_body(principals: Principals, condition: Condition, names: Names) -> str:
    """What follows `allow` or `deny`: `SOURCES [from ADDRESSES] [to OPERATIONS] [when CONDITION]`."""
    parts = (
        list(condition.conditions) if isinstance(condition, AllOf) and operation_of(condition) is None else [condition]
    )
    shown = [show_principals(principals, names)]
    if parts and isinstance(first := parts[0], AddressIn) and first.address is AddressOf.PEER:
        shown.append(f"from {show_blocks(first.blocks)}")
        del parts[0]
    operations, parts = _take_operations(parts)
    if operations:
        shown.append(f"to {operations}")
    rest = AllOf(tuple(parts))
    if parts:
        shown.append(f"when {show_condition(rest if len(parts) > 1 else parts[0])}")
    return " ".join(shown)


def _take_operations(parts: list[Condition]) -> tuple[str, list[Condition]]:
    """The leading operations of a conjunction as text, and the parts after them."""
    if len(parts) > 1 and (one := operation_of(AllOf((parts[0], parts[1])))) is not None:
        return show_operation(*one), parts[2:]
    if parts and (several := operations_of(parts[0])) is not None:
        return ", ".join(show_operation(*operation) for operation in several), parts[1:]
    return "", parts


# ---- routes ---------------------------------------------------------------------------------------------------------


def show_route(route: Route, names: Names) -> str:
    """`[METHODS] PATH [when CONDITION] [by SOURCES]` and what is done: `-> DESTINATIONS`, `redirect …`, `respond …`."""
    shown = [show_operation(route.methods, route.path)]
    if route.condition != ALWAYS:
        shown.append(f"when {show_condition(route.condition)}")
    if route.callers is not None:
        shown.append(f"by {show_principals(route.callers, names)}")
    match route.action:
        case Forward(destinations=destinations):
            shown.append("-> " + show_destinations(destinations))
        case Redirect(target=target, status=status):
            shown.append(f"{{ redirect {show_text(target)} status {status} }}")
        case Respond(status=status):
            shown.append(f"{{ respond {status} }}")
        case _:
            assert_never(route.action)
    return " ".join(shown)


def show_destination(destination: Destination) -> str:
    """`namespace.service:port@version`."""
    version = "" if destination.version is None else f"@{destination.version}"
    return f"{destination.namespace}.{destination.service}:{destination.port}{version}"


def show_destinations(destinations: tuple[Destination, ...]) -> str:
    """Destinations, each with its share where there are several."""
    if len(destinations) == 1:
        return show_destination(destinations[0])
    return ", ".join(f"{show_destination(one)} {one.weight:g}%" for one in destinations)
