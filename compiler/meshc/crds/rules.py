"""CEL rules of a schema: `x-kubernetes-validations`, and lists that are sets or maps.

Rules that compare with an older version of the object hold when one is created. A rule that cannot be evaluated here is
said to be not decided, which is no pass. Source: Kubernetes, "Validation rules".
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import cel

from meshc.crds.cel_functions import FUNCTIONS
from meshc.crds.read import Schema, fields, items
from meshc.target import Json

_RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_SPECIAL: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ODD: Final = re.compile(r"__|[.\-/]")

Path = tuple[str | int, ...]
Found = tuple[Path, str]
"""Where in an object, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class _Rule:
    source: str
    message: str
    run: Callable[[Json], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of a part of a schema and of what it holds; parts without any are left out.

    `keys` names the fields that tell the items of a list apart: None where they may repeat, and none of them where the
    items themselves must differ.
    """

    own: tuple[_Rule, ...] = ()
    keys: tuple[str, ...] | None = None
    properties: Mapping[str, "Rules"] = field(default_factory=dict)
    others: "Rules | None" = None
    each: "Rules | None" = None
    schema: Schema = field(default_factory=dict)

    def broken(self, value: Json, path: Path = ()) -> Iterator[Found]:
        """The rules that a value does not fulfil, outer ones first."""
        if self.own:
            seen = _for_cel(self.schema, value)
            yield from ((path, problem) for rule in self.own if (problem := _problem(rule, seen)) is not None)
        if isinstance(value, Mapping):
            for name, inner in value.items():
                rules = self.properties.get(name) or (None if name in self.properties else self.others)
                if rules is not None:
                    yield from rules.broken(inner, (*path, name))
        elif isinstance(value, list | tuple):
            if self.keys is not None:
                yield from _repeated(self.keys, value, path)
            for place, inner in enumerate(value if self.each is not None else ()):
                if self.each is not None:
                    yield from self.each.broken(inner, (*path, place))


def read_rules(schema: Schema) -> Rules | None:
    """The rules of a schema; None if there are none."""
    if not schema:
        return None
    own = tuple(_rules(items(schema.get("x-kubernetes-validations"))))
    found = {name: read_rules(fields(inner)) for name, inner in fields(schema.get("properties")).items()}
    properties = {name: rules for name, rules in found.items() if rules is not None}
    others = read_rules(fields(schema.get("additionalProperties")))
    each = read_rules(fields(schema.get("items")))
    keys = _keys(schema)
    if not (own or properties or others or each) and keys is None:
        return None
    return Rules(own=own, keys=keys, properties=properties, others=others, each=each, schema=schema)


def _keys(schema: Schema) -> tuple[str, ...] | None:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return ()
        case "map":
            return tuple(str(one) for one in items(schema.get("x-kubernetes-list-map-keys")))
        case _:
            return None


def _rules(declared: Iterable[Json]) -> Iterator[_Rule]:
    for one in map(fields, declared):
        source = one.get("rule")
        if not isinstance(source, str) or re.search(r"\boldSelf\b", source):
            continue
        message = one.get("message")
        yield _Rule(
            source, message if isinstance(message, str) else f"breaks the rule `{_line(source)}`", _program(source)
        )


@cache
def _program(source: str) -> Callable[[Json], bool]:
    """A rule, ready to run. Raises ValueError when run if the library does not take it."""
    try:
        program = cel.compile(source)
    except ValueError as error:
        problem = str(error)

        def refuse(_: Json) -> bool:
            raise ValueError(problem)

        return refuse

    def run(value: Json) -> bool:
        context = cel.Context(variables={"self": value}, functions=dict(FUNCTIONS))
        return program.execute(context) is True

    return run


def _problem(rule: _Rule, value: Json) -> str | None:
    try:
        return None if rule.run(value) else rule.message
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        return f"the rule `{_line(rule.source)}` is not decided: {_line(str(error))}"


def _line(text: str) -> str:
    return " ".join(text.split())


# ---- values as CEL sees them ----------------------------------------------------------------------------------------


def _for_cel(schema: Schema, value: Json) -> Json:
    """A value whose fields have the names that CEL can say. Keys of maps, which no schema names, stay."""
    if isinstance(value, Mapping):
        properties = fields(schema.get("properties"))
        others = fields(schema.get("additionalProperties"))
        return {
            _escaped(name) if name in properties else name: _for_cel(fields(properties.get(name, others)), inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        each = fields(schema.get("items"))
        return [_for_cel(each, inner) for inner in value]
    return value


@cache
def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    return _ODD.sub(lambda found: _SPECIAL[found[0]], name)


def _repeated(keys: tuple[str, ...], value: Iterable[Json], path: Path) -> Iterator[Found]:
    seen: set[str] = set()
    for place, item in enumerate(value):
        told = repr([fields(item).get(key) for key in keys]) if keys else repr(item)
        if told in seen:
            same = f"the same {', '.join(keys)}" if keys else "the same value"
            yield (*path, place), f"another item has {same}"
        seen.add(told)
