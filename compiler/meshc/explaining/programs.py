"""The smallest edits of a program that let a request in: each is parsed, analyzed and decided before it is shown.

Only access rules are edited. What stands before them (mTLS, tokens) is never weakened: there, notes say what the caller lacks.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from meshc import ast
from meshc.diagnostics import Diagnostic, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Side
from meshc.difference.replay import from_caller
from meshc.explaining.edits import OWN_RULE, Place, proposed_edits
from meshc.explaining.model import Edit, EditedLines, ProgramChange
from meshc.frontend import Analysis, analyze
from meshc.ir import Principals
from meshc.load import Loaded
from meshc.lower.context import Report
from meshc.lower.program import Lowered
from meshc.lower.scopes import Nearness, lower_service_scope
from meshc.parse import parse
from meshc.request import Request
from meshc.resolve import Module
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import DestinationFinding, Explanation, explain
from meshc.semantics.regions.ports import sides_of
from meshc.source import SourceFile

MAX_EDITS: Final = 3
"""How many edits together are still one change."""

MAX_TRIED: Final = 10
"""How many edited programs are analyzed at most: each costs as much as `meshc check`."""

_BROKEN: Final = "invariant-broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that can be read again after an edit. `groups` finds the groups that it names, for what is told of callers."""

    modules: Mapping[str, Module]
    loaded: Loaded
    sources: Mapping[str, SourceFile]
    environment: str | None
    today: date
    analysis: Analysis
    groups: Callable[[Lowered], Mapping[str, Principals]]

    @property
    def side(self) -> Side:
        lowered = self.analysis.lowered
        return Side(mesh=lowered.mesh, groups=self.groups(lowered))

    def edited(self, edit: Edit) -> "Program | None":
        """The program after an edit; None where it then has errors other than broken invariants."""
        text = self.sources[edit.path].text
        source = SourceFile(edit.path, text[: edit.start] + edit.text + text[edit.end :])
        parsed = parse(source)
        if parsed.diagnostics:
            return None
        modules = {**self.modules, edit.path: replace(self.modules[edit.path], file=parsed.file)}
        comments = {**self.loaded.comments, edit.path: [(one.text, one.span) for one in parsed.comments]}
        analysis = analyze(
            modules,
            self.loaded.inventory,
            comments,
            environment=self.environment,
            today=self.today,
            earlier=self.loaded.diagnostics,
        )
        if any(one.severity is Severity.ERROR and one.name != _BROKEN for one in analysis.diagnostics):
            return None
        return replace(self, modules=modules, sources={**self.sources, edit.path: source}, analysis=analysis)


def program_changes(program: Program, request: Request, explanation: Explanation) -> tuple[ProgramChange, ...]:
    """Edits after which a request that rules refuse is allowed: what breaks no invariant and opens least comes first."""
    search = _Search(program, request)
    found = list(dict.fromkeys(search.changes(program, explanation, (), MAX_EDITS)))
    kept: dict[tuple[str, ...], ProgramChange] = {}
    for one in sorted(found, key=lambda one: (len(one.edits), len(one.warnings))):
        kept.setdefault(one.opens, one)  # of edits that open the same, the first is enough
    # A rule of its own is as narrow as the language can say; what opens the same is as good.
    narrow = {one.opens for one in found if one.edits[-1].what == OWN_RULE}
    return tuple(
        sorted(
            kept.values(), key=lambda one: (len(one.breaks), len(one.edits), len(one.opens), one.opens not in narrow)
        )
    )


class _Search:
    def __init__(self, program: Program, request: Request) -> None:
        self._start = program
        self._request = request
        self._left = MAX_TRIED
        self._comparer = Comparer()

    def changes(
        self, program: Program, explanation: Explanation, edits: tuple[EditedLines, ...], depth: int
    ) -> Iterator[ProgramChange]:
        """Every chain of at most `depth` further edits that was found to let the request in."""
        place = place_of(program, explanation)
        if place is None:
            return
        for edit in proposed_edits(place):
            if self._left == 0:
                return
            self._left -= 1
            after = program.edited(edit)
            if after is None:
                continue
            made = (*edits, lines_of(program.sources[edit.path], edit))
            evaluator = self._evaluator(after)
            if evaluator.decide(self._request).allowed is True:
                change = self._change(after, made)
                if change is not None:
                    yield change
            elif depth > 1:
                # What still refuses is the next to be edited, if it is not the same as before.
                yield from self.changes(after, explain(evaluator, self._request), made, depth - 1)

    def _evaluator(self, after: Program) -> Evaluator:
        """`decide` for the port that the request is sent to, and for those that its routes lead to."""
        request = self._request
        sides = sides_of(after.analysis.lowered.mesh)
        return from_caller(sides[request.namespace, request.service, request.port])

    def _change(self, after: Program, edits: tuple[EditedLines, ...]) -> ProgramChange | None:
        difference = self._comparer.compare(self._start.side, after.side)
        if Change.CLOSED in difference.changes or any(one.undecided for one in difference.subjects):
            return None
        opens = tuple(
            f"{region.scope.text}, on {subject.subject}" for subject, region in difference.regions(Change.OPENED)
        )
        before, now = (_messages(one.analysis.diagnostics) for one in (self._start, after))
        new = [one for key, one in now.items() if key not in before]
        return ProgramChange(
            edits=edits,
            opens=opens,
            breaks=tuple(one.message for one in new if one.name == _BROKEN),
            warnings=tuple(f"{one.name}: {one.message}" for one in new if one.name != _BROKEN),
        )


def _messages(diagnostics: tuple[Diagnostic, ...]) -> dict[tuple[str, str], Diagnostic]:
    return {(one.name, one.message): one for one in diagnostics}


# ---- places ---------------------------------------------------------------------------------------------------------


def place_of(program: Program, explanation: Explanation) -> Place | None:
    """The port that refuses, with what can be edited; None where it is no rule that refuses, or none that can name the caller."""
    finding = next((one for one in explanation.destinations if one.decision.allowed is False), None)
    lowered = program.analysis.lowered
    facts = explanation.leaving
    if finding is None or not finding.stages or facts is None:
        return None
    side = sides_of(lowered.mesh)[finding.namespace, finding.service, finding.port]
    if side.hides_identities:
        return None
    blocks = tuple(
        placed.node
        for placed in lowered.context.symbols.policies
        if isinstance(placed.node, ast.Access) and placed.node.span.path in program.modules
    )
    new_block = _file_for(program, finding, blocks)
    return Place(
        mesh=lowered.mesh,
        finding=finding,
        facts=facts,
        blocks=blocks,
        own=_own_blocks(lowered, finding, is_only_port=len(side.owner.ports) == 1),
        sources=program.sources,
        new_block=new_block,
        several_ports=len(side.owner.ports) > 1,
        is_grpc=side.port.protocol.value in {"grpc", "http2"},
    )


def _own_blocks(lowered: Lowered, finding: DestinationFinding, *, is_only_port: bool) -> tuple[ast.Access, ...]:
    """The blocks of a port, and of its service where it has no other port, the nearest last."""
    found: list[tuple[int, ast.Access]] = []
    for placed in lowered.context.symbols.policies:
        node = placed.node
        if not isinstance(node, ast.Access) or not isinstance(node.scope, ast.ServiceScope):
            continue
        context = replace(lowered.context.inside(placed.module), report=Report())
        target = lower_service_scope(context, lowered.world, node.scope.service)
        if target is None or target.service is None or target.service.key != (finding.namespace, finding.service):
            continue
        is_port = target.port is not None and target.port.number == finding.port
        if is_port or (is_only_port and target.nearness is Nearness.SERVICE):
            found.append((int(target.nearness), node))
    return tuple(node for _, node in sorted(found, key=lambda one: one[0]))


def _file_for(program: Program, finding: DestinationFinding, blocks: tuple[ast.Access, ...]) -> str:
    """Where a new block goes: the file with most access blocks, else the one that declares the service, else any."""
    side = sides_of(program.analysis.lowered.mesh)[finding.namespace, finding.service, finding.port]
    declared = (side.owner.span.path,)
    paths = [one.span.path for one in blocks]
    own = [path for path, module in program.modules.items() if module.is_program]
    candidates = sorted(dict.fromkeys(paths), key=paths.count, reverse=True)
    return next(path for path in (*candidates, *declared, *own) if path in own)


# ---- lines ----------------------------------------------------------------------------------------------------------


def lines_of(source: SourceFile, edit: Edit) -> EditedLines:
    """An edit as whole lines."""
    text = source.text
    start = text.rfind("\n", 0, edit.start) + 1
    end = text.find("\n", edit.end)
    end = len(text) if end < 0 else end
    old = text[start:end].splitlines()
    new = (text[start : edit.start] + edit.text + text[edit.end : end]).splitlines()
    shared = 0
    while shared < min(len(old), len(new)) and old[shared] == new[shared]:
        shared += 1
    line_start = start + sum(len(one) + 1 for one in old[:shared])
    position = min(line_start, len(text))
    return EditedLines(
        what=edit.what,
        place=source.span(position, position),
        old=tuple(one.strip() for one in old[shared:] if one.strip()),
        new=tuple(one.strip() for one in new[shared:] if one.strip()),
    )
