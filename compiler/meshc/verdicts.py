"""Verdicts: whether a decision is what a test expects, and in words what it is."""

from dataclasses import dataclass

from meshc.ir import Destination
from meshc.lower.requests import AccessExpected, Expected, RedirectExpected, RouteExpected, StatusExpected
from meshc.request import Decision
from meshc.semantics.show import show_destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an engine says of a case. `place` is the rule or route that decided, empty where that is not known."""

    is_expected: bool
    words: str
    place: str = ""


def judge(expected: Expected, decision: Decision) -> Verdict:
    """Compare what the model decides with what a test expects."""
    place = str(decision.rule) if decision.rule is not None and decision.rule.line else ""
    match expected:
        case AccessExpected(allowed=allowed):
            verdict = {True: "allow", False: "deny", None: f"status {decision.status}"}[decision.allowed]
            words = f"{verdict} ({decision.reason})" if decision.reason else verdict
            return Verdict(is_expected=decision.allowed is allowed, words=words, place=place)
        case RouteExpected(destination=destination):
            sent = [one for one in decision.destinations if one.weight > 0]
            words = "sent to " + (", ".join(map(show_destination, sent)) or "nobody")
            is_expected = any(is_same(one, destination) for one in sent)
            return Verdict(is_expected=is_expected, words=words, place=str(decision.route or ""))
        case StatusExpected(status=status):
            words = f"status {decision.status}" if decision.status else "no answer of a proxy"
            return Verdict(is_expected=decision.status == status, words=words, place=place)
        case RedirectExpected(target=target):
            words = f"redirect to {decision.redirect}" if decision.redirect else "no redirect"
            return Verdict(is_expected=decision.redirect == target, words=words, place=str(decision.route or ""))


def show_expected(expected: Expected) -> str:
    """What a test expects, in a few words."""
    match expected:
        case AccessExpected(allowed=allowed):
            return "allow" if allowed else "deny"
        case RouteExpected(destination=destination):
            return f"sent to {show_destination(destination)}"
        case StatusExpected(status=status):
            return f"status {status}"
        case RedirectExpected(target=target):
            return f"redirect to {target}"


def is_same(sent: Destination, wanted: Destination) -> bool:
    """Whether a destination is the wanted one; one that is wanted without a version stands for all of them."""
    same = (sent.namespace, sent.service, sent.port) == (wanted.namespace, wanted.service, wanted.port)
    return same and wanted.version in {None, sent.version}
