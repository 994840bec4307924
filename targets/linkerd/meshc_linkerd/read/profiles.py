"""ServiceProfiles: routes of a service in Linkerd's old form, which count in the place of all others as soon as there is one.

Source: linkerd.io/v1alpha2 ServiceProfile. The first condition that holds counts; what none takes goes to the service as it is. Ejection of
endpoints is off then. Retries, which have no number but a budget, and times that are not said cannot be said here either.
"""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject
from meshc_linkerd.read.account import PLAIN_CALLS, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.notes import duration
from meshc_linkerd.read.paths import inner_of, path_patterns

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_DEPTH: Final = 20


def acts(profile: ConfigObject) -> bool:
    """Whether a profile says anything of how calls travel. Raises NotUnderstoodError."""
    spec = Fields.spec(profile)
    return any(
        spec.has(name) and spec.data.get(name) not in ([], ()) for name in ("routes", "dstOverrides", "opaquePorts")
    )


def profile_routes(profile: ConfigObject, plain: ir.Route, account: Account) -> Iterator[ir.Route]:
    """The routes of a port by a profile; `plain` is what becomes of calls that nothing is said of. Raises NotUnderstoodError."""
    spec = Fields.spec(profile)
    for name in ("dstOverrides", "opaquePorts"):
        if spec.has(name):
            raise spec.error(f"`{name}` of a ServiceProfile is not understood", name)
    spec.ignore("retryBudget", "dstOverrides", "opaquePorts")
    routes = list(spec.each("routes"))
    spec.finish()
    for route in routes:
        route.ignore("name", "responseClasses")
        condition = _condition(route.fields("condition"), account, 0)
        if route.data.get("isRetryable") not in {None, False}:
            raise route.error("retries by a budget alone cannot be said", "isRetryable")
        timeout = duration(route.text("timeout"))
        route.ignore("isRetryable")
        route.finish()
        if timeout is None:
            raise route.error("how long a route of a ServiceProfile without a timeout may take is not known", "timeout")
        yield ir.Route(
            methods=(),
            path=ir.ANY_PATH,
            condition=condition,
            callers=None,
            action=plain.action,
            settings=ir.Settings(timeout_ms=timeout),
            span=profile.span(*route.steps),
        )
    yield plain


def _condition(written: Fields, account: Account, depth: int) -> ir.Condition:
    """What a condition asks: the one field that it has."""
    kinds = [name for name in ("pathRegex", "method", "all", "any", "not") if written.has(name)]
    if len(kinds) != 1 or depth > _DEPTH:
        raise written.error("a condition asks one thing")
    match kinds[0]:
        case "pathRegex":
            return _path(written, account)
        case "method":
            method = written.text("method")
            if method not in _METHODS:
                raise written.error(f"the method `{method}` is not understood", "method")
            found: ir.Condition = ir.MethodIs((method,))
        case "not":
            found = ir.Not(_condition(written.fields("not"), account, depth + 1))
        case kind:
            parts = tuple(_condition(one, account, depth + 1) for one in written.each(kind))
            if not parts:
                raise written.error("a condition of no parts is not understood", kind)
            found = ir.AllOf(parts) if kind == "all" else ir.AnyOf(parts)
    written.finish()
    return found


def _path(written: Fields, account: Account) -> ir.Condition:
    """An expression is for the whole path, wherever it is anchored itself."""
    text = written.text("pathRegex").strip()
    written.finish()
    anchored = f"{'' if text.startswith('^') else '^'}{text}{'' if text.endswith('$') else '$'}"
    account.taken_for_granted(PLAIN_CALLS, written.source, *written.steps)
    patterns = path_patterns(inner_of(anchored, written))
    found = tuple(ir.PathIs(one) for one in patterns)
    return found[0] if len(found) == 1 else ir.AnyOf(found)
