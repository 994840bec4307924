"""Access: the stages of a workload's ports -> its AuthorizationPolicies.

One policy for each action. Every rule names the workload's port, so that it never touches another: on a port where Istio sees no
requests, a DENY keeps only the fields that it can read there, and would refuse everything. Where some port is closed, those that
are open are named as such, since one ALLOW policy closes all that it does not allow.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.kubernetes import Placed, metadata, object_name, rule_anchor, span_anchor
from meshc.source import Span
from meshc_istio.conditions import fields_of
from meshc_istio.resources.security import (
    AccessRule,
    AuthorizationPolicy,
    AuthorizationPolicySpec,
    From,
    Operation,
    Selector,
    Source,
    To,
)
from meshc_istio.strings import principal_form
from meshc_istio.terms import MAX_TERMS, InexpressibleError, terms_of

Action = Literal["ALLOW", "DENY"]
_DRY_RUN: Final = "istio.io/dry-run"
_BECAUSE: Final = "meshc.dev/because"
_ANYBODY: Final = Source()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The policies of a workload, and what of its rules Istio cannot say."""

    placed: tuple[Placed, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The Istio rules of one rule, with what its policy's metadata says of it."""

    rules: tuple[AccessRule, ...]
    anchor: str
    span: Span
    note: tuple[str, str] | None = None


def access_of(workload: ir.Workload, selector: Selector) -> Access:
    """The policies of a workload, denies first."""
    found: list[Diagnostic] = []
    parts: dict[tuple[Action, bool], list[_Part]] = {}
    closed = {port.number for port in workload.ports if _closes(port)}
    for port in workload.ports:
        for stage in port.access:
            action: Action = "DENY" if stage.effect is ir.Effect.DENY else "ALLOW"
            listed = parts.setdefault((action, stage.shadow), [])
            for rule in stage.rules:
                try:
                    listed.append(_part(rule, port, action))
                except InexpressibleError as error:
                    message = f"istio cannot express this rule: {error.reason}"
                    found.append(diagnose("unsupported-by-target", rule.span, message, advice=error.instead or ()))
        if any(jwt.required for jwt in port.jwts):
            parts.setdefault(("DENY", False), []).append(_token_required(port))
        if closed and port.number not in closed:
            parts.setdefault(("ALLOW", False), []).append(_open(port, workload))
    if closed:
        parts.setdefault(("ALLOW", False), [])
    placed = tuple(
        _policy(workload, selector, key[0], parts[key], is_shadow=key[1]) for key in _ORDER if _is_needed(key, parts)
    )
    return Access(placed=placed, diagnostics=tuple(dict.fromkeys(found)))


_ORDER: Final[tuple[tuple[Action, bool], ...]] = (("DENY", False), ("ALLOW", False), ("DENY", True), ("ALLOW", True))


def _is_needed(key: tuple[Action, bool], parts: dict[tuple[Action, bool], list[_Part]]) -> bool:
    """An ALLOW policy without rules refuses everything, which is what a closed port is; no other policy may be empty."""
    return key in parts and (key == ("ALLOW", False) or any(part.rules for part in parts[key]))


def _closes(port: ir.PortPolicy) -> bool:
    return any(stage.effect is ir.Effect.ALLOW and not stage.shadow for stage in port.access)


def _open(port: ir.PortPolicy, workload: ir.Workload) -> _Part:
    rule = AccessRule(to=(To(operation=Operation(ports=(str(port.target),))),))
    anchor = span_anchor(workload.span, f"service-{workload.namespace}.{workload.name}")
    return _Part(rules=(rule,), anchor=anchor, span=port.span)


def _token_required(port: ir.PortPolicy) -> _Part:
    jwt = next(one for one in port.jwts if one.required)
    rule = AccessRule(
        from_=(From(source=Source(not_request_principals=("*",))),),
        to=(To(operation=Operation(ports=(str(port.target),))),),
    )
    return _Part(rules=(rule,), anchor=span_anchor(jwt.span, f"jwt-{jwt.name}"), span=jwt.span)


# ---- rules ----------------------------------------------------------------------------------------------------------


def _part(rule: ir.Rule, port: ir.PortPolicy, action: Action) -> _Part:
    return _Part(
        rules=tuple(_rules(rule, port, refuses=action == "DENY")),
        anchor=rule_anchor(rule),
        span=rule.span,
        note=None if rule.because is None else (rule.identifier, rule.because),
    )


def _rules(rule: ir.Rule, port: ir.PortPolicy, *, refuses: bool) -> Iterator[AccessRule]:
    """Alternatives that differ in their operation alone become one rule with several `to`."""
    who = _principals(rule.principals)
    if who is None:
        return
    named = dict.fromkeys((port.number, port.target))
    merged: dict[AccessRule, list[To]] = {}
    for term in terms_of(rule.condition):
        found = fields_of(term, named, refuses=refuses)
        if not found.is_possible:
            continue
        where = found.source()
        source = where.model_copy(update=who)
        frame = AccessRule(
            from_=None if source == _ANYBODY else (From(source=source),),
            when=tuple(sorted(found.when, key=lambda one: one.key)) or None,
        )
        to = To(operation=found.operation(port.target))
        tos = merged.setdefault(frame, [])
        if to not in tos:
            tos.append(to)
    if sum(map(len, merged.values())) > MAX_TERMS:
        raise InexpressibleError(f"it comes to more than {MAX_TERMS} alternatives", "split the rule into several")
    for frame, operations in merged.items():
        yield frame.model_copy(update={"to": tuple(_joined(operations))})


def _joined(operations: list[To]) -> Iterator[To]:
    """Operations that differ in their methods or in their paths alone become one; the order of the rule is kept."""
    left = list(operations)
    while left:
        first = left.pop(0).operation
        for field in ("paths", "methods"):
            others = [one for one in left if _but(one.operation, field) == _but(first, field)]
            values = [getattr(one, field) for one in (first, *(other.operation for other in others))]
            if others and None not in values:
                first = first.model_copy(
                    update={field: tuple(dict.fromkeys(text for value in values for text in value))}
                )
                left = [one for one in left if one not in others]
        yield To(operation=first)


def _but(operation: Operation, field: str) -> Operation:
    return operation.model_copy(update={field: None})


def _principals(principals: ir.Principals) -> dict[str, tuple[str, ...]] | None:
    """The fields that say who; None where nobody is left."""
    include = [principal_form(one) for one in principals.include]
    exclude = [principal_form(one) for one in principals.exclude]
    if not include or None in exclude:
        return None
    fields: dict[str, tuple[str, ...]] = {}
    if None not in include:
        fields["principals"] = tuple(sorted({one for one in include if one is not None}))
    if exclude:
        fields["not_principals"] = tuple(sorted({one for one in exclude if one is not None}))
    return fields


# ---- policies -------------------------------------------------------------------------------------------------------


def _policy(
    workload: ir.Workload,
    selector: Selector,
    action: Action,
    parts: Iterable[_Part],
    *,
    is_shadow: bool,
) -> Placed:
    listed = list(parts)
    notes = {_DRY_RUN: "true"} if is_shadow else {}
    because = "; ".join(f"{name}: {text}" for name, text in dict.fromkeys(one.note for one in listed if one.note))
    if because:
        notes[_BECAUSE] = because
    anchors = [one.anchor for one in listed]
    anchors = anchors or [span_anchor(workload.span, f"service-{workload.namespace}.{workload.name}")]
    name = object_name(workload.name, *(("shadow",) if is_shadow else ()), action.lower())
    rules = tuple(rule for part in listed for rule in part.rules)
    policy = AuthorizationPolicy(
        metadata=metadata(name, workload.namespace, anchors, notes),
        spec=AuthorizationPolicySpec(selector=selector, action=action, rules=rules or None),
    )
    sources = tuple(dict.fromkeys([workload.span, *(one.span for one in listed)]))
    return Placed(owner=(workload.namespace, workload.name), resource=policy, sources=sources)
