"""Edits of access blocks that may let a request in: the rule that nearly fits, a rule of its own, a deny that is narrower.

What is proposed here is a text and no more: `meshc.explaining.programs` reads each and asks again before it is shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ast
from meshc.explaining.model import Edit
from meshc.ir import ExactPath, Mesh, Rule
from meshc.semantics.explain import DestinationFinding, RuleFinding
from meshc.semantics.facts import Facts
from meshc.semantics.misses import show_address
from meshc.semantics.show import show_operation, show_text
from meshc.source import SourceFile

OWN_RULE: Final = "add a rule of its own"

NEAREST_TRIED: Final = 2
"""How many rules that fail one clause are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is known of the port that refuses.

    `blocks` are all access blocks of the program, `own` those of just this port, or of its service if it has no other;
    `new_block` is the file that a new block would stand in.
    """

    mesh: Mesh
    finding: DestinationFinding
    facts: Facts
    blocks: tuple[ast.Access, ...]
    own: tuple[ast.Access, ...]
    sources: Mapping[str, SourceFile]
    new_block: str
    several_ports: bool
    is_grpc: bool


def proposed_edits(place: Place) -> Iterator[Edit]:
    """Edits that each take away what refuses the request, or a part of it; the ones that change least come first."""
    caller = caller_text(place.mesh, place.facts.identity)
    if caller is None:
        return
    decider = next((one for stage in place.finding.stages for one in stage.rules if one.decided), None)
    if decider is not None:
        yield from _narrower(place, decider.rule, caller)
        return
    for near in [one for one in place.finding.nearest if len(one.misses) == 1][:NEAREST_TRIED]:
        yield from _wider(place, near, caller)
    yield _rule_of_its_own(place, caller)


def caller_text(mesh: Mesh, identity: str | None) -> str | None:
    """A caller as a source; None for one without an identity, whom no rule can name."""
    if identity is None:
        return None
    owners = [one for one in mesh.workloads if one.identity == identity]
    if not owners:
        return f"identity {show_text(identity)}"
    names = [*(one.name for one in mesh.workloads), *(one.name for one in mesh.externals)]
    return ", ".join(one.name if names.count(one.name) == 1 else f"{one.namespace}.{one.name}" for one in owners)


def operation_text(facts: Facts, *, is_grpc: bool) -> str:
    """What is done, as an operation; empty for a connection."""
    if facts.path is None or facts.method is None:
        return ""
    if is_grpc and facts.method == "POST" and facts.path.count("/") == 2:
        return f"rpc {facts.path.removeprefix('/')}"
    return show_operation((facts.method,), ExactPath(facts.path))


# ---- allow ----------------------------------------------------------------------------------------------------------


def _wider(place: Place, near: RuleFinding, caller: str) -> Iterator[Edit]:
    """The clause that a rule fails by, with the request's own added."""
    node = _node_of(place, near.rule)
    if node is None:
        return
    match near.misses[0].clause:
        case "source":
            yield _insert(node.sources.include[-1].span.end, node, f", {caller}", f"let {caller} in by this rule")
        case "address" if node.addresses and place.facts.peer is not None:
            address = show_address(place.facts.peer)
            yield _insert(node.addresses[-1].span.end, node, f", {address}", f"let {address} in by this rule")
        case "method" | "path" | "operation" if node.operations:
            operation = operation_text(place.facts, is_grpc=place.is_grpc)
            yield _insert(node.operations[-1].span.end, node, f", {operation}", f"add {operation} to this rule")


def _rule_of_its_own(place: Place, caller: str) -> Edit:
    operation = operation_text(place.facts, is_grpc=place.is_grpc)
    rule = f"allow {caller} to {operation}" if operation else f"allow {caller}"
    block = place.own[-1] if place.own else None
    if block is None:
        target = f"{place.finding.namespace}.{place.finding.service}"
        port = f":{place.finding.port}" if place.several_ports else ""
        end = len(place.sources[place.new_block].text)
        text = f"\naccess {target}{port} {{ {rule} }}\n"
        return Edit(path=place.new_block, start=end, end=end, text=text, what=OWN_RULE)
    return _into_block(block, place.sources[block.span.path].text, rule)


def _into_block(block: ast.Access, text: str, rule: str) -> Edit:
    """A rule after the last one of a block, on a line of its own where that one has one."""
    path = block.span.path
    if not block.rules:
        at = block.span.end - 1
        return Edit(path=path, start=at, end=at, text=f"{rule} ", what=OWN_RULE)
    last = block.rules[-1].span
    line_end = text.find("\n", last.end, block.span.end)
    if line_end < 0:
        return Edit(path=path, start=last.end, end=last.end, text=f" {rule}", what=OWN_RULE)
    line_start = text.rfind("\n", 0, last.start) + 1
    indent = text[line_start : last.start]
    indent = indent if indent.isspace() else "  "
    return Edit(path=path, start=line_end, end=line_end, text=f"\n{indent}{rule}", what=OWN_RULE)


# ---- deny -----------------------------------------------------------------------------------------------------------


def _narrower(place: Place, rule: Rule, caller: str) -> Iterator[Edit]:
    """A deny that spares the request's caller, or its address."""
    node = _node_of(place, rule)
    if node is None:
        return
    sources = node.sources
    ways = (caller, caller.rpartition(".")[2])
    named = [one for one in sources.include if isinstance(one, ast.ServiceSource) and _shown(one.service) in ways]
    if named and len(sources.include) == 1:
        yield Edit(path=node.span.path, start=node.span.start, end=node.span.end, text="", what="drop this deny")
    elif named:
        yield _without(node, sources.include, sources.include.index(named[0]), caller)
    elif sources.exclude:
        yield _insert(sources.exclude[-1].span.end, node, f", {caller}", f"spare {caller} of this deny")
    else:
        yield _insert(sources.span.end, node, f" except {caller}", f"spare {caller} of this deny")
    if node.addresses and place.facts.peer is not None:
        yield _sparing_address(node, show_address(place.facts.peer), place.sources[node.span.path].text)


def _without(node: ast.Rule, listed: tuple[ast.Source, ...], at: int, caller: str) -> Edit:
    """A list without one of its items, and without the comma that parts it from the next or the last."""
    start, end = listed[at].span.start, listed[at].span.end
    if at + 1 < len(listed):
        end = listed[at + 1].span.start
    else:
        start = listed[at - 1].span.end
    return Edit(path=node.span.path, start=start, end=end, text="", what=f"spare {caller} of this deny")


def _sparing_address(node: ast.Rule, address: str, text: str) -> Edit:
    spared = f"not source ip in ({address})"
    what = f"spare {address} of this deny"
    path = node.span.path
    if node.condition is not None:
        start, end = node.condition.span.start, node.condition.span.end
        return Edit(path=path, start=start, end=end, text=f"({text[start:end]}) and {spared}", what=what)
    last = node.operations[-1].span.end if node.operations else node.addresses[-1].span.end
    return Edit(path=path, start=last, end=last, text=f" when {spared}", what=what)


def _shown(ref: ast.Ref) -> str:
    return ref.name if ref.scope is None else f"{ref.scope}.{ref.name}"


# ---- places ---------------------------------------------------------------------------------------------------------


def _insert(at: int, node: ast.Rule, text: str, what: str) -> Edit:
    return Edit(path=node.span.path, start=at, end=at, text=text, what=what)


def _node_of(place: Place, rule: Rule) -> ast.Rule | None:
    """The rule as it is written."""
    written = (one for block in place.blocks for one in block.rules)
    return next((one for one in written if one.span == rule.span), None)
