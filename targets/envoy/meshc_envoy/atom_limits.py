"""What the spelling of a single test decides about Envoy: the size of expressions, and what it reads otherwise."""

from collections.abc import Iterator

import re2

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.source import Span
from meshc_envoy.conditions import path_matchers
from meshc_envoy.joined_headers import JOINED
from meshc_envoy.queries import is_plain_query_name, query_expression
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import MAX_PROGRAM, caseless_matcher, spells_upper_case, text_matcher, trimmed_matcher


def check_atom(atom: ir.Atom, span: Span) -> Iterator[Diagnostic]:
    """What Envoy cannot test exactly of one atom; `span` is the place to blame."""
    for expression in _expressions(atom):
        if (size := program_size(expression)) > MAX_PROGRAM:
            message = (
                f"a test makes a regular expression of {size} instructions for envoy, whose limit is {MAX_PROGRAM}"
            )
            yield diagnose("regex-too-large", span, message, advice="shorten it, or split it into several tests")
    match atom:
        case ir.HostIs(ir.Matches(pattern)) | ir.SniIs(ir.Matches(pattern)) if spells_upper_case(pattern):
            message = f'envoy cannot test a host for `re"{pattern}"` exactly, because it names upper-case letters'
            advice = "hosts are compared in lower case: write the pattern in lower case"
            yield diagnose("unsupported-by-target", span, message, advice=advice)
        case ir.HeaderIs(name, ir.Equals("")) if name in JOINED:
            message = f"envoy drops empty lines of `{name}`, so it cannot test for them"
            advice = "test `is absent`, or for the values that are meant"
            yield diagnose("unsupported-by-target", span, message, advice=advice)
        case ir.QueryIs(name, _) if not is_plain_query_name(name):
            message = f"envoy cannot read the query parameter `{name}`"
            advice = "names of letters, digits and `-._~` can be tested"
            yield diagnose("unsupported-by-target", span, message, advice=advice)
        case _:
            pass


def program_size(expression: str) -> int:
    """The number of RE2 instructions, as Envoy counts them; 0 for what is no regular expression (Envoy will say so)."""
    options = re2.Options()
    options.log_errors = False
    try:
        return int(re2.compile(expression, options).programsize)
    except re2.error:
        return 0


def _expressions(atom: ir.Atom) -> tuple[str, ...]:
    match atom:
        case ir.PathIs(pattern):
            return tuple(text for matcher in path_matchers(pattern) for text in _regex_of(matcher))
        case ir.HeaderIs(_, test) if not isinstance(test, ir.IsPresent):
            return _regex_of(trimmed_matcher(test))
        case ir.HostIs(test) | ir.SniIs(test) if not isinstance(test, ir.IsPresent):
            return _regex_of(caseless_matcher(test))
        case ir.QueryIs(name, test):
            return _query_expressions(name, test)
        case ir.ClaimIs(_, test) if not isinstance(test, ir.IsPresent | ir.Contains):
            return _regex_of(text_matcher(test))
        case _:
            return ()


def _query_expressions(name: str, test: ir.TextTest) -> tuple[str, ...]:
    if isinstance(test, ir.Matches):
        return (test.pattern,)
    expression = query_expression(name, test)
    return () if expression is None else (expression,)


def _regex_of(matcher: Object | None) -> tuple[str, ...]:
    found = matcher.get("safe_regex") if matcher is not None else None
    return (str(found["regex"]),) if isinstance(found, dict) else ()
