"""What a line of an access log says: names of fields and Envoy's operators for them, for requests and for connections.

The names are part of the contract with users (`docs/language/limits-telemetry.md`): those that a request needs are the names
that requests have elsewhere. A value is a format string of Envoy's, in which a literal `%` is doubled; in JSON a field that is
one operator keeps its type, and is null where there is nothing to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from meshc import ir
from meshc_envoy.access import DECIDED, NETWORK_DECIDED, shadow_key
from meshc_envoy.marks import HTTP_METADATA, NETWORK_METADATA
from meshc_envoy.shapes import Object

PEER_IDENTITY: Final = "%DOWNSTREAM_PEER_URI_SAN%"
"""The caller's verified identity; Envoy has nothing here on plaintext connections."""

VIRTUAL_HOST_METADATA: Final = "meshc.destinations"
"""The namespace of a virtual host's metadata; its key `to` names the destination."""

HOST_DESTINATION: Final = f"%METADATA(VIRTUAL_HOST:{VIRTUAL_HOST_METADATA}:to)%"

_RECEIVED: Final = "meshc.received."
"""What names in filter state begin with, under which the outbound listener keeps what its routes may rewrite."""


class Direction(Enum):
    """Whose calls a listener takes: those of others, or those of its own application."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The two ends of what a listener takes, as format strings."""

    direction: Direction
    source: str
    destination: str


def literal(text: str) -> str:
    """A text as a format string."""
    return text.replace("%", "%%")


def request_fields(ends: Ends) -> Mapping[str, str]:
    """One line for a request. What the caller may choose freely stands last, the request's id, which may hold blanks, at the end."""
    is_outbound = ends.direction is Direction.OUTBOUND
    return {
        **_first(ends),
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        **_rules(HTTP_METADATA, DECIDED),
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        **_amounts(ends),
        "trace_id": "%TRACE_ID%",
        "protocol": "%PROTOCOL%",
        "method": "%REQ(:METHOD)%",
        "host": _received("host", ":AUTHORITY") if is_outbound else "%REQ(:AUTHORITY)%",
        "path": _received("path", ":PATH") if is_outbound else "%REQ(:PATH)%",
        "route": "%ROUTE_NAME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }


def connection_fields(ends: Ends) -> Mapping[str, str]:
    """One line for a connection to a port of bytes, at its end."""
    return {
        **_first(ends),
        **_rules(NETWORK_METADATA, NETWORK_DECIDED),
        "flags": "%RESPONSE_FLAGS%",
        "details": "%CONNECTION_TERMINATION_DETAILS%",
        **_amounts(ends),
        "server_name": "%REQUESTED_SERVER_NAME%",
    }


def refused_fields(ends: Ends) -> Mapping[str, str]:
    """One line for a connection that nobody served, whose identity is therefore not verified, and not told."""
    return {
        **{name: value for name, value in _first(ends).items() if name != "from"},
        "flags": "%RESPONSE_FLAGS%",
        "details": _coalesced("DOWNSTREAM_TRANSPORT_FAILURE_REASON", "CONNECTION_TERMINATION_DETAILS"),
        "server_name": "%REQUESTED_SERVER_NAME%",
    }


def capture() -> Object:
    """The fields of the filter that keeps a request's host and path as they were received."""
    return {
        "on_request_headers": [
            {
                "object_key": f"{_RECEIVED}{name}",
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": f"%REQ({header})%"}},
            }
            for name, header in (("host", ":AUTHORITY"), ("path", ":PATH"))
        ]
    }


def _first(ends: Ends) -> Mapping[str, str]:
    return {
        "time": "%START_TIME%",
        "direction": ends.direction.value,
        "from": ends.source,
        "source_ip": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
        "to": ends.destination,
    }


def _rules(metadata: str, decided: str) -> Mapping[str, str]:
    return {
        "rule": f"%DYNAMIC_METADATA({metadata}:{decided})%",
        "shadow_deny": f"%DYNAMIC_METADATA({metadata}:{shadow_key(ir.Effect.DENY)})%",
        "shadow_allow": f"%DYNAMIC_METADATA({metadata}:{shadow_key(ir.Effect.ALLOW)})%",
    }


def _amounts(ends: Ends) -> Mapping[str, str]:
    return {
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "upstream": "%UPSTREAM_HOST%",
        **({"sent_to": "%UPSTREAM_CLUSTER_RAW%"} if ends.direction is Direction.OUTBOUND else {}),
    }


def _received(name: str, header: str) -> str:
    """What was received, kept or still in its place: a request that is refused at once is not looked at by filters."""
    kept = f'{{"command":"FILTER_STATE","param":"{_RECEIVED}{name}:PLAIN"}}'
    return f'%COALESCE({{"operators":[{kept},{{"command":"REQ","param":"{header}"}}]}})%'


def _coalesced(*commands: str) -> str:
    listed = ",".join(f'{{"command":"{command}"}}' for command in commands)
    return f'%COALESCE({{"operators":[{listed}]}})%'
