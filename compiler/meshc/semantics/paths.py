"""Paths: what Envoy 1.40's `normalize_path` and `merge_slashes` make of one, with escaped slashes refused.

Every engine judges the path that comes out of here, and sends that path on. Seen on Envoy 1.40.0; the tests compare.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from meshc.ir import ExactPath, PathPattern, RegexPath, TemplatePath
from meshc.semantics.texts import fullmatcher

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DECODED = {f"%{code:02X}": chr(code) for code in _UNRESERVED}
_ESCAPED = str.maketrans({char: f"%{ord(char):02X}" for char in '"<>^`{|}'})
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEW_ESCAPE = re.compile(r"\0(?=[0-9A-Fa-f]{2})")
_REFUSED_ESCAPE = re.compile(r"%(?:00|2[Ff]|5[Cc])")
_UNCLEAN = re.compile(r'%|["<>\\^`{|}]|//|/\.')
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]|#")
_DOTS_WITH_PARAMETERS = re.compile(r"(?:(?<=/)|^)(\.\.?);[^/]*")
_ANY_DOTS_WITH_PARAMETERS = re.compile(r"(?:^|[/\\])(?:\.|%2[Ee]){1,2}(?:;|%3[Bb])")
_CAPTURE = re.compile(r"\{([^{}]*)\}")


class RefusedError(ValueError):
    """A part of a request for which it is answered with 400; the message says why, in a few words."""


def split_target(target: str) -> tuple[str, str | None]:
    """The path of a request target, not yet normalized, and its query without the `?`; None for no query.

    Raises RefusedError for what HTTP forbids in a target: a raw `#`, blanks, control characters and non-ASCII.
    """
    if (found := _NOT_IN_TARGET.search(target)) is not None:
        what = "#" if found[0] == "#" else f"character U+{ord(found[0]):04X}"
        raise RefusedError(f"raw {what} in the request target")
    path, mark, query = target.partition("?")
    return path, query if mark else None


def normalize_path(path: str) -> str:
    """The normalized form of a path without query.

    Raises RefusedError for a path that does not start with `/`, and for `%00`, `%2F` and `%5C`.
    """
    if not path.startswith("/"):
        raise RefusedError("path does not start with /")
    if _UNCLEAN.search(path) is None:
        return path
    if (found := _REFUSED_ESCAPE.search(path)) is not None:
        raise RefusedError(f"{found[0]} in the path")
    path = _DOTS_WITH_PARAMETERS.sub(r"\1", path.replace("\\", "/"))
    path = _decode_unreserved(path).translate(_ESCAPED)
    return _merge_slashes(_remove_dots(path))


def _decode_unreserved(path: str) -> str:
    """Decode once. A `%` that starts no escape stays, but is written `%25` where decoding would make it start one."""
    if "%" not in path:
        return path
    marked = _STRAY_PERCENT.sub("\0", path)
    decoded = _ESCAPE.sub(_decode, marked)
    return _NEW_ESCAPE.sub("%25", decoded).replace("\0", "%")


def _decode(escape: re.Match[str]) -> str:
    return _DECODED.get(escape[0].upper(), escape[0])


def _remove_dots(path: str) -> str:
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _merge_slashes(path: str) -> str:
    if "//" not in path:
        return path
    # Envoy turns a path of slashes alone into `//`; `is_comparable` leaves such paths out.
    return "/" + "/".join(filter(None, path.split("/"))) + ("/" if path.endswith("/") else "")


def is_comparable(target: str) -> bool:
    """Whether the language promises that every target judges this request target alike.

    Left out are dot segments with parameters, and paths that come down to slashes alone.
    """
    path = target.partition("?")[0]
    if _ANY_DOTS_WITH_PARAMETERS.search(path) is not None:
        return False
    try:
        return normalize_path(path) != "//"
    except RefusedError:
        return True


# ---- patterns -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a pattern took from a path: the segment of each `{name}`, and the rest that `/**` matched, `` or `/…`."""

    segments: Mapping[str, str]
    rest: str


def path_matcher(pattern: PathPattern) -> Callable[[str], bool]:
    """A test of normalized paths. Raises ValueError for a regular expression that is not RE2 syntax."""
    match pattern:
        case ExactPath(path=path):
            return path.__eq__
        case RegexPath(pattern=regex):
            return fullmatcher(regex)
        case TemplatePath(segments=segments, rest=rest):
            if rest and None not in segments:
                return _prefix_matcher("".join(f"/{segment}" for segment in segments))
            return _template_matcher(segments, rest=rest)
        case _:
            assert_never(pattern)


def _prefix_matcher(prefix: str) -> Callable[[str], bool]:
    if not prefix:
        return _matches_everything
    below = prefix + "/"
    return lambda path: path == prefix or path.startswith(below)


def _matches_everything(_path: str) -> bool:
    return True


def _template_matcher(segments: tuple[str | None, ...], *, rest: bool) -> Callable[[str], bool]:
    count = len(segments)
    literals = tuple((at, segment) for at, segment in enumerate(segments) if segment is not None)
    holes = tuple(at for at, segment in enumerate(segments) if segment is None)

    def matches(path: str) -> bool:
        parts = path[1:].split("/")
        if len(parts) < count or (len(parts) > count and not rest):
            return False
        for at, literal in literals:
            if parts[at] != literal:
                return False
        return all(parts[at] for at in holes)

    return matches


def capture(pattern: PathPattern, path: str) -> Captured:
    """What `pattern` takes from a path that it matches."""
    if not isinstance(pattern, TemplatePath):
        return Captured(segments={}, rest="")
    parts = path[1:].split("/")
    values = (part for part, segment in zip(parts, pattern.segments, strict=False) if segment is None)
    below = "".join(f"/{part}" for part in parts[len(pattern.segments) :]) if pattern.rest else ""
    return Captured(segments=dict(zip(pattern.names, values, strict=False)), rest=below)


def substitute(target: str, captured: Captured) -> str:
    """A rewrite or redirect target with its `{name}` and final `/**` filled in; a path that would be empty is `/`."""
    stem = target.removesuffix("/**")
    filled = _CAPTURE.sub(lambda found: captured.segments.get(found[1], found[0]), stem)
    if stem != target:
        filled += captured.rest
    return filled or "/"
