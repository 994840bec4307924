"""Invariants, tests, environments and the whole file."""

from collections.abc import Mapping
from typing import Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.build.references import after_keyword, second
from meshc.syntax.machine import Children, Documented, Node, Part

_Outcome = tuple[ast.Value | None, ast.Text | None]


def start(c: Children) -> tuple[ast.Declaration, ...]:
    return tuple(c)


def environment_decl(c: Children, span: Span, doc: str | None) -> ast.Environment:
    return ast.Environment(name=c[1], declarations=tuple(c[3:-1]), doc=doc, span=span)


def invariant_decl(c: Children, span: Span, doc: str | None) -> ast.Invariant:
    return ast.Invariant(title=c[1], claims=tuple(c[3:-1]), doc=doc, span=span)


def reach(c: Children, span: Span) -> ast.Reach:
    return ast.Reach(
        mode=c[0],
        sources=c[1],
        target=c[3],
        addresses=c[4] or (),
        operations=c[5] or (),
        condition=c[6],
        transitively=c[7] is not None,
        span=span,
    )


def encrypted(c: Children, span: Span) -> ast.Encrypted:
    return ast.Encrypted(target=c[1], span=span)


def test_decl(c: Children, span: Span, doc: str | None) -> ast.TestDecl:
    return ast.TestDecl(title=c[1], cases=tuple(c[3:-1]), doc=doc, span=span)


def test_access(c: Children, span: Span) -> ast.AccessTest:
    return ast.AccessTest(expected=c[0], request=c[1], span=span)


def test_route(c: Children, span: Span) -> ast.RouteTest:
    return ast.RouteTest(request=c[1], destination=c[3], span=span)


def test_expect(c: Children, span: Span) -> ast.ExpectTest:
    status, redirect = c[3]
    return ast.ExpectTest(request=c[1], status=status, redirect=redirect, span=span)


def expect_status(c: Children) -> _Outcome:
    return c[1], None


def expect_redirect(c: Children) -> _Outcome:
    return None, c[1]


def request(c: Children, span: Span) -> ast.RequestLine:
    return ast.RequestLine(
        source=c[0], method=c[1], service=c[2], target=c[3], address=c[4], attributes=c[5] or (), span=span
    )


def request_target(c: Children) -> ast.String:
    target = c[0]
    return ast.String(value=target.text, span=target.span) if isinstance(target, ast.Path) else target


def attribute(c: Children, span: Span) -> ast.Attribute:
    return ast.Attribute(kind=c[0], names=tuple(c[1:-1]), value=c[-1], span=span)


PARTS: Final[Mapping[str, Part]] = {
    "start": start,
    "expect_status": expect_status,
    "expect_redirect": expect_redirect,
    "request_target": request_target,
    "request_from": second,
    "request_with": after_keyword,
}
NODES: Final[Mapping[str, Node]] = {
    "reach": reach,
    "encrypted": encrypted,
    "test_access": test_access,
    "test_route": test_route,
    "test_expect": test_expect,
    "request": request,
    "with_header": attribute,
    "with_query": attribute,
    "with_host": attribute,
    "with_claim": attribute,
}
DOCUMENTED: Final[Mapping[str, Documented]] = {
    "environment_decl": environment_decl,
    "invariant_decl": invariant_decl,
    "test_decl": test_decl,
}
