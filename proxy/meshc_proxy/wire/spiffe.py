"""SPIFFE identities: read strictly, so that two spellings are never one identity, nor one spelling two.

Source: SPIFFE-ID section 2 (2024), which is stricter than a URI: lower-case trust domain, no port, user, query, fragment,
escapes, empty or dot segments.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

_SCHEME: Final = "spiffe://"
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST: Final = 2048


class SpiffeError(ValueError):
    """A text is no SPIFFE id of a workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiffeId:
    """The identity of a workload: `spiffe://<trust_domain><path>`; the path begins with `/` and is not `/` alone."""

    trust_domain: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SpiffeError for what is no workload's id; an authority's own, without a path, is none."""
        if not text.startswith(_SCHEME) or len(text.encode()) > _LONGEST:
            raise SpiffeError("not a SPIFFE id")
        trust_domain, slash, path = text.removeprefix(_SCHEME).partition("/")
        if not _TRUST_DOMAIN.fullmatch(trust_domain):
            raise SpiffeError("not a trust domain")
        segments = path.split("/")
        if not slash or not all(_SEGMENT.fullmatch(one) and one not in {".", ".."} for one in segments):
            raise SpiffeError("not a workload's path")
        return cls(trust_domain=trust_domain, path=f"/{path}")

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}{self.path}"
