"""The ways in which a request may be changed: one dimension for each thing that a person would change at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from meshc.request import Claim, Request
from meshc.semantics.regions.aspects import FORWARDED, Aspects
from meshc.semantics.regions.variables import YES
from meshc.semantics.show import show_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One dimension: `kind` is `caller path method address client host server-name token claim query header`.

    `names` are those of a header, of a parameter, or of a nested claim. `levels` are its variables.
    """

    kind: str
    names: tuple[str, ...]
    levels: tuple[int, ...]


def dimensions_of(aspects: Aspects, assignment: Sequence[int]) -> tuple[Dimension, ...]:
    """The dimensions of a space. A token that is there can be changed claim by claim; one that is not comes as a whole."""
    return tuple(_dimensions(aspects, assignment))


def _dimensions(aspects: Aspects, assignment: Sequence[int]) -> Iterator[Dimension]:
    single = {
        "caller": aspects.caller,
        "method": aspects.method,
        "path": aspects.path,
        "address": aspects.peer,
        "host": aspects.host,
        "server-name": aspects.server_name,
    }
    for kind, variable in single.items():
        if variable is not None:
            yield Dimension(kind=kind, names=(), levels=(variable.level,))
    if aspects.clients:
        yield Dimension(kind="client", names=(), levels=tuple(one.level for one in aspects.clients.values()))
    for name, query in aspects.queries.items():
        yield Dimension(kind="query", names=(name,), levels=(query.level,))
    for name, header in aspects.headers.items():
        yield Dimension(kind="header", names=(name,), levels=tuple(one.level for one in header.variables))
    token = aspects.token
    if token is None:
        return
    if 1 << assignment[token.given.level] != YES:
        yield Dimension(kind="token", names=(), levels=tuple(one.level for one in token.variables))
        return
    for path, claim in token.claims.items():
        yield Dimension(kind="claim", names=path, levels=tuple(one.level for one in claim.variables))


def changed(request: Request, witness: Request, dimension: Dimension) -> Request:
    """A request with one dimension taken from another."""
    match dimension.kind:
        case "caller":
            return replace(request, identity=witness.identity)
        case "method":
            return replace(request, method=witness.method)
        case "path":
            _, mark, query = (request.path or "").partition("?")
            return replace(request, path=f"{witness.path}{mark}{query}")
        case "address":
            return replace(request, source_ip=witness.source_ip)
        case "host":
            return replace(request, host=witness.host)
        case "server-name":
            return replace(request, sni=witness.sni)
        case "client":
            return _with_header(request, witness, FORWARDED)
        case "header":
            return _with_header(request, witness, dimension.names[0])
        case "query":
            return _with_query(request, witness, dimension.names[0])
        case "token":
            return replace(request, claims=witness.claims)
        case _:
            return replace(request, claims=_with_claim(request.claims or {}, witness.claims or {}, dimension.names))


def in_words(request: Request, caller: str, dimension: Dimension) -> str:
    """What a dimension of a request is, as a change."""
    match dimension.kind:
        case "caller":
            return f"another caller: {caller}"
        case "method":
            return f"another method: {request.method}"
        case "path":
            return f"another path: {(request.path or '').partition('?')[0]}"
        case "address":
            return f"another address: {request.source_ip}"
        case "host":
            return f"another host: {'its own' if request.host is None else show_text(request.host)}"
        case "server-name":
            return f"another server name: {'its own' if request.sni is None else show_text(request.sni)}"
        case "client":
            return _listed(f"header {show_text(FORWARDED)}", _values(request.headers, FORWARDED))
        case "header":
            name = dimension.names[0]
            return _listed(f"header {show_text(name)}", _values(request.headers, name))
        case "query":
            name = dimension.names[0]
            return _listed(f"query {show_text(name)}", [value for key, value in request.query if key == name])
        case "token":
            return "a token" if not request.claims else f"a token with {_claims_text(request.claims)}"
        case _:
            return _claim_text(request.claims or {}, dimension.names)


def _listed(what: str, values: Sequence[str]) -> str:
    return f"{what} {', '.join(map(show_text, values))}" if values else f"no {what}"


def _values(pairs: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in pairs if key.lower() == name]


def _with_header(request: Request, witness: Request, name: str) -> Request:
    kept = tuple(pair for pair in request.headers if pair[0].lower() != name)
    return replace(request, headers=(*kept, *((name, value) for value in _values(witness.headers, name))))


def _with_query(request: Request, witness: Request, name: str) -> Request:
    """Without any parameter of the name in the target itself, and with that of the other request."""
    path, mark, query = (request.path or "").partition("?")
    kept = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] != name) if mark else ""
    pairs = (*(pair for pair in request.query if pair[0] != name), *(pair for pair in witness.query if pair[0] == name))
    return replace(request, path=f"{path}?{kept}" if kept else path, query=pairs)


# ---- claims ---------------------------------------------------------------------------------------------------------


def _with_claim(claims: Mapping[str, Claim], other: Mapping[str, Claim], path: tuple[str, ...]) -> dict[str, Claim]:
    """Claims with the one at a path taken from others, or taken away where these lack it."""
    first, rest = path[0], path[1:]
    found = dict(claims)
    if not rest:
        found.pop(first, None)
        if first in other:
            found[first] = other[first]
        return found
    inner, theirs = found.get(first), other.get(first)
    nested = _with_claim(_object(inner), _object(theirs), rest)
    if nested:
        found[first] = nested
    return found


def _object(value: Claim) -> Mapping[str, Claim]:
    return value if isinstance(value, dict) else {}


def _claim_at(claims: Mapping[str, Claim], path: tuple[str, ...]) -> Claim:
    found: Claim = dict(claims)
    for name in path:
        found = _object(found).get(name)
    return found


def _claim_text(claims: Mapping[str, Claim], path: tuple[str, ...]) -> str:
    name = f"claim {' '.join(map(show_text, path))}"
    value = _claim_at(claims, path)
    return f"no {name}" if value is None else f"{name} {_value_text(value)}"


def _claims_text(claims: Mapping[str, Claim]) -> str:
    return " and ".join(f"claim {show_text(name)} {_value_text(value)}" for name, value in claims.items())


def _value_text(value: Claim) -> str:
    match value:
        case str():
            return show_text(value)
        case list():
            return f"[{', '.join(map(_value_text, value))}]"
        case dict():
            return "{ " + ", ".join(f"{show_text(key)}: {_value_text(one)}" for key, one in value.items()) + " }"
        case _:
            return str(value)
