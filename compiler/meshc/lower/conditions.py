"""Operations and conditions: from syntax to the boolean algebra of `ir`, with every literal checked."""

import re
from collections.abc import Callable, Iterator, Sequence

from meshc import ast, ir
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.names import read_header
from meshc.path_patterns import PatternError, read_path_pattern, read_path_regex
from meshc.source import Span

_RPC = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)/(\*|[A-Za-z_][A-Za-z0-9_]*)")
_QUERY_TEXT = re.compile(r"[A-Za-z0-9._~-]*")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value may hold. Source: RFC 9110, 5.5."""
_HOST_TEXT = re.compile(r"[a-z0-9._~!$&'()+;=%-]*|\[[0-9a-f:.]*\]?")


def lower_operations(context: Context, operations: Sequence[ast.Operation]) -> ir.Condition:
    """Any of the operations; always true for none."""
    if not operations:
        return ir.ALWAYS
    conditions = [lowered for one in operations if (lowered := lower_operation(context, one)) is not None]
    return conditions[0] if len(conditions) == 1 else ir.AnyOf(tuple(conditions))


def lower_operation(context: Context, operation: ast.Operation) -> ir.Condition | None:
    """One operation as a condition; None after a report."""
    match operation:
        case ast.RpcOperation():
            pattern = read_rpc(context, operation)
            return None if pattern is None else all_of(ir.MethodIs(("POST",)), ir.PathIs(pattern))
        case ast.HttpOperation(methods=methods, path=path):
            parts: list[ir.Condition] = []
            if methods:
                parts.append(ir.MethodIs(tuple(sorted({checked_method(context, name) for name in methods}))))
            if path is not None:
                pattern = read_path(context, path)
                if pattern is None:
                    return None
                if pattern != ir.ANY_PATH or not methods:
                    parts.append(ir.PathIs(pattern))
            return all_of(*parts)


def checked_method(context: Context, name: ast.Name) -> str:
    """A method that can reach a service; others are reported."""
    if name.text == "CONNECT":
        context.report.add("invalid-method", name.span, "`CONNECT` requests are refused before any rule")
    elif name.text in {"GRPC", "TCP"}:
        advice = "write `rpc package.Service/Method`" if name.text == "GRPC" else "leave `to` out for tcp ports"
        context.report.add("invalid-method", name.span, f"`{name.text}` is no HTTP method", advice=advice)
    return name.text


def read_path(context: Context, path: ast.Path | ast.Regex) -> ir.PathPattern | None:
    """A path pattern; None after a report."""
    try:
        if isinstance(path, ast.Regex):
            return read_path_regex(path.pattern)
        return read_path_pattern(path.text)
    except PatternError as error:
        if isinstance(path, ast.Regex):
            name = "regex-too-large" if "instructions" in error.message else "invalid-regex"
        else:
            name = "invalid-path"
        context.report.add(name, path.span, error.message, advice=error.advice)
        return None


def read_rpc(context: Context, operation: ast.RpcOperation) -> ir.PathPattern | None:
    """The path of a gRPC method, or of every method of a service; None after a report."""
    text = values.text(context, operation.target, "an rpc")
    if text is None:
        return None
    match = _RPC.fullmatch(text)
    if match is None:
        advice = "write `rpc package.Service/Method` or `rpc package.Service/*`"
        context.report.add("invalid-path", operation.target.span, f"`{text}` names no gRPC method", advice=advice)
        return None
    if match[2] == "*":
        return ir.TemplatePath((match[1], None), ("method",), rest=False)
    return ir.ExactPath(f"/{text}")


def all_of(*conditions: ir.Condition) -> ir.Condition:
    """The conjunction, flat, without what is always true."""
    parts: list[ir.Condition] = []
    for one in conditions:
        parts.extend(one.conditions if isinstance(one, ir.AllOf) else (one,))
    return parts[0] if len(parts) == 1 else ir.AllOf(tuple(parts))


def lower_condition(context: Context, condition: ast.Condition | None) -> ir.Condition:
    """A condition; tests that are reported count as true, since nothing is compiled then."""
    match condition:
        case None:
            return ir.ALWAYS
        case ast.AllOf(conditions=parts):
            return all_of(*(lower_condition(context, part) for part in parts))
        case ast.AnyOf(conditions=parts):
            return ir.AnyOf(tuple(lower_condition(context, part) for part in parts))
        case ast.NotTest(condition=inner):
            return ir.Not(lower_condition(context, inner))
        case ast.Test():
            return _lower_test(context, condition)


def subject_kinds(condition: ast.Condition | None) -> Iterator[str]:
    """What the tests of a condition look at, as the syntax tree calls it."""
    match condition:
        case None:
            return
        case ast.Test(subject=subject):
            yield subject.kind
        case ast.NotTest(condition=inner):
            yield from subject_kinds(inner)
        case ast.AllOf(conditions=parts) | ast.AnyOf(conditions=parts):
            for part in parts:
                yield from subject_kinds(part)


def refuse_server_name(context: Context, condition: ast.Condition | None, why: str) -> None:
    """Report `sni` in a condition over requests, which do not carry one."""
    if condition is not None and "sni" in subject_kinds(condition):
        advice = "`sni` is known on `tls` ports alone; test `host`"
        message = f"{why}, and a request has no server name"
        context.report.add("protocol-mismatch", condition.span, message, advice=advice)


def _lower_test(context: Context, test: ast.Test) -> ir.Condition:
    if test.operator == "!=":
        return ir.Not(_lower_positive(context, test, "=="))
    if test.operator == "absent":
        return ir.Not(_lower_positive(context, test, "present"))
    return _lower_positive(context, test, test.operator)


def _lower_positive(context: Context, test: ast.Test, operator: str) -> ir.Condition:
    kind = test.subject.kind
    if kind in {"source-ip", "remote-ip"}:
        return _lower_address(context, test, operator)
    tests = _text_tests(context, test, operator)
    name = _subject_name(context, test)
    if tests is None or name is None:
        return ir.ALWAYS
    atoms = tuple(_atom(kind, name, one) for one in tests)
    return atoms[0] if len(atoms) == 1 else ir.AnyOf(atoms)


def _subject_name(context: Context, test: ast.Test) -> tuple[str, ...] | None:
    """What the subject's arguments name: a header, a parameter, or the steps to a claim; empty for other subjects."""
    subject = test.subject
    if subject.kind == "header":
        header = read_header(context, subject.arguments[0], for_rules=True)
        return None if header is None else (header,)
    names = [values.text(context, argument, f"the name of a {subject.kind}") for argument in subject.arguments]
    if any(name is None for name in names):
        return None
    known = tuple(name for name in names if name is not None)
    if subject.kind == "query":
        _check_query(context, known[0], subject.span)
    if "" in known:
        context.report.add("type-mismatch", subject.span, f"the name of a {subject.kind} is empty")
        return None
    return known


def _atom(kind: str, name: tuple[str, ...], test: ir.TextTest | ir.Contains) -> ir.Condition:
    if kind == "claim":
        return ir.ClaimIs(name, test)
    if kind == "issuer":
        return ir.ClaimIs(("iss",), test)
    if kind == "subject":
        return ir.ClaimIs(("sub",), test)
    if isinstance(test, ir.Contains):
        raise TypeError(kind)  # `_text_tests` reported it
    if kind == "header":
        return ir.HeaderIs(name[0], test)
    if kind == "query":
        return ir.QueryIs(name[0], test)
    return ir.HostIs(test) if kind == "host" else ir.SniIs(test)


def _text_tests(context: Context, test: ast.Test, operator: str) -> tuple[ir.TextTest | ir.Contains, ...] | None:
    kind = test.subject.kind
    what = f"the value of {_AN.get(kind, kind)}"
    if operator == "present":
        return (ir.IsPresent(),)
    if operator == "matches":
        pattern = values.regex(context, test.operands[0], what)
        return None if pattern is None else (ir.Matches(pattern),)
    if operator == "has" and kind != "claim":
        advice = "write `==`, or `in (…)` for one of several"
        context.report.add("type-mismatch", test.span, "`has` tests lists, and only claims can be lists", advice=advice)
        return None
    texts = list(values.texts(context, test.operands, what))
    for text, span in texts:
        _check_text(context, kind, text, operator, span)
    if operator != "in" and len(texts) > 1:
        advice = "write `in (…)`" if operator == "==" else ""
        context.report.add("type-mismatch", test.span, f"`{operator.replace('-', ' ')}` takes one value", advice=advice)
        return None
    return tuple(_MAKE[operator](text) for text, _ in texts) or None


_AN = {
    "header": "a header",
    "query": "a query parameter",
    "claim": "a claim",
    "host": "the host",
    "sni": "the server name",
}
_MAKE: dict[str, Callable[[str], ir.TextTest | ir.Contains]] = {
    "==": ir.Equals,
    "in": ir.Equals,
    "has": ir.Contains,
    "starts-with": ir.StartsWith,
    "ends-with": ir.EndsWith,
}


def _check_text(context: Context, kind: str, text: str, operator: str, span: Span) -> None:
    """Report a literal that no value can be, or that none can start or end with."""
    is_start, is_end = operator != "ends-with", operator != "starts-with"
    if kind == "query":
        _check_query(context, text, span)
    if kind == "header":
        blanks = (is_start and text[:1] in {" ", "\t"}) or (is_end and text[-1:] in {" ", "\t"})
        if blanks or CONTROL.search(text):
            advice = "control characters are refused" if not blanks else "blanks at both ends of a value are trimmed"
            message = f'no header can have the value `"{text}"`' if blanks else "no header can have such a value"
            context.report.add("invalid-header", span, message, advice=advice)
    if kind in {"host", "sni"} and (not _HOST_TEXT.fullmatch(text) or (is_end and text.endswith("."))):
        context.report.add("invalid-host", span, f"no request has the host `{text}`", advice=_host_advice(kind, text))


def _host_advice(kind: str, text: str) -> str:
    if text.startswith("*."):
        return f'write `{kind} ends with "{text[1:].lower()}"`'
    clean = text.lower().partition(":")[0].rstrip(".")
    if not _HOST_TEXT.fullmatch(clean):
        return "hosts are ASCII; international names are written as `xn--…`"
    return f'write `"{clean}"`: the host is judged in lower case, without port and final dot'


def _check_query(context: Context, text: str, span: Span) -> None:
    if not _QUERY_TEXT.fullmatch(text):
        context.report.add(
            "invalid-query-literal",
            span,
            f"`{text}` could be spelled in several ways in a query",
            advice='query parameters are judged as sent: use letters, digits, `-`, `.`, `_` and `~`, or `matches re"…"`',
        )


def _lower_address(context: Context, test: ast.Test, operator: str) -> ir.Condition:
    is_remote = test.subject.kind == "remote-ip"
    if is_remote and context.trusted_hops == 0:
        context.report.add(
            "remote-ip-untrusted",
            test.subject.span,
            "`remote ip` is read from a header that anybody can set",
            advice="set `trusted-hops N` in `mesh` if N proxies in front append to it, or test `source ip`",
        )
    if operator == "present":
        return ir.ALWAYS
    if operator not in {"==", "in"}:
        message = f"an address cannot be tested with `{operator.replace('-', ' ')}`"
        context.report.add("type-mismatch", test.span, message, advice="write `in (10.0.0.0/8)`")
        return ir.ALWAYS
    blocks = values.blocks(context, test.operands, "an address")
    address = ir.AddressOf.CLIENT if is_remote else ir.AddressOf.PEER
    return ir.AddressIn(address, blocks) if blocks else ir.ALWAYS
