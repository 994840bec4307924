"""Tests of one string, as Istio writes them for Envoy's RBAC: exact, prefix, suffix, presence, regular expression."""

from collections.abc import Callable
from functools import lru_cache

import re2

from meshc_harness.istio.reading import reject

TextCheck = Callable[[str], bool]
MAX_REGEX_BYTES = 1024


@lru_cache(maxsize=4096)
def regex_check(pattern: str) -> TextCheck:
    """A full match in RE2 syntax, byte by byte as Envoy does it."""
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        match = re2.compile(pattern.encode(), options).fullmatch
    except re2.error as error:
        reject("regex", f"`{pattern}` is not RE2: {error}")
    return lambda text: match(text.encode("utf-8", "surrogateescape")) is not None


def checked_regex(pattern: str, where: str) -> TextCheck:
    """As `regex_check`, within the bounds of Istio's validation."""
    if not pattern or len(pattern.encode()) > MAX_REGEX_BYTES:
        reject(where, f"a regex holds 1 to {MAX_REGEX_BYTES} bytes")
    return regex_check(pattern)


def form_check(value: str, *, prefix: str = "") -> TextCheck:
    """One value of an AuthorizationPolicy: `*` (one character at least), `*suffix`, `prefix*`, or exactly this.

    `prefix` goes before the value; a suffix behind it becomes a regular expression in which nothing is quoted. Any other
    `*` is literal. Source: istio `authz/matcher/string.go`.
    """
    if value == "*":
        return bool
    if value.startswith("*"):
        end = value[1:]
        return regex_check(f"{prefix}.*{end}") if prefix else lambda text: text.endswith(end)
    if value.endswith("*"):
        start = prefix + value[:-1]
        return lambda text: text.startswith(start)
    exact = prefix + value
    return exact.__eq__


def header_check(value: str) -> TextCheck:
    """One value for a header that is there; `*` is mere presence, an empty value included."""
    return (lambda _text: True) if value == "*" else form_check(value)


def host_check(value: str) -> TextCheck:
    """One value for `:authority`, letter case ignored."""
    inner = header_check(value.lower())
    return lambda text: inner(text.lower())
