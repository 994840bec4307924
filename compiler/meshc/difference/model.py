"""What differs between two programs, as values that every renderer reads. All texts are for people, in `.mesh` words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from meshc.ir import Mesh, Principals
from meshc.request import Decision, Request
from meshc.source import BUILTIN, Span


class Change(Enum):
    """A kind of difference; the values are the words of `--fail-on`.

    OPENED: some request is newly let through at its destination. CLOSED: one no longer is. CHANGED: one is refused before and
    after, in another way. ROUTING: one goes elsewhere, or is answered by the caller's proxy otherwise. SETTINGS: one travels
    with other settings, or something else that is declared changed. WEAKENED_MTLS: a port takes plaintext that it did not.
    """

    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"
    ROUTING = "routing"
    SETTINGS = "settings"
    WEAKENED_MTLS = "weakened-mtls"


class Presence(Enum):
    """Which of the two programs have something."""

    BOTH = "changed"
    ADDED = "added"
    REMOVED = "removed"


# ---- sides ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two programs, for one environment.

    `groups` are what the program calls sets of sources. `revision` is the git revision that its files come from, if it is
    one, and `files` says how people know each file that spans name; a file that it lacks is known by the span's own path.
    """

    mesh: Mesh
    groups: Mapping[str, Principals] = field(default_factory=dict)
    revision: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def place(self, span: Span | None) -> "Place | None":
        """A place to show; None for what no file declares."""
        if span is None or span == BUILTIN:
            return None
        path = self.files.get(span.path, span.path)
        return Place(path=path, line=span.line, column=span.column, revision=self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of a program. `path` is relative to the working directory, or to the repository's root in a `revision`."""

    path: str
    line: int
    column: int
    revision: str | None = None

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"{self.revision}:"
        return f"{revision}{self.path}:{self.line}"


# ---- regions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A set of requests to one port, by what is true of them all; an empty part narrows nothing.

    `sources` is never empty. `conditions` hold together.
    """

    sources: str = "anyone"
    addresses: str = ""
    operations: str = ""
    conditions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The scope as the middle of a rule: `SOURCES [from ADDRESSES] [to OPERATIONS] [when CONDITION]`."""
        return f"{self.sources}{self.narrowing}"

    @property
    def narrowing(self) -> str:
        """The same without the sources; empty, or starting with a blank."""
        words = ""
        if self.addresses:
            words += f" from {self.addresses}"
        if self.operations:
            words += f" to {self.operations}"
        if self.conditions:
            words += f" when {' and '.join(self.conditions)}"
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A request that shows a difference, with what the model decides of it on both sides; None: it has no such port.

    `caller` is who sends it, in words. `command` is one line for a shell that sends the like of it, and `notes` say what
    no command line can: the token, the address, the identity.
    """

    request: Request
    caller: str
    command: str
    notes: tuple[str, ...] = ()
    old: Decision | None = None
    new: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """A rule or route that has the say, as `.mesh` text, or a default; `because` is what the rule gives as its reason."""

    text: str
    because: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one side does with the requests of a region, and all that decides so for some of them; perhaps nothing does."""

    text: str
    blame: tuple[Blame, ...] = ()

    @property
    def place(self) -> Place | None:
        """The first place to look at."""
        return next((one.place for one in self.blame if one.place is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Requests that are answered alike by each side, and differently by the two. `change` is not SETTINGS."""

    change: Change
    scope: Scope
    old: Answer
    new: Answer
    witness: Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """A setting that is another: `none` where a side has none. `name` is the language's word for it.

    `scope` says for which requests, None for the whole subject. `weakens` is set where plaintext is newly taken.
    """

    name: str
    old: str
    new: str
    scope: Scope | None = None
    witness: Witness | None = None
    old_place: Place | None = None
    new_place: Place | None = None
    weakens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """What could not be compared exactly. It counts as a difference of each of these kinds."""

    changes: tuple[Change, ...]
    reason: str


# ---- the whole ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What differs: the mesh itself (both empty), a service, or one of its ports."""

    namespace: str = ""
    service: str = ""
    port: int | None = None

    def __str__(self) -> str:
        if not self.service:
            return "mesh"
        port = "" if self.port is None else f":{self.port}"
        return f"{self.namespace}.{self.service}{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectDifference:
    """All that differs of one subject. Regions of one kind are in order, the largest first.

    `kind` says what it is, such as `http port`. Of a subject that is ADDED or REMOVED, the side that lacks it refuses all.
    """

    subject: Subject
    kind: str
    presence: Presence = Presence.BOTH
    regions: tuple[Region, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    old_place: Place | None = None
    new_place: Place | None = None
    environments: tuple[str | None, ...] = (None,)
    """The environments in which it differs in just this way; None is the program without one."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return self.presence is Presence.BOTH and not (self.regions or self.settings or self.undecided)

    @property
    def changes(self) -> frozenset[Change]:
        """The kinds of differences, for gates. Routes and settings of what only one side has are no changes of anything."""
        return frozenset(self._changes())

    def _changes(self) -> Iterator[Change]:
        both = self.presence is Presence.BOTH
        for region in self.regions:
            if both or region.change is not Change.ROUTING:
                yield region.change
        for setting in self.settings:
            if setting.weakens:
                yield Change.WEAKENED_MTLS
            if both:
                yield Change.SETTINGS
        for one in self.undecided:
            yield from one.changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs, by subject in order of their names.

    `compared` counts the ports of both sides together, each once, `environments` are those that were compared, None being
    the program without one; the other two are environments of one side alone, which were not.
    """

    subjects: tuple[SubjectDifference, ...]
    compared: int
    environments: tuple[str | None, ...] = (None,)
    added_environments: tuple[str, ...] = ()
    removed_environments: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the programs mean the same."""
        return not (self.subjects or self.added_environments or self.removed_environments)

    @property
    def changes(self) -> frozenset[Change]:
        """The kinds of differences found."""
        return frozenset(change for one in self.subjects for change in one.changes)

    def regions(self, change: Change) -> Iterator[tuple[SubjectDifference, Region]]:
        """The regions of one kind with their subjects."""
        return ((subject, one) for subject in self.subjects for one in subject.regions if one.change is change)
