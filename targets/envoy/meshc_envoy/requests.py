"""The language's model of a request on Envoy: normalization, hygiene, and what must be refused with 400.

Envoy's own normalization does nearly all of it. An RBAC filter at the head of each inbound chain refuses the rest, and the
chain's local replies give that refusal, and every refused token, its right status.
"""

from collections.abc import Iterable
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.access import HTTP_RBAC
from meshc_envoy.conditions import atoms_of
from meshc_envoy.shapes import Object, extension
from meshc_envoy.text_matchers import regex

REFUSAL: Final = "malformed-request"
"""The name of the policy that refuses what is no request of the model; it stands in the response code details."""

_BAD_HOST: Final = r"\C*[,@]\C*|[^\[:]*:(?:\C*[^0-9]\C*)?|\[[^\]]*\](?:[^:]\C*|:(?:\C*[^0-9]\C*)?)"
"""Several hosts, user information, and whatever follows a host's colon but the digits of a port."""

_TIMED_OUT: Final = (
    'response.code_details in ["response_timeout", "upstream_per_try_timeout", "stream_idle_timeout"] && '
    '"content-type" in request.headers && request.headers["content-type"].startsWith("application/grpc")'
)
_DEADLINE_EXCEEDED: Final[Object] = {"header": {"key": "grpc-status", "value": "4"}}
"""To gRPC callers Envoy says `unavailable` of what took too long, which invites them to try again."""

_CEL_FILTER: Final = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
_HEADER_MUTATION: Final = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"


def stage_atoms(stages: Iterable[ir.Stage]) -> tuple[ir.Atom, ...]:
    """Every atom of every rule of the stages."""
    return tuple(atom for stage in stages for rule in stage.rules for atom in atoms_of(rule.condition))


def port_atoms(port: ir.PortPolicy) -> tuple[ir.Atom, ...]:
    """Every atom that the server's sidecar tests: in rules, and in the conditions of rate limits."""
    counted = (atom for limit in port.limits for atom in atoms_of(limit.condition))
    return (*stage_atoms(port.access), *counted)


def normalization() -> Object:
    """The fields of a connection manager that make a request's path what the language says."""
    return {"normalize_path": True, "merge_slashes": True, "path_with_escaped_slashes_action": "REJECT_REQUEST"}


def internal_headers_removed() -> Object:
    """The extension that drops Envoy's own control headers before anything reads them."""
    mutations: list[Json] = [{"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}}]
    return extension("envoy.http.early_header_mutation.header_mutation", _HEADER_MUTATION, mutations=mutations)


def refusal_filter(atoms: Iterable[ir.Atom]) -> Object:
    """The RBAC filter that refuses what Envoy lets through and the model does not know.

    In order: CONNECT; what is left of `/%2e%2e;x` after normalization,
    which another proxy would resolve; several hosts, or one with user information; and blanks at the ends of a header
    that a regular expression reads (RFC 9113, 8.2.1: "MUST NOT start or end with an ASCII whitespace character").
    """
    patterned = sorted({a.name for a in atoms if isinstance(a, ir.HeaderIs) and isinstance(a.test, ir.Matches)})
    permissions: list[Json] = [
        {"header": {"name": ":method", "string_match": {"exact": "CONNECT"}}},
        {"url_path": {"path": regex(r"\C*/\.\.?;\C*")}},
        {"header": {"name": ":authority", "string_match": regex(_BAD_HOST)}},
        *(_blank_at_an_end(name) for name in patterned),
    ]
    policy: Json = {"permissions": permissions, "principals": [{"any": True}]}
    return extension("malformed-request", HTTP_RBAC, rules={"action": "DENY", "policies": {REFUSAL: policy}})


def _blank_at_an_end(name: str) -> Object:
    return {"header": {"name": name, "string_match": regex(r"[ \t]\C*|\C*[ \t]")}}


def local_replies(*, has_jwt: bool = False, has_timeouts: bool = False) -> Object:
    """The local-reply configuration: 400 for a malformed request; 401, never Envoy's 403, for any refused token; and
    gRPC's own status for what took too long.
    """
    malformed = f'response.code_details == "rbac_access_denied_matched_policy[{REFUSAL}]"'
    mappers: list[Json] = [_mapper(malformed, 400) | {"body": {"inline_string": "malformed request"}}]
    # `OPTIONS *`, which Envoy takes for a path that it does not have.
    mappers.append(_mapper('response.code_details == "absolute_path_rejected"', 400))
    if has_jwt:
        mappers.append(_mapper('response.code_details.startsWith("jwt_authn_access_denied")', 401))
    if has_timeouts:
        mappers.append(_mapper(_TIMED_OUT, 504) | {"headers_to_add": [_DEADLINE_EXCEEDED]})
    return {"mappers": mappers}


def _mapper(expression: str, status: int) -> Object:
    condition = extension("envoy.access_loggers.extension_filters.cel", _CEL_FILTER, expression=expression)
    return {"filter": {"extension_filter": condition}, "status_code": status}
