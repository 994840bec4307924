"""Marks: a condition that one filter evaluates, so that another can ask whether it held.

Envoy's rate limits and access logs cannot test a request as the language does. RBAC can, and its shadow rules let everything
pass and leave the name of the policy that matched in the stream's dynamic metadata; nothing is left where none did.
"""

from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.access import HTTP_RBAC, NETWORK_RBAC
from meshc_envoy.conditions import Algebra, split, translate
from meshc_envoy.joined_headers import close_joined
from meshc_envoy.shapes import Object, extension

HTTP_METADATA: Final = "envoy.filters.http.rbac"
NETWORK_METADATA: Final = "envoy.filters.network.rbac"
_HELD: Final = "shadow_effective_policy_id"


def mark_filter(name: str, condition: ir.Condition) -> Object:
    """The HTTP filter that marks requests for which the condition holds.

    A test of a header that Envoy joins holds if any part of the joined value passes, so that a further line evades nothing.
    """
    return extension(f"mark-{name}", HTTP_RBAC, **_fields(name, condition))


def network_mark_filter(name: str, condition: ir.Condition, stat_prefix: str) -> Object:
    """The same for connections, which conditions on addresses and server names can be asked of."""
    return extension(f"mark-{name}", NETWORK_RBAC, stat_prefix=stat_prefix, **_fields(name, condition))


def mark_key(name: str) -> str:
    """The key in the filter's metadata that is there if the condition held."""
    return f"{name}.{_HELD}"


def _fields(name: str, condition: ir.Condition) -> Object:
    policies: Object = {}
    alternatives = split(close_joined(condition, refuses=True))
    for number, halves in enumerate(alternatives, start=1):
        permission: Json = (
            {"any": True} if halves.permission is None else translate(halves.permission, Algebra.PERMISSION)
        )
        principal: Json = {"any": True} if halves.principal is None else translate(halves.principal, Algebra.PRINCIPAL)
        label = name if len(alternatives) == 1 else f"{name}#{number}"
        policies[label] = {"permissions": [permission], "principals": [principal]}
    return {
        "shadow_rules": {"action": "DENY", "policies": policies},
        "shadow_rules_stat_prefix": f"{name}.",
    }
