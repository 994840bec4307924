"""Checked names of the outside world: hosts, headers, endpoints, zones, labels and SPIFFE ids."""

import re
from ipaddress import ip_address

from meshc import ast
from meshc.lower import values
from meshc.lower.context import Context, either

_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z-]+")
_SPIFFE = re.compile(r"spiffe://([a-z0-9._-]+)((?:/[A-Za-z0-9._-]+)+)")
_SPIFFE_PREFIX = re.compile(r"spiffe://([a-z0-9._-]+)((?:/[A-Za-z0-9._-]+)*)/\*")
_DROPPED = ("x-forwarded-client-cert", "x-envoy-")
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
"""Headers that speak of one connection: proxies take them out or write them anew. Source: RFC 9110, 7.6.1."""
_MAX_HOST = 253


def read_endpoint(context: Context, literal: ast.Text) -> tuple[str, int] | None:
    """`host:port`, `1.2.3.4:port` or `[v6]:port`; None after a report."""
    text = values.text(context, literal, "an endpoint")
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    if colon and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535 and _is_host(name, bracketed=bracketed):
        return name, int(port)
    advice = 'write `"10.0.0.7:15001"`, `"[2001:db8::7]:15001"` or `"host.example:15001"`'
    context.report.add("invalid-endpoint", literal.span, f"`{text}` is not `host:port`", advice=advice)
    return None


def _is_host(name: str, *, bracketed: bool) -> bool:
    try:
        version = ip_address(name).version
    except ValueError:
        is_address_like = name.replace(".", "").isdigit()
        return not bracketed and not is_address_like and len(name) <= _MAX_HOST and bool(_HOST.fullmatch(name))
    return bracketed == (version == 6)


def read_zone(context: Context, literal: ast.Text) -> str | None:
    """`region` or `region/zone`."""
    text = values.text(context, literal, "a zone")
    if text is None or _ZONE.fullmatch(text):
        return text
    context.report.add("invalid-endpoint", literal.span, f"`{text}` is not `region/zone`", advice='write `"eu-west/a"`')
    return None


def read_label(context: Context, name: ast.Name, literal: ast.Text) -> str | None:
    """The value of a Kubernetes label whose key and value are well formed."""
    text = values.text(context, literal, "a label's value")
    if not _LABEL_KEY.fullmatch(name.text):
        context.report.add("type-mismatch", name.span, f"`{name.text}` is no label key")
        return None
    if text is not None and not _LABEL_VALUE.fullmatch(text):
        context.report.add(
            "type-mismatch",
            literal.span,
            f"`{text}` is no label value",
            advice="at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
        )
        return None
    return text


def read_domain(context: Context, literal: ast.Text, what: str) -> str | None:
    """A trust domain or cluster domain: lower-case, dotted."""
    text = values.text(context, literal, what)
    if text is None or (_DOMAIN.fullmatch(text) and len(text) <= _MAX_HOST):
        return text
    context.report.add("invalid-host", literal.span, f"`{text}` is not {what}", advice='write it like `"shop.example"`')
    return None


def read_host(context: Context, literal: ast.Text, what: str, *, wildcard: bool = False) -> str | None:
    """A host name as requests carry it after normalization: lower-case, no port, no final dot."""
    text = values.text(context, literal, what)
    if text is None:
        return None
    name = text.removeprefix("*.") if wildcard else text
    clean = name.lower().rpartition("://")[2].partition("/")[0].partition(":")[0].rstrip(".")
    if name == clean and _HOST.fullmatch(name) and len(name) <= _MAX_HOST:
        return text
    advice = "leave out the scheme, the port and the final dot, and write it in lower case"
    if wildcard and "*" in name:
        advice = "a `*` may only be the whole first label, as in `*.example.com`"
    elif _HOST.fullmatch(clean):
        advice = f"write `{'*.' if text != name else ''}{clean}`"
    context.report.add("invalid-host", literal.span, f"`{text}` is no host name", advice=advice)
    return None


def read_header(context: Context, literal: ast.Text, *, for_rules: bool) -> str | None:
    """A header's name, in lower case. `for_rules`: one that is tested, so it must be one that can be trusted to arrive."""
    text = values.text(context, literal, "a header's name")
    if text is None:
        return None
    name = text.lower()
    if "_" in name:
        advice = f"write `{name.replace('_', '-')}`"
        context.report.add(
            "invalid-header", literal.span, f"a request with the header `{text}` is refused", advice=advice
        )
        return None
    if not _TOKEN.fullmatch(name):
        advice = {":path": "write a path after `to`", ":method": "write a method after `to`"}.get(name, "")
        context.report.add("invalid-header", literal.span, f"`{text}` is no header name", advice=advice)
        return None
    if name == "host":
        advice = 'test it with `host == "…"`' if for_rules else 'write `rewrite host "…"`'
        context.report.add("invalid-header", literal.span, "the host is not read as a header", advice=advice)
        return None
    if for_rules and is_dropped(name):
        advice = 'who is calling is a source: write `identity "spiffe://…"`'
        context.report.add("invalid-header", literal.span, f"`{name}` is dropped before rules see it", advice=advice)
        return None
    if name in (_REWRITTEN if for_rules else _HOP_BY_HOP):
        advice = _REWRITTEN[name] if for_rules else "it speaks of one connection, which the proxy at its end knows"
        context.report.add(
            "invalid-header", literal.span, f"`{name}` is written by proxies, not by callers", advice=advice
        )
        return None
    return name


def is_dropped(name: str) -> bool:
    """Whether a server's sidecar takes this header out of what it receives, since it could spoof what proxies say."""
    return name.startswith(_DROPPED)


_REWRITTEN = {
    **dict.fromkeys(_HOP_BY_HOP, "rules cannot read headers that speak of one connection"),
    "x-forwarded-for": "test `remote ip`, with `trusted-hops` set",
    "x-request-id": "proxies give one to every request",
    "x-forwarded-proto": "whether a call is encrypted is said with `mtls`",
}


def read_identity(context: Context, literal: ast.Text) -> tuple[str, bool] | None:
    """A SPIFFE id, or with a final `/*` a prefix: the id or the prefix ending in `/`, and whether it is a prefix."""
    text = values.text(context, literal, "an identity")
    if text is None:
        return None
    exact, prefix = _SPIFFE.fullmatch(text), _SPIFFE_PREFIX.fullmatch(text)
    match = prefix or exact
    if match is None or any(segment in {".", ".."} for segment in text.split("/")):
        advice = 'write `"spiffe://domain/ns/NAMESPACE/sa/ACCOUNT"`, or end it in `/*` for all below'
        context.report.add("invalid-identity", literal.span, f"`{text}` is no SPIFFE id", advice=advice)
        return None
    if match[1] not in context.trust_domains:
        context.report.add(
            "foreign-trust-domain",
            literal.span,
            f"the mesh does not trust `{match[1]}`, so nobody can have this identity",
            advice=f'the mesh trusts {either(context.trust_domains)}; federate with `trust-domain … also "{match[1]}"`',
        )
        return None
    return (text[:-1], True) if prefix else (text, False)
