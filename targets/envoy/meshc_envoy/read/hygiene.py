"""What keeps requests within the language's model: without it, a reading holds for requests that are within it by themselves."""

from collections.abc import Mapping
from typing import Final

from meshc.target import Json
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import STATUSES, Notes

CONNECT: Final = "connect"
ODD_PATH: Final = "odd path"
BAD_HOST: Final = "bad host"

_GUARDS: Final[Mapping[str, str]] = {
    CONNECT: "nobody sends `CONNECT`",
    ODD_PATH: "no path has a dot segment with parameters",
    BAD_HOST: "a request names one host, without user information",
}
_UNDERSCORES: Final = "no header's name has an underscore"
_CONTROL: Final = "no request carries headers that tell Envoy what to do"
_PEER: Final = "nobody believes the `x-forwarded-client-cert` of a caller"
_UPGRADES: Final = "nobody opens a web socket"
_REPLIES: Final[Mapping[str, int]] = {
    'response.code_details == "rbac_access_denied_matched_policy[malformed-request]"': 400,
    'response.code_details == "absolute_path_rejected"': 400,
    'response.code_details.startsWith("jwt_authn_access_denied")': 401,
    # Of gRPC alone, whose answers are all 200 and say the rest in a header.
    'response.code_details in ["response_timeout", "upstream_per_try_timeout", "stream_idle_timeout"] && '
    '"content-type" in request.headers && request.headers["content-type"].startsWith("application/grpc")': 504,
}
_OF_CONNECTIONS: Final = ("idle_timeout", "max_connection_duration", "max_requests_per_connection")
"""Envoy drains a connection of HTTP before it ends: no request is lost."""
_UNREADABLE: Final = 401
_MALFORMED: Final = 400
_MUTATION: Final = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_REMOVED: Final[Json] = [{"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}}]


def check_guards(found: set[str], at: Message, notes: Notes) -> None:
    """Say what no filter refuses."""
    for name, text in _GUARDS.items():
        if name not in found:
            notes.assume(text, at.span)


def check_manager(manager: Message, notes: Notes, *, is_inbound: bool, takes_upgrades: bool) -> None:
    """Say what a connection manager lets through that the language does not know."""
    common = manager.message("common_http_protocol_options")
    if common is None or common.data.get("headers_with_underscores_action") != "REJECT_REQUEST":
        notes.assume(_UNDERSCORES, manager.span)
    early = manager.messages("early_header_mutation_extensions")
    for one in early:
        # Before any rule is asked, such an extension could give a request the headers that a rule asks for.
        if dict(one.config()[1].data) != {"@type": _MUTATION, "mutations": _REMOVED}:
            raise one.error("headers that are changed before anything is asked are not understood")
    if not early:
        notes.assume(_CONTROL, manager.span)
    if is_inbound and manager.text("forward_client_cert_details", "SANITIZE") not in {"SANITIZE", "SANITIZE_SET"}:
        notes.assume(_PEER, manager.span)
    if is_inbound and not manager.flag("use_remote_address"):
        notes.assume("addresses of clients are those of their connections", manager.span)
    upgrades = manager.messages("upgrade_configs")
    for one in upgrades:
        # One may have filters of its own, which requests to upgrade pass instead of those that decide.
        if dict(one.data) != {"upgrade_type": "websocket"}:
            raise one.error("upgrades other than to plain web sockets are not understood")
    if takes_upgrades and not upgrades:
        notes.assume(_UPGRADES, manager.span)
    _check_replies(manager, notes)


def unsaid_bounds(manager: Message) -> list[NotUnderstoodError]:
    """Bounds of requests that no program says: how long they may last, and how many headers they may have."""
    common = manager.message("common_http_protocol_options")
    if common is None:
        return []
    common.ignore("headers_with_underscores_action", *_OF_CONNECTIONS)
    try:
        common.finish()
    except NotUnderstoodError as error:
        return [error]
    return []


def _check_replies(manager: Message, notes: Notes) -> None:
    config = manager.message("local_reply_config")
    known: dict[str, int | None] = {}
    for one in config.messages("mappers") if config is not None else ():
        inner = one.message("filter")
        extension = None if inner is None else inner.message("extension_filter")
        text = "" if extension is None else extension.config()[1].text("expression")
        status = one.whole("status_code")
        if text not in _REPLIES or _REPLIES[text] != status:
            raise one.error("an answer of the sidecar's own is given another status")
        known[text] = status
    has_tokens = any("jwt_authn" in str(one.data.get("typed_config")) for one in manager.messages("http_filters"))
    needed = {
        text for text, status in _REPLIES.items() if status == _MALFORMED or (has_tokens and status == _UNREADABLE)
    }
    if not needed <= known.keys():
        notes.assume(STATUSES, manager.span)
