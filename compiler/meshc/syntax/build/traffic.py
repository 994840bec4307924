"""Lets, groups, profiles, settings and routes."""

from collections.abc import Mapping
from typing import Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.build.references import after_keyword, first, second
from meshc.syntax.build.services import braced
from meshc.syntax.machine import Children, Documented, Node, Part


def let_decl(c: Children, span: Span, doc: str | None) -> ast.Let:
    return ast.Let(name=c[1], values=tuple(c[3::2]), doc=doc, span=span)


def group_decl(c: Children, span: Span, doc: str | None) -> ast.Group:
    return ast.Group(name=c[1], members=c[3], doc=doc, span=span)


def profile_decl(c: Children, span: Span, doc: str | None) -> ast.Profile:
    settings = tuple(c[5:-1])
    return ast.Profile(name=c[1], parameters=c[2] or (), uses=c[3] or (), settings=settings, doc=doc, span=span)


def parameters(c: Children) -> tuple[ast.Parameter, ...]:
    return tuple(child for child in c if isinstance(child, ast.Parameter))


def parameter(c: Children, span: Span) -> ast.Parameter:
    return ast.Parameter(name=c[0], type=c[2], default=c[4], span=span)


def traffic_decl(c: Children, span: Span, doc: str | None) -> ast.Traffic:
    items = c[4:-1]
    return ast.Traffic(
        service=c[1],
        uses=c[2] or (),
        settings=tuple(item for item in items if not isinstance(item, ast.Route)),
        routes=tuple(item for item in items if isinstance(item, ast.Route)),
        doc=doc,
        span=span,
    )


def route(c: Children, span: Span, doc: str | None) -> ast.Route:
    *head, condition, by, destinations, settings = c
    return ast.Route(
        operations=tuple(head[1::2]),
        condition=condition,
        by=by or (),
        destinations=destinations or (),
        settings=settings or (),
        doc=doc,
        span=span,
    )


def timeout(c: Children, span: Span) -> ast.Timeout:
    return ast.Timeout(kind=c[0], duration=c[1], span=span)


def retry(c: Children, span: Span) -> ast.Retry:
    return ast.Retry(attempts=c[1], conditions=tuple(c[3:-1:2]), options=c[-1] or (), span=span)


def retry_never(_: Children, span: Span) -> ast.RetryNever:
    return ast.RetryNever(span=span)


def load_balance(c: Children, span: Span) -> ast.LoadBalance:
    return ast.LoadBalance(policy=c[1], by=c[2], span=span)


def hash_named(c: Children, span: Span) -> ast.HashBy:
    return ast.HashBy(kind=c[1], name=c[2], span=span)


def hash_source_ip(_: Children, span: Span) -> ast.HashBy:
    return ast.HashBy(kind="source-ip", span=span)


def circuit_breaker(c: Children, span: Span) -> ast.CircuitBreaker:
    return ast.CircuitBreaker(options=c[1], span=span)


def outlier_detection(c: Children, span: Span) -> ast.OutlierDetection:
    return ast.OutlierDetection(options=c[1], span=span)


def health_check(c: Children, span: Span) -> ast.HealthCheck:
    return ast.HealthCheck(method=c[1], path=c[2], options=c[3] or (), span=span)


def locality_prefer(_: Children, span: Span) -> ast.LocalityPrefer:
    return ast.LocalityPrefer(span=span)


def locality_failover(c: Children, span: Span) -> ast.LocalityFailover:
    return ast.LocalityFailover(source=c[2], target=c[4], span=span)


def fault_delay(c: Children, span: Span) -> ast.FaultDelay:
    return ast.FaultDelay(duration=c[2], share=c[4], condition=c[5], span=span)


def fault_abort(c: Children, span: Span) -> ast.FaultAbort:
    return ast.FaultAbort(status=c[2], share=c[4], condition=c[5], span=span)


def mirror(c: Children, span: Span) -> ast.Mirror:
    return ast.Mirror(share=c[1], target=c[3], span=span)


def split(c: Children, span: Span) -> ast.Split:
    return ast.Split(destinations=tuple(c[1::2]), span=span)


def write_header(c: Children, span: Span) -> ast.HeaderChange:
    return ast.HeaderChange(operation=c[0], direction=c[1], name=c[3], value=c[4], span=span)


def remove_header(c: Children, span: Span) -> ast.HeaderChange:
    return ast.HeaderChange(operation=c[0], direction=c[1], name=c[3], span=span)


def rewrite_path(c: Children, span: Span) -> ast.RewritePath:
    return ast.RewritePath(path=c[2], span=span)


def rewrite_host(c: Children, span: Span) -> ast.RewriteHost:
    return ast.RewriteHost(host=c[2], span=span)


def redirect(c: Children, span: Span) -> ast.Redirect:
    return ast.Redirect(target=c[1], status=c[2], span=span)


def respond(c: Children, span: Span) -> ast.Respond:
    return ast.Respond(status=c[1], body=c[2], span=span)


def tls(c: Children, span: Span) -> ast.Tls:
    return ast.Tls(items=tuple(c[2:-1]), span=span)


def tls_ca(c: Children, span: Span) -> ast.TlsCa:
    return ast.TlsCa(file=c[2], span=span)


def tls_sni(c: Children, span: Span) -> ast.TlsSni:
    return ast.TlsSni(name=c[1], span=span)


PARTS: Final[Mapping[str, Part]] = {
    "parameters": parameters,
    "by_clause": second,
    "arrow_clause": after_keyword,
    "route_body": braced,
    "retry_condition": first,
    "redirect_status": second,
}
NODES: Final[Mapping[str, Node]] = {
    "parameter": parameter,
    "timeout": timeout,
    "idle_timeout": timeout,
    "connect_timeout": timeout,
    "retry": retry,
    "retry_never": retry_never,
    "load_balance": load_balance,
    "hash_header": hash_named,
    "hash_cookie": hash_named,
    "hash_source_ip": hash_source_ip,
    "circuit_breaker": circuit_breaker,
    "outlier_detection": outlier_detection,
    "health_check": health_check,
    "locality_prefer": locality_prefer,
    "locality_failover": locality_failover,
    "fault_delay": fault_delay,
    "fault_abort": fault_abort,
    "mirror": mirror,
    "split": split,
    "set_header": write_header,
    "add_header": write_header,
    "remove_header": remove_header,
    "rewrite_path": rewrite_path,
    "rewrite_host": rewrite_host,
    "redirect": redirect,
    "respond": respond,
    "tls": tls,
    "tls_ca": tls_ca,
    "tls_sni": tls_sni,
}
DOCUMENTED: Final[Mapping[str, Documented]] = {
    "let_decl": let_decl,
    "group_decl": group_decl,
    "profile_decl": profile_decl,
    "traffic_decl": traffic_decl,
    "route": route,
}
