"""Delegates: a route of a VirtualService that hands its requests to another one -> the routes that both together are.

Source: Istio's API reference, Delegate: it is set where `route` and `redirect` are not, only one level deep, and each match of the
delegate must be a subset of one of the root's; a route with another one does not take effect. `pilot/pkg/model/virtualservice.go` says
what a subset is: texts that are equal, or that start with the root's prefix; expressions are none of anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.reading import ConfigObject
from meshc.reading.plain import items, mapping
from meshc.target import Json
from meshc_istio.read.fields import Fields

_TEXTS: Final = ("uri", "scheme", "method", "authority")
_MAPS: Final = ("headers", "withoutHeaders", "queryParams")
_PLAIN: Final = ("name", "statPrefix")


@dataclass(frozen=True, slots=True)
class Delegates:
    """All VirtualServices, by namespace and name."""

    services: Mapping[tuple[str, str], ConfigObject]

    def expanded(self, route: Fields) -> Iterator[Fields]:
        """The route itself, or those of its delegate with its own matches in theirs. Raises NotReadError."""
        chosen = route.fields("delegate")
        if chosen is None:
            yield route
            return
        home = route.where.namespace or "default"
        name, namespace = chosen.text("name") or "", chosen.text("namespace") or home
        chosen.finish()
        route.items("match")
        route.ignore("name")
        route.finish()
        one = self.services.get((namespace, name))
        if one is None or one is route.where:
            raise route.error(f"the delegate `{namespace}/{name}`, which is not among the files,", "delegate")
        spec = Fields(one, ("spec",), one.data.get("spec"))
        exported = spec.texts("exportTo")
        if exported and not {"*", home} & set(exported) and not ("." in exported and namespace == home):
            raise route.error(f"the delegate `{namespace}/{name}`, which `{home}` does not see,", "delegate")
        spec.ignore("exportTo")
        listed = spec.items("http")
        spec.finish()
        yield from (merged for each in listed if (merged := _merged(route, each)) is not None)


def _merged(root: Fields, leaf: Fields) -> Fields | None:
    """A route of the delegate, for those requests of the root's that it is for; None where it does not take effect."""
    if "delegate" in leaf:
        raise leaf.error("a delegate of a delegate", "delegate")
    matches = _all_of(root, leaf)
    if matches is None:
        return None
    data: dict[str, Json] = dict(leaf.data)
    if matches:
        data["match"] = matches
    return Fields(leaf.where, leaf.steps, data)


def _all_of(root: Fields, leaf: Fields) -> tuple[Json, ...] | None:
    """The matches of both. Every one of the delegate must lie within some match of the root."""
    wide, narrow = items(root.data.get("match")), leaf.items("match")
    if not wide or not narrow:
        return wide or tuple(one.data for one in narrow)
    found: list[Json] = []
    for one in narrow:
        both = [entry for other in wide if (entry := _both(mapping(other), one)) is not None]
        if not both:
            return None
        found += both
    return tuple(found)


def _both(root: Mapping[str, Json], leaf: Fields) -> Mapping[str, Json] | None:
    """One entry that asks for what both ask for; None where the delegate's lies outside the root's. Raises NotReadError."""
    data: dict[str, Json] = {**root, **{name: value for name, value in leaf.data.items() if value is not None}}
    if {*root} & {*leaf.data} & {"gateways", "sourceNamespace"}:
        raise leaf.error("a match that names gateways or namespaces as the root's does")
    if "uri" in root and "uri" in leaf and (root.get("ignoreUriCase") is True) is not leaf.flag("ignoreUriCase"):
        raise leaf.error("a path whose case counts in one of two matches")
    if root.get("port") and leaf.data.get("port") not in {None, 0, root["port"]}:
        return None
    labels, narrow = mapping(root.get("sourceLabels")), leaf.text_map("sourceLabels")
    if any(labels.get(key, value) != value for key, value in narrow.items()):
        return None
    data["sourceLabels"] = {**labels, **narrow}
    for name in _TEXTS:
        if name in root and name in leaf and not _is_within(root[name], leaf.data[name], leaf):
            return None
    for name in _MAPS:
        outer, inner = mapping(root.get(name)), mapping(leaf.data.get(name))
        if any(not _is_within(outer[key], inner[key], leaf) for key in outer.keys() & inner.keys()):
            return None
        if outer or inner:
            data[name] = {**outer, **inner}
    return {name: value for name, value in data.items() if name not in _PLAIN}


def _is_within(root: Json, leaf: Json, at: Fields) -> bool:
    """Whether one text match lies within another. Raises NotReadError where only an expression would tell."""
    outer, inner = mapping(root), mapping(leaf)
    if len(outer) != 1 or len(inner) != 1 or "regex" in {*outer, *inner}:
        raise at.error("a match by an expression, or for presence, that the root's match is for as well,")
    (kind, wide), (narrow_kind, narrow) = next(iter(outer.items())), next(iter(inner.items()))
    if kind == "exact":
        return narrow_kind == "exact" and narrow == wide
    return str(narrow).startswith(str(wide))
