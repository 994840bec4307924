"""Access, limits, authentication and telemetry."""

from collections.abc import Mapping
from typing import Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.build.references import first, second
from meshc.syntax.machine import Children, Documented, Node, Part


def access_decl(c: Children, span: Span, doc: str | None) -> ast.Access:
    return ast.Access(scope=c[1], rules=tuple(c[3:-1]), doc=doc, span=span)


def scope_mesh(_: Children, span: Span) -> ast.MeshScope:
    return ast.MeshScope(span=span)


def scope_namespace(c: Children, span: Span) -> ast.NamespaceScope:
    return ast.NamespaceScope(namespace=c[1], span=span)


def scope_service(c: Children, span: Span) -> ast.ServiceScope:
    return ast.ServiceScope(service=c[0], span=span)


def rule(c: Children, span: Span, doc: str | None) -> ast.Rule:
    shadow, action, sources, addresses, operations, condition, *notes = c
    return ast.Rule(
        shadow=shadow is not None,
        action=action,
        sources=sources,
        addresses=addresses or (),
        operations=operations or (),
        condition=condition,
        notes=tuple(notes),
        doc=doc,
        span=span,
    )


def because(c: Children, span: Span) -> ast.Because:
    return ast.Because(text=c[1], span=span)


def until(c: Children, span: Span) -> ast.Until:
    return ast.Until(date=c[1], span=span)


def rate_limit_decl(c: Children, span: Span, doc: str | None) -> ast.RateLimit:
    return ast.RateLimit(service=c[1], limits=tuple(c[3:-1]), doc=doc, span=span)


def limit(c: Children, span: Span) -> ast.Limit:
    return ast.Limit(rate=c[0], burst=c[1], per=c[2], operations=c[3] or (), condition=c[4], span=span)


def per_source(_: Children, span: Span) -> ast.PerSource:
    return ast.PerSource(span=span)


def per_header(c: Children, span: Span) -> ast.PerHeader:
    return ast.PerHeader(header=c[2], span=span)


def authenticate_decl(c: Children, span: Span, doc: str | None) -> ast.Authenticate:
    return ast.Authenticate(scope=c[1], items=tuple(c[3:-1]), doc=doc, span=span)


def port_mtls(c: Children, span: Span) -> ast.PortMtls:
    return ast.PortMtls(port=c[1], mode=c[3], span=span)


def jwt(c: Children, span: Span, doc: str | None) -> ast.Jwt:
    return ast.Jwt(name=c[1], items=tuple(c[3:-1]), doc=doc, span=span)


def jwt_issuer(c: Children, span: Span) -> ast.JwtIssuer:
    return ast.JwtIssuer(issuer=c[1], span=span)


def jwt_audiences(c: Children, span: Span) -> ast.JwtAudiences:
    return ast.JwtAudiences(audiences=tuple(c[1::2]), span=span)


def jwks(c: Children, span: Span) -> ast.Jwks:
    return ast.Jwks(kind=c[1], location=c[2], span=span)


def jwt_from_header(c: Children, span: Span) -> ast.JwtFromHeader:
    return ast.JwtFromHeader(header=c[1], prefix=c[2], span=span)


def jwt_flag(c: Children, span: Span) -> ast.JwtFlag:
    return ast.JwtFlag(kind=c[0], span=span)


def telemetry_decl(c: Children, span: Span, doc: str | None) -> ast.Telemetry:
    return ast.Telemetry(scope=c[1], items=tuple(c[3:-1]), doc=doc, span=span)


def access_log(c: Children, span: Span) -> ast.AccessLog:
    return ast.AccessLog(format=c[1], condition=c[2], span=span)


def trace(c: Children, span: Span) -> ast.Trace:
    return ast.Trace(sampling=c[1], collector=c[4], span=span)


def metrics(_: Children, span: Span) -> ast.Metrics:
    return ast.Metrics(span=span)


PARTS: Final[Mapping[str, Part]] = {
    "burst": second,
    "port_key": first,
}
NODES: Final[Mapping[str, Node]] = {
    "scope_mesh": scope_mesh,
    "scope_namespace": scope_namespace,
    "scope_service": scope_service,
    "because": because,
    "until": until,
    "limit": limit,
    "per_source": per_source,
    "per_header": per_header,
    "port_mtls": port_mtls,
    "jwt_issuer": jwt_issuer,
    "jwt_audiences": jwt_audiences,
    "jwks_file": jwks,
    "jwks_url": jwks,
    "jwks_inline": jwks,
    "jwt_from_header": jwt_from_header,
    "jwt_forward": jwt_flag,
    "jwt_required": jwt_flag,
    "access_log": access_log,
    "trace": trace,
    "metrics": metrics,
}
DOCUMENTED: Final[Mapping[str, Documented]] = {
    "access_decl": access_decl,
    "rule": rule,
    "rate_limit_decl": rate_limit_decl,
    "authenticate_decl": authenticate_decl,
    "jwt": jwt,
    "telemetry_decl": telemetry_decl,
}
