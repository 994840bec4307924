"""Requests as they are on the wire, and what a sidecar makes of their path."""

import re
from dataclasses import dataclass, field
from typing import Any

from meshc.semantics import normalize_path
from meshc.semantics.normalize import RefusedError

_ESCAPED_SLASH = re.compile(r"%2f|%5c|%00", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """`identity` is the SPIFFE id of the caller's certificate, None for plain text; `claims` those of a good token."""

    method: str | None
    target: str | None
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    identity: str | None = None
    source_ip: str = "10.0.0.1"
    claims: dict[str, Any] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""

    @property
    def path(self) -> str:
        """The path as rules see it, with MERGE_SLASHES. Escaped slashes stay as they are."""
        path = (self.target or "").partition("?")[0]
        kept: list[str] = []

        def keep(found: re.Match[str]) -> str:
            kept.append(found[0])
            return f"\u0001{len(kept) - 1}\u0002"

        hidden = _ESCAPED_SLASH.sub(keep, path)
        try:
            normal = normalize_path(hidden)
        except RefusedError:
            return ""
        return re.sub("\u0001(\\d+)\u0002", lambda found: kept[int(found[1])], normal)

    @property
    def is_malformed(self) -> bool:
        """Whether the proxy refuses the path whatever the rules say."""
        return self.target is not None and self.path == ""

    def header(self, name: str) -> list[str]:
        """The values of a header's lines."""
        return [value.strip(" \t") for key, value in self.headers if key.lower() == name.lower()]

    @property
    def query(self) -> dict[str, str]:
        """The first value of each parameter, as sent."""
        found: dict[str, str] = {}
        for part in (self.target or "").partition("?")[2].split("&"):
            name, _, value = part.partition("=")
            if part:
                found.setdefault(name, value)
        return found
