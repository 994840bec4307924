"""Normalize requests: `Request` -> the `Facts` that policies see, or why the request is answered with 400.

Takes a request as its sender put it on the wire. What comes out is the one model of requests that every target and every
engine shares: Envoy 1.40 with `normalize_path`, `merge_slashes`, escaped slashes rejected, hosts without port and
trailing dot, and header names with underscores rejected. The tests compare it with a real Envoy.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshc.request import Request
from meshc.semantics.addresses import client_address, read_address
from meshc.semantics.facts import Facts
from meshc.semantics.paths import RefusedError, normalize_path, split_target

BLANKS = " \t"
"""White space that is trimmed at both ends of header values."""

MAX_PORT_READ = 2**32 - 1
"""What follows a host's last colon is cut off as a port up to this number, as Envoy does."""

ASCII_END = 0x80
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_HOST = re.compile(r"[^\x21-\x7e]|[\"#,/<>?@\\^`{|}]")
_LEFT_OVER = re.compile(r"[^\[]*:.*|\[[^\]]*\].+")
_SPOOFABLE = "x-forwarded-client-cert"
_SPOOFABLE_PREFIX = "x-envoy-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A request that a proxy answers with 400 before any rule; `reason` says why, in a few words."""

    reason: str


def normalize(
    request: Request, *, default_host: str, trusted_hops: int = 0, is_http2: bool = False
) -> Facts | Malformed:
    """What policies see of an HTTP request. Its identity is taken as it is; its token is not looked at.

    `default_host` is the destination's own name, for a request that names no host. Over HTTP/2, bytes beyond ASCII in a
    path are escaped; over HTTP/1 they are refused.
    """
    try:
        return _http_facts(_escaped(request) if is_http2 else request, default_host, trusted_hops)
    except RefusedError as refused:
        return Malformed(reason=str(refused))


def _escaped(request: Request) -> Request:
    if request.path is None or request.path.isascii():
        return request
    content = request.path.encode("utf-8", "surrogateescape")
    return replace(request, path="".join(chr(byte) if byte < ASCII_END else f"%{byte:02X}" for byte in content))


def connection_facts(request: Request, default_sni: str | None = None) -> Facts:
    """What policies see of a connection to a tcp or tls port; `default_sni` is the server name that callers send unasked."""
    peer = read_address(request.source_ip)
    sni = default_sni if request.sni is None else request.sni
    name = None if sni is None else sni.lower().removesuffix(".")
    return Facts(identity=request.identity, peer=peer, client=peer, sni=name)


def _lower(name: str | None) -> str | None:
    return None if name is None else name.lower()


def _http_facts(request: Request, default_host: str, trusted_hops: int) -> Facts:
    method, path, query = _request_line(request)
    headers = normalize_headers(request.headers)
    peer = read_address(request.source_ip)
    return Facts(
        identity=request.identity,
        peer=peer,
        client=client_address(peer, headers.get("x-forwarded-for", ()), trusted_hops),
        sni=_lower(request.sni),
        method=method,
        path=path,
        query_text=query,
        query=first_values(query),
        host=normalize_host(default_host if request.host is None else request.host),
        headers=headers,
    )


def _request_line(request: Request) -> tuple[str, str, str | None]:
    method, target = request.method, request.path
    if method is None or target is None:
        raise RefusedError("no method or path")
    if not _TOKEN.fullmatch(method):
        raise RefusedError("method is no token")
    if method == "CONNECT":
        raise RefusedError("CONNECT")
    if target == "*":
        raise RefusedError("target *")
    if request.query:
        more = "&".join(f"{name}={value}" for name, value in request.query)
        target += ("&" if "?" in target else "?") + more
    path, query = split_target(target)
    return method, normalize_path(path), query


def first_values(query: str | None) -> Mapping[str, str]:
    """The first value of each parameter of a query, nothing decoded; a parameter without `=` has the empty value."""
    values: dict[str, str] = {}
    if query:
        for parameter in query.split("&"):
            name, _, value = parameter.partition("=")
            values.setdefault(name, value)
    return values


def normalize_host(host: str) -> str:
    """A host in lower case, without port and trailing dot. A host that no URL can hold is refused.

    Source: Envoy `strip_trailing_host_dot`, then `strip_any_host_port`.
    """
    if _NOT_IN_HOST.search(host) is not None:
        raise RefusedError("character that no host may hold")
    host = host.lower()
    if host.endswith("."):
        host = host[:-1]
    else:
        name, colon, port = host.rpartition(":")
        host = name.removesuffix(".") + colon + port
    return _without_port(host)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    digits = port.removeprefix("+")
    is_port = colon and digits.isascii() and digits.isdecimal() and int(digits) <= MAX_PORT_READ
    bare = name if is_port else host
    if _LEFT_OVER.fullmatch(bare):
        raise RefusedError("host with something else than a port after its colon")
    return bare


def normalize_headers(headers: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """Headers by lower-case name, each with its values in order, trimmed.

    Headers that would spoof what a proxy knows (`x-forwarded-client-cert`, `x-envoy-…`) are dropped.
    """
    values: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        key = name.lower()
        if not _TOKEN.fullmatch(key):
            raise RefusedError("malformed header name")
        if "_" in key:
            raise RefusedError("underscore in a header name")
        if key == "host":
            raise RefusedError("second host header")
        if _NOT_IN_VALUE.search(value) is not None:
            raise RefusedError("control character in a header value")
        if key != _SPOOFABLE and not key.startswith(_SPOOFABLE_PREFIX):
            values[key] = (*values.get(key, ()), value.strip(BLANKS))
    return values
