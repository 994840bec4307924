"""What tests of Istio's callers' side share: programs compiled to plain objects, and a reading of a VirtualService.

The reading is of plain data and of Istio's documentation, and knows nothing of the package that emits it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from meshc import ir
from meshc.diagnostics import Severity
from meshc.kubernetes import resource_data
from meshc.passes.support import check_support
from meshc.semantics.facts import Facts
from meshc_harness.compare import analyze_text
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic

Object = Mapping[str, Any]


def mesh_of(program: str) -> ir.Mesh:
    """The mesh of a program without errors."""
    analysis = analyze_text(program)
    errors = [one for one in analysis.diagnostics if one.severity is Severity.ERROR]
    assert not errors, errors
    assert analysis.mesh is not None
    return analysis.mesh


def objects(program: str) -> dict[str, Object]:
    """The objects of a program that Istio can express, by `Kind/name`."""
    mesh = mesh_of(program)
    assert not list(check_traffic(mesh))
    found = [resource_data(placed.resource) for placed in traffic_objects(mesh)]
    named = {f"{one['kind']}/{one['metadata']['name']}": one for one in found}
    assert len(named) == len(found), "two objects of one name"
    return named


def spec(program: str, name: str) -> Any:
    """The spec of one object."""
    return objects(program)[name]["spec"]


def problems(program: str) -> list[tuple[int, str]]:
    """What Istio cannot express because of how it is spelled: lines and messages."""
    return [(one.span.line, one.message) for one in check_traffic(mesh_of(program))]


def unsupported(program: str, table: Mapping[Any, Any]) -> list[str]:
    """The messages of features that the table calls impossible."""
    found = check_support(mesh_of(program), "istio", table)
    return [one.message for one in found if one.severity is Severity.ERROR]


# ---- reading a VirtualService ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The pod of a caller."""

    namespace: str
    labels: Mapping[str, str]


def http_route(virtual_service: Object, port: int, facts: Facts, authority: str, pod: Pod) -> Object | None:
    """The first HTTP route that takes a request; None where none does."""
    for route in virtual_service["spec"].get("http", ()):
        if any(_matches(match, port, facts, authority, pod) for match in route["match"]):
            found: Object = route
            return found
    return None


def _matches(match: Object, port: int, facts: Facts, authority: str, pod: Pod) -> bool:
    assert set(match) <= {
        "uri", "method", "authority", "headers", "withoutHeaders", "queryParams", "port", "sourceNamespace", "sourceLabels",
    }  # fmt: skip
    target = (facts.path or "") + ("" if facts.query_text is None else f"?{facts.query_text}")
    headers = {
        **{name: tuple(values) for name, values in facts.headers.items()},
        ":authority": (authority,),
        ":method": (facts.method or "",),
        ":path": (target,),
    }
    return (
        match.get("port", port) == port
        and match.get("sourceNamespace", pod.namespace) == pod.namespace
        and match.get("sourceLabels", {}).items() <= pod.labels.items()
        and _passes(match.get("uri"), facts.path)
        and _passes(match.get("method"), facts.method)
        and _passes(match.get("authority"), authority)
        and all(_header(test, headers.get(name, ())) for name, test in match.get("headers", {}).items())
        and not any(_inverted(test, headers.get(name, ())) for name, test in match.get("withoutHeaders", {}).items())
        and all(_passes(test, facts.query.get(name)) for name, test in match.get("queryParams", {}).items())
    )


def _header(test: Object, values: tuple[str, ...]) -> bool:
    return bool(values) if not test else any(_passes(test, value) for value in values)


def _inverted(test: Object, values: tuple[str, ...]) -> bool:
    """What an inverted match inverts: a header that is not there counts as empty."""
    return bool(values) if not test else any(_passes(test, value) for value in values or ("",))


def _passes(test: Object | None, value: str | None) -> bool:
    if test is None:
        return True
    if value is None:
        return False
    assert len(test) == 1, test
    ((form, text),) = test.items()
    assert text, "Istio takes an empty text for none"
    if form == "exact":
        return value == str(text)
    if form == "prefix":
        return value.startswith(text)
    assert form == "regex"
    assert len(text.encode()) <= 1024
    return _compiled(text).fullmatch(value.encode("utf-8", "surrogateescape")) is not None


@lru_cache
def _compiled(text: str) -> Any:
    return re2.compile(text.encode())


def rewritten(route: Object, path: str) -> str:
    """The path that a route sends on."""
    rewrite = route.get("rewrite", {}).get("uriRegexRewrite")
    return path if rewrite is None else str(re2.sub(rewrite["match"], rewrite["rewrite"], path, count=1))


def redirected(route: Object, match: Object, path: str) -> str:
    """Where a redirect leads to, without the request's query."""
    redirect = route["redirect"]
    start = ""
    if "authority" in redirect:
        port = f":{redirect['port']}" if "port" in redirect else ""
        start = f"{redirect['scheme']}://{redirect['authority']}{port}"
    if "uri" in redirect:
        return start + str(redirect["uri"])
    prefix = match["uri"]["prefix"]
    assert path.startswith(prefix)
    return start + str(redirect["prefixRewrite"]) + path[len(prefix) :]


def matching(route: Object, port: int, facts: Facts, authority: str, pod: Pod) -> Object:
    """The match of a route that takes a request."""
    found: Object = next(one for one in route["match"] if _matches(one, port, facts, authority, pod))
    return found


def shares(route: Object) -> Iterator[tuple[str, str | None, float]]:
    """The hosts, subsets and shares of a route, in percent."""
    listed = route["route"]
    total = sum(one.get("weight", 0) for one in listed)
    for one in listed:
        destination = one["destination"]
        share = 100.0 if len(listed) == 1 else 100.0 * one["weight"] / total
        yield f"{destination['host']}:{destination['port']['number']}", destination.get("subset"), round(share, 6)
