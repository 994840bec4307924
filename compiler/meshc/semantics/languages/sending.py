"""What to send, so that policies see a given text after normalization."""

import re
from typing import Final

from meshc.semantics.languages.model import Universe
from meshc.semantics.normalize import normalize_host

_DOTS_WITH_PARAMETERS: Final = re.compile(r"(?<=/)\.\.?(?=;)")


def as_sent(text: str, universe: Universe) -> str:
    """A text that normalization turns into `text`, which is of `universe`; nearly always `text` itself.

    Others: a host that ends in a dot or in what reads as a port, a server name that ends in a dot, and a path with a dot
    segment that has parameters, which only escaped dots become.
    """
    match universe:
        case Universe.HOST if normalize_host(text) != text:
            return f"{text}." if text.endswith(".") else f"{text}:80"
        case Universe.SERVER_NAME if text.endswith("."):
            return f"{text}."
        case Universe.PATH:
            return _DOTS_WITH_PARAMETERS.sub(lambda dots: "%2E" * len(dots[0]), text)
        case _:
            return text
