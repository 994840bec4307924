"""HTTP/2's error codes as reasons of a reset, and back (RFC 9113 section 7)."""

from collections.abc import Mapping
from typing import Final

from h2.errors import ErrorCodes as _Code

from meshc_proxy.wire.events import ResetReason

_CODE_TO_REASON: Final[Mapping[int, ResetReason]] = {
    _Code.REFUSED_STREAM: ResetReason.REFUSED,
    _Code.CANCEL: ResetReason.CANCELLED,
    _Code.NO_ERROR: ResetReason.CANCELLED,
    _Code.INTERNAL_ERROR: ResetReason.INTERNAL,
    _Code.ENHANCE_YOUR_CALM: ResetReason.CALM,
}
REASON_TO_CODE: Final = {
    ResetReason.CANCELLED: _Code.CANCEL,
    ResetReason.REFUSED: _Code.REFUSED_STREAM,
    ResetReason.PROTOCOL: _Code.PROTOCOL_ERROR,
    ResetReason.TRUNCATED: _Code.INTERNAL_ERROR,
    ResetReason.INTERNAL: _Code.INTERNAL_ERROR,
    ResetReason.CALM: _Code.ENHANCE_YOUR_CALM,
}


def code_to_reason(code: int) -> ResetReason:
    """What a code says; every code that says nothing to us, known or not, is a breach of the protocol."""
    return _CODE_TO_REASON.get(code, ResetReason.PROTOCOL)
