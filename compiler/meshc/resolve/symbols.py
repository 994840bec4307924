"""The symbol table: every declaration of a program, found by its name, for one environment.

Services come in up to three layers (inventory, program, environment) that are merged later; here they are only collected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.resolve.modules import (
    BASE,
    ENVIRONMENT,
    INVENTORY,
    Module,
    Visibility,
    declarations,
    duplicate,
    see,
)
from meshc.suggest import closest

Key = tuple[str, str]
"""Namespace and name of a service or external."""

Policy = ast.Access | ast.Traffic | ast.RateLimit | ast.Authenticate | ast.Telemetry
Node_co = TypeVar("Node_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Generic[Node_co]):
    """A declaration with its layer and the path of its module."""

    node: Node_co
    layer: int
    module: str


@dataclass(slots=True, kw_only=True)
class Symbols:
    """All declarations. `by_name` finds services and externals by their unqualified name."""

    modules: Mapping[str, Module]
    visibility: Visibility
    meshes: list[Placed[ast.MeshDecl]] = field(default_factory=list)
    namespaces: dict[str, list[Placed[ast.Namespace]]] = field(default_factory=dict)
    services: dict[Key, list[Placed[ast.Service]]] = field(default_factory=dict)
    externals: dict[Key, list[Placed[ast.External]]] = field(default_factory=dict)
    by_name: dict[str, list[Key]] = field(default_factory=dict)
    policies: list[Placed[Policy]] = field(default_factory=list)
    invariants: list[Placed[ast.Invariant]] = field(default_factory=list)
    tests: list[Placed[ast.TestDecl]] = field(default_factory=list)


def collect(
    modules: Mapping[str, Module],
    inventory: Sequence[ast.Namespace | ast.Service],
    environment: str | None,
) -> tuple[Symbols, tuple[Diagnostic, ...]]:
    """Gather the declarations of all modules. Reports duplicates, and names that are used before anything declares them.

    `environment` is one that the program has, or None for the base.
    """
    visibility, found = see(modules, environment)
    collector = _Collector(Symbols(modules=modules, visibility=visibility))
    for declared in inventory:
        collector.add(Placed(node=declared, layer=INVENTORY, module=declared.span.path))
    for path, module in modules.items():
        for layer, declaration in declarations(module.file, environment):
            if not isinstance(declaration, ast.Let | ast.Group | ast.Profile):
                collector.add(Placed(node=declaration, layer=layer, module=path))
    collector.check_namespaces()
    return collector.symbols, (*found, *collector.found)


@dataclass(slots=True)
class _Collector:
    symbols: Symbols
    found: list[Diagnostic] = field(default_factory=list)

    def add(self, placed: Placed[ast.ScopedDeclaration]) -> None:
        node, layer, module = placed.node, placed.layer, placed.module
        symbols = self.symbols
        match node:
            case ast.MeshDecl():
                self._add_mesh(Placed(node=node, layer=layer, module=module))
            case ast.Namespace():
                spaces = symbols.namespaces.setdefault(node.name.text, [])
                self._refuse_twice("namespace", node.name, layer, [(p.layer, p.node.name) for p in spaces])
                spaces.append(Placed(node=node, layer=layer, module=module))
            case ast.Service():
                self._add_service(Placed(node=node, layer=layer, module=module))
            case ast.External():
                self._add_external(Placed(node=node, layer=layer, module=module))
            case ast.Invariant():
                symbols.invariants.append(Placed(node=node, layer=layer, module=module))
            case ast.TestDecl():
                symbols.tests.append(Placed(node=node, layer=layer, module=module))
            case ast.Access() | ast.Traffic() | ast.RateLimit() | ast.Authenticate() | ast.Telemetry():
                symbols.policies.append(Placed(node=node, layer=layer, module=module))
            case ast.Let() | ast.Group() | ast.Profile():
                pass  # in `visibility`

    def _add_mesh(self, placed: Placed[ast.MeshDecl]) -> None:
        present = self.symbols.meshes
        self._refuse_twice("mesh", placed.node.name, placed.layer, [(p.layer, p.node.name) for p in present])
        present.append(placed)

    def _add_service(self, placed: Placed[ast.Service]) -> None:
        node = placed.node
        key = (node.namespace.text, node.name.text)
        present = self.symbols.services.setdefault(key, [])
        self._refuse_twice("service", node.name, placed.layer, [(p.layer, p.node.name) for p in present])
        externals = self.symbols.externals.get(key, [])
        if externals:
            self.found.append(_two_kinds(node.name, externals[0].node.name))
        present.append(placed)
        self._name(key)

    def _add_external(self, placed: Placed[ast.External]) -> None:
        node = placed.node
        key = (node.namespace.text, node.name.text)
        present = self.symbols.externals.setdefault(key, [])
        self._refuse_twice("external", node.name, placed.layer, [(p.layer, p.node.name) for p in present])
        services = self.symbols.services.get(key, [])
        if services:
            self.found.append(_two_kinds(node.name, services[0].node.name))
        present.append(placed)
        self._name(key)

    def _name(self, key: Key) -> None:
        keys = self.symbols.by_name.setdefault(key[1], [])
        if key not in keys:
            keys.append(key)

    def _refuse_twice(self, kind: str, name: ast.Name, layer: int, present: Sequence[tuple[int, ast.Name]]) -> None:
        for other_layer, other in present:
            if other_layer == layer:
                if layer == INVENTORY and kind == "namespace":
                    return
                self.found.append(duplicate(kind, name, other))
                return

    def check_namespaces(self) -> None:
        """Report services and externals in a namespace that neither the program nor an inventory declares."""
        placed: list[Placed[ast.Service | ast.External]] = []
        for services in self.symbols.services.values():
            placed.extend(services)
        for externals in self.symbols.externals.values():
            placed.extend(externals)
        for one in placed:
            name = one.node.namespace
            if name.text not in self.symbols.namespaces:
                near = closest(name.text, self.symbols.namespaces)
                self.found.append(
                    diagnose(
                        "unknown-namespace",
                        name.span,
                        f"namespace `{name.text}` is not declared",
                        advice=f"did you mean `{near}`?" if near else f"declare it: `namespace {name.text}`",
                    )
                )


def _two_kinds(name: ast.Name, first: ast.Name) -> Diagnostic:
    return diagnose(
        "duplicate-declaration",
        name.span,
        f"`{name.text}` is a service and an external of one namespace",
        label="declared again here",
        labels=(Label(span=first.span, text="first declared here"),),
        advice="rename one of the two: rules could not tell them apart",
    )


__all__ = ["BASE", "ENVIRONMENT", "INVENTORY", "Key", "Module", "Placed", "Policy", "Symbols", "collect"]
