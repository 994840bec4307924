"""Kustomizations among configuration: which files `kubectl apply -k` takes, and what it makes of their objects.

A folder is read as a whole. What its kustomization leaves out, adds from elsewhere or changes is not what reaches the cluster.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from meshc.reading.model import Aspect, Unknown
from meshc.reading.objects import ConfigObject, Step
from meshc.reading.plain import texts

_KINDS: Final = frozenset({"Kustomization", "Component"})
_PLAIN: Final = frozenset({"apiVersion", "kind", "metadata", "resources"})


def unlike_kustomized(objects: Sequence[ConfigObject]) -> Iterator[Unknown]:
    """Where what kustomize makes of a folder is not just the objects that its files hold."""
    kustomizations = [one for one in objects if one.kind in _KINDS and "kustomize" in one.group]
    files = dict.fromkeys(one.file for one in objects if one.kind and one not in kustomizations)
    for one in kustomizations:
        folder = posixpath.dirname(one.file)
        for field in sorted(set(one.data) - _PLAIN):
            yield _unknown(one, (field,), f"what `{field}` makes of the objects cannot be said")
        listed = {posixpath.normpath(posixpath.join(folder, path)) for path in texts(one.data.get("resources"))}
        below = {file for file in files if posixpath.normpath(file).startswith(f"{folder}/" if folder else "")}
        for path in sorted(path for path in listed if not any(_is_in(file, path) for file in below)):
            yield _unknown(one, ("resources",), f"`{path}` is applied too, and was not read")
        for file in sorted(file for file in below if not any(_is_in(file, path) for path in listed)):
            if one.kind == "Kustomization" and not _has_own(file, folder, kustomizations):
                yield _unknown(one, ("resources",), f"`{file}` is not applied: it is not among the resources")


def _is_in(file: str, path: str) -> bool:
    """Whether a resource is a file, or the folder that holds it."""
    plain = posixpath.normpath(file)
    return plain == path or plain.startswith(f"{path}/")


def _has_own(file: str, folder: str, kustomizations: Iterable[ConfigObject]) -> bool:
    """Whether a kustomization further down than this folder speaks of a file."""
    inner = (posixpath.dirname(one.file) for one in kustomizations)
    return any(len(one) > len(folder) and file.startswith(f"{one}/") for one in inner)


def _unknown(one: ConfigObject, steps: tuple[Step, ...], message: str) -> Unknown:
    return Unknown(message=message, aspects=frozenset(Aspect), span=one.span(*steps))
