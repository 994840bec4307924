"""Explanations as text, for a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from meshc.ir import Effect, FaultAbort, FaultDelay, Settings
from meshc.request import Decision
from meshc.semantics.explain import (
    DestinationFinding,
    Explanation,
    MirrorFinding,
    RouteFinding,
    RuleFinding,
    StageFinding,
)
from meshc.semantics.misses import Miss, show_address
from meshc.semantics.show import show_destination, show_text
from meshc.source import BUILTIN, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Terminal codes to put before good, bad, strong and faint text, and `end` after each."""

    good: str = ""
    bad: str = ""
    strong: str = ""
    faint: str = ""
    end: str = ""


PLAIN = Style()
COLOURED = Style(good="\x1b[32m", bad="\x1b[31m", strong="\x1b[1m", faint="\x1b[2m", end="\x1b[0m")


def render_explanation(explanation: Explanation, style: Style = PLAIN) -> str:
    """An explanation as lines of text, ending in a line end. What users wrote is shown without control characters."""
    return "".join(f"{line}\n" for line in _lines(explanation, style))


def _lines(explanation: Explanation, style: Style) -> Iterator[str]:
    yield _headline(explanation, style)
    yield from _request_lines(explanation)
    for route in explanation.routes:
        yield from _route_lines(route, style)
    if explanation.settings is not None:
        yield f"  settings {_settings_text(explanation.settings, explanation.decision)}"
    for destination in explanation.destinations:
        yield from _destination_lines(destination, style)
    for mirror in explanation.mirrors:
        yield f"  mirror {_mirror_text(mirror)}"


def _headline(explanation: Explanation, style: Style) -> str:
    decision = explanation.decision
    word, colour = _word(decision, style)
    status = "" if decision.status is None else f" {decision.status}"
    reason = f": {decision.reason}" if decision.reason else ""
    place = "" if decision.rule is None else f" ({_place(decision.rule)})"
    redirect = "" if decision.redirect is None else f" to {_safe(decision.redirect)}"
    return f"{colour}{word}{status}{style.end if colour else ''}{redirect}{reason}{place}"


def _word(decision: Decision, style: Style) -> tuple[str, str]:
    if decision.allowed is None:
        return "answered by the caller's proxy", style.strong
    return ("allowed", style.good) if decision.allowed else ("denied", style.bad)


def _request_lines(explanation: Explanation) -> Iterator[str]:
    request, facts = explanation.request, explanation.facts
    line = f"{request.method} {_safe(request.path or '')}" if request.method is not None else "connection"
    yield f"  {explanation.caller} -> {request.namespace}.{request.service}:{request.port}  {line}"
    if facts is None:
        return
    host = "" if facts.host is None else f", host {_safe(facts.host)}"
    path = "" if facts.path is None or facts.path == request.path else f", path {_safe(facts.path)}"
    yield f"  judged as: from {show_address(facts.peer)}{host}{path}"
    leaving = explanation.leaving
    if leaving is not None and leaving != facts:
        yield f"  sent on as: path {_safe(leaving.path or '')}, host {_safe(leaving.host or '')}"


def _route_lines(finding: RouteFinding, style: Style) -> Iterator[str]:
    place = f"{style.faint}{_place(finding.route.span)}{style.end if style.faint else ''}"
    mark = "taken" if not finding.misses else "passed"
    yield f"  route {mark}: {finding.text}  {place}"
    yield from (_miss_line(miss, "      ") for miss in finding.misses)


def _settings_text(settings: Settings, decision: Decision) -> str:
    shown = ["timeout none" if settings.timeout_ms is None else f"timeout {settings.timeout_ms}ms"]
    retry = settings.retry
    shown.append("retry never" if retry is None else f"retry {retry.attempts} on {', '.join(_retry_words(settings))}")
    shown.extend(_fault_text(fault) for fault in decision.faults)
    return ", ".join(shown)


def _retry_words(settings: Settings) -> Iterator[str]:
    if settings.retry is not None:
        yield from settings.retry.conditions
        yield from map(str, settings.retry.statuses)


def _fault_text(fault: FaultDelay | FaultAbort) -> str:
    what = f"delay {fault.delay_ms}ms" if isinstance(fault, FaultDelay) else f"abort {fault.status}"
    return f"fault {what} for {fault.percent:g}%"


def _destination_lines(finding: DestinationFinding, style: Style) -> Iterator[str]:
    word, colour = _word(finding.decision, style)
    reason = f": {finding.decision.reason}" if finding.decision.reason else ""
    name = f"{finding.namespace}.{finding.service}:{finding.port}"
    yield f"  {style.strong}access to {name}{style.end if colour else ''}: {colour}{word}{style.end if colour else ''}{reason}"
    for stage in finding.stages:
        yield from _stage_lines(stage, style)
    if finding.nearest:
        yield "    nearest rules that could allow it:"
        for rule in finding.nearest:
            yield f"      allow {rule.text}  {_place(rule.rule.span)}"
            yield from (_miss_line(miss, "        ") for miss in rule.misses)


def _stage_lines(stage: StageFinding, style: Style) -> Iterator[str]:
    if not stage.rules:
        yield f"    no allow rule, and access is denied by default  {_place(stage.span)}"
    for rule in stage.rules:
        yield from _rule_lines(stage, rule, style)


def _rule_lines(stage: StageFinding, finding: RuleFinding, style: Style) -> Iterator[str]:
    colour = (style.good if stage.effect is Effect.ALLOW else style.bad) if finding.decided else ""
    mark = "=>" if finding.decided else " *" if finding.matched else "  "
    notes = _notes(stage, finding)
    shadow = "shadow " if stage.shadow else ""
    text = f"{shadow}{stage.effect.value} {finding.text}"
    yield f"    {mark} {colour}{text}{style.end if colour else ''}{notes}  {_place(finding.rule.span)}"
    yield from (_miss_line(miss, "         ") for miss in finding.misses)


def _notes(stage: StageFinding, finding: RuleFinding) -> str:
    notes = []
    if finding.rule.because is not None:
        notes.append(f" because {show_text(finding.rule.because)}")
    if stage.shadow and finding.matched:
        notes.append(" (logged, not enforced)")
    elif not stage.asked and finding.matched:
        notes.append(" (not asked)")
    return "".join(notes)


def _miss_line(miss: Miss, indent: str) -> str:
    return f"{indent}{miss.clause}: wants {_safe(miss.wanted)}; is {_safe(miss.actual)}"


def _mirror_text(finding: MirrorFinding) -> str:
    word = "let in" if finding.decision.allowed else "refused there"
    return f"{finding.mirror.percent:g}% to {show_destination(finding.mirror.destination)}: {word}"


def _place(span: Span) -> str:
    return "default" if span == BUILTIN else str(span)


def _safe(text: str) -> str:
    """Text for a terminal: what is not printable is escaped."""
    return text if text.isprintable() else show_text(text)[1:-1]
