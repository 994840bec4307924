"""Single tests as the matches of a Gateway API route."""

import re
from collections.abc import Mapping
from typing import Final, assert_never, get_args

from meshc import ir
from meshc.features import REGISTERED_METHODS
from meshc.semantics.languages.re2_syntax import read_re2
from meshc_linkerd.predicates import HeaderTest, HostTest, MethodTest, QueryTest, TabledError, Test, UntestableError
from meshc_linkerd.regular import MAX_LENGTH, UnprintableError, printed, quoted
from meshc_linkerd.resources.gateway import HeaderMatch, Method, QueryMatch

METHODS: Final[Mapping[str, Method]] = {method: method for method in get_args(Method)}
"""The methods that a match can name."""

_HOST: Final = re.compile(r"(?=.{1,251}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]*")
_ADDRESS: Final = re.compile(r"[0-9.]+")
_MAX_HEADER: Final = 4096
_DROPPED: Final = ("x-forwarded-client-cert", "x-envoy-")
"""Headers that the language never sees, by their beginnings."""


def check_test(test: Test) -> None:
    """Raises UntestableError for a test that no match can make, the text names it; TabledError where the table says so."""
    match test:
        case MethodTest(method):
            if method not in REGISTERED_METHODS:
                raise TabledError
            if method not in METHODS:
                raise UntestableError(f"the method `{method}`")
        case HostTest(name):
            if _HOST.fullmatch(name) is None or _ADDRESS.fullmatch(name) is not None:
                raise UntestableError(f"the host `{name}`")
        case HeaderTest(name):
            if _NAME.fullmatch(name) is None or name.startswith(_DROPPED):
                raise UntestableError(f"the header `{name}`")
            for refuses in (False, True):
                header_match(test, refuses=refuses)
        case QueryTest(name):
            if _NAME.fullmatch(name) is None or _PLAIN.fullmatch(name) is None:
                raise UntestableError(f"the query parameter `{name}`")
            query_match(test)
        case _:
            assert_never(test)


def method_name(method: str) -> Method:
    """The method as a match names it; one that `check_test` let pass."""
    return METHODS[method]


def header_match(test: HeaderTest, *, refuses: bool) -> HeaderMatch:
    """A test of one line. Where requests are refused for it, blanks around the value, which HTTP/2 can send, do not help."""
    only = test.tests[0] if len(test.tests) == 1 else None
    if isinstance(only, ir.Equals) and only.value and only.value.isascii() and not refuses:
        found = HeaderMatch(type="Exact", name=test.name, value=only.value)
    else:
        inner = "|".join(_expression(one, f"the header `{test.name}`") for one in test.tests)
        value = rf"^[ \t]*(?:{inner})[ \t]*$" if refuses else f"^(?:{inner})$"
        found = HeaderMatch(type="RegularExpression", name=test.name, value=value)
    if len(found.value) > _MAX_HEADER:
        raise UntestableError(f"a test of the header `{test.name}` with more than {_MAX_HEADER} characters")
    return found


def query_match(test: QueryTest) -> QueryMatch:
    """A test of one value that says the same of it as sent and as decoded. Raises UntestableError and TabledError for others."""
    for one in test.tests:
        _check_spelling(one, test.name)
    return decoded_query_match(test)


def decoded_query_match(test: QueryTest) -> QueryMatch:
    """A test of one value as Linkerd decodes it, which may differ from the value as sent."""
    inner = "|".join(_expression(one, f"the query parameter `{test.name}`") for one in test.tests)
    only = test.tests[0] if len(test.tests) == 1 else None
    if isinstance(only, ir.Equals) and only.value:
        found = QueryMatch(type="Exact", name=test.name, value=only.value)
    else:
        found = QueryMatch(type="RegularExpression", name=test.name, value=f"^(?:{inner})$")
    if len(found.value) > MAX_LENGTH:
        raise UntestableError(f"a test of the query parameter `{test.name}` with more than {MAX_LENGTH} characters")
    return found


def _check_spelling(test: ir.TextTest, name: str) -> None:
    """Values are decoded before they are tested; so only what has one spelling, which says the same in both, can be asked."""
    match test:
        case ir.Equals(value) | ir.StartsWith(value) if not _PLAIN.fullmatch(value):
            raise UntestableError(f"the query parameter `{name}` for `{value}`, which has more than one spelling")
        case ir.Equals() | ir.StartsWith() | ir.IsPresent():
            return
        case ir.EndsWith() | ir.Matches():
            raise TabledError
        case _:
            assert_never(test)


def _expression(test: ir.TextTest, shown: str) -> str:
    match test:
        case ir.IsPresent():
            return "(?s:.)*"
        case ir.Matches(pattern):
            try:
                return f"(?:{printed(read_re2(pattern))})"
            except UnprintableError:
                raise UntestableError(f"{shown} by an expression over bytes beyond ASCII or word ends") from None
        case ir.Equals(value) | ir.StartsWith(value) | ir.EndsWith(value) if not value.isascii():
            raise UntestableError(f"{shown} for text beyond ASCII")
        case ir.Equals(value):
            return quoted(value)
        case ir.StartsWith(value):
            return f"{quoted(value)}(?s:.)*"
        case ir.EndsWith(value):
            return f"(?s:.)*{quoted(value)}"
        case _:
            assert_never(test)
