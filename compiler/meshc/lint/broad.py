"""Lint of allows that let in everybody, where the program says itself that few need it.

What a program needs is what its tests expect to be allowed. So nothing is said of a port that no test calls, of a rule that looks at
anything but the caller's identity, or of a mesh too small to tell.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.lower.access import ScopedRule
from meshc.lower.program import Lowered
from meshc.lower.requests import AccessExpected, RedirectExpected, RouteExpected, StatusExpected, TestCase
from meshc.semantics.principals import principals_check

LEAST_CALLERS: Final = 4
"""In a mesh with fewer other services, everybody is not many."""

_SHOWN: Final = 5
_FIRST_ERROR: Final = 400

Service = tuple[str, str]


def over_broad_allow(lowered: Lowered) -> Iterator[Diagnostic]:
    """Allows of everybody to a whole service or port, of whom tests need less than half."""
    wide = [one for one in lowered.rules if _lets_everybody_in(one)]
    if not wide:
        return
    needed = _needed(lowered)
    by_name = {(one.namespace, one.name): one for one in lowered.mesh.workloads}
    for scoped in wide:
        service = None if scoped.target.service is None else scoped.target.service.key
        if service is None or service not in by_name:
            continue
        is_meant = principals_check(scoped.rule.principals)
        callers = {
            one.identity: f"{one.namespace}.{one.name}"
            for key, one in by_name.items()
            if key != service and is_meant(one.identity) and not _is_refused(lowered, scoped, one.identity)
        }
        who = needed.get(service, frozenset()) & callers.keys()
        if who and len(callers) >= LEAST_CALLERS and 2 * len(who) < len(callers):
            yield _report(scoped, callers, who)


def _lets_everybody_in(scoped: ScopedRule) -> bool:
    is_allow = scoped.effect is ir.Effect.ALLOW and not scoped.shadow
    include = scoped.rule.principals.include
    is_wide = any(isinstance(one, ir.AnyPeer | ir.AnyIdentity) for one in include)
    return is_allow and is_wide and scoped.rule.condition == ir.ALWAYS


def _is_refused(lowered: Lowered, scoped: ScopedRule, identity: str) -> bool:
    """Whether a deny for the same service takes all that the rule gives somebody."""
    own = scoped.target.service
    return any(
        other.effect is ir.Effect.DENY
        and not other.shadow
        and other.rule.condition == ir.ALWAYS
        and (other.target.service is None or other.target.service is own)
        and principals_check(other.rule.principals)(identity)
        for other in lowered.rules
    )


def _needed(lowered: Lowered) -> Mapping[Service, frozenset[str]]:
    """Who is expected to get through to each service, by the tests."""
    found: dict[Service, set[str]] = defaultdict(set)
    for case in (case for suite in lowered.tests for case in suite.cases):
        if case.request.identity is not None and _expects_passage(case):
            found[case.request.namespace, case.request.service].add(case.request.identity)
    return {service: frozenset(identities) for service, identities in found.items()}


def _expects_passage(case: TestCase) -> bool:
    match case.expected:
        case AccessExpected(allowed=allowed):
            return allowed
        case StatusExpected(status=status):
            return status < _FIRST_ERROR
        case RouteExpected() | RedirectExpected():
            return True


def _report(scoped: ScopedRule, callers: Mapping[str, str], who: frozenset[str]) -> Diagnostic:
    names = sorted(callers[one] for one in who)
    other = min(name for identity, name in callers.items() if identity not in who)
    listed = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    message = f"this rule lets in all {len(callers)} other services, and tests expect it of {len(names)}: {listed}"
    return diagnose(
        "over-broad-allow",
        scoped.rule.span,
        message,
        advice=(
            f"name those that need it: `allow {listed}`" if len(names) <= _SHOWN else "name those that need it",
            f"or add a test for the others, such as `allow {other} …`",
        ),
    )
