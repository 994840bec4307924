"""What a VirtualService's http route does: destinations, redirects, fixed answers, rewrites, faults, retries, headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import re2

from meshc_harness.istio.calls import NO_RETRIES, Fault, HeaderChanges, Request, Retries
from meshc_harness.istio.matching import UriMatch
from meshc_harness.istio.reading import Fields, check_dns_label, check_host, reject
from meshc_harness.istio.texts import checked_regex

REDIRECT_CODES = (301, 302, 303, 307, 308)
RETRY_ON = frozenset(
    {
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
        "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled",
        "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    }
)  # fmt: skip
MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A destination as written: `host` may be short, `port` may be missing."""

    host: str
    port: int | None
    subset: str | None


def read_target(fields: Fields) -> Target:
    host = fields.needed_text("host")
    check_host(host, fields.where, wildcard=True)
    subset = fields.text("subset")
    if subset is not None:
        check_dns_label(subset, fields.where)
    selector = fields.fields("port")
    port = None
    if selector is not None:
        port = selector.integer("number", 1, 65535)
        selector.finish()
    fields.finish()
    return Target(host=host, port=port, subset=subset)


def read_weighted(fields: Fields) -> tuple[Target, int]:
    """A destination and its weight. Header changes of one destination among several are not modelled."""
    inner = fields.fields("destination")
    if inner is None:
        reject(fields.where, "no destination")
    weight = fields.integer("weight", 0, 2**31 - 1)
    found = read_target(inner), 0 if weight is None else weight
    fields.finish()
    return found


# ---- rewrites and redirects -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    uri: str | None = None
    pattern: str | None = None
    substitution: str = ""
    authority: str | None = None

    def apply(self, request: Request, uri: UriMatch | None) -> Request:
        """The request as it leaves; `uri` is the match of the route that won. The query stays."""
        path = request.path
        if self.pattern is not None:
            path = re2.compile(self.pattern).sub(self.substitution, path)
        elif self.uri is not None:
            path = replaced_prefix(path, self.uri, uri)
        return replace(request, path=path, authority=self.authority or request.authority)


def replaced_prefix(path: str, new: str, uri: UriMatch | None) -> str:
    """Envoy's prefix rewrite: of the prefix that matched, `/` where none was asked for; else of the whole path."""
    if uri is None:
        return new + path[1:]
    return new + path[len(uri.text) :] if uri.kind == "prefix" else new


def read_rewrite(fields: Fields | None) -> Rewrite:
    if fields is None:
        return Rewrite()
    uri, authority = fields.text("uri"), fields.text("authority")
    regex = fields.fields("uriRegexRewrite")
    fields.finish()
    if (uri is not None and regex is not None) or not (uri or authority or regex is not None):
        reject(fields.where, "empty rewrite, or uri beside uriRegexRewrite")
    if regex is None:
        return Rewrite(uri=uri or None, authority=authority)
    pattern, substitution = regex.needed_text("match"), regex.text("rewrite") or ""
    regex.finish()
    checked_regex(pattern, regex.where)
    groups = re2.compile(pattern).groups
    if not re.fullmatch(r"(?:[^\\]|\\[0-9\\])*", substitution) or any(
        int(number) > groups for number in re.findall(r"\\([0-9])", substitution.replace(r"\\", ""))
    ):
        reject(regex.where, f"`{substitution}` with {groups} groups")
    return Rewrite(pattern=pattern, substitution=substitution, authority=authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    uri: str
    prefix: str | None
    authority: str
    scheme: str
    port: int | None
    code: int

    def location(self, request: Request, uri: UriMatch | None) -> str:
        """A path in the redirect keeps the request's query unless it has one of its own."""
        path, query = request.path, request.query
        if self.uri:
            path, mark, own = self.uri.partition("?")
            query = own if mark else query
        elif self.prefix is not None:
            path = replaced_prefix(path, self.prefix, uri)
        scheme = self.scheme or "http"
        authority = self.authority or request.authority
        if self.port not in {None, 80 if scheme == "http" else 443}:
            authority = f"{authority.rpartition(':')[0] or authority}:{self.port}"
        return f"{scheme}://{authority}{path}" + ("" if query is None else f"?{query}")


def read_redirect(fields: Fields) -> Redirect:
    if not len(fields):
        reject(fields.where, "empty redirect")
    found = Redirect(
        uri=fields.text("uri") or "",
        prefix=fields.text("prefixRewrite"),
        authority=fields.text("authority") or "",
        scheme=fields.choice("scheme", "http", "https") or "",
        port=fields.integer("port", 1, 65535),
        code=fields.integer("redirectCode") or 301,
    )
    fields.finish()
    if found.code not in REDIRECT_CODES:
        reject(fields.where, f"redirect code {found.code}")
    if found.uri and found.prefix is not None:
        reject(fields.where, "uri beside prefixRewrite")
    # Envoy reads `%` in a redirect's path as it stands; a raw fragment or blank would not pass its own validation.
    if any(ord(char) <= 32 or char == "#" for char in found.uri):
        reject(fields.where, f"uri `{found.uri}`")
    return found


def read_direct_response(fields: Fields) -> int:
    """The status. A body counts against Istio's limit of 1 MiB."""
    status = fields.integer("status", 200, 599)
    body = fields.fields("body")
    if status is None:
        reject(fields.where, "no status")
    if body is not None:
        if len((body.text("string") or "").encode()) > MAX_BODY or len(body) != 1:
            reject(body.where, "not one string of at most 1 MiB")
        body.finish()
    fields.finish()
    return status


# ---- faults, retries, headers ---------------------------------------------------------------------------------------


def _percent(fields: Fields) -> float:
    part = fields.fields("percentage")
    if part is None:
        return 0.0  # "If left unspecified, no request will be delayed."
    found = part.number("value") or 0.0
    part.finish()
    if found and not 0.0001 <= found <= 100:
        reject(part.where, f"{found}%")
    return found


def read_faults(fields: Fields | None) -> tuple[Fault, ...]:
    if fields is None:
        return ()
    found = []
    delay, abort = fields.fields("delay"), fields.fields("abort")
    fields.finish()
    if delay is not None:
        found.append(Fault(percent=_percent(delay), delay_ms=delay.duration_ms("fixedDelay")))
        delay.finish()
    if abort is not None:
        found.append(Fault(percent=_percent(abort), status=abort.integer("httpStatus", 200, 600)))
        abort.finish()
    if not found or any(one.delay_ms is None and one.status is None for one in found):
        reject(fields.where, "neither delay nor abort, or an empty one")
    return tuple(found)


def read_retries(fields: Fields | None, default: Retries) -> Retries:
    if fields is None:
        return default
    attempts = fields.integer("attempts", 0, 2**31 - 1) or 0
    if not attempts:
        if len(fields) > 1:
            reject(fields.where, "`attempts: 0` and something beside it")
        return NO_RETRIES
    listed = fields.text("retryOn")
    on = DEFAULT_ON if listed is None else tuple(listed.split(","))
    for one in on:
        if one not in RETRY_ON and not (one.isdecimal() and 100 <= int(one) <= 599):
            reject(fields.where, f"retryOn `{one}`")
    found = Retries(
        attempts=attempts,
        on=on,
        per_try_ms=fields.duration_ms("perTryTimeout"),
        backoff_ms=fields.duration_ms("backoff"),
    )
    fields.flag("retryRemoteLocalities")
    fields.flag("retryIgnorePreviousHosts")
    fields.finish()
    return found


DEFAULT_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LITERAL = re.compile(r"(?:[^%]|%%)*")


def read_header_changes(fields: Fields | None) -> tuple[HeaderChanges, HeaderChanges]:
    """Those of the request and of the response."""
    if fields is None:
        return HeaderChanges(), HeaderChanges()
    found = _changes(fields.fields("request")), _changes(fields.fields("response"))
    fields.finish()
    return found


def _changes(fields: Fields | None) -> HeaderChanges:
    if fields is None:
        return HeaderChanges()
    found = HeaderChanges(
        set=_values(fields, "set"),
        add=_values(fields, "add"),
        remove=tuple(_checked_name(name, fields) for name in fields.texts("remove")),
    )
    fields.finish()
    return found


def _values(fields: Fields, operation: str) -> Mapping[str, str]:
    found = {}
    for name, value in fields.text_map(operation).items():
        if _CONTROL.search(value) is not None or not _LITERAL.fullmatch(value):
            reject(fields.where, f"value `{value}` of `{name}`")
        found[_checked_name(name, fields)] = value.replace("%%", "%")
    # Istio sorts each kind by name.
    return dict(sorted(found.items()))


def _checked_name(name: str, fields: Fields) -> str:
    if not _NAME.fullmatch(name) or name.lower() == "host":
        reject(fields.where, f"header `{name}`")
    return name.lower()
