"""What readers note on their way: what was not understood, and what was taken for granted."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshc.reading import Aspect, Assumption, Unknown
from meshc.source import Span
from meshc.target import PortKey
from meshc_envoy.read.messages import NotUnderstoodError

BLANKS = "no header value begins or ends with white space"
ONE_LINE = "no request repeats a header whose lines Envoy joins"
HOST_CASE = "hosts are sent in lower case"
HOST_PORT = "callers name a service's host without a port"
NO_QUERY_TOKEN = "no token travels in a query"  # noqa: S105 -- words
SNI_DOT = "server names are sent without a dot at the end"
ONE_TOKEN = "a request brings one token at most"  # noqa: S105 -- words
ONE_IDENTITY = "a certificate has one identity, and no other name that reads like one"
EARLY = "applications bear connections of callers that are refused before they say anything"
PLAIN_PATHS = "paths are sent as servers are to see them"
PLAIN_HOSTS = "hosts are sent without a port and without a dot at the end"
OWN_HOPS = "no server believes what a caller's sidecar adds to `x-forwarded-for`"
LED_THERE = "the calls of applications are led to the outbound listeners"
HOST_FORMS = "callers write a host with its namespace and port"
REVOKED = "no caller has a certificate that is revoked"
BUNDLES = "the authorities of a trust domain sign its own identities alone"

MARKED_LINES = "no request that is counted or logged by a header repeats one whose lines Envoy joins"
STATUSES = "what is malformed, and what is refused for its token, is answered with Envoy's own status"

ASSUMES: tuple[str, ...] = (HOST_PORT, HOST_FORMS, MARKED_LINES, STATUSES)
"""What emitted configuration may rest on; none of it lets a request through. Guards that are missing are assumptions too, and not here."""


@dataclass(slots=True)
class Notes:
    """Notes of one reading. An assumption is noted once, at its first place."""

    _unknown: dict[tuple[str, frozenset[Aspect], tuple[PortKey, ...] | None], Unknown] = field(default_factory=dict)
    _assumed: dict[str, Assumption] = field(default_factory=dict)

    def unknown(self, error: NotUnderstoodError, aspects: Iterable[Aspect], ports: tuple[PortKey, ...] | None) -> None:
        found = Unknown(message=error.message, aspects=frozenset(aspects), ports=ports, span=error.span)
        self._unknown.setdefault((found.message, found.aspects, ports), found)

    def assume(self, text: str, span: Span) -> None:
        if text not in self._assumed:
            self._assumed[text] = Assumption(text=text, span=span)

    @property
    def unknowns(self) -> tuple[Unknown, ...]:
        return tuple(self._unknown.values())

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        return tuple(self._assumed[text] for text in sorted(self._assumed))
