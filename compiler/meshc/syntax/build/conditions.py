"""Sources, operations and conditions."""

from collections.abc import Callable, Mapping
from typing import Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.build.references import after_keyword, all_but_commas, name_to_ref, second
from meshc.syntax.machine import Children, Documented, Node, Part


def sources(c: Children, span: Span) -> ast.Sources:
    return ast.Sources(include=c[0], exclude=c[1] or (), span=span)


def source_service(c: Children, span: Span) -> ast.ServiceSource:
    return ast.ServiceSource(service=c[0], span=span)


def source_namespace(c: Children, span: Span) -> ast.NamespaceSource:
    return ast.NamespaceSource(namespace=c[1], span=span)


def source_group(c: Children, span: Span) -> ast.GroupSource:
    return ast.GroupSource(group=name_to_ref(c[1]), span=span)


def source_identity(c: Children, span: Span) -> ast.IdentitySource:
    return ast.IdentitySource(identity=c[1], span=span)


def source_authenticated(_: Children, span: Span) -> ast.AuthenticatedSource:
    return ast.AuthenticatedSource(span=span)


def source_anyone(_: Children, span: Span) -> ast.AnyoneSource:
    return ast.AnyoneSource(span=span)


def operation_http(c: Children, span: Span) -> ast.HttpOperation:
    return ast.HttpOperation(methods=c[0], path=c[1], span=span)


def operation_path(c: Children, span: Span) -> ast.HttpOperation:
    return ast.HttpOperation(path=c[0], span=span)


def operation_rpc(c: Children, span: Span) -> ast.RpcOperation:
    return ast.RpcOperation(target=c[1], span=span)


def any_of(c: Children, span: Span) -> ast.AnyOf:
    parts = (part.conditions if isinstance(part, ast.AnyOf) else (part,) for part in c[0::2])
    return ast.AnyOf(conditions=tuple(condition for part in parts for condition in part), span=span)


def all_of(c: Children, span: Span) -> ast.AllOf:
    parts = (part.conditions if isinstance(part, ast.AllOf) else (part,) for part in c[0::2])
    return ast.AllOf(conditions=tuple(condition for part in parts for condition in part), span=span)


def not_(c: Children, span: Span) -> ast.NotTest:
    return ast.NotTest(condition=c[1], span=span)


def test(c: Children, span: Span) -> ast.Test:
    operator, operands = c[1]
    return ast.Test(subject=c[0], operator=operator, operands=operands, span=span)


def _subject(kind: str) -> Node:
    def build(c: Children, span: Span) -> ast.Subject:
        arguments = tuple(child for child in c if not isinstance(child, str))
        return ast.Subject(kind=kind, arguments=arguments, span=span)

    return build


def _predicate(operator: str) -> Callable[[Children], tuple[str, tuple[ast.Literal, ...]]]:
    def build(c: Children) -> tuple[str, tuple[ast.Literal, ...]]:
        return operator, tuple(child for child in c if not isinstance(child, str))

    return build


PARTS: Final[Mapping[str, Part]] = {
    "except_clause": second,
    "source_list": all_but_commas,
    "from_clause": after_keyword,
    "to_clause": after_keyword,
    "methods": all_but_commas,
    "when_clause": second,
    "parenthesized": second,
    "equals": _predicate("=="),
    "not_equals": _predicate("!="),
    "one_of": _predicate("in"),
    "has": _predicate("has"),
    "starts_with": _predicate("starts-with"),
    "ends_with": _predicate("ends-with"),
    "matches": _predicate("matches"),
    "is_present": _predicate("present"),
    "is_absent": _predicate("absent"),
}
NODES: Final[Mapping[str, Node]] = {
    "sources": sources,
    "source_service": source_service,
    "source_namespace": source_namespace,
    "source_group": source_group,
    "source_identity": source_identity,
    "source_authenticated": source_authenticated,
    "source_anyone": source_anyone,
    "operation_http": operation_http,
    "operation_path": operation_path,
    "operation_rpc": operation_rpc,
    "any_of": any_of,
    "all_of": all_of,
    "not_": not_,
    "test": test,
    "subject_header": _subject("header"),
    "subject_query": _subject("query"),
    "subject_claim": _subject("claim"),
    "subject_issuer": _subject("issuer"),
    "subject_subject": _subject("subject"),
    "subject_host": _subject("host"),
    "subject_sni": _subject("sni"),
    "subject_source_ip": _subject("source-ip"),
    "subject_remote_ip": _subject("remote-ip"),
}
DOCUMENTED: Final[Mapping[str, Documented]] = {}
