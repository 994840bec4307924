"""Rewrites and redirects: the targets that a program writes with captures, as Istio's substitutions.

A rewrite is one anchored expression with a group for each capture. A redirect has no expressions: its path is fixed, or
what it puts in place of a literal prefix.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import HttpRedirect, HttpRewrite, RegexRewrite
from meshc_istio.texts import ANYTHING, quote, regex_obstacle

_CAPTURE: Final = re.compile(r"\{([^{}]*)\}")


def http_rewrite(path: ir.PathPattern, settings: ir.Settings) -> HttpRewrite | None:
    """What becomes of the path and the host of a request whose path matched."""
    if settings.rewrite_path is None and settings.rewrite_host is None:
        return None
    target = settings.rewrite_path
    return HttpRewrite(
        uri_regex_rewrite=None if target is None else _path_rewrite(path, target), authority=settings.rewrite_host
    )


def _path_rewrite(pattern: ir.PathPattern, target: str) -> RegexRewrite:
    names, expression = _groups(pattern)
    stem = target.removesuffix("/**")
    keeps_rest = stem != target
    if keeps_rest and not stem and isinstance(pattern, ir.TemplatePath):
        # The rest may be empty, and a path is not: `/` stands for both.
        steps = "".join("/" + ("[^/]+" if step is None else quote(step)) for step in pattern.segments)
        return RegexRewrite(match=f"^{steps}/?({ANYTHING})$", rewrite="/\\1")
    text = _CAPTURE.sub(lambda found: _reference(names, found), stem.replace("\\", r"\\"))
    if keeps_rest:
        text += f"\\{len(names) + 1}"
    return RegexRewrite(match=f"^{expression}$", rewrite=text or "/")


def _reference(names: tuple[str, ...], found: re.Match[str]) -> str:
    return f"\\{names.index(found[1]) + 1}" if found[1] in names else found[0]


def _groups(pattern: ir.PathPattern) -> tuple[tuple[str, ...], str]:
    """The names of the captures, and an expression for the whole path with a group for each and, last, for the rest."""
    if not isinstance(pattern, ir.TemplatePath):
        return (), ANYTHING
    steps = "".join("/" + ("([^/]+)" if step is None else quote(step)) for step in pattern.segments)
    return pattern.names, steps + (f"((?:/{ANYTHING})?)" if pattern.rest else "")


def rewrite_obstacle(path: ir.PathPattern, target: str) -> Obstacle | None:
    """Why Istio cannot rewrite so; None if it can."""
    return regex_obstacle(_path_rewrite(path, target).match)


# ---- redirects ------------------------------------------------------------------------------------------------------


def keeps_rest(redirect: ir.Redirect) -> bool:
    """Whether the rest of the path that the route's `/**` matched goes into the target."""
    return redirect.target.endswith("/**")


def http_redirect(redirect: ir.Redirect, *, is_prefix: bool = False) -> HttpRedirect:
    """The redirect; with `is_prefix` it is for the paths below a literal prefix, whose match ends in a slash."""
    parts = urlsplit(redirect.target)
    is_path = redirect.target.startswith("/")
    path = (parts.path or "/").removesuffix("/**") if keeps_rest(redirect) else parts.path or "/"
    whole = (path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname or ""
    return HttpRedirect(
        scheme=None if is_path else parts.scheme,
        authority=None if is_path else f"[{host}]" if ":" in host else host,
        port=None if is_path else parts.port,
        uri=None if is_prefix else whole,
        prefix_rewrite=f"{path}/" if is_prefix else None,
        redirect_code=redirect.status,
    )


def redirect_obstacle(pattern: ir.PathPattern, redirect: ir.Redirect) -> Obstacle | None:
    """Why Istio cannot redirect so; None if it can."""
    target = redirect.target
    if "#" in target:
        return Obstacle(reason="redirect to a fragment", advice="leave out the `#` and what follows it")
    if isinstance(pattern, ir.TemplatePath) and any(f"{{{name}}}" in target for name in pattern.names):
        return Obstacle(
            reason="redirect to a target with captures",
            advice='redirect a literal prefix and keep the rest, as in `route /old/** { redirect "/new/**" }`',
        )
    if keeps_rest(redirect) and (not isinstance(pattern, ir.TemplatePath) or None in pattern.segments):
        return Obstacle(
            reason="keep the rest of a path behind a capture in a redirect", advice="redirect a literal prefix"
        )
    return None
