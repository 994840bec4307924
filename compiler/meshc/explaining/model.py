"""What would change a refusal: other requests that are allowed, and edits of the program that would allow this one."""

from dataclasses import dataclass

from meshc.request import Request
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChange:
    """A request near to a refused one that is allowed: `decide` was asked.

    `changes` say what is different, one a dimension, such as `another caller: shop.web`; `text` is the request as `test` blocks
    write it.
    """

    changes: tuple[str, ...]
    request: Request
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A piece of a file that is replaced: `[start, end)` in characters of `path`, by `text`. `what` says it in words."""

    path: str
    start: int
    end: int
    text: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedLines:
    """An edit as lines: `old` are those it touches, none for new ones, `new` what becomes of them; `place` is the first."""

    what: str
    place: Span
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramChange:
    """Edits, to be made together, after which the request is allowed: the program was read and asked again.

    `opens` are all the requests that would newly be allowed, in words, this one among them. `breaks` are the titles of the
    invariants that would no longer hold, `warnings` what `meshc check` would newly say.
    """

    edits: tuple[EditedLines, ...]
    opens: tuple[str, ...]
    breaks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """What would change a refusal, the smallest change first. `notes` say why there is nothing, or what to mind."""

    requests: tuple[RequestChange, ...] = ()
    programs: tuple[ProgramChange, ...] = ()
    notes: tuple[str, ...] = ()
