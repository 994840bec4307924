"""Run the parse tables over a text: characters to the syntax tree in one pass, without a token list and without recursion.

The lexer is contextual: what a word is depends on what may stand there. Callbacks run as rules are reduced, so nothing but the syntax
tree is built. A run stops at the first place where the text leaves the grammar; its stacks then tell what was expected, and can be
repaired and run on. It accepts the same texts as lark's own parser; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from meshc.source import Span
from meshc.syntax.comments import Comment, doc_above
from meshc.syntax.leaves import LEAVES, Problem
from meshc.syntax.machine import CHILD, DOCUMENTED, LIST, NODE, Machine

END: Final = "$END"
MAX_NESTING: Final = 64
"""How many parentheses, `not` and blocks may stand inside each other."""

_NESTING: Final = frozenset(("(", "not", "{"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A terminal at a place. `kind` is its name in the tables; empty where the text has no token at all."""

    kind: str
    text: str
    start: int
    end: int


class Run:
    """One parse, which can be stopped, repaired and gone on with.

    The four stacks have one entry a symbol, `states` one more at the bottom. `values` are syntax trees, or the text of fixed words;
    `places` the offset, line and column where the symbol starts; `ends` the offset where it ends.
    """

    def __init__(self, machine: Machine, path: str, text: str) -> None:
        self.machine = machine
        self.path = path
        self.text = text
        self.position = 0
        self.line = 1
        self.line_start = 0
        self.states: list[int] = [machine.start]
        self.values: list[Any] = []
        self.places: list[tuple[int, int, int]] = []
        self.ends: list[int] = []
        self.comments: list[Comment] = []
        self.problems: list[Problem] = []
        self.pending: list[Token] = []
        self.is_too_deep = False
        self._own_lines: dict[int, Comment] = {}

    def run(self) -> Token | None:
        """Go on to the end of the text, or to the first token that the grammar refuses; that token is not consumed."""
        actions = self.machine.actions
        states, values, places, ends = self.states, self.values, self.places, self.ends
        leaf_of, problems, path, accept = LEAVES.get, self.problems, self.path, self.machine.accept
        while True:
            kind, value, start, end = self._next()
            action = actions[states[-1]].get(kind)
            while action is not None and action < 0:
                self._reduce(action)
                if kind is END and states[-1] == accept:
                    return None
                action = actions[states[-1]].get(kind)
            if action is None or (kind in _NESTING and self._is_deeper_than_allowed()):
                return Token(kind=kind, text=value, start=start, end=end)
            column = start - self.line_start + 1
            leaf = leaf_of(kind)
            values.append(value if leaf is None else leaf(value, Span(path, start, end, self.line, column), problems))
            states.append(action)
            places.append((start, self.line, column))
            ends.append(end)
            self.position = end

    def _next(self) -> tuple[str, str, int, int]:
        """The next token; comments on the way to it are kept. Its kind is empty if no token starts there."""
        if self.pending:
            token = self.pending.pop(0)
            return token.kind, token.text, token.start, token.end
        state = self.states[-1]
        lexer = self.machine.lexers.get(state) or self.machine.lexer(state)
        text = self.text
        while True:
            match = lexer(text, self.position)
            if match is None:
                self._skip_space()
                return "", text[self.position], self.position, self.position + 1
            group = match.lastgroup or ""
            start, end = match.span(group)
            if start > self.position:
                self.seek(start)
            if group == "NAME":
                word = match[group]
                return (word if word in self.machine.actions[state] else group), word, start, end
            if group == "FIXED":
                fixed = match[group]
                return fixed, fixed, start, end
            if group == "COMMENT":
                self.comment(start, end)
                continue
            return (END if group == "END" else group), match[group], start, end

    def _reduce(self, action: int) -> None:
        size, origin, shape, how, call = self.machine.reductions[~action]
        states, values = self.states, self.values
        if size == 1:
            states[-1] = self.machine.gotos[states[-2]][origin]
            if how == CHILD:
                return
            children = [values.pop()]
            place, end = self.places[-1], self.ends[-1]
        else:
            children = values[len(values) - size :]
            if size:
                del states[-size:], values[-size:]
            place, end = self._cut(size)
            states.append(self.machine.gotos[states[-1]][origin])
        if shape is not None:
            children = _arranged(children, shape)
        if how == NODE:
            values.append(call(children, Span(self.path, place[0], end, place[1], place[2])))
        elif how == LIST:
            values.append(children)
        elif how == DOCUMENTED:
            span = Span(self.path, place[0], end, place[1], place[2])
            values.append(call(children, span, self._doc(span) if self._own_lines else None))
        else:
            values.append(call(children))

    def _cut(self, size: int) -> tuple[tuple[int, int, int], int]:
        """Take the places of the last `size` symbols from the stacks, and put one for them all there."""
        places, ends = self.places, self.ends
        if size == 0:
            places.append((self.position, self.line, self.position - self.line_start + 1))
            ends.append(self.position)
        elif size > 1:
            ends[-size] = ends[-1]
            del places[1 - size :], ends[1 - size :]
        return places[-1], ends[-1]

    def accepts(self, *kinds: str, size: int | None = None) -> bool:
        """Whether these terminals, one after the other, could come next, or after the first `size` symbols. Nothing is changed."""
        states = self.states.copy() if size is None else self.states[: size + 1]
        return all(_shift(self.machine, states, kind) for kind in kinds)

    def expected(self, *, size: int | None = None) -> frozenset[str]:
        """Every terminal that could come next, or after the first `size` symbols."""
        state = self.states[-1] if size is None else self.states[size]
        return frozenset(kind for kind in self.machine.actions[state] if self.accepts(kind, size=size))

    def finish_statement(self) -> bool:
        """Reduce the statement before, if it is complete; whether it was. Any block can end, and anywhere outside a service start."""
        kind = next((kind for kind in ("}", "service") if self.accepts(kind)), None)
        while kind is not None and (action := self.machine.actions[self.states[-1]][kind]) < 0:
            self._reduce(action)
        return kind is not None

    def truncate(self, size: int) -> None:
        """Forget all symbols but the first `size`."""
        del self.states[size + 1 :], self.values[size:], self.places[size:], self.ends[size:]

    def frame(self) -> tuple[int, int]:
        """The innermost open block: the index of its `{` (-1 outside of all), and how many symbols stand before its unfinished statement."""
        brace = len(self.values) - 1
        while brace >= 0 and not (type(self.values[brace]) is str and self.values[brace] == "{"):
            brace -= 1
        size = brace + 1
        return brace, size + (size < len(self.values) and type(self.values[size]) is list)

    def seek(self, offset: int) -> None:
        """Go on at an offset; comments after it are forgotten, since they will be met again."""
        text, position = self.text, self.position
        newlines = text.count("\n", position, offset)
        if newlines:
            self.line += newlines
            self.line_start = text.rfind("\n", position, offset) + 1
        elif offset < position:
            self.line -= text.count("\n", offset, position)
            self.line_start = text.rfind("\n", 0, offset) + 1
            while self.comments and self.comments[-1].span.start >= offset:
                self._own_lines.pop(self.comments.pop().span.line, None)
        self.position = offset

    def _skip_space(self) -> None:
        text, offset = self.text, self.position
        while text[offset] in " \t\r\n":
            offset += 1
        self.seek(offset)

    def comment(self, start: int, end: int) -> None:
        """Keep the comment between two offsets, the first of which is on the current line, and go on after it."""
        span = Span(self.path, start, end, self.line, start - self.line_start + 1)
        is_own_line = not self.text[self.line_start : start].strip()
        comment = Comment(text=self.text[start:end].rstrip("\r"), is_own_line=is_own_line, span=span)
        self.comments.append(comment)
        if is_own_line:
            self._own_lines[self.line] = comment
        self.position = end

    def _doc(self, span: Span) -> str | None:
        if self.text[span.start - span.column + 1 : span.start].strip():
            return None
        return doc_above(self._own_lines, span.line)

    def _is_deeper_than_allowed(self) -> bool:
        if len(self.states) <= MAX_NESTING:
            return False
        self.is_too_deep = sum(type(value) is str and value in _NESTING for value in self.values) >= MAX_NESTING
        return self.is_too_deep


def _shift(machine: Machine, states: list[int], kind: str) -> bool:
    """Shift a terminal on a stack of states alone; False if it cannot be."""
    while (action := machine.actions[states[-1]].get(kind)) is not None:
        if action >= 0:
            states.append(action)
            return True
        size, origin, _, _, _ = machine.reductions[~action]
        if size:
            del states[-size:]
        states.append(machine.gotos[states[-1]][origin])
        if kind == END and states[-1] == machine.accept:
            return True
    return False


def _arranged(children: list[Any], shape: Iterable[int | None]) -> list[Any]:
    """The arguments of a callback: see `meshc_grammar.RuleShape`."""
    arranged: list[Any] = []
    for index in shape:
        if index is None:
            arranged.append(None)
        elif index >= 0:
            arranged.append(children[index])
        elif arranged:
            arranged.extend(children[~index])
        else:  # a growing list is carried on, not copied, so that long lists take linear time
            arranged = children[~index]
    return arranged
