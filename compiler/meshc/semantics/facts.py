"""What conditions look at: a request after normalization, as the proxy that judges it knows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshc.request import Claim
from meshc.semantics.addresses import Address

_NOTHING: Mapping[str, str] = {}
_NO_HEADERS: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One normalized request; on tcp and tls ports, one connection, which has no method, path, host, header or claim.

    `identity` is the caller's verified one. `query` holds the first value of each parameter, as sent; `query_text` is the
    whole query without `?`, or None. Header names are lower-case. `claims` are those of a token that was accepted.
    """

    identity: str | None
    peer: Address | None
    client: Address | None
    sni: str | None = None
    method: str | None = None
    path: str | None = None
    query_text: str | None = None
    query: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    host: str | None = None
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_HEADERS)
    claims: Mapping[str, Claim] | None = None

    def claim(self, path: tuple[str, ...]) -> object:
        """The JSON value of the claim that is nested under these names; None where there is none."""
        found: object = self.claims
        for name in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(name)
        return found
