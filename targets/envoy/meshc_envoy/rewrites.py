r"""Rewrites and redirects: the targets that a program writes with captures, as Envoy's substitutions.

Envoy replaces what a regular expression finds in the path, the query left alone. The expression here is anchored, since
all occurrences are replaced, and each capture is a group.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import quote

_CAPTURE: Final = re.compile(r"\{([^{}]*)\}")
_CODES: Final = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def rewritten_path(pattern: ir.PathPattern, target: str) -> Object:
    """A `RegexMatchAndSubstitute` that makes `target` of a path that `pattern` matches."""
    names, expression = _groups(pattern)
    stem = target.removesuffix("/**")
    keeps_rest = stem != target
    if keeps_rest and not stem and isinstance(pattern, ir.TemplatePath):
        # The rest may be empty, and a path is not: `/` stands for both.
        steps = "".join("/" + ("[^/]+" if step is None else quote(step)) for step in pattern.segments)
        return _substitution(rf"^{steps}/?(\C*)$", "/\\1")
    text = _CAPTURE.sub(lambda found: _reference(names, found), stem.replace("\\", r"\\"))
    if keeps_rest:
        text += f"\\{len(names) + 1}"
    return _substitution(f"^{expression}$", text or "/")


def _reference(names: tuple[str, ...], found: re.Match[str]) -> str:
    return f"\\{names.index(found[1]) + 1}" if found[1] in names else found[0]


def _substitution(expression: str, text: str) -> Object:
    return {"pattern": {"regex": expression}, "substitution": text}


def _groups(pattern: ir.PathPattern) -> tuple[tuple[str, ...], str]:
    """The names of the captures, and an expression for the whole path with a group for each and, last, for the rest."""
    if not isinstance(pattern, ir.TemplatePath):
        return (), r"\C*"
    steps = "".join("/" + ("([^/]+)" if step is None else quote(step)) for step in pattern.segments)
    return pattern.names, steps + (r"((?:/\C*)?)" if pattern.rest else "")


def redirect_action(pattern: ir.PathPattern, redirect: ir.Redirect) -> Object:
    """A `RedirectAction`: a path leads to the same host, a URL to its own; the request's query is kept."""
    code = _CODES[redirect.status]
    if redirect.target.startswith("/"):
        return {**_new_path(pattern, redirect.target), "response_code": code}
    parts = urlsplit(redirect.target)
    path = parts.path or "/"
    path += f"?{parts.query}" if parts.query else ""
    host = parts.hostname or ""
    return {
        "scheme_redirect": parts.scheme,
        "host_redirect": f"[{host}]" if ":" in host else host,
        **({"port_redirect": parts.port} if parts.port is not None else {}),
        **_new_path(pattern, path),
        "response_code": code,
    }


def _new_path(pattern: ir.PathPattern, target: str) -> Object:
    if not _CAPTURE.search(target) and not target.endswith("/**"):
        return {"path_redirect": target}
    return {"regex_rewrite": rewritten_path(pattern, target)}
