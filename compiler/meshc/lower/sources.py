"""Sources: from the names in a rule to the principals that they mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from meshc import ast, ir
from meshc.diagnostics import Label
from meshc.lower.context import Context
from meshc.lower.names import read_identity
from meshc.lower.world import World
from meshc.resolve import Key
from meshc.source import Span


@dataclass(slots=True)
class _Meant:
    """The principals that a list of sources means, and the services that were named one by one."""

    principals: dict[ir.Principal, None] = field(default_factory=dict)
    services: dict[Key, Span] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)


def lower_sources(context: Context, world: World, sources: ast.Sources) -> ir.Principals | None:
    """The principals of a rule; None if nothing sensible could be made of the list, which is reported."""
    include = _gather(context, world, sources.include)
    exclude = _gather(context, world, sources.exclude)
    if not include.principals:
        return None
    return ir.Principals(tuple(_sorted(include.principals)), tuple(_sorted(exclude.principals)))


def lower_callers(context: Context, world: World, sources: Sequence[ast.Source]) -> ir.Principals | None:
    """The callers of a route's `by`: services, namespaces and groups of those."""
    for source in sources:
        found = next(_not_callers(context, source, set()), None)
        if found is not None:
            context.report.add(
                "protocol-mismatch",
                source.span,
                "a route is chosen by the caller's own proxy, which knows services and not identities",
                labels=() if found is source else (Label(span=found.span, text="the group contains this"),),
                advice="name services, namespaces or groups of those",
            )
            return None
    meant = _gather(context, world, sources)
    return ir.Principals(tuple(_sorted(meant.principals))) if meant.principals else None


def _not_callers(context: Context, source: ast.Source, seen: set[int]) -> Iterator[ast.Source]:
    """What is no service or namespace in a source, however deep in groups."""
    match source:
        case ast.IdentitySource() | ast.AuthenticatedSource() | ast.AnyoneSource():
            yield source
        case ast.GroupSource(group=ref):
            entry = context.definition("group", ref.scope, ref.name, ref.span)
            if entry is None or not isinstance(entry.declaration, ast.Group) or id(entry.declaration) in seen:
                return
            seen.add(id(entry.declaration))
            if context.may_descend(ref.span, "groups"):
                for member in entry.declaration.members:
                    yield from _not_callers(context.within(entry), member, seen)
        case ast.ServiceSource() | ast.NamespaceSource():
            return


def _sorted(principals: dict[ir.Principal, None]) -> list[ir.Principal]:
    if ir.AnyPeer() in principals:
        return [ir.AnyPeer()]
    if ir.AnyIdentity() in principals:
        return [ir.AnyIdentity()]
    return sorted(principals, key=repr)


def _gather(context: Context, world: World, sources: Sequence[ast.Source]) -> _Meant:
    meant = _Meant()
    for source in sources:
        _add(context, world, source, meant)
    _refuse_shared(context, world, meant)
    return meant


def _add(context: Context, world: World, source: ast.Source, meant: _Meant) -> None:
    match source:
        case ast.AnyoneSource():
            meant.principals[ir.AnyPeer()] = None
        case ast.AuthenticatedSource():
            meant.principals[ir.AnyIdentity()] = None
        case ast.NamespaceSource():
            name = context.namespace(source.namespace)
            if name is not None:
                meant.namespaces.add(name)
                meant.principals[ir.IdentityPrefix(f"spiffe://{world.trust_domain}/ns/{name}/sa/")] = None
        case ast.IdentitySource():
            identity = read_identity(context, source.identity)
            if identity is not None:
                text, is_prefix = identity
                meant.principals[ir.IdentityPrefix(text) if is_prefix else ir.ExactIdentity(text)] = None
        case ast.ServiceSource():
            _add_service(context, world, source, meant)
        case ast.GroupSource():
            _add_group(context, world, source, meant)


def _add_service(context: Context, world: World, source: ast.ServiceSource, meant: _Meant) -> None:
    service = world.find(context, source.service, "source")
    if service is None:
        return
    if service.is_external:
        advice = "who may call it from inside is said with `access` on the external"
        context.report.add(
            "external-source",
            source.span,
            f"`{service.shown}` lies outside the mesh and has no identity",
            advice=advice,
        )
        return
    meant.services[service.key] = source.span
    meant.principals[ir.ExactIdentity(world.identity(service))] = None


def _add_group(context: Context, world: World, source: ast.GroupSource, meant: _Meant) -> None:
    ref = source.group
    entry = context.definition("group", ref.scope, ref.name, ref.span)
    if entry is None or not isinstance(entry.declaration, ast.Group):
        return
    if context.is_expanding(entry):
        context.report.add("cyclic-definition", ref.span, f"group `{ref.name}` contains itself")
        return
    if id(entry.declaration) in meant.groups or not context.may_descend(ref.span, "groups"):
        return
    meant.groups.add(id(entry.declaration))
    for member in entry.declaration.members:
        _add(context.within(entry), world, member, meant)


def _refuse_shared(context: Context, world: World, meant: _Meant) -> None:
    for key, span in meant.services.items():
        service = world.services[key]
        others = [
            one
            for one in world.sharing(world.identity(service))
            if one.key not in meant.services and one.key[0] not in meant.namespaces
        ]
        if others and key[0] not in meant.namespaces:
            names = " and ".join(f"`{one.shown}`" for one in others)
            context.report.add(
                "shared-identity",
                span,
                f"`{service.shown}` cannot be told apart from {names}",
                label=f"its service account is `{service.service_account}`",
                labels=tuple(Label(span=one.span, text="has the same service account") for one in others),
                advice=(
                    f"name {names} too if both are meant",
                    "or, if their pods are different ones, run one of them under a service account of its own",
                ),
            )
