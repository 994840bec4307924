"""The `matches` of GRPCRoutes: services and methods of gRPC -> methods and paths of requests.

Source: Gateway API, GRPCRoute; linkerd2-proxy `linkerd/http/route/src/grpc`. A call is POST to `/service/method`; what follows a method is not
looked at. The longer name of a service is preferred, then that of a method, then the number of headers, in every release: as for exact
paths, then prefixes.
"""

from typing import Final

from meshc import ir
from meshc_linkerd.read.account import GRPC_CALLS, GRPC_SERVED, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.matches import Match, read_tests
from meshc_linkerd.read.paths import ANY, EXACT, PREFIX, PathTest

_LITERAL: Final = "Exact"


def read_served_call(one: Fields, host: str, account: Account) -> Match:
    """One match on a server, whose callers may send what they like: all that Linkerd takes for such a call.

    Raises NotUnderstoodError.
    """
    account.taken_for_granted(GRPC_SERVED, one.source, *one.steps)
    names, tests = _parts(one, account)
    steps = (*names, *(None for _ in range(2 - len(names))))
    variables = tuple(f"p{number}" for number, step in enumerate(steps, start=1) if step is None)
    pattern = ir.TemplatePath(steps, variables, rest=True)
    return Match(host, PathTest(PREFIX, "/" + "/".join(names), (pattern,), is_raw=True), "POST", tests)


def read_call(one: Fields, host: str, account: Account) -> Match:
    """One match, for a host in lower case, empty for any. Raises NotUnderstoodError."""
    account.taken_for_granted(GRPC_CALLS, one.source, *one.steps)
    names, tests = _parts(one, account)
    if len(names) == 2:
        path = "/" + "/".join(names)
        return Match(host, PathTest(EXACT, path, (ir.ExactPath(path),)), "", tests)
    if names:
        pattern = ir.TemplatePath(names, (), rest=True)
        return Match(host, PathTest(PREFIX, f"/{names[0]}", (pattern,), is_raw=True), "", tests)
    return Match(host, ANY, "", tests)


def _parts(one: Fields, account: Account) -> tuple[tuple[str, ...], tuple[ir.HeaderIs | ir.QueryIs, ...]]:
    """The names of the service and its method, as far as they are asked for, and the tests of headers."""
    tests = read_tests(one, "headers", account)
    if one.has("headers") and not one.has("method"):
        raise one.error("headers without a `method` make Linkerd answer every request of the port with 500", "headers")
    names = _names(one) if one.has("method") else ()
    one.ignore("method")
    one.finish()
    return names, tests


def _names(one: Fields) -> tuple[str, ...]:
    called = one.fields("method")
    kind, service, method = called.text("type", _LITERAL), called.text("service"), called.text("method")
    called.finish()
    if kind != _LITERAL:
        raise called.error("Linkerd ignores a route with an expression for a method", "type")
    if not service:
        raise called.error("a call without the name of its service is not understood", "method")
    if set(service + method) & set("/%;{}"):
        raise called.error("the name of a call is not understood")
    return (service, method) if method else (service,)
