"""Rewrites and redirects: Istio's substitutions -> targets with captures.

A rewrite of a prefix puts text in the place of just the prefix that was matched; of an exact or regular path, of all of it.
"""

import re
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_istio.read.expressions import Segments, segments
from meshc_istio.read.fields import Fields
from meshc_istio.read.matching import Match

_REFERENCE: Final = re.compile(r"\\(\\|[0-9])")
_WHOLE: Final = frozenset({".*", "^.*$", "^.*", ".*$"})
_SLASH_REST: Final = "/?(.*)"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The pattern of the route, with names for captures, and the target in their terms; None leaves the path alone."""

    path: ir.PathPattern
    target: str | None = None


def rewritten(match: Match, rewrite: Fields | None) -> tuple[Rewritten, str | None]:
    """What becomes of the path, and the host that takes the place of the request's. Raises NotReadError."""
    if rewrite is None:
        return Rewritten(match.path), None
    host, uri, regex = rewrite.text("authority"), rewrite.text("uri"), rewrite.fields("uriRegexRewrite")
    rewrite.finish()
    if uri is not None and regex is not None:
        raise rewrite.error("two rewrites of one path")
    if regex is not None:
        return _by_expression(match, regex), host
    return (Rewritten(match.path) if uri is None else Rewritten(match.path, replaced(match, uri, rewrite))), host


def replaced(match: Match, text: str, at: Fields) -> str:
    """The target of what replaces the part of a path that was matched. Raises NotReadError."""
    _check_plain(text, at)
    if match.uri is not None and match.uri.kind != "prefix":
        return text
    pattern = match.path
    if isinstance(pattern, ir.TemplatePath) and pattern.rest and None not in pattern.segments:
        prefix = "/" if match.uri is None else match.uri.text or "/"
        if prefix.endswith("/") and text.endswith("/"):
            return f"{text[:-1]}/**"
    raise at.error(f"`{text}` in the place of a prefix that ends within a segment")


def _check_plain(text: str, at: Fields) -> None:
    if "{" in text or "}" in text or text.endswith("/**"):
        raise at.error(f"the path `{text}`, which would mean captures,")


def _by_expression(match: Match, regex: Fields) -> Rewritten:
    expression, text = regex.text("match") or "", regex.text("rewrite") or ""
    regex.finish()
    if expression in _WHOLE:
        return Rewritten(match.path, _filled(text, (), regex))
    if not expression.startswith("^") or not expression.endswith("$"):
        raise regex.error(f"a rewrite of what `{expression}` finds somewhere in a path")
    inner = expression[1:-1]
    if inner.endswith(_SLASH_REST):
        return _by_rest(match, inner.removesuffix(_SLASH_REST), text, regex)
    found = segments(inner)
    if found is None or not _covers(found, match.path):
        raise regex.error(f"a rewrite by `{expression}` of other paths than the route matches")
    captures = tuple(f"{{p{place + 1}}}" for place in found.groups)
    path, target = found.pattern, _filled(text, (*captures, *(("/**",) if found.keeps_rest else ())), regex)
    return Rewritten(path, target)


def _by_rest(match: Match, stem: str, text: str, regex: Fields) -> Rewritten:
    """All below some segments, after one slash, whether or not the path has it."""
    found = segments(f"{stem}(?:/.*)?")
    if found is None or found.groups or not _covers(found, match.path) or text != "/\\1":
        raise regex.error(f"a rewrite by `^{stem}{_SLASH_REST}$`")
    return Rewritten(found.pattern, "/**")


def _covers(found: Segments, path: ir.PathPattern) -> bool:
    """Whether the expression is for just the paths of the route."""
    if not isinstance(path, ir.TemplatePath):
        return isinstance(path, ir.ExactPath) and not found.pattern.rest and path.path == _plain(found.pattern)
    return (found.pattern.segments, found.pattern.rest) == (path.segments, path.rest)


def _plain(pattern: ir.TemplatePath) -> str | None:
    if None in pattern.segments:
        return None
    return "".join(f"/{one}" for one in pattern.segments)


def _filled(text: str, captures: tuple[str, ...], at: Fields) -> str:
    """The text with captures in the place of numbers."""
    _check_plain(text, at)

    def filled(found: re.Match[str]) -> str:
        if found[1] == "\\":
            return "\\"
        number = int(found[1])
        if not 0 < number <= len(captures):
            raise at.error(f"`{found[0]}` in a rewrite")
        if captures[number - 1] == "/**" and found.end() != len(text):
            raise at.error("text after the rest of a path")
        return captures[number - 1]

    return _REFERENCE.sub(filled, text) or "/"


def redirected(match: Match, redirect: Fields) -> ir.Redirect:
    """A redirect; what it does not name stays as the request has it. Raises NotReadError."""
    uri, prefix = redirect.text("uri"), redirect.text("prefixRewrite")
    host, scheme, port = redirect.text("authority"), redirect.text("scheme"), redirect.whole("port")
    status = redirect.whole("redirectCode")
    redirect.finish()
    if uri:
        _check_plain(uri, redirect)
        path = uri
    elif prefix is not None:
        path = replaced(match, prefix, redirect)
    else:
        path = _same(match, redirect)
    if not host and not scheme and port is None:
        return ir.Redirect(target=path, status=status or 301, span=redirect.where.span(*redirect.steps))
    if not host or not scheme:
        raise redirect.error("a redirect to another scheme, host or port without the others")
    number = "" if port is None else f":{port}"
    target = f"{scheme}://{host}{number}{path}"
    return ir.Redirect(target=target, status=status or 301, span=redirect.where.span(*redirect.steps))


def _same(match: Match, at: Fields) -> str:
    if match.path == ir.ANY_PATH:
        return "/**"
    if isinstance(match.path, ir.ExactPath):
        return match.path.path
    pattern = match.path
    if isinstance(pattern, ir.TemplatePath) and pattern.rest and None not in pattern.segments:
        return "".join(f"/{one}" for one in pattern.segments) + "/**"
    raise at.error("a redirect that keeps a path which an expression matches")
