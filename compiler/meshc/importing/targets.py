"""Targets of rewrites and redirects that keep a part of the path, for some of a route's paths alone."""

import re
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.importing.unsayable import NotSayableError

_REST: Final = "/**"
_CAPTURE: Final = re.compile(r"\{([^{}]*)\}")


def retargeted(route: ir.Route, path: ir.PathPattern) -> ir.Route:
    """The route for `path`, which is a part of its own: with targets that name what is captured as `path` calls it.

    Raises NotSayableError where that is a part of a segment.
    """
    settings, action = route.settings, route.action
    if settings.rewrite_path is not None:
        settings = replace(settings, rewrite_path=_target(settings.rewrite_path, route, path))
    if isinstance(action, ir.Redirect):
        action = replace(action, target=_target(action.target, route, path))
    return replace(route, settings=settings, action=action)


def keeps_path(route: ir.Route) -> bool:
    """Whether what a route does depends on what its path captures."""
    targets = [route.settings.rewrite_path or ""]
    targets += [route.action.target] if isinstance(route.action, ir.Redirect) else []
    return any(one.endswith(_REST) or _CAPTURE.search(one) is not None for one in targets)


def _target(target: str, route: ir.Route, path: ir.PathPattern) -> str:
    is_kept = target.endswith(_REST)
    if not is_kept and _CAPTURE.search(target) is None:
        return target
    if not isinstance(route.path, ir.TemplatePath) or isinstance(path, ir.RegexPath):
        raise NotSayableError("a route whose target keeps a part of the path, for some of its paths alone", route.span)
    segments = _segments(path)
    places = [place for place, one in enumerate(route.path.segments) if one is None]
    captured = dict(zip(route.path.names, (segments[place] for place in places), strict=True))
    found = _CAPTURE.sub(lambda match: captured.get(match[1], match[0]), target.removesuffix(_REST))
    if not is_kept:
        return found
    rest = "".join(f"/{one}" for one in segments[len(route.path.segments) :])
    has_rest = isinstance(path, ir.TemplatePath) and path.rest
    return f"{found}{rest}{_REST if has_rest else ''}" or "/"


def _segments(path: ir.ExactPath | ir.TemplatePath) -> list[str]:
    """The segments as they are written."""
    if isinstance(path, ir.ExactPath):
        return path.path.removeprefix("/").split("/")
    names = iter(path.names)
    return [f"{{{next(names, '_')}}}" if one is None else one for one in path.segments]
