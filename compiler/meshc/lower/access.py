"""Access blocks: each rule once as an `ir.Rule`, with the ports that it is in scope of."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from meshc import ast, ir
from meshc.ir import Protocol
from meshc.lower import values
from meshc.lower.conditions import all_of, lower_condition, lower_operations, subject_kinds
from meshc.lower.context import Context
from meshc.lower.layers import Given
from meshc.lower.scopes import Nearness, Target, check_rpc, has_ports, lower_scope
from meshc.lower.services import PortInfo, ServiceInfo
from meshc.lower.sources import lower_sources
from meshc.lower.world import World

_NOT_SAFE = re.compile(r"[^a-z0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedRule:
    """A rule and its scope. `needs_http` and `needs_sni` are set where it has parts that only such ports can answer."""

    target: Target
    effect: ir.Effect
    shadow: bool
    rule: ir.Rule
    needs_http: bool
    needs_sni: bool

    def in_scope(self, service: ServiceInfo, port: PortInfo) -> bool:
        """Whether the rule takes part in decisions on this port."""
        if not self.target.covers(service, port):
            return False
        if self.needs_http and not port.protocol.is_http:
            return False
        return not self.needs_sni or port.protocol is Protocol.TLS


def lower_access(context: Context, world: World, node: ast.Access) -> Iterator[ScopedRule]:
    """The rules of one block; what is wrong with one is reported, and it is left out."""
    target = lower_scope(context, world, node.scope)
    if target is None or not has_ports(context, target):
        return
    for one in node.rules:
        rule = _lower_rule(context, world, target, one)
        if rule is not None:
            yield rule


def _lower_rule(context: Context, world: World, target: Target, node: ast.Rule) -> ScopedRule | None:
    principals = lower_sources(context, world, node.sources)
    addresses = values.blocks(context, node.addresses, "an address after `from`")
    operations = lower_operations(context, node.operations)
    condition = lower_condition(context, node.condition)
    because, until = _notes(context, node)
    kinds = set(subject_kinds(node.condition))
    needs_http = bool(node.operations) or bool(kinds - {"source-ip", "remote-ip", "sni"})
    needs_sni = "sni" in kinds
    _check_protocols(context, target, node, needs_http=needs_http, needs_sni=needs_sni)
    if principals is None or (node.addresses and not addresses):
        return None
    narrowed = ir.AddressIn(ir.AddressOf.PEER, addresses) if addresses else ir.ALWAYS
    effect = ir.Effect(node.action)
    rule = ir.Rule(
        identifier="",
        principals=principals,
        condition=all_of(narrowed, operations, condition),
        because=because,
        until=until,
        doc=node.doc,
        span=node.span,
    )
    name = f"{'shadow-' if node.shadow else ''}{effect.value}.{_safe(target.shown)}.{_digest(rule)}"
    return ScopedRule(
        target=target,
        effect=effect,
        shadow=node.shadow,
        rule=replace(rule, identifier=name),
        needs_http=needs_http,
        needs_sni=needs_sni,
    )


def _safe(text: str) -> str:
    return _NOT_SAFE.sub("-", text)


def _digest(rule: ir.Rule) -> str:
    """A short hash of what a rule says, so that its name survives edits elsewhere."""
    said = repr((rule.principals, rule.condition))
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def _notes(context: Context, node: ast.Rule) -> tuple[str | None, date | None]:
    because: str | None = None
    until: date | None = None
    for note in node.notes:
        match note:
            case ast.Because():
                if because is not None:
                    context.report.add("duplicate-setting", note.span, "a rule has one `because`")
                because = values.text(context, note.text, "the text after `because`")
            case ast.Until():
                if until is not None:
                    context.report.add("duplicate-setting", note.span, "a rule has one `until`")
                until = values.day(context, note.date, "the day after `until`")
    if until is not None and until < context.today:
        days = (context.today - until).days
        message = f"this rule expired on {until}, {days} day{'' if days == 1 else 's'} ago"
        advice = "remove the rule, or give it a later day"
        context.report.add("expired-rule", node.span, message, advice=advice)
    return because, until


def _check_protocols(context: Context, target: Target, node: ast.Rule, *, needs_http: bool, needs_sni: bool) -> None:
    if needs_http and needs_sni and node.condition is not None:
        message = "no port has both requests and a server name, so this rule would count nowhere"
        advice = "write two rules: one for requests, and one with `sni` for tls ports"
        context.report.add("protocol-mismatch", node.condition.span, message, advice=advice)
        return
    ports = target.named_ports()
    if not ports:
        return
    shown = f"`{target.shown}`"
    if needs_http and not any(port.protocol.is_http for port in ports):
        span = node.operations[0].span if node.operations else (node.condition.span if node.condition else node.span)
        advice = f"leave it out, or declare the port as `http` instead of `{ports[0].protocol.value}`"
        context.report.add("protocol-mismatch", span, f"there are no requests to look at on {shown}", advice=advice)
    if needs_sni and not any(port.protocol is Protocol.TLS for port in ports) and node.condition is not None:
        advice = "`sni` is known on `tls` ports alone"
        context.report.add("protocol-mismatch", node.condition.span, f"{shown} has no `tls` port", advice=advice)
    check_rpc(context, target, node.operations)
    _check_tls(context, target, node, ports, shown)


def _check_tls(context: Context, target: Target, node: ast.Rule, ports: Sequence[PortInfo], shown: str) -> None:
    if target.service is None or target.service.is_external:
        return
    if not all(port.protocol is Protocol.TLS for port in ports):
        return
    if all(isinstance(source, ast.AnyoneSource) for source in node.sources.include) and not node.sources.exclude:
        return
    advice = "only `anyone`, `from` and `sni` can decide there; for identities, declare the port as `tcp`"
    message = f"nobody has an identity on {shown}, which passes TLS through"
    context.report.add("protocol-mismatch", node.sources.span, message, advice=advice)


def stages(
    rules: Sequence[ScopedRule], service: ServiceInfo, port: PortInfo, default: Given[bool]
) -> tuple[ir.Stage, ...]:
    """The stages of one port: denies, allows, and the shadows of both."""
    mine = [rule for rule in rules if rule.in_scope(service, port)]
    found: list[ir.Stage] = []
    for effect in (ir.Effect.DENY, ir.Effect.ALLOW):
        for shadow in (False, True):
            chosen = [one for one in mine if one.effect is effect and one.shadow is shadow]
            if chosen:
                span = max(chosen, key=lambda one: one.target.nearness).target.span
                found.append(ir.Stage(effect=effect, rules=_distinct(chosen), shadow=shadow, span=span))
        if effect is ir.Effect.ALLOW and not default.value and not any(_closes(one) for one in mine):
            found.append(ir.Stage(effect=effect, rules=(), span=default.span))
    return tuple(found)


def _closes(rule: ScopedRule) -> bool:
    return rule.effect is ir.Effect.ALLOW and not rule.shadow


def _distinct(rules: Sequence[ScopedRule]) -> tuple[ir.Rule, ...]:
    """Rules in the order of their names; the same rule written twice counts once, at its first place."""
    ordered = sorted(rules, key=lambda one: (one.rule.identifier, one.rule.span.path, one.rule.span.start))
    return tuple({one.rule.identifier: one.rule for one in reversed(ordered)}.values())[::-1]


def nearest_default(service: ServiceInfo, namespaces: dict[str, Given[bool]], mesh: Given[bool]) -> Given[bool]:
    """The `default access` that counts for a service."""
    return service.default_access or namespaces.get(service.key[0]) or mesh


__all__ = ["Nearness", "ScopedRule", "lower_access", "nearest_default", "stages"]
