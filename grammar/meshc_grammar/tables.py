"""LALR(1) parse tables as plain data, and their form as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

Row = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShape:
    """One alternative of a rule: how a reduction by it takes symbols from the stack.

    `name` is that of the rule's callback, or empty where the only child stands for the rule (`?rule` with one child).
    `children` tells the callback's arguments in order: an index into the alternative's `size` symbols, None for an optional part that is
    absent, or `~index` for a symbol whose own children take its place. It is None where the symbols are the children as they are.
    """

    origin: str
    name: str
    size: int
    children: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of the whole grammar.

    A terminal is called by its text if it is a fixed one (`"timeout"`, `"{"`), else by its name in the grammar (`NAME`).
    `patterns` are the others with their regular expressions, the first that matches wins; `punctuation` the fixed ones that are no words,
    longest first. `actions[state][terminal]` is the state to shift to, or `~rule` to reduce; `gotos[state][origin]` the state after
    a reduction. `start` is the first state, and `accept` the one that follows a whole file. The end of the input is called `$END`.
    """

    patterns: tuple[tuple[str, str], ...]
    punctuation: tuple[str, ...]
    actions: tuple[Row, ...]
    gotos: tuple[Row, ...]
    rules: tuple[RuleShape, ...]
    start: int
    accept: int


def tables_to_json(tables: Tables, key: str) -> str:
    """The tables as JSON, with the `key` that they are found by."""
    return json.dumps(
        {
            "key": key,
            "patterns": tables.patterns,
            "punctuation": tables.punctuation,
            "actions": tables.actions,
            "gotos": tables.gotos,
            "rules": [(rule.origin, rule.name, rule.size, rule.children) for rule in tables.rules],
            "start": tables.start,
            "accept": tables.accept,
        },
        separators=(",", ":"),
    )


def json_to_tables(text: str, key: str) -> Tables:
    """The tables that `tables_to_json` wrote with the same `key`.

    Raises ValueError, KeyError or TypeError if the text is anything else.
    """
    data = json.loads(text)
    if data["key"] != key:
        raise ValueError("tables of another grammar")
    return Tables(
        patterns=tuple((name, pattern) for name, pattern in data["patterns"]),
        punctuation=tuple(data["punctuation"]),
        actions=tuple(data["actions"]),
        gotos=tuple(data["gotos"]),
        rules=tuple(
            RuleShape(origin=origin, name=name, size=size, children=None if children is None else tuple(children))
            for origin, name, size, children in data["rules"]
        ),
        start=data["start"],
        accept=data["accept"],
    )
