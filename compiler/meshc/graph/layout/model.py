"""What is drawn, and where it is."""

from dataclasses import dataclass
from typing import Final

BAND_HEADER: Final = 24.0
"""Room for the name of a band above its boxes."""

BAND_PADDING: Final = 12.0
"""Between the boxes of a band and its frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A box to be drawn, in one of the bands, which are told apart by number, with room for its text."""

    band: int
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An arrow to be drawn between two different items, given by their places, and how wide its label is."""

    source: int
    target: int
    label_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where an item is; at least as large as it wants to be."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The way of a link as SVG path data, where it ends, and the middle of the line that its label stands on.

    The last stretch is level, so the label is as high as the end.
    """

    path: str
    end_x: float
    end_y: float
    label_x: float
    points_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Around the boxes of one band."""

    band: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes in the order of the items, arrows in the order of the links."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...]
