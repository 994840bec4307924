"""Kustomizations among configuration: which files `kubectl apply -k` takes, and what it makes of their objects.

A folder is read as a whole. What its kustomization leaves out, adds from elsewhere or changes is not what reaches the cluster.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from meshc.reading.model import Aspect, Unknown
from meshc.reading.objects import ConfigObject, Step, objects_of_source
from meshc.reading.plain import items, mapping, texts
from meshc.source import SourceFile

_KINDS: Final = frozenset({"Kustomization", "Component"})
_PLAIN: Final = frozenset({"apiVersion", "kind", "metadata", "resources"})
_OF_SERVICES: Final = frozenset({"apiVersion", "kind", "metadata"})
_OF_NOTES: Final = frozenset({"name", "namespace", "annotations"})
_NOTED: Final = "linkerd.io"
"""The domain of annotations of Services that are read."""


def unlike_kustomized(objects: Sequence[ConfigObject]) -> Iterator[Unknown]:
    """Where what kustomize makes of a folder is not just the objects that its files hold."""
    kustomizations = [one for one in objects if one.kind in _KINDS and "kustomize" in one.group]
    files = dict.fromkeys(one.file for one in objects if one.kind and one not in kustomizations)
    for one in kustomizations:
        folder = posixpath.dirname(one.file)
        for field in sorted(set(one.data) - _PLAIN):
            if field == "patches" and _is_read(one):
                continue
            # A Service says nothing of who may call it.
            aspects = (
                frozenset({Aspect.ROUTING, Aspect.SETTINGS}) if _patches_services(one, field) else frozenset(Aspect)
            )
            yield _unknown(one, (field,), f"what `{field}` makes of the objects cannot be said", aspects)
        listed = {posixpath.normpath(posixpath.join(folder, path)) for path in texts(one.data.get("resources"))}
        below = {file for file in files if posixpath.normpath(file).startswith(f"{folder}/" if folder else "")}
        held = {file: _held_by(file) for file in below}
        for path in sorted(listed.difference(*held.values())):
            yield _unknown(one, ("resources",), f"`{path}` is applied too, and was not read")
        for file in sorted(file for file, paths in held.items() if listed.isdisjoint(paths)):
            if one.kind == "Kustomization" and not _has_own(file, folder, kustomizations):
                yield _unknown(one, ("resources",), f"`{file}` is not applied: it is not among the resources")


def service_patches(objects: Sequence[ConfigObject]) -> Iterator[tuple[ConfigObject, ConfigObject]]:
    """Kustomizations, and the Services to which they give annotations and nothing else, as far as these have them from there."""
    for one in objects:
        if one.kind in _KINDS and "kustomize" in one.group and _patches_services(one, "patches"):
            for patch in _patched(one):
                yield one, patch


def _is_read(one: ConfigObject) -> bool:
    """Whether all that a kustomization patches are annotations which the reader of the one mesh that heeds them asks for."""
    if not _patches_services(one, "patches"):
        return False
    for patch in _patched(one):
        metadata = mapping(patch.data.get("metadata"))
        domains = (str(key).partition("/")[0] for key in mapping(metadata.get("annotations")))
        if set(metadata) - _OF_NOTES or not all(domain.endswith(_NOTED) for domain in domains):
            return False
    return True


def _patched(one: ConfigObject) -> Iterator[ConfigObject]:
    for patch in items(one.data.get("patches")):
        text = mapping(patch).get("patch")
        found, _ = objects_of_source(SourceFile(one.file, text)) if isinstance(text, str) else ((), ())
        # Places in the text of a patch are none in the file.
        yield from (ConfigObject(data=each.data, file=each.file) for each in found)


def _held_by(file: str) -> tuple[str, ...]:
    """The resources that hold a file: itself, and the folders around it."""
    found = [posixpath.normpath(file)]
    while (folder := posixpath.dirname(found[-1])) not in {"", found[-1]}:
        found.append(folder)
    return tuple(found)


def _has_own(file: str, folder: str, kustomizations: Iterable[ConfigObject]) -> bool:
    """Whether a kustomization further down than this folder speaks of a file."""
    inner = (posixpath.dirname(one.file) for one in kustomizations)
    return any(len(one) > len(folder) and file.startswith(f"{one}/") for one in inner)


def _patches_services(one: ConfigObject, field: str) -> bool:
    """Whether a field holds patches, all of them for Services, and of what is said about them."""
    if field != "patches":
        return False
    for patch in items(one.data.get(field)):
        text = mapping(patch).get("patch")
        found, wrong = objects_of_source(SourceFile(one.file, text)) if isinstance(text, str) else ((), ())
        if wrong or len(found) != 1 or set(mapping(patch)) != {"patch"}:
            return False
        if (found[0].kind, found[0].group) != ("Service", "") or set(found[0].data) - _OF_SERVICES:
            return False
    return True


def _unknown(
    one: ConfigObject, steps: tuple[Step, ...], message: str, aspects: frozenset[Aspect] = frozenset(Aspect)
) -> Unknown:
    return Unknown(message=message, aspects=aspects, span=one.span(*steps))
