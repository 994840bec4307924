"""Paths: what a sidecar makes of a request target under each `pathNormalization`, and templates of AuthorizationPolicies.

Written from RFC 3986, Envoy's documentation of `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`,
and Istio's reference. The fragment is cut off: Istio's bootstrap sets `http_reject_path_with_fragment` to false.
"""

import re

from meshc_harness.istio.reading import reject
from meshc_harness.istio.texts import TextCheck, regex_check
from meshc_harness.istio.world import Normalization

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_ALWAYS_ESCAPED = '"<>^`{|}'
_ESCAPED_SLASH = re.compile(r"%2[Ff]|%5[Cc]")


class BadTargetError(ValueError):
    """The sidecar answers 400."""


def split_target(target: str) -> tuple[str, str | None]:
    """Path and query of a request target; its fragment is dropped, and counts before the query as Envoy cuts it first."""
    if not target.isascii() or any(char <= " " or char == "\x7f" for char in target):
        raise BadTargetError("character that no target may hold")
    whole = target.partition("#")[0]
    path, mark, query = whole.partition("?")
    if not path.startswith("/"):
        raise BadTargetError("no origin form")
    return path, query if mark else None


def normalized(path: str, how: Normalization) -> str:
    """The path that policies see and that is sent on. Raises BadTargetError."""
    if how is Normalization.NONE:
        return path
    if how is Normalization.DECODE_AND_MERGE_SLASHES:
        path = _ESCAPED_SLASH.sub("/", path)
    path = "/" + "/".join(_without_dots(_canonical(path)[1:].split("/")))
    return path if how is Normalization.BASE else _merged(path)


def _canonical(path: str) -> str:
    """Escapes decoded where they hide an unreserved character; some raw characters escaped."""
    out: list[str] = []
    at = 0
    while at < len(path):
        char = path[at]
        if char == "%" and len(path) >= at + 3 and _HEX.issuperset(path[at + 1 : at + 3]):
            code = int(path[at + 1 : at + 3], 16)
            if code == 0:
                raise BadTargetError("%00")
            out.append(chr(code) if chr(code) in UNRESERVED else path[at : at + 3])
            at += 3
            continue
        if char == "%":
            # A decoded character must not complete an escape that was none.
            after = _canonical(path[at + 1 :])
            stray = "%25" if _HEX.issuperset(after[:2]) and len(after) >= 2 else "%"
            return "".join(out) + stray + after
        out.append("/" if char == "\\" else f"%{ord(char):02X}" if char in _ALWAYS_ESCAPED else char)
        at += 1
    return "".join(out)


def _without_dots(segments: list[str]) -> list[str]:
    """RFC 3986, 5.2.4. A dot segment with parameters counts as one, as on Envoy 1.39 and later."""
    out: list[str] = []
    for number, segment in enumerate(segments):
        bare = segment.partition(";")[0]
        is_last = number == len(segments) - 1
        if bare not in {".", ".."}:
            out.append(segment)
            continue
        if bare == ".." and out:
            out.pop()
        if is_last:
            out.append("")
    return out


def _merged(path: str) -> str:
    while "//" in path and path != "//":
        path = path.replace("//", "/")
    return path


# ---- templates ------------------------------------------------------------------------------------------------------

_SEGMENT_CHARACTERS = r"a-zA-Z0-9\-._~%!$&'()+,;:@=*"
"""What an operator of a template matches: all that a normalized path can hold but `[` and `]`. Seen on Envoy 1.40."""
_LITERAL = re.compile(f"(?![*])[{_SEGMENT_CHARACTERS}]*(?<![*])")


def is_template(value: str) -> bool:
    return "{*}" in value or "{**}" in value


def template_check(value: str, where: str) -> TextCheck:
    """A path with `{*}` and `{**}`, in whole segments."""
    if not value.startswith("/") or "//" in value:
        reject(where, f"`{value}` is no path template")
    pattern: list[str] = []
    has_rest = False
    for segment in value[1:].split("/"):
        if segment in {"{*}", "{**}"}:
            if has_rest:
                reject(where, f"`{value}` has an operator after `{{**}}`")
            has_rest = segment == "{**}"
            pattern.append(f"[{_SEGMENT_CHARACTERS}{'/' if has_rest else ''}]{'*' if has_rest else '+'}")
        elif not _LITERAL.fullmatch(segment):
            reject(where, f"`{segment}` in the template `{value}`")
        else:
            pattern.append(re.escape(segment))
    return regex_check("/" + "/".join(pattern))
