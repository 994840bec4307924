"""What a diagnostic is: a value with a stable name, a place, and advice. Rendering is elsewhere."""

from dataclasses import dataclass
from enum import Enum

from meshc.source import Span


class Severity(Enum):
    """How much a diagnostic matters: an error stops compilation, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A secondary place that is evidence for a diagnostic, with a few words on why."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEdit:
    """A range of a file that is replaced by `text`; an empty text takes it away."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Edits of the program, of one or several files, that were proven to change nothing of what it means.

    `title` says in a few words what they do; the edits do not overlap.
    """

    title: str
    edits: tuple[TextEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding.

    `name` is a key of `diagnostics.rules.RULES`. `message` is one line, lower case, without a full stop, with the user's
    own words in backticks. `label` is the short text under the primary span; `help` says how to mend it, one item a line.
    `fix` mends it without changing what the program means.
    """

    name: str
    severity: Severity
    message: str
    span: Span
    label: str = ""
    labels: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()
    fix: Fix | None = None
