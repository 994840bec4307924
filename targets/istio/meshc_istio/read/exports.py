"""Which objects the callers of a namespace see: `exportTo`, its defaults in MeshConfig, and where DestinationRules stand.

Source: the API reference, `exportTo`; `pilot/pkg/model/destination_rule.go`, `push_context.go`. A DestinationRule is looked for in the
caller's namespace, then in the service's, then in the root namespace, and the first that has one for the host holds alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc.reading import ConfigObject
from meshc.reading.plain import mapping, texts
from meshc.target import Json
from meshc_istio.read.world import World

ELSEWHERE: Final = ""
"""Stands for every namespace that nothing names."""

_DEFAULTS: Final = {
    "VirtualService": "defaultVirtualServiceExportTo",
    "DestinationRule": "defaultDestinationRuleExportTo",
}
"""The field of MeshConfig that says to whom objects of a kind are exported that do not say it themselves."""


@dataclass(frozen=True, slots=True)
class Exports:
    """Who sees what; `settings` is MeshConfig."""

    settings: Mapping[str, Json]

    def visible(self, objects: Iterable[ConfigObject], caller: str) -> list[ConfigObject]:
        """The objects that the callers of a namespace see."""
        return [one for one in objects if not {"*", caller}.isdisjoint(self._to(one))]

    def rules(self, objects: Iterable[ConfigObject], caller: str) -> list[ConfigObject]:
        """The DestinationRules that may hold for the callers of a namespace: all of their own, whomever they are exported to."""
        return [one for one in objects if _home(one) == caller or not {"*", caller}.isdisjoint(self._to(one))]

    def special(self, objects: Mapping[str, Sequence[ConfigObject]], world: World) -> frozenset[str]:
        """The namespaces whose callers may see other objects than those of namespaces that nothing names."""
        return frozenset(self._named(objects, world))

    def _to(self, one: ConfigObject) -> tuple[str, ...]:
        listed = texts(mapping(one.data.get("spec")).get("exportTo"))
        listed = listed or texts(self.settings.get(_DEFAULTS[one.kind])) or ("*",)
        return tuple(_home(one) if name == "." else name for name in listed)

    def _named(self, objects: Mapping[str, Sequence[ConfigObject]], world: World) -> Iterator[str]:
        for kind in _DEFAULTS:
            for one in objects.get(kind, ()):
                yield from (name for name in self._to(one) if name != "*")
        for one in objects.get("DestinationRule", ()):
            host = mapping(one.data.get("spec")).get("host")
            owner = world.hosts.get(world.full(host, _home(one))) if isinstance(host, str) else None
            if owner is None or owner.namespace != _home(one):
                yield _home(one)


def _home(one: ConfigObject) -> str:
    return one.namespace or "default"
