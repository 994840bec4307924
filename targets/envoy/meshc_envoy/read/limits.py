"""Local rate limit filters as the language's limits: one bucket, or one for each source or header value."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.read.messages import Message

Marks = Callable[[str], ir.Condition | None]
"""A key of RBAC's metadata -> the condition under which it is there; None where no filter leaves it."""

RBAC_METADATA: Final = "envoy.filters.http.rbac"
_ALWAYS: Final[tuple[Json, ...]] = ({"numerator": 100, "denominator": "HUNDRED"}, {"numerator": 100})
"""As it is written, and as a dump leaves the default out."""
_UNBOUNDED: Final = 4_294_967_295
_IDENTITY: Final = "connection.uri_san_peer_certificate"
_STATE: Final = re.compile(r'filter_state\["([^"\\]+)"\]')
_PEER: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
_HEADER: Final = re.compile(
    r'"(?P<name>[^"\\]+)" in request\.headers && (?P<one>.*) \? request\.headers\["(?P=name)"\] : ""'
)
_ONE_LINE: Final = re.compile(
    r'bytes\(request\.headers\["(?P<name>[^"\\]+)"\]\) == filter_state\["(?P<state>[^"\\]+)"\]'
    r' && size\(filter_state\["(?P=state)"\]\) <= [0-9]+'
    r' && request\.headers\["(?P=name)"\]\.matches\(r"\^\[\^ \\t[,;]*\]\(\?:(?:\\C|\[\^[,;]+\])\*\[\^ \\t[,;]*\]\)\?\$"\)'
)

_TOO_MANY: Final = (None, 429, "TooManyRequests")
_COUNTED: Final = 16_384
"""How many callers at least are to be told apart: who is forgotten may begin anew."""


def limit(filter_: Message, state: Mapping[str, str], marks: Marks) -> ir.RateLimit:
    """Raises NotUnderstoodError for descriptors of another form; `state` are the format strings of the filter state."""
    filter_.ignore("stat_prefix", "rate_limited_as_resource_exhausted", "response_headers_to_add")
    counted = filter_.whole("max_dynamic_descriptors")
    if counted is not None and counted < _COUNTED:
        raise filter_.error("callers are counted one by one, and too few of them", "max_dynamic_descriptors")
    filter_.ignore("enable_x_ratelimit_headers")
    status = filter_.message("status")
    if status is not None and status.data.get("code") not in _TOO_MANY:
        # Envoy takes a code below 400 for none.
        raise filter_.error("calls over a limit are answered with a status other than 429", "status")
    for name in ("filter_enabled", "filter_enforced"):
        if not filter_.has(name) or filter_.need(name).data.get("default_value") not in _ALWAYS:
            raise filter_.error(f"`{name}` for less than all requests is not understood")
    bucket = filter_.need("token_bucket")
    descriptors, actions = filter_.messages("descriptors"), filter_.messages("rate_limits")
    if not descriptors and not actions:
        filter_.flag("always_consume_default_token_bucket")
        filter_.finish()
        return _limit(bucket, None, ir.ALWAYS, filter_)
    if filter_.flag("always_consume_default_token_bucket", default=True):
        raise filter_.error("a bucket of its own beside that of descriptors is not understood")
    if len(descriptors) != 1 or len(actions) != 1 or (bucket.whole("max_tokens") or 0) < _UNBOUNDED:
        raise filter_.error("several descriptors, or a bucket for what has none, are not understood")
    filter_.finish()
    per, condition = _descriptor(descriptors[0], actions[0], state, marks)
    own = descriptors[0].need("token_bucket")
    descriptors[0].finish()
    return _limit(own, per, condition, filter_)


def _limit(bucket: Message, per: str | None, condition: ir.Condition, at: Message) -> ir.RateLimit:
    tokens, burst = bucket.whole("tokens_per_fill"), bucket.whole("max_tokens")
    interval = bucket.milliseconds("fill_interval")
    bucket.finish()
    if burst is None or not interval:
        raise bucket.error("a token bucket needs `max_tokens` and `fill_interval`")
    return ir.RateLimit(
        tokens=1 if tokens is None else tokens,
        per_ms=interval,
        burst=burst,
        per=per,
        condition=condition,
        span=at.span,
    )


def _descriptor(
    descriptor: Message, actions: Message, state: Mapping[str, str], marks: Marks
) -> tuple[str | None, ir.Condition]:
    entries, found = descriptor.messages("entries"), actions.messages("actions")
    actions.finish()
    if len(entries) != len(found):
        raise descriptor.error("a descriptor that its actions do not make is not understood")
    per: str | None = None
    condition: ir.Condition = ir.ALWAYS
    for entry, action in zip(entries, found, strict=True):
        key, value = entry.text("key"), entry.text("value")
        entry.finish()
        if action.has("metadata"):
            condition = _mark(action, key, value, marks)
        elif per is None and not value:
            per = _counted(action, key, state)
        else:
            raise entry.error("this entry of a descriptor is not understood")
    return per, condition


def _mark(action: Message, key: str, value: str, marks: Marks) -> ir.Condition:
    found = action.need("metadata")
    if found.text("descriptor_key") != key or found.text("source", "DYNAMIC") != "DYNAMIC":
        raise found.error("this action is not understood")
    where = found.need("metadata_key")
    keys = tuple(one.text("key") for one in where.messages("path"))
    if where.text("key") != RBAC_METADATA or len(keys) != 1:
        raise found.error("metadata other than rbac's is not understood")
    where.finish()
    found.finish()
    action.finish()
    condition = marks(keys[0])
    if condition is None or keys[0].partition(".")[0] != value:
        raise found.error("no filter leaves this metadata with this value")
    return condition


def _counted(action: Message, key: str, state: Mapping[str, str]) -> str:
    extension = action.need("extension")
    kind, config = extension.config()
    extension.finish()
    action.finish()
    if not kind.endswith("expr.v3.Descriptor") or config.text("descriptor_key") != key:
        raise action.error("this action is not understood")
    text = config.text("text")
    config.finish()
    if text == _IDENTITY:
        return "source"
    if (known := _STATE.fullmatch(text)) is not None and state.get(known[1]) == _PEER:
        return "source"
    if (header := _HEADER.fullmatch(text)) is not None:
        line = _ONE_LINE.fullmatch(header["one"])
        if line is not None and line["name"] == header["name"] and state.get(line["state"]) == f"%REQ({line['name']})%":
            return f"header:{header['name'].lower()}"
    raise config.error("what this expression counts is not understood", "text")
