"""Random requests through their caller's sidecar, made to fit a route of a random program, and then often not quite."""

from collections.abc import Iterator
from random import Random

from meshc import ir
from meshc.request import Request
from meshc_harness.programs import Port
from meshc_harness.routes import QUERIES, QUERY_TEXTS, SERVICES, TRUST_DOMAIN, RoutedProgram

_STEMS = (
    "/a", "/a/", "/a/b", "/a/b/c", "/a/1", "/a/1/c", "/b", "/z/b", "/", "/b;v", "/%20x", "/x.js", "/deny/1", "/w",
    "/shop.Cart/Add", "/shop.Cart/Get", "/shop.Admin/Drop",
)  # fmt: skip
_TWISTS = (
    "{0}/", "{0}/x", "{0}x", "/{0}", "/.{0}", "/x/..{0}", "{0}/../a", "{0}//", "{0}?x=/a", "{0}%2fa", "{0}%2e", "{0};p",
    "{0}/%2e%2e", "{0}%61", "{0}%2561", "{0}#f", "{0}\\b", "{0}/..", "{0}/.", "{0}%7E", "{0}^", "{0}/%5Bx", "{0}?", "{0}/$1",
    "{0}/%", "{0}/%E2%82%AC", "{0}/\\1", "/A{0}",
)  # fmt: skip
_METHODS = ("GET", "GET", "GET", "GET", "POST", "POST", "HEAD", "DELETE", "OPTIONS", "PURGE", "get")
_NAMES = ("x-a", "x-a", "x-b", "X-A", "x-new")
_VALUES = ("yes", "no", "eu-west", "", "Yes", "yes,no", "set", "other", "yes ")
_QUERY_VALUES = (*QUERY_TEXTS, "%31", "11", "a/b", "x?y")


def routed_request(rng: Random, program: RoutedProgram, port: Port) -> Request:
    """A request of some service to a port."""
    caller, namespace = rng.choice(SERVICES)
    route = rng.choice(_routes(program.mesh, port))
    is_call = port.protocol == "grpc" and rng.random() < 0.3
    # What is no gRPC call says so, or else the stub could not tell what it received.
    mark = (("content-type", "text/plain"),) if port.protocol == "grpc" and not is_call else ()
    method = rng.choice(route.methods) if route.methods and rng.random() < 0.7 else rng.choice(_METHODS)
    wanted = [atom for atom in atoms_of(route.condition) if rng.random() < 0.6]
    headers = [(atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.HeaderIs)]
    queries = [(atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.QueryIs)]
    return Request(
        identity=f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{caller}",
        namespace=port.namespace,
        service=port.service,
        port=port.number,
        method="POST" if is_call else method,
        path=path_for(rng, route.path),
        headers=(*headers, *_some_headers(rng), *mark),
        host=rng.choice(_hosts(port)),
        query=(*queries, *_some_queries(rng)),
    )


def _routes(mesh: ir.Mesh, port: Port) -> tuple[ir.Route, ...]:
    workload = next(one for one in mesh.workloads if (one.namespace, one.name) == (port.namespace, port.service))
    return next(one for one in workload.ports if one.number == port.number).routes


def path_for(rng: Random, pattern: ir.PathPattern) -> str:
    """Mostly one that the pattern matches."""
    match pattern:
        case ir.ExactPath(path):
            found = path
        case ir.TemplatePath(segments, _, rest):
            found = "".join(f"/{rng.choice(('1', 'b', 'x.js')) if one is None else one}" for one in segments)
            found += rng.choice(("", "/", "/x", "/b/c", "/b", "x" if segments else "/")) if rest else ""
        case ir.RegexPath():
            found = rng.choice(_STEMS)
    if rng.random() < 0.15:
        found = rng.choice(_STEMS)
    return rng.choice(_TWISTS).format(found or "/") if rng.random() < 0.35 else found or "/"


def atoms_of(condition: ir.Condition) -> Iterator[ir.Atom]:
    """All atoms of a condition, in order, whether they should hold or not."""
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            for part in parts:
                yield from atoms_of(part)
        case ir.Not(inner):
            yield from atoms_of(inner)
        case _:
            yield condition


def text_for(rng: Random, test: ir.TextTest) -> str:
    """One that passes, mostly; blanks stand around it now and then."""
    match test:
        case ir.Equals(value):
            return value
        case ir.StartsWith(value):
            return value + rng.choice(("", "x"))
        case ir.EndsWith(value):
            return rng.choice(("", "x")) + value
        case ir.Matches():
            return rng.choice(("yes", "eu-1", "11", "on", ""))
        case ir.IsPresent():
            return rng.choice(("yes", ""))


def _hosts(port: Port) -> tuple[str | None, ...]:
    """Hosts that mean the service, in other spellings too."""
    name, full = port.service, f"{port.service}.{port.namespace}"
    return (None, None, name, full, full.upper(), f"{full}.", f"{full}.svc.cluster.local")


def _some_headers(rng: Random) -> list[tuple[str, str]]:
    return [(rng.choice(_NAMES), rng.choice(_VALUES)) for _ in range(rng.choice((0, 0, 0, 1, 2)))]


def _some_queries(rng: Random) -> list[tuple[str, str]]:
    return [(rng.choice(QUERIES), rng.choice(_QUERY_VALUES)) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
