"""What a target is: a table of what it can express, and a function from a mesh to resources.

Targets are separate packages, found through the entry-point group `meshc.targets`; a third party can add one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from meshc.diagnostics import Diagnostic
from meshc.features import Feature
from meshc.ir import Mesh
from meshc.source import Span

if TYPE_CHECKING:
    from meshc.reading.model import Aspect, Reader
    from meshc.reading.objects import ConfigObject
    from meshc.site import Site

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""Plain data, as it is written to YAML or JSON."""


class Exactness(Enum):
    """How well a target expresses a feature."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    STRICTER = "stricter"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """One row of a support table.

    `note` says what differs (APPROXIMATE), what is refused in addition (STRICTER), or why it cannot be said (IMPOSSIBLE);
    `instead` what to write in its place. `may_omit` marks a feature that `unsupported: warn` may leave out: never one
    that access depends on. `is_quiet` marks a STRICTER row that concerns only requests which HTTP forbids anyway: it is in
    the table, and not worth a warning on every compile.
    """

    exactness: Exactness
    note: str = ""
    instead: str = ""
    may_omit: bool = False
    is_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One output file: `path` is relative to the target's folder; `sources` are the places that it comes from.

    `note` is text for whoever opens the file, which becomes a comment at its head.
    """

    path: str
    resources: tuple[Mapping[str, Json], ...]
    sources: tuple[Span, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What a target made of a mesh; documents are sorted by path."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


WorkloadKey = tuple[str, str]
"""Namespace and name of a workload."""

PortKey = tuple[str, str, int]
"""Namespace and name of a workload or external, and the number of its service port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running copy of a workload: a sidecar of its own, at addresses of its own, in front of an application of its own.

    `version` is the version that it runs, None where it runs none; `zone` is where it is said to be, if that is said.
    `listen` are the addresses of its inbound listeners, never empty, `application` is that of its application, `outbound`
    that of its outbound listeners, `source` the one that its connections come from, None for whichever the system picks.
    `tls_directory` holds its `cert.pem`, `key.pem` and `<trust domain>.pem`.
    """

    version: str | None
    zone: str | None
    listen: tuple[str, ...]
    application: str
    outbound: str
    source: str | None
    tls_directory: PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where everything is when all sidecars of a mesh run on one machine.

    `instances` are those of each workload, never empty, at most one of each version. `visitors` are further ones that no
    peer knows of and that only call, each from a source address of its own. `externals` gives an external's host and port
    an address instead, and `ca_file` verifies the certificates there.
    """

    instances: Mapping[WorkloadKey, tuple[Instance, ...]]
    visitors: Mapping[WorkloadKey, tuple[Instance, ...]]
    externals: Mapping[tuple[str, int], tuple[str, int]]
    ca_file: PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEmission:
    """The files of a placed mesh, one an instance, and the ports that its sidecars listen on.

    `inbound` is a workload port's at each of its listen addresses, `outbound` a destination's at every caller's outbound
    address.
    """

    emission: Emission
    inbound: Mapping[PortKey, int]
    outbound: Mapping[PortKey, int]


TargetOptions = Mapping[str, str]
"""A target's own section of `meshc.yaml`, and `unsupported`: names and values, lists joined by blanks; checked where it is read."""


def _nothing(_: TargetOptions) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A mesh that programs compile to. `oldest_version` is the oldest release that `support` holds for.

    `place` is there for targets whose files a single machine can run as they are. `read` understands the target's
    configuration, whoever wrote it, as far as `reads` says; `sites` says where it has sidecars listen and find others, if it does. `expressed` is the mesh as the target is to run it, by the table and the options alone:
    without what is left out, and with what the table says is different. What is emitted must read back as that, provided
    that `assumes` holds: clauses that the table states, or an option brings with it.
    """

    name: str
    oldest_version: str
    support: Mapping[Feature, Support]
    emit: Callable[[Mesh, TargetOptions], Emission]
    place: Callable[[Mesh, Placement], PlacedEmission] | None = None
    read: "Reader | None" = None
    sites: "Callable[[Sequence[ConfigObject], Mesh], Mapping[WorkloadKey, Site]] | None" = None
    reads: frozenset["Aspect"] = frozenset()
    expressed: Callable[[Mesh, TargetOptions], Mesh] | None = None
    assumes: Callable[[TargetOptions], tuple[str, ...]] = _nothing
