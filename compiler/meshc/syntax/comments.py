"""Comments, and the doc comments among them."""

from dataclasses import dataclass, field

from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment, from its `#` to the end of the line. `is_own_line` tells that nothing but white space stands before it."""

    text: str
    is_own_line: bool
    span: Span = field(compare=False)


def doc_above(comments: dict[int, Comment], line: int) -> str | None:
    """The doc comment of what starts on `line`: the `##` lines among the comment lines directly above it, joined.

    `comments` are those that have a line of their own, by line. Plain comments in between, such as one that silences a warning, do not
    part a doc comment from what it belongs to; an empty line does.
    """
    lines = []
    while (comment := comments.get(line := line - 1)) is not None:
        if comment.text.startswith("##"):
            lines.append(comment.text[2:].removeprefix(" ").rstrip())
    return "\n".join(reversed(lines)) if lines else None
