"""Access logs: one line for each request or connection for which a log's condition holds.

A condition is tested by marks (`meshc_envoy.marks`), so it means what it means in an access rule. What never got as far as
its mark, because it was no request of the model or no connection was made, is logged whatever the condition says: it cannot
be tested, and it should be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.conditions import atoms_of
from meshc_envoy.log_fields import Direction, Ends, capture, connection_fields, refused_fields, request_fields
from meshc_envoy.marks import HTTP_METADATA, NETWORK_METADATA, mark_filter, mark_key, network_mark_filter
from meshc_envoy.reach import with_ports
from meshc_envoy.shapes import Object, extension

STANDARD_OUTPUT: Final = PurePosixPath("/dev/stdout")

PLAINTEXT_CHAIN: Final = "plaintext"
"""The name of the chain that serves plaintext beside one that serves TLS."""

_STREAM: Final = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_FILE: Final = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
_CEL: Final = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
_FILTER_STATE: Final = "envoy.extensions.filters.http.set_filter_state.v3.Config"
_ASKED: Final = "shadow_engine_result"
"""What the key ends in that RBAC leaves whether or not a shadow rule matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPoint:
    """One listener's access logs: `file` is where lines go, `has_tokens` whether tokens are verified there."""

    logs: tuple[ir.AccessLog, ...]
    file: PurePosixPath
    ends: Ends
    has_tokens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """What a chain needs for its logs: filters at its head, filters once tokens are verified, and the loggers."""

    head: tuple[Json, ...] = ()
    after_tokens: tuple[Json, ...] = ()
    loggers: tuple[Json, ...] = ()


def request_logs(point: LogPoint) -> Logging:
    """The logs of a listener that takes HTTP."""
    if not point.logs:
        return Logging()
    is_outbound = point.ends.direction is Direction.OUTBOUND
    head: list[Json] = [extension("received", _FILTER_STATE, **capture())] if is_outbound else []
    after: list[Json] = []
    loggers: list[Json] = []
    for number, log in enumerate(point.logs, start=1):
        condition = with_ports(log.condition) if is_outbound else log.condition
        name = f"log-{number}"
        when: Object | None = None
        if condition != ir.ALWAYS:
            is_late = point.has_tokens and any(isinstance(atom, ir.ClaimIs) for atom in atoms_of(condition))
            early = f"{name}-early" if is_late else name
            head.append(mark_filter(early, without_claims(condition) if is_late else condition))
            when = _held_or_untested(HTTP_METADATA, early)
            if is_late:
                after.append(mark_filter(name, condition))
                when = _or(_is_marked(HTTP_METADATA, name), _and(_untested(HTTP_METADATA, name), when))
        loggers.append(_logger(log, point.file, request_fields(point.ends), when))
    return Logging(head=tuple(head), after_tokens=tuple(after), loggers=tuple(loggers))


def connection_logs(point: LogPoint, stat_prefix: str, *, is_encrypted: bool) -> Logging:
    """The logs of a chain that takes bytes: those whose conditions connections can be asked.

    `is_encrypted` says that the chain itself speaks TLS, so that the handshake may fail.
    """
    head: list[Json] = []
    loggers: list[Json] = []
    for number, log in enumerate(point.logs, start=1):
        if not is_in_scope(log.condition):
            continue
        name = f"log-{number}"
        when: Object | None = None
        if log.condition != ir.ALWAYS:
            head.append(network_mark_filter(name, log.condition, f"{stat_prefix}.mark-{name}"))
            when = _held_or_untested(NETWORK_METADATA, name)
        if is_encrypted:
            # What a failed handshake claims to be is not verified: the listener tells of it, without an identity.
            shaken = _expression("!has(connection.transport_failure_reason)")
            when = shaken if when is None else _and(shaken, when)
        loggers.append(_logger(log, point.file, connection_fields(point.ends), when))
    return Logging(head=tuple(head), loggers=tuple(loggers))


def refused_connection_logs(point: LogPoint, *, is_http: bool) -> list[Json]:
    """The logs of an inbound listener itself: connections that ended before a chain could log them."""
    # The inspector calls whatever does not begin with a TLS hello a failure, and the plaintext chain serves it.
    reasons = [f'has(connection.transport_failure_reason) && xds.filter_chain_name != "{PLAINTEXT_CHAIN}"']
    if is_http:
        # A chain of bytes logs its own refusals.
        reasons.append("has(connection.termination_details)")
    when = _expression(" || ".join(reasons))
    return [
        _logger(log, point.file, refused_fields(point.ends), when)
        for log in point.logs
        if is_http or is_in_scope(log.condition)
    ]


def is_in_scope(condition: ir.Condition) -> bool:
    """Whether a log with this condition logs connections too; as with rules, only addresses and server names can be asked."""
    return all(isinstance(atom, ir.AddressIn | ir.SniIs) for atom in atoms_of(condition))


def without_claims(condition: ir.Condition) -> ir.Condition:
    """The condition of a request that has no verified token."""
    match condition:
        case ir.AllOf(parts):
            return ir.AllOf(tuple(without_claims(part) for part in parts))
        case ir.AnyOf(parts):
            return ir.AnyOf(tuple(without_claims(part) for part in parts))
        case ir.Not(inner):
            return ir.Not(without_claims(inner))
        case ir.ClaimIs():
            return ir.AnyOf(())
        case _:
            return condition


# ---- loggers --------------------------------------------------------------------------------------------------------


def _logger(log: ir.AccessLog, file: PurePosixPath, fields: Mapping[str, str], when: Object | None) -> Object:
    layout = _json(fields) if log.format == "json" else _text(fields)
    if file == STANDARD_OUTPUT:
        logger = extension("envoy.access_loggers.stdout", _STREAM, log_format=layout)
    else:
        logger = extension("envoy.access_loggers.file", _FILE, path=str(file), log_format=layout)
    return logger if when is None else {**logger, "filter": when}


def _json(fields: Mapping[str, str]) -> Object:
    return {"json_format": dict(fields)}


def _text(fields: Mapping[str, str]) -> Object:
    line = " ".join(f"{name}={value}" for name, value in fields.items())
    return {"text_format_source": {"inline_string": f"{line}\n"}}


# ---- conditions -----------------------------------------------------------------------------------------------------


def _held_or_untested(metadata: str, name: str) -> Object:
    return _or(_is_marked(metadata, name), _untested(metadata, name))


def _is_marked(metadata: str, name: str) -> Object:
    return _metadata(metadata, mark_key(name), {"present_match": True}, without=False)


def _untested(metadata: str, name: str) -> Object:
    prefix = mark_key(name).rpartition(".")[0]
    # What is there is a text, and never null; the matcher's own `invert` has no effect here.
    return _metadata(metadata, f"{prefix}.{_ASKED}", {"null_match": {}}, without=True)


def _metadata(metadata: str, key: str, value: Object, *, without: bool) -> Object:
    matcher: Object = {"filter": metadata, "path": [{"key": key}], "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": without}}


def _expression(text: str) -> Object:
    return {"extension_filter": extension("envoy.access_loggers.extension_filters.cel", _CEL, expression=text)}


def _and(*filters: Object) -> Object:
    return {"and_filter": {"filters": list(filters)}}


def _or(*filters: Object) -> Object:
    return {"or_filter": {"filters": list(filters)}}
