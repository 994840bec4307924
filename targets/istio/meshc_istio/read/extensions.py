"""Objects that change proxies beyond what Istio's own policies say: EnvoyFilter, WasmPlugin. They may decide anything.

Only what cannot let a request through or refuse one for who sends it is passed over: filters of gateways, clusters, and local rate limits.
"""

from collections.abc import Iterable
from typing import Final

from meshc.reading import Aspect, ConfigObject
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
            account.not_understood(one, ("spec",), message, None, Aspect.ACCESS)
        if one.kind == "EnvoyFilter":
            _check_filter(one, account)


def _check_filter(one: ConfigObject, account: Account) -> None:
    for number, patch in enumerate(items(mapping(one.data.get("spec")).get("configPatches"))):
        if not _is_harmless(patch):
            message = f"what the EnvoyFilter `{one.name}` makes of proxies cannot be said"
            account.not_understood(one, ("spec", "configPatches", number), message, None, Aspect.ACCESS)


def _is_harmless(patch: Json) -> bool:
    fields = mapping(patch)
    where, change = mapping(fields.get("match")), mapping(fields.get("patch"))
    if where.get("context") == "GATEWAY" or fields.get("applyTo") == "CLUSTER":
        return True
    config = mapping(mapping(change.get("value")).get("typed_config"))
    is_inserted = fields.get("applyTo") == "HTTP_FILTER" and change.get("operation") in _INSERTS
    return is_inserted and str(config.get("@type", "")).endswith(_LIMIT)
