"""Rate limits: one local rate limit filter for each, after access, so that a refused request takes no token.

Envoy's bucket fills all the time, `tokens_per_fill` in `fill_interval`, so a rate is written as the program has it. What a
limit counts is said by descriptors: a limit without any has one bucket, and one with a condition counts only what its mark
(`meshc_envoy.marks`) has found. A request from which Envoy makes no descriptor is not counted, so each expression below has
a value for every request.
"""

from collections.abc import Iterable
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.joined_headers import line_separators
from meshc_envoy.marks import HTTP_METADATA, mark_filter, mark_key
from meshc_envoy.shapes import Object, extension, seconds

MAX_SOURCES: Final = 65_536
"""How many sources have a bucket at once; beyond, the one unused for longest starts anew. A bucket takes half a KiB."""
MAX_VALUES: Final = 16_384
"""The same for the values of a header, which whoever calls can invent: each is kept twice."""
LONGEST_VALUE: Final = 2048
"""How many bytes a header value with a bucket of its own may have."""

_LIMIT: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_EXPRESSION: Final = "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor"
_SET_STATE: Final = "envoy.extensions.filters.http.set_filter_state.v3.Config"
_IDENTITY: Final = "connection.uri_san_peer_certificate"
_PEER: Final = "meshc.peer"
_HEADER_PREFIX: Final = "header:"
LARGEST_BUCKET: Final = 4_294_967_295
"""The most tokens that Envoy counts with."""
_ALWAYS: Final[Object] = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def limit_filters(limits: tuple[ir.RateLimit, ...], *, has_identities: bool) -> list[Json]:
    """The filters of a chain whose peers have identities, or none; the order of limits is that of the program."""
    filters: list[Json] = []
    state = _state(limits, has_identities=has_identities)
    if state:
        filters.append(extension("limit-state", _SET_STATE, on_request_headers=state))
    for number, limit in enumerate(limits, start=1):
        name = f"limit-{number}"
        if limit.condition != ir.ALWAYS:
            filters.append(mark_filter(name, limit.condition))
        filters.append(_limit_filter(name, limit, has_identities=has_identities))
    return filters


def counted_header(limit: ir.RateLimit) -> str | None:
    """The header whose values a limit counts apart, if that is what it does."""
    if limit.per is None or not limit.per.startswith(_HEADER_PREFIX):
        return None
    return limit.per.removeprefix(_HEADER_PREFIX)


# ---- what Envoy's expressions cannot read by themselves -----------------------------------------------------------------


def _state(limits: Iterable[ir.RateLimit], *, has_identities: bool) -> list[Json]:
    """The address of the connection, whatever X-Forwarded-For says; and of counted headers the first line."""
    names = sorted({name for name in map(counted_header, limits) if name is not None})
    values = [_value(_first_line(name), f"%REQ({name})%") for name in names]
    if not has_identities and any(limit.per == "source" for limit in limits):
        values.append(_value(_PEER, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"))
    return values


def _value(key: str, text: str) -> Json:
    return {
        "object_key": key,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": text}},
    }


def _first_line(name: str) -> str:
    return f"meshc.header.{name}"


# ---- a limit ------------------------------------------------------------------------------------------------------------


def _limit_filter(name: str, limit: ir.RateLimit, *, has_identities: bool) -> Object:
    bucket: Object = {
        "max_tokens": limit.burst,
        "tokens_per_fill": limit.tokens,
        "fill_interval": seconds(limit.per_ms),
    }
    entries = _entries(name, limit, has_identities=has_identities)
    fields: Object = {"token_bucket": bucket}
    if entries:
        # What has no descriptor is none of this limit's requests; this bucket is for them.
        unlimited: Object = {**bucket, "max_tokens": LARGEST_BUCKET, "tokens_per_fill": LARGEST_BUCKET}
        fields = {
            "token_bucket": unlimited,
            "always_consume_default_token_bucket": False,
            **_room(limit),
            "rate_limits": [{"actions": [action for action, _ in entries]}],
            "descriptors": [{"entries": [entry for _, entry in entries], "token_bucket": bucket}],
        }
    return extension(
        name,
        _LIMIT,
        stat_prefix=name,
        # Envoy would count nothing and enforce nothing without these two.
        filter_enabled=_ALWAYS,
        filter_enforced=_ALWAYS,
        **fields,
        rate_limited_as_resource_exhausted=True,
    )


def _room(limit: ir.RateLimit) -> Object:
    """How many buckets there may be; Envoy's own limit is 20."""
    if limit.per is None:
        return {}
    return {"max_dynamic_descriptors": MAX_VALUES if counted_header(limit) is not None else MAX_SOURCES}


def _entries(name: str, limit: ir.RateLimit, *, has_identities: bool) -> list[tuple[Json, Json]]:
    """What makes the descriptor of a request: pairs of an action and the entry that takes what it finds."""
    entries: list[tuple[Json, Json]] = []
    if limit.condition != ir.ALWAYS:
        path: Json = {"key": HTTP_METADATA, "path": [{"key": mark_key(name)}]}
        held: Json = {"metadata": {"descriptor_key": "mark", "metadata_key": path, "source": "DYNAMIC"}}
        entries.append((held, {"key": "mark", "value": name}))
    header = counted_header(limit)
    if header is not None:
        entries.append(_each("value", _header_value(header)))
    elif limit.per is not None:
        entries.append(_each("source", _IDENTITY if has_identities else f'filter_state["{_PEER}"]'))
    return entries


def _each(key: str, expression: str) -> tuple[Json, Json]:
    """An entry without a value takes each value that the expression gives, for a bucket of its own."""
    return {"extension": extension(key, _EXPRESSION, descriptor_key=key, text=expression)}, {"key": key}


def _header_value(name: str) -> str:
    """An expression for the header's value; empty, so that they share a bucket, for requests without exactly one.

    Envoy's expressions see several lines as one text, which then is not the first line. One that Envoy has joined before
    cannot be told from a value with separators, so such a value counts as several. Blanks at an end, which only HTTP/2
    can send, would spell one value in many ways; RE2 takes no invalid UTF-8 for a character.
    """
    value, first = f'request.headers["{name}"]', f'filter_state["{_first_line(name)}"]'
    separators = line_separators(name)
    inner = f"[^{separators}]" if separators else r"\C"
    single = rf'r"^[^ \t{separators}](?:{inner}*[^ \t{separators}])?$"'
    is_one = f"bytes({value}) == {first} && size({first}) <= {LONGEST_VALUE} && {value}.matches({single})"
    return f'"{name}" in request.headers && {is_one} ? {value} : ""'
