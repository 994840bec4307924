"""Differences as one page of HTML that stands alone: no script, style, font or picture from elsewhere, and none is asked for."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from meshc._version import __version__
from meshc.diagnostics.render.cells import visible
from meshc.difference.model import Difference
from meshc.difference.render.edges import edges_of
from meshc.difference.render.picture import draw
from meshc.difference.render.summary import (
    HEADINGS,
    blamed,
    environments_of,
    first,
    headline,
    notes,
    regions_in_order,
    verdict,
)

PAGE_LIMIT: Final = 200
"""How many regions, and how many settings, of one subject the page has unless all are wanted."""
_MOST_EDGES: Final = 400


def render_html(difference: Difference, *, limit: int | None = PAGE_LIMIT) -> str:
    """The page. Whatever users wrote is escaped; control characters are shown as pictures of themselves."""
    templates = Environment(loader=PackageLoader("meshc"), undefined=StrictUndefined, autoescape=True)
    templates.filters["visible"] = visible
    edges = edges_of(difference)
    return templates.get_template("difference.html.j2").render(
        version=__version__,
        difference=difference,
        verdict=verdict(difference),
        notes=notes(difference),
        headings={change.value: words for change, words in HEADINGS.items()},
        picture=draw(edges[:_MOST_EDGES]) if edges else None,
        edges_left_out=max(len(edges) - _MOST_EDGES, 0),
        blamed=lambda answer: blamed(answer, limit),
        rows=[
            {
                "subject": str(one.subject),
                "headline": headline(one),
                "where": environments_of(one, difference),
                "changes": sorted(change.value for change in one.changes),
                "regions": first(regions_in_order(one), limit),
                "settings": first(one.settings, limit),
                "undecided": one.undecided,
            }
            for one in difference.subjects
        ],
    )
