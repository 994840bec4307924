"""Requests as `test` blocks and `meshc explain` write them: from syntax to `meshc.request.Request`."""

from dataclasses import dataclass, field

from meshc import ast
from meshc.ir import Destination, Protocol
from meshc.literals import Cidr, LiteralError, read_quantity
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.destinations import lower_destination
from meshc.lower.names import read_identity
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.world import World
from meshc.request import DEFAULT_SOURCE_IP, Claim, Request
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessExpected:
    """The request is allowed, or denied."""

    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteExpected:
    """The request may be sent to this destination."""

    destination: Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusExpected:
    """A proxy answers with this status."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectExpected:
    """A proxy redirects to this place."""

    target: str


Expected = AccessExpected | RouteExpected | StatusExpected | RedirectExpected


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One line of a test block; `request_span` is where its request is written."""

    request: Request
    expected: Expected
    span: Span = field(compare=False)
    request_span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSuite:
    """One test block."""

    title: str
    cases: tuple[TestCase, ...]
    span: Span = field(compare=False)


def lower_tests(context: Context, world: World, node: ast.TestDecl) -> TestSuite:
    """A test block; cases that are reported are left out."""
    cases = tuple(case for one in node.cases if (case := _lower_case(context, world, one)) is not None)
    return TestSuite(title=node.title.value, cases=cases, span=node.span)


def _lower_case(
    context: Context, world: World, node: ast.AccessTest | ast.RouteTest | ast.ExpectTest
) -> TestCase | None:
    request = lower_request(context, world, node.request)
    expected = _expected(context, world, node)
    if request is None or expected is None:
        return None
    return TestCase(request=request, expected=expected, span=node.span, request_span=node.request.span)


def _expected(context: Context, world: World, node: ast.AccessTest | ast.RouteTest | ast.ExpectTest) -> Expected | None:
    match node:
        case ast.AccessTest():
            return AccessExpected(allowed=node.expected == "allow")
        case ast.RouteTest():
            found = lower_destination(context, world, node.destination, node.request.service)
            return None if found is None else RouteExpected(destination=found)
        case ast.ExpectTest(status=None, redirect=redirect):
            target = None if redirect is None else values.text(context, redirect, "the target of a redirect")
            return None if target is None else RedirectExpected(target=target)
        case ast.ExpectTest(status=status) if status is not None:
            number = values.status(context, status, "a status")
            return None if number is None else StatusExpected(status=number)
    return None


@dataclass(slots=True)
class _Attributes:
    headers: list[tuple[str, str]] = field(default_factory=list)
    query: list[tuple[str, str]] = field(default_factory=list)
    claims: dict[str, Claim] | None = None
    host: str | None = None


def lower_request(context: Context, world: World, node: ast.RequestLine) -> Request | None:
    """One request; None after a report."""
    known, identity = _source(context, world, node.source)
    service = world.find(context, node.service)
    if service is None:
        return None
    port = world.find_port(context, service, node.service)
    address = _address(context, node)
    attributes = _read_attributes(context, node)
    if port is None or not known or address is None or not _fits(context, node, service, port):
        return None
    is_http = port.protocol.is_http
    target = node.target.value if node.target is not None else None
    return Request(
        identity=identity,
        namespace=service.key[0],
        service=service.key[1],
        port=port.number,
        method=None if not is_http else ("POST" if node.method.text == "GRPC" else node.method.text),
        path=None if not is_http or target is None else (f"/{target}" if node.method.text == "GRPC" else target),
        headers=tuple(attributes.headers),
        host=attributes.host if is_http else None,
        sni=None if is_http else attributes.host,
        query=tuple(attributes.query),
        claims=attributes.claims,
        source_ip=address,
    )


def _source(context: Context, world: World, source: ast.Source) -> tuple[bool, str | None]:
    """Whether the source is one caller, and the identity it shows; None for a caller that shows none."""
    match source:
        case ast.AnyoneSource():
            return True, None
        case ast.ServiceSource(service=ref):
            service = world.find(context, ref, "source")
            if service is None:
                return False, None
            if service.is_external:
                message = f"`{service.shown}` lies outside the mesh and calls nobody in it"
                context.report.add("external-source", source.span, message)
                return False, None
            return True, world.identity(service)
        case ast.IdentitySource(identity=literal):
            identity = read_identity(context, literal)
            if identity is not None and identity[1]:
                message = "a request comes from one identity, and this is a prefix of many"
                context.report.add("invalid-identity", source.span, message, advice="write one that starts with it")
                return False, None
            return identity is not None, None if identity is None else identity[0]
        case _:
            advice = "name a service or an identity, or `anyone` for a caller without one"
            context.report.add("misplaced-declaration", source.span, "a request comes from one caller", advice=advice)
            return False, None


def _address(context: Context, node: ast.RequestLine) -> str | None:
    if node.address is None:
        return DEFAULT_SOURCE_IP
    value = values.one(context, node.address, "an address")
    try:
        typed = read_quantity(value.text) if isinstance(value, ast.Quantity) else None
    except LiteralError as error:
        context.report.add("invalid-address", node.address.span, error.message, advice=error.advice)
        return None
    if isinstance(typed, Cidr) and typed.block.num_addresses == 1:
        return str(typed.block.network_address)
    if value is not None:
        advice = "write one such as `from 10.1.2.3`"
        context.report.add("invalid-address", node.address.span, "a request comes from one address", advice=advice)
    return None


def _read_attributes(context: Context, node: ast.RequestLine) -> _Attributes:
    found = _Attributes()
    for attribute in node.attributes:
        names = [text for text, _ in values.texts(context, attribute.names, "a name")]
        value = values.text(context, attribute.value, "a value")
        if value is None or len(names) != len(attribute.names):
            continue
        match attribute.kind:
            case "header":
                found.headers.append((names[0], value))
            case "query":
                found.query.append((names[0], value))
            case "host":
                found.host = value
            case _:
                found.claims = found.claims or {}
                _nest(found.claims, names, value)
    return found


def _nest(claims: dict[str, Claim], names: list[str], value: str) -> None:
    inner = claims
    for name in names[:-1]:
        step = inner.setdefault(name, {})
        if not isinstance(step, dict):
            step = {}
            inner[name] = step
        inner = step
    inner[names[-1]] = value


def _fits(context: Context, node: ast.RequestLine, service: ServiceInfo, port: PortInfo) -> bool:
    method = node.method.text
    shown = f"`{service.shown}:{port.number}`"
    if not port.protocol.is_http:
        known = {"host"} if port.protocol is Protocol.TLS else set()
        if method == "TCP" and node.target is None and {one.kind for one in node.attributes} <= known:
            return True
        more = ' with host "…"` for the server name in its TLS hello' if known else "` for a connection to it"
        advice = f"write `TCP {node.service.name}{more}"
        message = f"{shown} speaks {port.protocol.value}: it sees connections and no requests"
        context.report.add("protocol-mismatch", node.method.span, message, advice=advice)
        return False
    if method == "TCP":
        context.report.add("protocol-mismatch", node.method.span, f"{shown} speaks {port.protocol.value}, not tcp")
        return False
    if method == "GRPC" and port.protocol not in {Protocol.GRPC, Protocol.HTTP2}:
        message = f"{shown} speaks {port.protocol.value}, not grpc"
        context.report.add("protocol-mismatch", node.method.span, message)
        return False
    if node.target is None:
        advice = "write `GRPC service package.Service/Method`" if method == "GRPC" else "write `GET service /path`"
        context.report.add("missing-setting", node.span, "the request names no path", advice=advice)
        return False
    if (method == "GRPC") == node.target.value.startswith("/"):
        advice = "write `package.Service/Method`" if method == "GRPC" else "write a path such as `/charge`"
        context.report.add(
            "invalid-path", node.target.span, "the request's target does not fit its method", advice=advice
        )
        return False
    return True
