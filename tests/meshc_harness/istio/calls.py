"""What leaves an application towards its own sidecar, and what the sidecar does with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshc_harness.istio.paths import normalized, split_target
from meshc_harness.istio.world import MeshSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The pod that calls."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An HTTP request to a port, by its authority; or a connection to a host's port, then `method` and `target` are None."""

    port: int
    authority: str
    method: str | None = None
    target: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    sni: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as routes see it and change it: `headers` by lower-case name, each line a value, `query` without its mark.

    `joins_lines` is whether matchers see the lines of a header as one value.
    """

    method: str
    path: str
    query: str | None
    authority: str
    headers: Mapping[str, tuple[str, ...]]
    joins_lines: bool

    @property
    def target(self) -> str:
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def values(self, name: str) -> tuple[str, ...]:
        """A header's values as matchers see them; none for a header that is not there.

        What starts with a colon is a part of the request's first line, the path with its query.
        """
        if name.startswith(":"):
            parts = {":method": self.method, ":path": self.target, ":authority": self.authority, ":scheme": "http"}
            return (parts[name],) if name in parts else ()
        lines = self.headers.get(name, ())
        return (",".join(lines),) if self.joins_lines and lines else lines

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, nothing decoded."""
        for part in (self.query or "").split("&"):
            key, _, value = part.partition("=")
            if key == name and part:
                return value
        return None


def request_of(call: Call, settings: MeshSettings) -> Request:
    """What the caller's sidecar routes. Raises BadTargetError for what it answers with 400."""
    path, query = split_target(call.target or "")
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in call.headers:
        headers[name.lower()] = (*headers.get(name.lower(), ()), value.strip(" \t"))
    return Request(
        method=call.method or "",
        path=normalized(path, settings.normalization),
        query=query,
        authority=call.authority,
        headers=headers,
        joins_lines=settings.joins_lines,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """`host` is a full name. `port` is the service's."""

    host: str
    port: int
    subset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """`attempts` counts the tries after the first."""

    attempts: int
    on: tuple[str, ...] = ()
    per_try_ms: int | None = None
    backoff_ms: int | None = None


DEFAULT_RETRIES = Retries(
    attempts=2,
    on=("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"),
)
"""What Istio does where a route says nothing of retries, and the mesh neither."""

NO_RETRIES = Retries(attempts=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`delay_ms` or `status`, for `percent` of the requests."""

    percent: float
    delay_ms: int | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the caller's sidecar does.

    `status` is what it answers itself, with `location` for a redirect; None where it sends `leaving` on to one of
    `destinations`, by weight. `route` names the route. `destinations` without any are an unknown host, let through.
    """

    status: int | None = None
    location: str | None = None
    route: str = ""
    destinations: tuple[tuple[Destination, int], ...] = ()
    leaving: Request | None = None
    timeout_ms: int | None = None
    retries: Retries = NO_RETRIES
    faults: tuple[Fault, ...] = ()
    mirrors: tuple[tuple[Destination, float], ...] = ()
    response_headers: "HeaderChanges | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """Changes of headers by lower-case name: removals come first, then `set`, then `add`.

    A `set` or `add` of an empty value does nothing: Envoy leaves empty values out, unless `keep_empty_value`, which Istio
    does not write.
    """

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def apply(self, headers: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        changed = {name: lines for name, lines in headers.items() if name not in self.remove}
        for name, value in self.set.items():
            if value:
                changed[name] = (value,)
        for name, value in self.add.items():
            if value:
                changed[name] = (*changed.get(name, ()), value)
        return changed
