"""Which bytes HTTP's names, values, targets and authorities may hold: stricter than the RFCs where they leave room.

Every check raises `Refusal`. Sources: RFC 9110 section 5, RFC 3986 section 3.2, RFC 9112 section 3.
"""

import re
from typing import Final

from meshc_proxy.wire.events import Fault, Headers, Refusal

_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")
_METHOD: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,64}")
_AUTHORITY: Final = re.compile(
    rb"(?:[0-9A-Za-z](?:[0-9A-Za-z._~-]{0,252}[0-9A-Za-z_.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
_PORTS: Final = range(1, 65536)
METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY OPTIONS "
    b"PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK "
    b"UNSUBSCRIBE".split()
)
"""The methods that Envoy 1.40 takes over HTTP/1.1; every other one is 400 there."""


def check_method(method: bytes) -> None:
    """A token, but for the one that begins HTTP/2's preface: RFC 9113 section 11.6 keeps it from being a method."""
    if not _METHOD.fullmatch(method) or method == b"PRI":
        raise Refusal(Fault.METHOD)


def check_authority(authority: bytes) -> None:
    """A host or address with at most a port: no user, no path, no blank, not empty.

    No label is empty: of two final dots one is taken away before rules see the host, and many a server takes away the other.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None or (match["port"] is not None and int(match["port"]) not in _PORTS) or b".." in authority:
        raise Refusal(Fault.AUTHORITY)


def check_path(method: bytes, path: bytes) -> None:
    """A path with at most a query, or `*` for OPTIONS: no fragment, no NUL even escaped, no raw non-ASCII byte."""
    if path == b"*" and method == b"OPTIONS":
        return
    if not path.startswith(b"/") or b"#" in path or not _VISIBLE.fullmatch(path):
        raise Refusal(Fault.TARGET)
    if b"%00" in path.partition(b"?")[0]:
        raise Refusal(Fault.TARGET)


def check_field(name: bytes, value: bytes) -> None:
    """A token, and a value of one line without control characters or blanks around it."""
    if not _TOKEN.fullmatch(name):
        raise Refusal(Fault.FIELD_NAME)
    if not _VALUE.fullmatch(value):
        raise Refusal(Fault.CONTROL_CHARACTER)
    if value != value.strip(b" \t"):
        raise Refusal(Fault.FIELD_VALUE)


def check_fields(headers: Headers) -> None:
    """Each field by itself; names in lower case."""
    for name, value in headers:
        check_field(name, value)
        if name != name.lower():
            raise Refusal(Fault.FIELD_NAME)


def check_no_underscores(headers: Headers) -> None:
    """No `_` in a name: many applications cannot tell `x_user` from `x-user`."""
    if any(b"_" in name for name, _ in headers):
        raise Refusal(Fault.UNDERSCORE)
