"""Texts: tests of headers as Linkerd makes them. An expression has to match a whole value, and sees ASCII alone."""

import re
from typing import assert_never

from meshc import ir
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.resources.gateway import HeaderMatch, QueryMatch

_LONGEST = 4096


def header_match(name: str, test: ir.TextTest) -> HeaderMatch:
    """One test of a header. Raises InexpressibleError."""
    if isinstance(test, ir.Equals) and test.value:
        return HeaderMatch(type="Exact", name=name, value=test.value)
    pattern = f"^(?:{_expression(test)})$"
    if len(pattern) > _LONGEST:
        raise InexpressibleError(f"the test of `{name}` is too long for Linkerd", "shorten it")
    return HeaderMatch(type="RegularExpression", name=name, value=pattern)


def _expression(test: ir.TextTest) -> str:
    match test:
        case ir.Equals(value=value):
            return re.escape(value)
        case ir.StartsWith(value=value):
            return f"{re.escape(value)}.*"
        case ir.EndsWith(value=value):
            return f".*{re.escape(value)}"
        case ir.Matches(pattern=pattern):
            return pattern
        case ir.IsPresent():
            return ".*"
        case _:
            assert_never(test)


def query_match(name: str, test: ir.TextTest) -> QueryMatch:
    """One test of a query parameter, which Linkerd decodes first."""
    found = header_match(name, test)
    return QueryMatch(type=found.type, name=found.name, value=found.value)
