"""A layered drawing of boxes and arrows: callers to the left of what they call, as far as there are no cycles.

Boxes stand in columns, and those of one band in one lane across columns, so that a band can be framed. An arrow that passes other columns has a
place of its own in each of them, so none runs through a box. An arrow ends with a straight stretch that its label stands on; the
labels of one box stand above each other, so none overlap. Sizes are in pixels, y grows downwards. The same input always
makes the same drawing.

The steps: `ranks` chooses columns, `slots` gives everything in a column a slot, `order` sorts slots so that few arrows cross,
`heights` and `wires` give places. Source: Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system
structures, 1981.
"""

from meshc.graph.layout.draw import draw
from meshc.graph.layout.model import Arrow, Box, Drawing, Frame, Item, Link

__all__ = ["Arrow", "Box", "Drawing", "Frame", "Item", "Link", "draw"]
