"""Requests in the words of the language: as tests write them, so that they can be pasted into one or into `meshc explain`."""

from collections.abc import Iterator

from meshc.ir import Protocol
from meshc.request import DEFAULT_SOURCE_IP, Claim, Request
from meshc.semantics.show import Names, show_text


def show_request(request: Request, protocol: Protocol, names: Names) -> str:
    """`SOURCE METHOD SERVICE:PORT PATH from ADDRESS with …`; a caller without identity is `anyone`, as in tests."""
    parts = [_source(request.identity, names), request.method or "TCP"]
    parts.append(f"{request.namespace}.{request.service}:{request.port}")
    if request.path is not None:
        parts.append(request.path if _is_plain(request.path) else show_text(request.path))
    if request.source_ip != DEFAULT_SOURCE_IP:
        parts.append(f"from {request.source_ip}")
    attributes = ", ".join(_attributes(request, protocol))
    return " ".join(parts) + (f" with {attributes}" if attributes else "")


def _source(identity: str | None, names: Names) -> str:
    if identity is None:
        return "anyone"
    known = names.get(identity)
    return known if known is not None and "," not in known else f"identity {show_text(identity)}"


def _is_plain(path: str) -> bool:
    return path.isascii() and path.isprintable() and not any(char in path for char in ' ,(){}"#')


def _attributes(request: Request, protocol: Protocol) -> Iterator[str]:
    for name, value in request.headers:
        yield f"header {show_text(name)} {show_text(value)}"
    for name, value in request.query:
        yield f"query {show_text(name)} {show_text(value)}"
    if request.claims is not None:
        yield from _claims((), dict(request.claims))
    host = request.sni if protocol is Protocol.TLS else request.host
    if host is not None:
        yield f"host {show_text(host)}"


def _claims(path: tuple[str, ...], claims: dict[str, Claim]) -> Iterator[str]:
    for name, value in claims.items():
        inner = (*path, name)
        match value:
            case dict():
                yield from _claims(inner, value)
            case list():
                yield f"claim {' '.join(map(show_text, inner))} {show_text(' '.join(map(str, value)))}"
            case _:
                yield f"claim {' '.join(map(show_text, inner))} {show_text(str(value))}"
