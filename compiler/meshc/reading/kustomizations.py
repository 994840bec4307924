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


def patched_services(objects: Sequence[ConfigObject]) -> Iterator[ConfigObject]:
    """What kustomizations say of Services by patches that hold annotations and nothing else: as objects of those names."""
    for one in objects:
        if one.kind in _KINDS and "kustomize" in one.group:
            yield from _service_patches(one) or ()


def unlike_kustomized(objects: Sequence[ConfigObject]) -> Iterator[Unknown]:
    """Where what kustomize makes of a folder is not just the objects that its files hold."""
    kustomizations = [one for one in objects if one.kind in _KINDS and "kustomize" in one.group]
    files = dict.fromkeys(one.file for one in objects if one.kind and one not in kustomizations)
    for one in kustomizations:
        folder = posixpath.dirname(one.file)
        for field in sorted(set(one.data) - _PLAIN):
            if field != "patches" or _service_patches(one) is None:
                yield _unknown(one, (field,), f"what `{field}` makes of the objects cannot be said")
        listed = {posixpath.normpath(posixpath.join(folder, path)) for path in texts(one.data.get("resources"))}
        below = {file for file in files if posixpath.normpath(file).startswith(f"{folder}/" if folder else "")}
        held = {file: _held_by(file) for file in below}
        for path in sorted(listed.difference(*held.values())):
            yield _unknown(one, ("resources",), f"`{path}` is applied too, and was not read")
        for file in sorted(file for file, paths in held.items() if listed.isdisjoint(paths)):
            if one.kind == "Kustomization" and not _has_own(file, folder, kustomizations):
                yield _unknown(one, ("resources",), f"`{file}` is not applied: it is not among the resources")


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


def _service_patches(one: ConfigObject) -> list[ConfigObject] | None:
    """What the patches are, if each is of annotations of a Service for Linkerd; None otherwise."""
    patches: list[ConfigObject] = []
    for patch in items(one.data.get("patches")):
        text = mapping(patch).get("patch")
        found, wrong = objects_of_source(SourceFile(one.file, text)) if isinstance(text, str) else ((), ())
        if wrong or len(found) != 1 or set(mapping(patch)) != {"patch"} or not _is_annotation(found[0]):
            return None
        patches.append(ConfigObject(data=found[0].data, file=one.file))
    return patches


def _is_annotation(patch: ConfigObject) -> bool:
    """Whether all that a patch says is annotations of a Service for Linkerd."""
    about = mapping(patch.data.get("metadata"))
    is_service = (patch.kind, patch.group) == ("Service", "") and not set(patch.data) - _OF_SERVICES
    is_plain = not set(about) - {"name", "namespace", "annotations"}
    return is_service and is_plain and all("linkerd.io/" in name for name in mapping(about.get("annotations")))


def _unknown(one: ConfigObject, steps: tuple[Step, ...], message: str) -> Unknown:
    return Unknown(message=message, aspects=frozenset(Aspect), span=one.span(*steps))
