"""The installed targets, found through the entry-point group `meshc.targets`."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from meshc.target import Target

_GROUP = "meshc.targets"


class TargetError(Exception):
    """A target that is not installed, or that is none; the text is meant for the user."""


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name)}


def target_names() -> tuple[str, ...]:
    """The names of all installed targets, sorted; nothing is imported."""
    return tuple(_entries())


def find_target(name: str) -> Target:
    """Load a target. Raises TargetError."""
    entry = _entries().get(name)
    if entry is None:
        known = ", ".join(f"`{one}`" for one in _entries()) or "none"
        raise TargetError(f"there is no target `{name}`; installed: {known}")
    target = entry.load()
    if not isinstance(target, Target):
        raise TargetError(f"`{entry.value}` is no target")
    return target
