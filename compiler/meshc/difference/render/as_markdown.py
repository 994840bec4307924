"""Differences as Markdown, for a comment on a pull request: a picture of the changed edges, then each subject.

Text of users is escaped, so that no name, path or string can make markup, a mention or a link. The result stays below the
size that GitHub takes for a comment.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.difference.model import (
    Answer,
    Blame,
    Change,
    Difference,
    Place,
    Region,
    SettingChange,
    SubjectDifference,
    Witness,
)
from meshc.difference.render.edges import Edge, edges_of
from meshc.difference.render.summary import (
    LIMIT,
    Shared,
    blamed,
    counted,
    environments_of,
    first,
    headline,
    notes,
    regions_in_order,
    share,
    shown_subjects,
    verdict,
)

LARGEST: Final = 65_536
"""Characters that a comment on GitHub may have."""

_RESERVE: Final = 400
_MOST_EDGES: Final = 30
_LONGEST_LABEL: Final = 60
_LONGEST_TEXT: Final = 400

_MARKS: Final = {
    Change.OPENED: "🔴 **opened**",
    Change.CLOSED: "🟢 **closed**",
    Change.CHANGED: "🟡 **answered differently**",
    Change.ROUTING: "🔵 **goes elsewhere**",
}
_ARROWS: Final = {Change.OPENED: "==>", Change.CLOSED: "-.->", Change.CHANGED: "-->", Change.ROUTING: "-->"}
_STROKES: Final = {
    Change.OPENED: "#cf222e",
    Change.CLOSED: "#1a7f37",
    Change.CHANGED: "#9a6700",
    Change.ROUTING: "#0969da",
}
_BACKTICKS: Final = re.compile("`+")


def render_markdown(difference: Difference, *, limit: int | None = LIMIT) -> str:
    """The difference as GitHub-flavoured Markdown. What does not fit is counted at the end."""
    head = ["### meshc diff", "", _plain(verdict(difference)), ""]
    head += (f"- {_plain(note)}" for note in notes(difference))
    head += _picture(edges_of(difference))
    shared, left = share(difference, limit)
    shown = shown_subjects(left, limit)
    blocks = ["\n".join(_shared(shared, difference))] if shared else []
    blocks += ("\n".join(_subject(one, difference, limit)) for one in shown)
    text = "\n".join(head)
    fitting = 0
    for block in blocks:
        if len(text) + len(block) + _RESERVE > LARGEST:
            break
        text += f"\n{block}"
        fitting += 1
    hidden = len(blocks) - fitting + len(left.subjects) - len(shown)
    if hidden:
        text += f"\n\n… and {counted(hidden, 'more changed subject')}; `meshc diff --format json` has them all.\n"
    return text.rstrip("\n") + "\n"


# ---- subjects -------------------------------------------------------------------------------------------------------


def _subject(subject: SubjectDifference, difference: Difference, limit: int | None) -> Iterator[str]:
    where = environments_of(subject, difference)
    yield f"#### {code(str(subject.subject))} {_plain(headline(subject))}{f', {_plain(where)}' if where else ''}"
    yield ""
    regions = first(regions_in_order(subject), limit)
    for region in regions.items:
        yield from _region(region, limit)
    if regions.hidden:
        yield f"- … and {counted(regions.hidden, 'more region')}"
    for one in subject.undecided:
        kinds = ", ".join(change.value for change in one.changes)
        yield f"- ⚠️ **not decided** ({kinds}): {_plain(one.reason)}"
    settings = first(subject.settings, limit)
    if settings.items:
        yield ""
        yield from _settings(settings.items)
    if settings.hidden:
        yield ""
        yield f"… and {counted(settings.hidden, 'more setting')}"
    yield ""


def _region(region: Region, limit: int | None) -> Iterator[str]:
    yield f"- {_MARKS[region.change]} {code(region.scope.text)}"
    yield f"  - was {_answer(region.old, limit)}"
    yield f"  - now {_answer(region.new, limit)}"
    yield f"  - for example {_witness(region.witness)}"


def _answer(answer: Answer, limit: int | None) -> str:
    shown = blamed(answer, limit)
    listed = "; ".join(map(_blame, shown.items)) + (f"; and {shown.hidden} more" if shown.hidden else "")
    return f"{_plain(answer.text)}{f': {listed}' if listed else ''}"


def _blame(one: Blame) -> str:
    because = f", because {code(one.because)}" if one.because else ""
    return f"{code(one.text)}{because}{_place(one.place)}"


def _witness(witness: Witness) -> str:
    return f"{code(witness.command)} ({'; '.join(_plain(one) for one in (f'as {witness.caller}', *witness.notes))})"


def _settings(settings: Iterable[SettingChange]) -> Iterator[str]:
    yield "| setting | old | new | for |"
    yield "| --- | --- | --- | --- |"
    for one in settings:
        scope = "" if one.scope is None else code(one.scope.text)
        places = dict.fromkeys(str(place) for place in (one.old_place, one.new_place) if place is not None)
        where = f"<br>{code(' → '.join(places))}" if places else ""
        name = f"⚠️ {_plain(one.name)} weaker" if one.weakens else _plain(one.name)
        cells = (f"{name}{where}", code(one.old), code(one.new), scope)
        yield f"| {' | '.join(map(_cell, cells))} |"


def _shared(shared: Iterable[Shared], difference: Difference) -> Iterator[str]:
    """Settings that changed alike on many subjects."""
    yield "| on | setting | old | new | for |"
    yield "| --- | --- | --- | --- | --- |"
    for one in shared:
        where = environments_of(one.subjects[0], difference)
        setting = one.setting
        cells = (
            f"{code(one.names)}{f' {_plain(where)}' if where else ''}",
            f"⚠️ {_plain(setting.name)} weaker" if setting.weakens else _plain(setting.name),
            code(setting.old),
            code(setting.new),
            "" if setting.scope is None else code(setting.scope.text),
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _place(place: Place | None) -> str:
    return "" if place is None else f" ({code(str(place))})"


# ---- escaping -------------------------------------------------------------------------------------------------------


def code(text: str) -> str:
    """Text as code, whatever backticks it holds. Source: CommonMark 0.31, 6.1."""
    shown = _cut(visible(text), _LONGEST_TEXT)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    padded = shown if shown and not (longest or shown.startswith(" ") or shown.endswith(" ")) else f" {shown} "
    return f"{fence}{padded}{fence}"


def _plain(text: str) -> str:
    """Text as text: what Markdown or HTML would read is escaped, and nobody is mentioned."""
    return re.sub(r"([\\`*_\[\]#!|<>&~@])", _entity, _cut(visible(text), _LONGEST_TEXT))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _cell(text: str) -> str:
    """A cell of a table: `|` ends one even inside of code, unless a backslash comes before."""
    return text.replace("|", "\\|")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


# ---- picture --------------------------------------------------------------------------------------------------------


def _picture(edges: tuple[Edge, ...]) -> Iterator[str]:
    """A Mermaid flowchart. Node names are made here; texts stand in quotes, with all that could end them as entities."""
    if not edges:
        return
    nodes: dict[str, str] = {}
    shown = edges[:_MOST_EDGES]
    for edge in shown:
        for text in (edge.sources, edge.destination):
            nodes.setdefault(text, f"n{len(nodes)}")
    yield "```mermaid"
    yield "flowchart LR"
    for text, name in nodes.items():
        yield f'  {name}["{_mermaid(text)}"]'
    for edge in shown:
        more = f" (+{edge.count - 1})" if edge.count > 1 else ""
        yield f'  {nodes[edge.sources]} {_ARROWS[edge.change]}|"{_mermaid(edge.label)}{more}"| {nodes[edge.destination]}'
    for number, edge in enumerate(shown):
        yield f"  linkStyle {number} stroke:{_STROKES[edge.change]}"
    yield "```"
    yield ""
    if len(edges) > len(shown):
        yield f"The picture leaves out {counted(len(edges) - len(shown), 'edge')}."
        yield ""


def _mermaid(text: str) -> str:
    """Text inside of quotes. Mermaid reads `#35;` as a character by its number; Markdown and HTML in labels are not wanted."""
    shown = _cut(visible(text), _LONGEST_LABEL)
    return "".join(char if char.isalnum() or char in " .,:/-" else f"#{ord(char)};" for char in shown)
