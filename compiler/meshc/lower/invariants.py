"""Invariants: what they claim, in terms of ports, principals and conditions. `meshc.proofs` proves it."""

from dataclasses import dataclass
from enum import Enum

from meshc import ast, ir
from meshc.lower import values
from meshc.lower.conditions import all_of, lower_condition, lower_operations, subject_kinds
from meshc.lower.context import Context
from meshc.lower.scopes import Target, check_rpc, lower_scope
from meshc.lower.sources import lower_sources
from meshc.lower.world import World
from meshc.source import Span
from meshc.target import PortKey


class Mode(Enum):
    """What a claim says of its requests: none may arrive, no other source's may, or all of them do."""

    NEVER = "never"
    ONLY = "only"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachClaim:
    """`never|only|always SOURCES reach TARGET …`: `ports` are those of the target, `condition` what a request must fulfil
    to be spoken of, addresses and operations included.
    """

    mode: Mode
    principals: ir.Principals
    ports: tuple[PortKey, ...]
    condition: ir.Condition
    is_transitive: bool
    shown: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedClaim:
    """`encrypted TARGET`."""

    ports: tuple[PortKey, ...]
    shown: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One invariant with all its claims."""

    title: str
    claims: tuple[ReachClaim | EncryptedClaim, ...]
    span: Span


def lower_invariant(context: Context, world: World, node: ast.Invariant) -> Invariant:
    """The claims of an invariant; what is wrong with one is reported, and it is left out."""
    claims = (_claim(context, world, claim) for claim in node.claims)
    return Invariant(
        title=node.title.value, claims=tuple(one for one in claims if one is not None), span=node.title.span
    )


def _claim(context: Context, world: World, node: ast.Reach | ast.Encrypted) -> ReachClaim | EncryptedClaim | None:
    target = lower_scope(context, world, node.target)
    if target is None:
        return None
    match node:
        case ast.Encrypted():
            return EncryptedClaim(ports=_ports(world, target), shown=target.shown, span=node.span)
        case ast.Reach():
            return _reach(context, world, node, target)


def _reach(context: Context, world: World, node: ast.Reach, target: Target) -> ReachClaim | None:
    principals = lower_sources(context, world, node.sources)
    blocks = values.blocks(context, node.addresses, "an address after `from`")
    operations = lower_operations(context, node.operations)
    condition = lower_condition(context, node.condition)
    check_rpc(context, target, node.operations)
    kinds = set(subject_kinds(node.condition))
    needs_http = bool(node.operations) or bool(kinds - {"source-ip", "remote-ip", "sni"})
    ports = _ports(world, target, needs_http=needs_http, needs_sni="sni" in kinds)
    if not ports:
        message = f"this claim speaks of nothing: no port of `{target.shown}` has what it looks at"
        context.report.add("protocol-mismatch", node.span, message, advice="leave out what the ports do not carry")
    if node.transitively and node.mode == "always":
        advice = "leave it out; `never` and `only` can speak of chains of calls"
        context.report.add("misplaced-setting", node.span, "`always` speaks of requests, not of chains", advice=advice)
    if principals is None or not ports or (node.addresses and not blocks):
        return None
    where = ir.AddressIn(ir.AddressOf.PEER, blocks) if blocks else ir.ALWAYS
    return ReachClaim(
        mode=Mode(node.mode),
        principals=principals,
        ports=ports,
        condition=all_of(where, operations, condition),
        is_transitive=node.transitively,
        shown=target.shown,
        span=node.span,
    )


def _ports(world: World, target: Target, *, needs_http: bool = False, needs_sni: bool = False) -> tuple[PortKey, ...]:
    """The ports of a target that can carry what a claim looks at."""
    return tuple(
        (*service.key, port.number)
        for service in world.services.values()
        for port in service.ports
        if target.covers(service, port)
        and (port.protocol.is_http or not needs_http)
        and (port.protocol is ir.Protocol.TLS or not needs_sni)
    )
