"""Istio's forms of texts -> tests: exact, `pre*`, `*suf`, `*`; paths with templates; hosts, which hold ports and dots.

A form that the language's conditions cannot say raises NotSayableError; what holds only under an assumption names it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_istio.read.account import HOST_PORTS, PLAIN_HOSTS, PLAIN_SEGMENTS

_PORT: Final = re.compile(r":([0-9]+)\Z")


class NotSayableError(Exception):
    """A form without an equal; the text says what it is."""


@dataclass(frozen=True, slots=True)
class Said:
    """A condition, and the assumptions under which it is what Istio does."""

    condition: ir.Condition
    assumptions: tuple[str, ...] = ()


def text_test(form: str) -> ir.TextTest:
    """A general form. A star in the middle is a letter, and `*x*` ends with `x*`."""
    if form == "*":
        return ir.IsPresent()
    if form.startswith("*"):
        return ir.EndsWith(form[1:])
    if form.endswith("*"):
        return ir.StartsWith(form[:-1])
    return ir.Equals(form)


def any_of(conditions: Iterable[ir.Condition]) -> ir.Condition:
    """One of several; the condition itself if it is the only one."""
    given = tuple(conditions)
    # Hashing goes through whole conditions, and most lists hold one.
    listed = given if len(given) == 1 else tuple(dict.fromkeys(given))
    return listed[0] if len(listed) == 1 else ir.AnyOf(listed)


def all_of(conditions: Iterable[ir.Condition]) -> ir.Condition:
    """All of several; the condition itself if it is the only one."""
    listed: list[ir.Condition] = []
    for one in conditions:
        if one != ir.ALWAYS and one not in listed:
            listed.append(one)
    return listed[0] if len(listed) == 1 else ir.AllOf(tuple(listed))


def methods(forms: Iterable[str]) -> Said:
    """One of some methods."""
    named = tuple(forms)
    for form in named:
        if "*" in form and form != "*":
            raise NotSayableError(f"methods by the pattern `{form}`")
    return Said(ir.ALWAYS if "*" in named else ir.MethodIs(tuple(sorted(set(named)))))


# ---- paths ----------------------------------------------------------------------------------------------------------


def paths(forms: Iterable[str]) -> Said:
    """One of some paths. Two forms that say `below` and `just this` are one pattern."""
    left = dict.fromkeys(forms)
    found: list[ir.Condition] = []
    is_template = False
    for form in tuple(left):
        below = _below(form)
        if below in left and form in left:
            pattern = _template(form, rest=True)
            is_template = is_template or None in pattern.segments
            found.append(ir.PathIs(pattern))
            del left[form], left[below]
    for form in left:
        is_template = is_template or "{*}" in form
        found.append(_path(form))
    return Said(any_of(found), (PLAIN_SEGMENTS,) if is_template else ())


def _below(form: str) -> str:
    return f"{form}/{{**}}" if "{" in form else f"{form}/*"


def _path(form: str) -> ir.Condition:
    if "{" in form or "}" in form:
        return _templated(form)
    if form in {"*", "/*"}:
        return ir.PathIs(ir.ANY_PATH)
    if form.endswith("/*") and not form.startswith("*"):
        stem = form[:-2]
        whole = ir.PathIs(_template(stem, rest=True))
        return ir.AllOf((whole, ir.Not(ir.PathIs(ir.ExactPath(stem)))))
    if form.startswith("*"):
        return ir.PathIs(ir.RegexPath(f".*{_quoted(form[1:])}"))
    if form.endswith("*"):
        return ir.PathIs(ir.RegexPath(f"{_quoted(form[:-1])}.*"))
    return ir.PathIs(ir.ExactPath(form))


def _templated(form: str) -> ir.Condition:
    """Whole segments `{*}`, and `{**}` for any rest at the end."""
    stem = form.removesuffix("/{**}")
    if "{" in stem.replace("{*}", "") or "}" in stem.replace("{*}", ""):
        raise NotSayableError(f"the path template `{form}`")
    if any("{*}" in one and one != "{*}" for one in stem.split("/")):
        raise NotSayableError(f"the path template `{form}`")
    pattern = ir.PathIs(_template(stem, rest=False))
    if stem == form:
        return pattern
    return ir.AllOf((ir.PathIs(_template(stem, rest=True)), ir.Not(pattern)))


def _template(stem: str, *, rest: bool) -> ir.TemplatePath:
    segments = tuple(None if one == "{*}" else one for one in stem.split("/")[1:])
    names = tuple(f"p{number}" for number, one in enumerate(segments, 1) if one is None)
    return ir.TemplatePath(segments, names, rest=rest)


def _quoted(text: str) -> str:
    return re.escape(text).replace("\\/", "/")


# ---- hosts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Host:
    """A form of a host: its test, without the dot at its end and the port that it may have. `port` is `*` for any."""

    test: ir.TextTest
    has_dot: bool
    port: str


def hosts(forms: Iterable[str], ports: Iterable[int], *, may_take_less: bool) -> Said:
    """One of some hosts, as the language sees them: without port and dot. `ports` are the service's and the workload's.

    A list that does not hold every spelling of a host takes less than the language's test. Where that is not safe to overlook, it
    raises NotSayableError.
    """
    usual = {(has_dot, port) for has_dot in (False, True) for port in ("", *map(str, ports))}
    by_test: dict[ir.TextTest, set[tuple[bool, str]]] = {}
    for one in _host_forms(forms):
        by_test.setdefault(one.test, set()).add((one.has_dot, one.port))
    assumptions: tuple[str, ...] = ()
    for test, spellings in by_test.items():
        is_whole = isinstance(test, ir.StartsWith | ir.IsPresent) or (
            {(False, ""), (True, ""), (False, "*"), (True, "*")} <= spellings
        )
        if not is_whole:
            if not may_take_less or (False, "") not in spellings:
                raise NotSayableError("hosts without all of their ports")
            assumptions = (*assumptions, HOST_PORTS if usual <= spellings else PLAIN_HOSTS)
    return Said(any_of(ir.HostIs(test) for test in by_test), assumptions)


def _host_forms(forms: Iterable[str]) -> Iterator[_Host]:
    for form in forms:
        lower = form.lower()
        port, stem = "", lower
        if lower.endswith(":*"):
            port, stem = "*", lower[:-2]
        elif (found := _PORT.search(lower)) is not None:
            port, stem = found[1], lower[: found.start()]
        if stem.endswith("*") and stem != "*" and not stem.startswith("*"):
            yield _Host(ir.StartsWith(stem[:-1]), has_dot=False, port="*")
            continue
        has_dot = stem.endswith(".") and stem != "."
        test = text_test(stem[:-1] if has_dot else stem)
        yield _Host(test, has_dot=has_dot, port=port)
