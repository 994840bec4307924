"""Authentication blocks: the mTLS mode and the JWT issuers of each port."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from meshc import ast, ir
from meshc.ir import MtlsMode, Protocol
from meshc.lower import values
from meshc.lower.context import Context, Report
from meshc.lower.layers import Given, Layered
from meshc.lower.names import read_header
from meshc.lower.scopes import Nearness, Target, has_ports, lower_scope
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.world import World, named_port
from meshc.source import Span

MTLS_MODES: Mapping[str, MtlsMode] = {mode.value: mode for mode in MtlsMode}


@dataclass(slots=True)
class Authentication:
    """What all `authenticate` blocks, and `mtls` in meshes and namespaces, say together, by how their scope is shown."""

    report: Report
    modes: dict[str, Layered[MtlsMode]] = field(default_factory=dict)
    jwts: dict[str, Layered[ir.Jwt]] = field(default_factory=dict)

    def set_mode(self, target: Target, mode: MtlsMode, layer: int, span: Span) -> None:
        """Give a scope its mTLS mode."""
        self.modes.setdefault(target.shown, Layered(self.report)).give("mtls", mode, layer, span)

    def add_jwt(self, target: Target, jwt: ir.Jwt, layer: int) -> None:
        """Give a scope an issuer."""
        self.jwts.setdefault(target.shown, Layered(self.report)).give(f"jwt {jwt.name}", jwt, layer, jwt.span)

    def mode(self, service: ServiceInfo, port: PortInfo) -> Given[MtlsMode] | None:
        """The mode that the nearest scope gives a port; None where none says."""
        for shown in reversed(_scopes_of(service, port)):
            if shown in self.modes:
                return self.modes[shown].given.get("mtls")
        return None

    def issuers(self, service: ServiceInfo, port: PortInfo) -> tuple[ir.Jwt, ...]:
        """The issuers of a port, by name; a nearer scope's issuer replaces one of the same name."""
        found: dict[str, ir.Jwt] = {}
        for shown in _scopes_of(service, port):
            if shown in self.jwts:
                found.update({name: given.value for name, given in self.jwts[shown].given.items()})
        return tuple(found[name] for name in sorted(found))


def _scopes_of(service: ServiceInfo, port: PortInfo) -> tuple[str, ...]:
    """How the scopes that contain a port are shown, the widest first."""
    return "mesh", f"namespace {service.key[0]}", service.shown, f"{service.shown}:{port.number}"


def lower_authenticate(
    context: Context, world: World, node: ast.Authenticate, layer: int, authentication: Authentication
) -> None:
    """Add what one block says."""
    target = lower_scope(context, world, node.scope)
    if target is None:
        return
    if target.service is not None and target.service.is_external:
        message = f"`{target.shown}` lies outside the mesh, whose proxies cannot authenticate for it"
        context.report.add("protocol-mismatch", target.span, message)
        return
    if not has_ports(context, target):
        return
    for item in node.items:
        match item:
            case ast.Mtls():
                mode = context.word(item.mode, MTLS_MODES, "mTLS mode")
                _refuse_passthrough(context, target, item.span)
                if mode is not None:
                    authentication.set_mode(target, mode, layer, item.span)
            case ast.PortMtls():
                _lower_port_mode(context, target, item, layer, authentication)
            case ast.Jwt():
                jwt = _lower_jwt(context, item)
                _check_http(context, target, item)
                if jwt is not None:
                    authentication.add_jwt(target, jwt, layer)


def _lower_port_mode(
    context: Context, target: Target, item: ast.PortMtls, layer: int, authentication: Authentication
) -> None:
    mode = context.word(item.mode, MTLS_MODES, "mTLS mode")
    if target.service is None or target.nearness is Nearness.PORT:
        advice = "write `authenticate SERVICE { port N mtls … }`, or `mtls …` in the scope of the port"
        context.report.add("misplaced-setting", item.span, "`port` may stand in the scope of a service", advice=advice)
        return
    if isinstance(item.port, ast.Name):
        wanted = item.port.text
    else:
        number = values.integer(context, item.port, "a port", least=1, most=65535)
        if number is None:
            return
        wanted = str(number)
    port = named_port(target.service, wanted)
    if port is None:
        context.report.add("unknown-port", item.port.span, f"`{target.shown}` has no port `{wanted}`")
        return
    if mode is not None:
        shown = f"{target.shown}:{port.number}"
        narrow = Target(nearness=Nearness.PORT, service=target.service, port=port, shown=shown, span=item.span)
        _refuse_passthrough(context, narrow, item.span)
        authentication.set_mode(narrow, mode, layer, item.span)


def _refuse_passthrough(context: Context, target: Target, span: Span) -> None:
    """Report a mode for tls ports alone."""
    ports = target.named_ports()
    if ports and all(port.protocol is Protocol.TLS for port in ports):
        message = f"`{target.shown}` passes TLS through, so there is no mTLS of the mesh on it"
        advice = "leave it out; for mTLS of the mesh, declare the port as `tcp`"
        context.report.add("protocol-mismatch", span, message, advice=advice)


def _check_http(context: Context, target: Target, item: ast.Jwt) -> None:
    ports = target.named_ports()
    if ports and not any(port.protocol.is_http for port in ports):
        message = f"there are no requests that could carry a token on `{target.shown}`"
        context.report.add("protocol-mismatch", item.span, message)


@dataclass(slots=True)
class _Parts:
    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    jwks: tuple[str, str] | None = None
    from_headers: list[tuple[str, str]] = field(default_factory=list)
    forward: bool = False
    required: bool = False
    seen: dict[str, Span] = field(default_factory=dict)


def _lower_jwt(context: Context, node: ast.Jwt) -> ir.Jwt | None:
    parts = _Parts()
    for item in node.items:
        _read_item(context, item, parts)
    for missing, advice in (("issuer", 'add `issuer "https://idp.example"`'), ("jwks", 'add `jwks file "keys.json"`')):
        if missing not in parts.seen:
            message = f"jwt `{node.name.text}` has no `{missing}`"
            context.report.add("missing-setting", node.name.span, message, advice=advice)
    if parts.issuer is None or parts.jwks is None:
        return None
    return ir.Jwt(
        name=node.name.text,
        issuer=parts.issuer,
        audiences=parts.audiences,
        jwks_kind=parts.jwks[0],
        jwks=parts.jwks[1],
        from_headers=tuple(parts.from_headers) or (("authorization", "Bearer "),),
        forward=parts.forward,
        required=parts.required,
        span=node.span,
    )


def _read_item(
    context: Context,
    item: ast.JwtIssuer | ast.JwtAudiences | ast.Jwks | ast.JwtFromHeader | ast.JwtFlag,
    parts: _Parts,
) -> None:
    match item:
        case ast.JwtIssuer():
            _once(context, "issuer", item.span, parts)
            parts.issuer = values.text(context, item.issuer, "an issuer")
            if parts.issuer == "":
                context.report.add("missing-setting", item.span, "the issuer is empty")
        case ast.JwtAudiences():
            _once(context, "audiences", item.span, parts)
            parts.audiences = tuple(text for text, _ in values.texts(context, item.audiences, "an audience"))
        case ast.Jwks():
            _once(context, "jwks", item.span, parts)
            parts.jwks = _read_jwks(context, item)
        case ast.JwtFromHeader():
            name = read_header(context, item.header, for_rules=False)
            prefix = "" if item.prefix is None else values.text(context, item.prefix, "a prefix")
            if name is not None and prefix is not None:
                default = "Bearer " if name == "authorization" and item.prefix is None else prefix
                parts.from_headers.append((name, default))
        case ast.JwtFlag(kind="forward"):
            parts.forward = True
        case ast.JwtFlag():
            parts.required = True


def _once(context: Context, key: str, span: Span, parts: _Parts) -> None:
    if key in parts.seen:
        context.report.add("duplicate-setting", span, f"`{key}` is given twice", advice="keep one of the two")
    parts.seen[key] = span


def _read_jwks(context: Context, item: ast.Jwks) -> tuple[str, str] | None:
    text = values.text(context, item.location, "the place of the keys")
    if text is None:
        return None
    if item.kind == "file" and not text:
        context.report.add("missing-setting", item.span, "the file of the keys has no name")
        return None
    if item.kind == "url":
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            context.report.add(
                "invalid-host", item.span, f"`{text}` is no URL", advice='write `"https://idp.example/jwks"`'
            )
            return None
        if parts.scheme == "http":
            message = "keys that are fetched without TLS can be replaced on the way"
            context.report.add("invalid-host", item.span, message, advice="write `https://…`")
            return None
    if item.kind == "inline" and not _is_key_set(text):
        message = "this is no JSON Web Key Set"
        context.report.add("type-mismatch", item.span, message, advice='it looks like `{"keys": [{"kty": "RSA", …}]}`')
        return None
    return item.kind, text


def _is_key_set(text: str) -> bool:
    import json  # noqa: PLC0415  few programs hold keys inline

    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("keys"), list) and bool(document["keys"])
