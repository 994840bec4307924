"""Command lines that send the like of a request: `curl`, `grpcurl`, `nc` or `openssl`, quoted for a POSIX shell.

What no command line can say (who calls, from which address, with which token) is said in notes beside it. Nothing is run here.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from meshc.ir import Protocol
from meshc.request import DEFAULT_SOURCE_IP, Request
from meshc.semantics.decide import default_host

_RPC: Final = re.compile(r"/(?P<method>[A-Za-z_][\w.]*/[A-Za-z_]\w*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line for a shell, and what it leaves open."""

    line: str
    notes: tuple[str, ...]


def command_of(request: Request, protocol: Protocol, host: str | None = None) -> Command:
    """The command for a request to a port of this protocol; `host` is the destination's name, if not the workload's own."""
    name = host or default_host(request.namespace, request.service)
    match protocol:
        case Protocol.TCP:
            words = ["nc", "-vz", name, str(request.port)]
        case Protocol.TLS:
            words = ["openssl", "s_client", "-connect", f"{name}:{request.port}", "-servername", request.sni or name]
        case Protocol.GRPC if (found := _plain_call(request)) is not None:
            words = ["grpcurl", "-plaintext", *_headers(request, empty=":"), f"{name}:{request.port}", found]
        case _:
            words = _curl(request, protocol, name)
    return Command(line=" ".join(map(shell_word, words)), notes=tuple(_notes(request)))


def _plain_call(request: Request) -> str | None:
    """The method as `package.Service/Method`, where a gRPC client can make the request."""
    found = _RPC.fullmatch(request.path or "")
    return (
        found["method"] if found and request.method == "POST" and not request.query and request.host is None else None
    )


def _curl(request: Request, protocol: Protocol, name: str) -> list[str]:
    words = ["curl", "--globoff", "--path-as-is"]
    if protocol in {Protocol.HTTP2, Protocol.GRPC}:
        words.append("--http2-prior-knowledge")
    method = request.method or "GET"
    if method == "HEAD":
        words.append("--head")
    elif method != "GET":
        words += ("-X", method)
    return [*words, *_headers(request), f"http://{name}:{request.port}{_target(request)}"]


def _target(request: Request) -> str:
    target = request.path or "/"
    if request.query:
        more = "&".join(f"{key}={value}" for key, value in request.query)
        target += ("&" if "?" in target else "?") + more
    if target.isascii():
        return target
    return quote(target, safe="".join(map(chr, range(0x21, 0x7F))), errors="surrogateescape")


def _headers(request: Request, empty: str = ";") -> Iterator[str]:
    """Options for the headers; curl takes a header without value, and no colon, as an empty one, and drops it with a colon."""
    if request.host is not None:
        yield from ("-H", f"host: {request.host}")
    if request.claims is not None:
        yield from ("-H", "authorization: Bearer TOKEN")
    for key, value in request.headers:
        yield from ("-H", f"{key}: {value}" if value else f"{key}{empty}")


def _notes(request: Request) -> Iterator[str]:
    if request.source_ip != DEFAULT_SOURCE_IP:
        yield f"from the address {request.source_ip}"
    if request.claims is not None:
        claims = json.dumps(request.claims, sort_keys=True)
        yield f"TOKEN holds the claims {claims}" if request.claims else "TOKEN is one of the port's first issuer"


# ---- quoting --------------------------------------------------------------------------------------------------------


def shell_word(word: str) -> str:
    """A word for a shell. What is not printable goes into `$'…'`, byte by byte, so that no terminal and no log is fooled."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word.encode("utf-8", "surrogateescape"))) + "'"


def _escaped(byte: int) -> str:
    char = chr(byte)
    if char in "\\'":
        return f"\\{char}"
    return char if " " <= char <= "~" else f"\\x{byte:02x}"
