"""What is written, what a write did, and how a folder differs from what would be written."""

from dataclasses import dataclass

from meshc.source import Span


class OutputError(Exception):
    """The folder cannot be written, or is not one that meshc may write; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file: `path` is relative to the folder, with forward slashes; `sources` are the places that it comes from."""

    path: str
    text: str
    sources: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInfo:
    """What the manifest says of the compile: meshc's version, a digest of the program, and the environment, if any."""

    compiler: str
    program: str
    environment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: paths whose content changed (the manifest aside), and paths removed, both sorted."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a folder differs from what a compile would write. `stale` are meshc's files that this compile does not make."""

    missing: tuple[str, ...]
    different: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def has_any(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.different or self.stale)
