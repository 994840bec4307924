"""Observations: what the wire showed of a request, in the words of the model, so that the two can be compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TextHeaders = tuple[tuple[str, str], ...]
"""Header fields in the order of the wire; names are in lower case and may repeat."""

_GRPC_STATUSES: Final[Mapping[int, int]] = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_GRPC_UNKNOWN: Final = 2
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as the service behind the sidecar got it. `host` is None where it had none, `path` holds the query."""

    method: str
    path: str
    host: str | None
    headers: TextHeaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirected:
    """A redirect: its Location, and the URL of the request that it answers, in which a Location may be relative."""

    location: str
    origin: str
    query: str | None

    def leads_to(self, target: str) -> bool:
        """Whether this is what the model calls a redirect to `target`: a URL, or a path at the request's own host.

        A proxy keeps the request's query, which the model leaves out; where the target has a query, it may stay alone.
        """
        url = _canonical(self.origin + target if target.startswith("/") else target)
        if self.query is None:
            return _canonical(self.location) == url
        if "?" in target:
            return _canonical(self.location) in {url, f"{url}&{self.query}"}
        return _canonical(self.location) == f"{url}?{self.query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the wire showed of a request.

    `allowed` is None where the caller's own proxy answered with what can be no refusal; a redirect or fixed response with
    the status of a refusal looks like one. `status` is the status that a proxy answered with, None where the request was
    sent on, the connection refused, or the answer to a gRPC call does not tell; `grpc_status` is that of a proxy's answer
    to a gRPC call. `served_by` is the service (and version) that answered, `received` what it got, where it says so (it
    does not in answers without a JSON body). `headers` are those of the answer.
    """

    allowed: bool | None
    status: int | None = None
    grpc_status: int | None = None
    served_by: str | None = None
    redirect: Redirected | None = None
    received: Received | None = None
    headers: TextHeaders = ()

    def shows_status(self, status: int) -> bool:
        """Whether a proxy answered with this HTTP status, as far as a gRPC call shows it.

        Source: Envoy, `Utility::httpToGrpcStatus`, by which all local replies to gRPC calls lose their HTTP status.
        """
        if self.grpc_status is not None:
            return _GRPC_STATUSES.get(status, _GRPC_UNKNOWN) == self.grpc_status
        return self.status == status

    @property
    def words(self) -> str:
        """The answer in a few words."""
        if self.served_by is not None:
            return f"served by {self.served_by}"
        if self.redirect is not None:
            return f"redirect to {self.redirect.location}"
        if self.status is not None:
            return f"status {self.status}"
        return "no answer" if self.grpc_status is None else f"gRPC status {self.grpc_status}"


def _canonical(url: str) -> str:
    """The URL with scheme and host in lower case, and `/` for no path (RFC 3986, 6.2.2.1 and 6.2.3)."""
    found = _ORIGIN.match(url)
    if found is None:
        return url
    rest = url[found.end() :]
    return found[0].lower() + (rest if rest.startswith("/") else f"/{rest}")
