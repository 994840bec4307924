"""What lowering needs at hand: the symbols, the names that the present module sees, and the diagnostics found so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.resolve import Entry, Key, Names, Symbols
from meshc.source import Span
from meshc.suggest import closest

Value = TypeVar("Value")


@dataclass(slots=True, kw_only=True)
class Report:
    """Collects diagnostics (the same one once), and which definitions were used, for the check of unused ones."""

    found: dict[Diagnostic, None] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    expanded: dict[int, tuple[ast.Literal, ...]] = field(default_factory=dict)
    """The values of lets that were expanded already, by the identity of their declarations."""
    uses: int = 0
    """How many uses of profiles were expanded so far."""

    def add(
        self,
        name: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        advice: str | tuple[str, ...] = "",
    ) -> None:
        self.found[diagnose(name, span, message, label=label, labels=labels, advice=advice)] = None

    def use(self, declaration: object) -> None:
        self.used.add(id(declaration))

    def is_used(self, declaration: object) -> bool:
        return id(declaration) in self.used


DEEPEST = 64
"""How many lets, groups or profiles may refer to each other in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where something is lowered: `module` decides which names are visible, `parameters` are those of an expanding profile."""

    symbols: Symbols
    report: Report
    module: str
    today: date
    trust_domains: tuple[str, ...] = ("cluster.local",)
    trusted_hops: int = 0
    parameters: Mapping[str, tuple[ast.Literal, ...]] = field(default_factory=dict)
    expanding: tuple[Entry, ...] = ()
    """The lets, groups and profiles inside of which this stands, the outermost first."""

    def may_descend(self, span: Span, noun: str) -> bool:
        """Whether one more definition may be expanded inside of those that are being expanded; reports if not."""
        if len(self.expanding) < DEEPEST:
            return True
        message = f"{noun} refer to each other more than {DEEPEST} deep"
        self.report.add("nesting-too-deep", span, message, advice="flatten them")
        return False

    def inside(self, module: str) -> "Context":
        """The same in another module, outside any profile."""
        return replace(self, module=module, parameters={})

    def within(self, entry: Entry) -> "Context":
        """What the body of a definition sees."""
        return replace(self.inside(entry.module), expanding=(*self.expanding, entry))

    def is_expanding(self, entry: Entry) -> bool:
        """Whether this stands inside of the definition: one of the same name elsewhere is another."""
        return any(one.declaration is entry.declaration for one in self.expanding)

    def definition(self, kind: str, ref_scope: str | None, name: str, span: Span) -> Entry | None:
        """Find a let, group or profile (`kind`), or report that there is none."""
        tables = self._tables(ref_scope, span)
        if tables is None:
            return None
        known: list[str] = []
        for names in tables:
            table = _table(names, kind)
            if name in table:
                self.report.use(table[name].declaration)
                return table[name]
            known.extend(table)
        shown = f"${name}" if kind == "let" else name
        if kind == "let":
            known.extend(self.parameters)
        near = closest(name, known)
        self.report.add(
            _UNKNOWN[kind],
            span,
            f"{_NOUN[kind]} `{shown}` is not declared",
            advice=f"did you mean `{'$' if kind == 'let' else ''}{near}`?" if near else _DECLARE[kind].format(name),
        )
        return None

    def _tables(self, alias: str | None, span: Span) -> tuple[Names, ...] | None:
        visibility = self.symbols.visibility
        if alias is None:
            return visibility.own.get(self.module, ())
        aliased = visibility.aliased.get(self.module, {})
        if alias in aliased:
            return (aliased[alias],)
        near = closest(alias, aliased)
        advice = f"did you mean `{near}`?" if near else f'add `import "…" as {alias}` to this file'
        self.report.add("unknown-alias", span, f"no import of this file has the alias `{alias}`", advice=advice)
        return None

    def word(self, name: ast.Name, meanings: Mapping[str, Value], noun: str) -> Value | None:
        """The meaning of a word out of a closed list, or a report that names the list."""
        if name.text in meanings:
            return meanings[name.text]
        near = closest(name.text, meanings)
        listed = ", ".join(f"`{word}`" for word in meanings)
        advice = f"did you mean `{near}`?" if near else f"one of {listed}"
        self.report.add("unknown-word", name.span, f"`{name.text}` is no {noun}", advice=advice)
        return None

    def namespace(self, name: ast.Name) -> str | None:
        """A declared namespace, or a report."""
        spaces = self.symbols.namespaces
        if name.text in spaces:
            for placed in spaces[name.text]:
                self.report.use(placed.node)
            return name.text
        near = closest(name.text, spaces)
        advice = f"did you mean `{near}`?" if near else f"declare it: `namespace {name.text}`"
        self.report.add("unknown-namespace", name.span, f"namespace `{name.text}` is not declared", advice=advice)
        return None

    def service(self, ref: ast.Ref, noun: str = "service") -> Key | None:
        """A declared service or external, or a report with the candidates."""
        keys = self.symbols.by_name.get(ref.name, [])
        if ref.scope is not None:
            keys = [key for key in keys if key[0] == ref.scope]
        if len(keys) == 1:
            return keys[0]
        shown = f"{ref.scope}.{ref.name}" if ref.scope else ref.name
        if keys:
            listed = " or ".join(f"`{space}.{name}`" for space, name in sorted(keys))
            self.report.add(
                "ambiguous-name", ref.span, f"`{ref.name}` is the name of several services", advice=f"write {listed}"
            )
            return None
        self.report.add("unknown-service", ref.span, f"{noun} `{shown}` is not declared", advice=self._nearest(ref))
        return None

    def _nearest(self, ref: ast.Ref) -> str:
        elsewhere = self.symbols.by_name.get(ref.name, [])
        if elsewhere:
            return "did you mean " + " or ".join(f"`{space}.{name}`" for space, name in sorted(elsewhere)) + "?"
        near = closest(ref.name, self.symbols.by_name)
        if near:
            return f"did you mean `{near}`?"
        if ref.name in self.symbols.namespaces:
            return f"`{ref.name}` is a namespace: write `namespace {ref.name}`"
        if any(ref.name in names.groups for names in self.symbols.visibility.own.get(self.module, ())):
            return f"`{ref.name}` is a group: write `group {ref.name}`"
        return f"declare it: `service {ref.name} in {ref.scope or 'NAMESPACE'} {{ port 8080 http }}`"


_UNKNOWN = {"let": "unknown-variable", "group": "unknown-group", "profile": "unknown-profile"}
_NOUN = {"let": "variable", "group": "group", "profile": "profile"}
_DECLARE = {
    "let": "declare it: `let {} = …`",
    "group": "declare it: `group {} = …`",
    "profile": "declare it: `profile {} {{ … }}`",
}


def _table(names: Names, kind: str) -> Mapping[str, Entry]:
    return {"let": names.lets, "group": names.groups, "profile": names.profiles}[kind]


def either(words: Iterable[str]) -> str:
    """`a, b or c`, each in backticks."""
    listed = [f"`{word}`" for word in words]
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " or " + listed[-1]
