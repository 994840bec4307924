"""Matching of requests by routes, and which match wins. Paths are compared as they were sent: nothing is normalized."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import re2

from meshc_harness.linkerd.objects import Object, name_of

Rank = tuple[int, ...]


class Precedence(Enum):
    """The two orders that proxies of Linkerd have: by length whatever the kind, or exact paths first and methods before headers."""

    LENGTH = "length"
    EXACT_FIRST = "exact first"


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """A request as it is on the wire. `identities` are the names in the caller's certificate, empty for plain text."""

    method: str | None
    target: str | None
    host: str
    headers: tuple[tuple[str, str], ...]
    identities: tuple[str, ...]
    source_ip: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return (self.target or "").partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters, form-decoded."""
        return parse_qsl((self.target or "").partition("?")[2], keep_blank_values=True)


@dataclass(frozen=True, kw_only=True)
class Match:
    """A match of a rule that a request fits."""

    rank: Rank
    route: Object
    rule: Object


def best(matches: Iterable[Match]) -> tuple[Match, ...]:
    """The matches that win: one, or all that tie. Within one object the first wins; between objects their age decides."""
    found = list(matches)
    top = max((match.rank for match in found), default=())
    firsts: dict[tuple[str, str], Match] = {}
    for match in found:
        if match.rank == top:
            firsts.setdefault(name_of(match.route), match)
    return tuple(firsts.values())


def matches_of(
    routes: Iterable[Object], request: RawRequest, order: Precedence, *, compares_letters: bool = False
) -> Iterator[Match]:
    """Every match of the routes that the request fits; `compares_letters` as in `Inbound`."""
    for route in routes:
        host = _host_rank(route["spec"].get("hostnames", ()), request.host, compares_letters=compares_letters)
        if host is None:
            continue
        is_grpc = route["kind"] == "GRPCRoute"
        for rule in route["spec"]["rules"]:
            for match in rule.get("matches") or ({},):
                rank = _grpc_rank(match, request) if is_grpc else _http_rank(match, request, order)
                if rank is not None:
                    yield Match(rank=(*host, *rank), route=route, rule=rule)


def _host_rank(hostnames: Iterable[str], host: str, *, compares_letters: bool) -> Rank | None:
    name, colon, port = host.rpartition(":")
    plain = name if colon and port.isdigit() else host
    if not compares_letters:
        plain = plain.lower().removesuffix(".")
    found: list[Rank] = []
    listed = list(hostnames)
    for one in listed:
        if one.startswith("*."):
            if plain.endswith(one[1:].lower()) and len(plain) > len(one) - 1:
                found.append((1, len(one)))
        elif one.lower() == plain:
            found.append((2, len(one)))
    if not listed:
        return (0, 0)
    return max(found, default=None)


def _http_rank(match: Mapping[str, Any], request: RawRequest, order: Precedence) -> Rank | None:
    length = _path_length(match.get("path", {"type": "PathPrefix", "value": "/"}), request.path)
    method = match.get("method")
    headers, queries = match.get("headers", ()), match.get("queryParams", ())
    fits = (
        length is not None
        and (method is None or method == request.method)
        and all(_has_header(test, request.headers) for test in headers)
        and all(_has_query(test, request.query) for test in queries)
    )
    if not fits or length is None:
        return None
    is_exact = match.get("path", {}).get("type") == "Exact"
    if order is Precedence.EXACT_FIRST:
        return (int(is_exact), length, int(method is not None), len(headers), len(queries))
    return (length, len(headers), len(queries), int(method is not None))


def _path_length(path: Mapping[str, str], sent: str) -> int | None:
    value = path["value"]
    match path["type"]:
        case "Exact":
            return len(value) if sent == value else None
        case "PathPrefix":
            stem = value.rstrip("/")
            inside = sent == stem or sent.startswith(f"{stem}/") or (not stem and sent.startswith("/"))
            return max(len(stem), 1) if inside else None
        case "RegularExpression":
            return len(sent) if whole(value, sent) else None
        case other:
            raise AssertionError(other)


def whole(pattern: str, text: str) -> bool:
    """Whether the leftmost match, found as Rust's `find` does, happens to be the whole text."""
    found = re2.search(pattern, text)
    return found is not None and found.span() == (0, len(text))


def _has_header(test: Mapping[str, str], headers: Iterable[tuple[str, str]]) -> bool:
    values = [value.strip(" \t") for name, value in headers if name.lower() == test["name"].lower()]
    if test.get("type", "Exact") == "RegularExpression":
        return any(value.isascii() and whole(test["value"], value) for value in values)
    return test["value"] in values


def _has_query(test: Mapping[str, str], query: Iterable[tuple[str, str]]) -> bool:
    values = [value for name, value in query if name == test["name"]]
    if test.get("type", "Exact") == "RegularExpression":
        return any(whole(test["value"], value) for value in values)
    return test["value"] in values


def _grpc_rank(match: Mapping[str, Any], request: RawRequest) -> Rank | None:
    wanted = match.get("method", {})
    parts = request.path.split("/")
    if request.method != "POST" or len(parts) < 3 or parts[0]:
        return None
    service, method = wanted.get("service"), wanted.get("method")
    if (service is not None and parts[1] != service) or (method is not None and parts[2] != method):
        return None
    headers = match.get("headers", ())
    if not all(_has_header(test, request.headers) for test in headers):
        return None
    return (len(service or ""), len(method or ""), len(headers))
