"""The parse tables, made ready to run: a lexer for each state, and the callback of each rule."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from meshc.source import Span
from meshc_grammar import Tables

Children = list[Any]
Part = Callable[[Children], Any]
Node = Callable[[Children, Span], Any]
Documented = Callable[[Children, Span, str | None], Any]

Lexer = Callable[[str, int], re.Match[str] | None]

PART, NODE, DOCUMENTED, CHILD, LIST = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What reductions call, by the rule's name: without a span, with one, or with one and the doc comment."""

    parts: Mapping[str, Part]
    nodes: Mapping[str, Node]
    documented: Mapping[str, Documented]


class Machine:
    """The tables, made ready to run."""

    def __init__(self, source: Tables, callbacks: Callbacks) -> None:
        self.actions = source.actions
        self.gotos = source.gotos
        self.start = source.start
        self.accept = source.accept
        self.reductions = tuple(
            (rule.size, rule.origin, rule.children, *_callback(rule.origin, rule.name, callbacks))
            for rule in source.rules
        )
        self._patterns = source.patterns
        self._punctuation = "|".join(re.escape(text) for text in source.punctuation)
        self.lexers: dict[int, Lexer] = {}
        self._lexer_of_patterns = cache(self._compile)

    def lexer(self, state: int) -> Lexer:
        """The function that finds the next token in a state; made when the state is first met, and then in `lexers`."""
        row = self.actions[state]
        found = self._lexer_of_patterns(tuple(part for part in self._patterns if part[0] in row or part[0] == "NAME"))
        self.lexers[state] = found
        return found

    def _compile(self, patterns: tuple[tuple[str, str], ...]) -> Lexer:
        words = "|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns)
        return re.compile(
            rf"[ \t\r\n]*(?:{words}|(?P<FIXED>{self._punctuation})|(?P<COMMENT>#[^\n]*)|(?P<END>\Z))"
        ).match


def _callback(origin: str, name: str, callbacks: Callbacks) -> tuple[int, Callable[..., Any]]:
    if origin.startswith("_"):
        return LIST, list
    if not name:
        return CHILD, list
    if name in callbacks.documented:
        return DOCUMENTED, callbacks.documented[name]
    if name in callbacks.nodes:
        return NODE, callbacks.nodes[name]
    return PART, callbacks.parts[name]
