"""Objects that change proxies beyond what Istio's own policies say: EnvoyFilter, WasmPlugin. They may decide anything.

Filters of gateways are passed over; local rate limits are read by `limits`.
"""

from collections.abc import Iterable
from typing import Final

from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import items, mapping
from meshc.target import Json
from meshc_istio.read.account import Account

_LIMIT: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_INSERTS: Final = frozenset({"INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"})


def check_extensions(objects: Iterable[ConfigObject], account: Account) -> None:
    """Say of each such object that who may call may depend on it; on which ports is not read."""
    for one in objects:
        if one.kind == "WasmPlugin":
            message = f"what the WasmPlugin `{one.name}` decides cannot be said"
            _unread(one, ("spec",), message, account)
        if one.kind == "EnvoyFilter":
            _check_filter(one, account)


def _unread(one: ConfigObject, steps: tuple[Step, ...], message: str, account: Account) -> None:
    account.not_understood(one, steps, message, None, *Aspect)


def _check_filter(one: ConfigObject, account: Account) -> None:
    for number, patch in enumerate(items(mapping(one.data.get("spec")).get("configPatches"))):
        if mapping(mapping(patch).get("match")).get("context") == "GATEWAY" or is_limit(patch):
            continue
        steps = ("spec", "configPatches", number)
        message = f"what the EnvoyFilter `{one.name}` makes of proxies cannot be said"
        if mapping(patch).get("applyTo") == "CLUSTER":
            account.not_understood(one, steps, message, None, *(Aspect.ROUTING, Aspect.SETTINGS))
        else:
            _unread(one, steps, message, account)


def is_limit(patch: Json) -> bool:
    """Whether a patch puts a local rate limit into proxies."""
    fields = mapping(patch)
    change = mapping(fields.get("patch"))
    config = mapping(mapping(change.get("value")).get("typed_config"))
    is_inserted = fields.get("applyTo") == "HTTP_FILTER" and change.get("operation") in _INSERTS
    return is_inserted and str(config.get("@type", "")).endswith(_LIMIT)
