"""The matcher that refuses certificates without exactly one URI name, or whose DNS names read like identities."""

from typing import Final

from meshc_envoy.read.messages import Message

_ACTION: Final = "envoy.config.rbac.v3.Action"


def check_identity_guard(config: Message) -> None:
    """Raises NotUnderstoodError for any other matcher of connections."""
    matchers = config.need("matcher").need("matcher_list").messages("matchers")
    rows = []
    for one in matchers:
        single = _only(_only(one, "predicate", "on_match"), "single_predicate")
        kind, _ = _only(single, "input", "value_match").config()
        pattern = _only(_only(single, "value_match", "input"), "safe_regex")
        pattern.ignore("google_re2")
        text = pattern.text("regex")
        pattern.finish()
        rows.append((kind.rpartition(".")[2], text, _action(_only(one, "on_match", "predicate"))))
    config.ignore("stat_prefix")
    config.finish()
    matcher = config.need("matcher")
    otherwise = _action(_only(matcher, "on_no_match", "matcher_list"))
    wanted = [("DnsSanInput", r"\C*(?i:spiffe:)\C*", "DENY"), ("UriSanInput", "[^,]+", "ALLOW")]
    if rows != wanted or otherwise != "DENY":
        raise config.error("this matcher of connections is not understood")


def _only(message: Message, name: str, *others: str) -> Message:
    """A part of a message that has no more than that and `others`."""
    found = message.need(name)
    message.ignore(*others)
    message.finish()
    return found


def _action(on_match: Message) -> str:
    """What a matcher of connections does: no more than that is said."""
    kind, action = _only(on_match, "action").config()
    if kind != _ACTION:
        raise action.error(f"the action `{kind}` is not understood")
    action.ignore("name")
    found = action.text("action", "ALLOW")
    action.finish()
    return found
