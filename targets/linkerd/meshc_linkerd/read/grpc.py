"""The `matches` of GRPCRoutes: services and methods of gRPC -> methods and paths of requests.

Source: Gateway API, GRPCRoute; linkerd2-proxy `linkerd/http/route/src/grpc`. A call is POST to `/service/method`. The longer name of a
service is preferred, then that of a method, then the number of headers, in every release: as for exact paths, then prefixes.
"""

from typing import Final

from meshc import ir
from meshc_linkerd.read.account import GRPC_CALLS, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.matches import Match, read_tests
from meshc_linkerd.read.paths import ANY, EXACT, PREFIX, PathTest

_LITERAL: Final = "Exact"


def read_call(one: Fields, host: str, account: Account) -> Match:
    """One match, for a host in lower case, empty for any. Raises NotUnderstoodError."""
    account.taken_for_granted(GRPC_CALLS, one.source, *one.steps)
    tests = read_tests(one, "headers", account)
    if one.has("headers") and not one.has("method"):
        raise one.error("headers without a `method` make Linkerd answer every request of the port with 500", "headers")
    path = _path(one) if one.has("method") else ANY
    one.ignore("method")
    one.finish()
    return Match(host, path, "", tests)


def _path(one: Fields) -> PathTest:
    called = one.fields("method")
    kind, service, method = called.text("type", _LITERAL), called.text("service"), called.text("method")
    called.finish()
    if kind != _LITERAL:
        raise called.error("Linkerd ignores a route with an expression for a method", "type")
    if not service:
        raise called.error("a call without the name of its service is not understood", "method")
    if set(service + method) & set("/%;{}"):
        raise called.error("the name of a call is not understood")
    if method:
        path = f"/{service}/{method}"
        return PathTest(EXACT, path, (ir.ExactPath(path),))
    return PathTest(PREFIX, f"/{service}", (ir.TemplatePath((service,), (), rest=True),), is_raw=True)
