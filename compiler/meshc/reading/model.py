"""What a reader makes of configuration: a mesh, and what it does not know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from meshc.ir import Mesh
from meshc.reading.objects import ConfigObject
from meshc.source import Span


class Aspect(Enum):
    """What of a port may be other than what was read."""

    ACCESS = "access"
    ROUTING = "routing"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Something that was not understood or that the intermediate form cannot say: what it may touch is unknown.

    `ports` are the ports whose `aspects` it may touch, as (namespace, service, service port); None stands for all of the
    mesh. `message` is a diagnostic's: one line, lower case, no full stop.
    """

    message: str
    aspects: frozenset[Aspect]
    ports: tuple[tuple[str, str, int], ...] | None = None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What was taken for granted, without which the reading may not hold: `a pod selector names one service account`.

    `text` is one clause; readers of one target use the same words for the same assumption.
    """

    text: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A mesh as its configuration has it, with every span in the configuration's files.

    What `unknown` does not name is exact, provided that all of `assumptions` hold.
    """

    mesh: Mesh
    unknown: tuple[Unknown, ...] = ()
    assumptions: tuple[Assumption, ...] = ()


Reader = Callable[[Sequence[ConfigObject], Mesh, Mapping[str, str]], Reading]
"""Configuration × known services × the target's options -> a reading; pure, and total: nothing makes it raise.

The known services are a mesh as `bare` leaves it: which services and externals there are, with their ports, identities,
labels and versions. A reader fills in what the configuration says of them, and adds what it names beyond them, with names
and ports as far as the configuration tells them. The order of objects means nothing unless the mesh gives it a meaning.
"""
