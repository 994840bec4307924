"""Shapes that every part of a bootstrap uses: extensions, addresses, durations."""

from typing import Final

from meshc.target import Json

Object = dict[str, Json]
"""One protobuf message as plain data, in the JSON mapping's original field names."""

_TYPES: Final = "type.googleapis.com/"


def extension(label: str, message: str, **fields: Json) -> Object:
    """A named extension whose configuration is the protobuf message called `message` in full."""
    return {"name": label, "typed_config": {"@type": _TYPES + message, **fields}}


def typed(message: str, **fields: Json) -> Object:
    """A packed message (`google.protobuf.Any`)."""
    return {"@type": _TYPES + message, **fields}


def socket_address(address: str, port: int) -> Object:
    return {"socket_address": {"address": address, "port_value": port}}


def seconds(milliseconds: int) -> str:
    """A protobuf duration, which must be written in seconds: `1.5s`."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + "s"
