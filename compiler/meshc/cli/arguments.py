"""What a command line asks for, as one value; how it is written is in `command_line`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meshc.cli.command_line import build_parser


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What the user asked for; a field that a command does not know keeps its default."""

    command: str
    paths: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    environment: str | None = None
    out: Path | None = None
    format: str = "text"
    engine: str = "model"
    via: str | None = None
    name: str | None = None
    fail_on: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    all: bool = False
    coverage: bool = False
    suggest: bool = False
    min_coverage: float | None = None
    check: bool = False
    validate: Path | None = None
    verify: bool = True
    kind: str | None = None
    config: str | None = None
    program: Path | None = None
    listen: str | None = None
    application: str | None = None
    tls: str | None = None
    admin: str = "127.0.0.1:15000"
    drain: float = 30.0
    apps: tuple[str, ...] = ()
    once: bool = False
    force: bool = False
    diff: bool = False
    fix: bool = False
    watch: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    quiet: bool = False
    verbose: bool = False

    @property
    def path(self) -> Path | None:
        """The program that was named, if one was."""
        return Path(self.paths[0]) if self.paths else None


def via_of(arguments: Arguments) -> str | None:
    """The target by way of which requests are decided, None for the program itself. Reference proxies run compiled files."""
    return arguments.via or ("envoy" if arguments.engine == "proxy" else None)


def read_arguments(arguments: Sequence[str] | None) -> Arguments:
    """Read a command line. Ends the process for `--help`, `--version` and mistakes, as argparse does."""
    found = vars(build_parser().parse_args(arguments))
    targets, services, namespaces, gates = (
        _listed(found.pop(name, None)) for name in ("target", "service", "namespace", "fail_on")
    )
    path = found.pop("path", None)
    sides = (found.pop("old", None), found.pop("new", None))
    paths = tuple(found.pop("paths", None) or (one for one in (path, *sides) if one is not None))
    words = tuple(found.pop("words", ()))
    apps = tuple(found.pop("apps", ()))
    return Arguments(
        paths=paths,
        words=words,
        apps=apps,
        targets=targets,
        services=services,
        namespaces=namespaces,
        fail_on=gates,
        **found,
    )


def _listed(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
