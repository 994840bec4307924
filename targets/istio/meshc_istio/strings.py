"""Strings: the forms in which Istio compares texts, chosen so that they mean what the language means.

A value is exact, `pre*`, `*suf` or `*`; a star anywhere else is a letter, and nothing escapes one. So a text that holds a star is
refused. Where a form takes more or less than the language's test, it is used on the safe side alone: what allows may take less,
what refuses may take more. Source: Istio AuthorizationPolicy reference; `pilot/pkg/security/authz/matcher`.
"""

import re
from collections.abc import Iterable
from typing import assert_never

from meshc import ir
from meshc_istio.terms import InexpressibleError

_TEMPLATE_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;=:@]|%[0-9A-Fa-f]{2})+")

Texts = tuple[str, ...]


def exact(text: str) -> str:
    """A text itself."""
    if "*" in text:
        raise InexpressibleError(
            f"Istio would take the `*` in `{text}` for a pattern, and knows no escape", "leave the `*` out"
        )
    if not text:
        raise InexpressibleError("Istio takes no empty text", "test `is present` or `is absent`")
    return text


def prefix(text: str) -> str:
    """Everything that starts with a text."""
    return f"{exact(text)}*"


def suffix(text: str) -> str:
    """Everything that ends with a text."""
    return f"*{exact(text)}"


def plain_test(test: ir.TextTest, subject: str) -> str:
    """The form of a test."""
    match test:
        case ir.Equals(value=value):
            return exact(value)
        case ir.StartsWith(value=value):
            return prefix(value)
        case ir.EndsWith(value=value):
            return suffix(value)
        case ir.IsPresent():
            return "*"
        case ir.Matches():
            raise InexpressibleError(
                f"Istio has no regular expressions for {subject}", "list the values, or use `starts with`"
            )
        case _:
            assert_never(test)


def path_forms(pattern: ir.PathPattern, *, refuses: bool) -> Texts | None:
    """The forms of a path pattern, any of which may match; None for every path."""
    if pattern == ir.ANY_PATH:
        return None
    match pattern:
        case ir.ExactPath(path=path):
            return (_path(path),)
        case ir.TemplatePath(segments=segments, rest=rest):
            if None in segments:
                return _template(segments, rest=rest, refuses=refuses)
            stem = _path("".join(f"/{segment}" for segment in segments))
            return (stem, f"{stem}/*") if rest else (stem,)
        case ir.RegexPath():
            raise InexpressibleError(
                "Istio has no regular expressions for paths", "use `{name}` and `/**`, or list the paths"
            )
        case _:
            assert_never(pattern)


def _path(path: str) -> str:
    if "{" in path or "}" in path:
        raise InexpressibleError(f"Istio would take the braces in `{path}` for a template", "leave them out")
    return exact(path)


def _template(segments: tuple[str | None, ...], *, rest: bool, refuses: bool) -> Texts:
    if refuses:
        reason = "the `{name}` of an Istio path takes fewer characters than a path may hold, so what is denied would get through"
        raise InexpressibleError(reason, "deny the prefix with `/**`, or allow what is meant instead")
    for segment in segments:
        if segment is not None and not _TEMPLATE_LITERAL.fullmatch(segment):
            raise InexpressibleError(f"Istio takes no `{segment}` beside a `{{name}}`", "use `/**` instead of `{name}`")
    stem = "".join(f"/{'{*}' if segment is None else segment}" for segment in segments)
    return (stem, f"{stem}/{{**}}") if rest else (stem,)


def host_forms(test: ir.TextTest, ports: Iterable[int], *, refuses: bool) -> tuple[Texts, Texts]:
    """The forms of a test of the host, and those to except from them.

    Istio compares the whole authority, with a port and a trailing dot if the client sent them. What refuses takes any port;
    what allows the service's and the workload's.
    """
    match test:
        case ir.Equals(value=value):
            names = (exact(value), exact(f"{value}."))
            if refuses:
                return (*names, *(f"{name}:*" for name in names)), ()
            return (*names, *(f"{name}:{port}" for port in ports for name in names)), ()
        case ir.StartsWith(value=value):
            # The language takes a dot at the very end off before it looks.
            without = (value, f"{value}:*") if value.endswith(".") and not refuses else ()
            return (prefix(value),), without
        case ir.EndsWith(value=value):
            if refuses:
                reason = "a client may send any port after the host, and Istio has no form for an ending before a port"
                raise InexpressibleError(reason, "deny the hosts one by one")
            ends = (value, f"{value}.")
            return (*map(suffix, ends), *(suffix(f"{end}:{port}") for port in ports for end in ends)), ()
        case ir.IsPresent():
            return ("*",), ()
        case ir.Matches():
            raise InexpressibleError("Istio has no regular expressions for hosts", "list the hosts")
        case _:
            assert_never(test)


def principal_form(principal: ir.Principal) -> str | None:
    """A source as Istio spells it, without `spiffe://`; None for everybody."""
    match principal:
        case ir.AnyPeer():
            return None
        case ir.AnyIdentity():
            return "*"
        case ir.ExactIdentity(identity=identity):
            return exact(identity.removeprefix("spiffe://"))
        case ir.IdentityPrefix(prefix=start):
            return prefix(start.removeprefix("spiffe://"))
        case _:
            assert_never(principal)
