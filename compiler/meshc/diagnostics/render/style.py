"""How text looks on a terminal: colours or none, and how wide a source line may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

ColorChoice = Literal["auto", "always", "never"]
"""The values of `--color`."""


class Role(Enum):
    """What a piece of output is; the value is its ANSI "select graphic rendition" code, empty for none."""

    PLAIN = ""
    ERROR = "1;31"
    WARNING = "1;33"
    MESSAGE = "1"
    PLACE = "1;34"
    HELP = "1;36"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """`color` switches ANSI colours on; a source line wider than `width` terminal cells is cut around what it is shown for."""

    color: bool = False
    width: int = 120

    def paint(self, role: Role, text: str) -> str:
        """The text in the colour of its role."""
        if not self.color or role is Role.PLAIN or not text:
            return text
        return f"\x1b[{role.value}m{text}\x1b[0m"


def choose_style(color: ColorChoice, environment: Mapping[str, str], is_terminal: bool) -> Style:  # noqa: FBT001
    """The style of an output stream.

    An explicit `always` or `never` wins; then a non-empty `NO_COLOR`, then a non-empty `FORCE_COLOR` other than `0`, then
    whether the stream is a terminal that is not `dumb`. Source: no-color.org, force-color.org.
    """
    match color:
        case "always":
            return Style(color=True)
        case "never":
            return Style(color=False)
        case "auto":
            return Style(color=_is_colored(environment, is_terminal=is_terminal))


def _is_colored(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    if environment.get("NO_COLOR"):
        return False
    if force := environment.get("FORCE_COLOR"):
        return force != "0"
    return is_terminal and environment.get("TERM") != "dumb"
