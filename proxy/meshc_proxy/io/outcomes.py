"""How requests end, as their records say it, in Envoy's flags and words; and the answers that the proxy gives itself."""

from meshc_proxy.io.exchange import Exchange
from meshc_proxy.io.records import Record
from meshc_proxy.policy.replies import Flag, Reply, reply_events
from meshc_proxy.wire.bridge import value_of
from meshc_proxy.wire.events import Data, Headers, ResetReason, ResponseHead

_MOST_DIGITS = 10
"""Of a status of gRPC's in a header; a longer one is none."""


async def answer(down: Exchange, reply: Reply, record: Record) -> None:
    """Answer with what the proxy itself says."""
    assert down.head is not None
    note_flag(record, reply.flag, reply.details)
    for event in reply_events(down.head, reply):
        if isinstance(event, ResponseHead):
            record.status = event.status
            note_grpc(record, event.headers)
        if isinstance(event, Data):
            record.bytes_out += event.size
        await down.send(event)


def note_flag(record: Record, flag: Flag, details: str) -> None:
    """Note how it ended."""
    record.flags = flag.value
    record.details = details


def note_left(record: Record, down: Exchange) -> None:
    """Note that nobody waits for an answer any more: the caller has gone, or went on with what is no HTTP."""
    if down.reset_by is ResetReason.PROTOCOL:
        note_flag(record, Flag.NOT_UNDERSTOOD, "downstream_protocol_error")
    else:
        note_flag(record, Flag.CLIENT_LEFT, "downstream_remote_disconnect")


def note_cut(record: Record, reason: ResetReason, *, is_http1: bool) -> None:
    """Note that an answer broke off. A body of HTTP/1.1 that ends too early is, to Envoy, a breach of the protocol."""
    match reason:
        case ResetReason.TRUNCATED if not is_http1:
            flag, word = Flag.UPSTREAM_ENDED, "connection_termination"
        case ResetReason.TRUNCATED | ResetReason.PROTOCOL:
            flag, word = Flag.UPSTREAM_NOT_UNDERSTOOD, "protocol_error"
        case _:
            flag, word = Flag.UPSTREAM_REFUSED, "remote_reset"
    note_flag(record, flag, f"upstream_reset_after_response_started{{{word}}}")


def note_grpc(record: Record, headers: Headers) -> None:
    """Note the status of gRPC that headers or trailers tell, if they do."""
    told = value_of(headers, b"grpc-status")
    if told is not None and told.isdigit() and len(told) <= _MOST_DIGITS:
        record.grpc_status = int(told)
