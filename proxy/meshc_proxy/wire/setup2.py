"""h2 as this proxy wants it: validation on, its settings sent, its windows opened."""

from typing import Final

import h2.config
import h2.connection
import h2.settings

from meshc_proxy.wire.frames import PREFACE
from meshc_proxy.wire.limits import Http2Limits

_DEFAULT_WINDOW: Final = 65535


def open_connection(*, client: bool, limits: Http2Limits) -> h2.connection.H2Connection:
    """A connection whose settings wait in its output. It allows twice the streams, so that one too many is refused alone, not with all."""
    # Rules look at each line of a header, so lines are not joined before they did: `normalize_inbound_headers` joins cookies.
    config = h2.config.H2Configuration(client_side=client, header_encoding=None, normalize_inbound_headers=False)
    connection = h2.connection.H2Connection(config)
    codes = h2.settings.SettingCodes
    values = {
        codes.MAX_CONCURRENT_STREAMS: limits.streams,
        codes.INITIAL_WINDOW_SIZE: limits.stream_window,
        codes.MAX_HEADER_LIST_SIZE: limits.head.head_bytes,
        codes.MAX_FRAME_SIZE: limits.frame_bytes,
        codes.ENABLE_PUSH if client else codes.ENABLE_CONNECT_PROTOCOL: 0 if client else 1,
    }
    connection.local_settings = h2.settings.Settings(client=client, initial_values=values)
    connection.initiate_connection()
    if limits.connection_window > _DEFAULT_WINDOW:
        connection.increment_flow_control_window(limits.connection_window - _DEFAULT_WINDOW)
    if not client:
        connection.receive_data(PREFACE)  # which the cutter has checked, and keeps
    roomy = values | {codes.MAX_CONCURRENT_STREAMS: 2 * limits.streams}
    connection.local_settings = h2.settings.Settings(client=client, initial_values=roomy)
    return connection
