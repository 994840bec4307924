"""Headers at the inbound edge: what a peer may not say of itself goes, what the proxy knows is written.

Source: Envoy with `use_remote_address` and `forward_client_cert_details: SANITIZE_SET` (`uri`). A request without an id
gets none here: making one takes randomness, which the io ring has.
"""

from typing import Final

from meshc_proxy.wire.events import Headers
from meshc_proxy.wire.spiffe import SpiffeId

_XFCC: Final = b"x-forwarded-client-cert"
_FORWARDED_FOR: Final = b"x-forwarded-for"
_FORWARDED_PROTO: Final = b"x-forwarded-proto"
_SPOOFABLE_PREFIXES: Final = (b"x-envoy-", b"l5d-")


def clean_inbound(headers: Headers, *, peer: SpiffeId | None, own: str, address: str, scheme: bytes) -> Headers:
    """The headers that the application gets. `own` is our identity, `address` the connection's other end.

    The chain of `x-forwarded-for` is kept and continued; the scheme is ours to say; who called is said by
    `x-forwarded-client-cert` alone, and only if it was verified.
    """
    kept = tuple((name, value) for name, value in headers if not _is_spoofable(name))
    forwarded = [value for name, value in headers if name == _FORWARDED_FOR]
    added: Headers = (
        (_FORWARDED_FOR, b",".join([*forwarded, address.encode("ascii")])),
        (_FORWARDED_PROTO, scheme),
    )
    if peer is not None:
        added = (*added, (_XFCC, f"By={own};URI={peer}".encode("ascii")))
    return (*kept, *added)


def clean_outbound(headers: Headers) -> Headers:
    """The headers of an application's own call: nothing in them speaks for a proxy."""
    return tuple((name, value) for name, value in headers if name != _XFCC and not name.startswith(_SPOOFABLE_PREFIXES))


def without_port(authority: bytes) -> bytes:
    """An authority as the application gets it: the host alone, without a final dot, in the letters that were sent.

    Source: Envoy's `strip_any_host_port` and `strip_trailing_host_dot`.
    """
    host, colon, port = authority.rpartition(b":")
    return without_dot(host if colon and port.isdigit() else authority)


def without_dot(authority: bytes) -> bytes:
    """An authority without its host's final dot; a port stays."""
    host, colon, port = authority.rpartition(b":")
    if colon and port.isdigit():
        return host.removesuffix(b".") + colon + port
    return authority.removesuffix(b".")


def drop_token(headers: Headers, sources: tuple[tuple[str, str], ...]) -> Headers:
    """Without the headers that a verified token was read from: pairs of a header and what stands before the token."""
    places = [(name.lower().encode(), prefix.encode()) for name, prefix in sources]
    return tuple(
        (name, value)
        for name, value in headers
        if not any(name == source and value.startswith(prefix) for source, prefix in places)
    )


def _is_spoofable(name: bytes) -> bool:
    return name in {_XFCC, _FORWARDED_FOR, _FORWARDED_PROTO} or name.startswith(_SPOOFABLE_PREFIXES)
