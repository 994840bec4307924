"""Laws of differences, over random meshes and edits: what `decide` answers otherwise is found, and what is found is so."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Side
from meshc.difference.pieces import as_region, pieces_of
from meshc.difference.render import render_html, render_json, render_markdown, render_sarif, render_text
from meshc.difference.replay import at_port, from_caller
from meshc.request import Decision, Request
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.diagram import Diagram, any_region
from meshc.semantics.regions.ports import Outcome, sides_of
from meshc.semantics.regions.space import Space
from meshc_strategies import meshes, near_misses, requests, rules, stages

pytestmark = pytest.mark.slow

many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def compare(old: ir.Mesh, new: ir.Mesh) -> Difference:
    return Comparer().compare(Side(mesh=old), Side(mesh=new))


@st.composite
def edited(draw: st.DrawFn, mesh: ir.Mesh) -> ir.Mesh:
    """A mesh with one port changed in one way."""
    owners = (*mesh.workloads, *mesh.externals)
    owner = draw(st.sampled_from(owners))
    port = draw(st.sampled_from(owner.ports))
    others = [one for each in owners for one in each.ports if one.protocol is port.protocol]
    changes = [
        replace(port, access=()),
        replace(port, access=(*port.access, draw(stages))),
        replace(port, access=draw(st.sampled_from(others)).access),
        replace(port, mtls=draw(st.sampled_from(ir.MtlsMode))) if isinstance(owner, ir.Workload) else port,
        replace(port, routes=port.routes[1:]),
        replace(port, routes=draw(st.sampled_from(others)).routes),
        replace(port, settings=draw(st.sampled_from(others)).settings),
        replace(port, jwts=draw(st.sampled_from(others)).jwts) if isinstance(owner, ir.Workload) else port,
    ]
    if port.access:
        rule = draw(rules())
        first = port.access[0]
        changes.append(replace(port, access=(replace(first, rules=(rule, *first.rules)), *port.access[1:])))
        changes.append(replace(port, access=(replace(first, rules=first.rules[1:]), *port.access[1:])))
    changed = draw(st.sampled_from(changes))
    ports = tuple(changed if one is port else one for one in owner.ports)
    if isinstance(owner, ir.Workload):
        return replace(
            mesh, workloads=tuple(replace(one, ports=ports) if one is owner else one for one in mesh.workloads)
        )
    return replace(mesh, externals=tuple(replace(one, ports=ports) if one is owner else one for one in mesh.externals))


pairs = meshes().flatmap(lambda mesh: st.tuples(st.just(mesh), edited(mesh)))


def reordered(mesh: ir.Mesh) -> ir.Mesh:
    """The same mesh with the rules of each stage, and what else has no order, the other way round."""

    def port(one: ir.PortPolicy) -> ir.PortPolicy:
        access = tuple(replace(stage, rules=stage.rules[::-1]) for stage in one.access)
        return replace(one, access=access, limits=one.limits[::-1])

    return replace(
        mesh,
        workloads=tuple(replace(one, ports=tuple(map(port, one.ports[::-1]))) for one in mesh.workloads[::-1]),
        externals=tuple(replace(one, ports=tuple(map(port, one.ports[::-1]))) for one in mesh.externals[::-1]),
    )


@many
@given(meshes())
def test_a_program_does_not_differ_from_itself(mesh: ir.Mesh) -> None:
    assert compare(mesh, mesh).is_empty


@many
@given(meshes())
def test_order_means_nothing(mesh: ir.Mesh) -> None:
    found = compare(mesh, reordered(mesh))
    assert found.is_empty, found.subjects


def outcome(decision: Decision) -> tuple[bool | None, int | None, bool]:
    return decision.allowed, decision.status, decision.rule is not None or decision.allowed is True


def kind_of(old: Decision, new: Decision) -> Change:
    if new.allowed:
        return Change.OPENED
    return Change.CLOSED if old.allowed else Change.CHANGED


def asked(some: list[Request]) -> Iterator[Request]:
    for one in some:
        yield from near_misses(one)


@many
@given(pairs, st.lists(requests(), min_size=6, max_size=10))
def test_what_decides_otherwise_is_found(pair: tuple[ir.Mesh, ir.Mesh], some: list[Request]) -> None:
    """Access at the port, and what the caller's proxy does: for any request that differs there is a finding of its kind."""
    old, new = pair
    found = {
        (one.subject.namespace, one.subject.service, one.subject.port): one.changes
        for one in compare(old, new).subjects
    }
    before, after = sides_of(old), sides_of(new)
    for request in asked(some):
        key = (request.namespace, request.service, request.port)
        if key not in before:
            continue
        was, now = (at_port(sides[key]).decide(request) for sides in (before, after))
        if outcome(was) != outcome(now):
            assert kind_of(was, now) in found.get(key, ()), (request, was, now)
        was, now = (from_caller(sides[key]).decide(request) for sides in (before, after))
        if set(was.destinations) != set(now.destinations) or was.redirect != now.redirect:
            assert {Change.ROUTING, Change.SETTINGS} & found.get(key, frozenset()), (request, was, now)
        if (was.timeout_ms, was.retries, was.mirrors, was.faults) != (
            now.timeout_ms,
            now.retries,
            now.mirrors,
            now.faults,
        ):
            assert {Change.ROUTING, Change.SETTINGS} & found.get(key, frozenset()), (request, was, now)


@many
@given(pairs)
def test_what_is_found_is_so(pair: tuple[ir.Mesh, ir.Mesh]) -> None:
    """Each witness of access is decided at its port as its region says, whatever computed it."""
    old, new = (sides_of(mesh) for mesh in pair)
    found = compare(*pair)
    for subject in found.subjects:
        assert not subject.undecided
        for region in subject.regions:
            request = region.witness.request
            key = (request.namespace, request.service, request.port)
            if region.change is Change.ROUTING:
                was, now = (from_caller(sides[key]).decide(request) for sides in (old, new))
                assert (region.witness.old, region.witness.new) == (was, now)
                assert (set(was.destinations), was.status, was.redirect) != (
                    set(now.destinations),
                    now.status,
                    now.redirect,
                )
            else:
                was, now = (at_port(sides[key]).decide(request) for sides in (old, new))
                assert outcome(was) != outcome(now)
                assert kind_of(was, now) is region.change


@many
@given(pairs)
def test_the_other_way_round(pair: tuple[ir.Mesh, ir.Mesh]) -> None:
    old, new = pair
    there, back = compare(old, new), compare(new, old)
    assert [one.subject for one in there.subjects] == [one.subject for one in back.subjects]
    for one, other in zip(there.subjects, back.subjects, strict=True):
        mirrored = {Change.OPENED: Change.CLOSED, Change.CLOSED: Change.OPENED}
        changes = {mirrored.get(change, change) for change in one.changes}
        assert changes - {Change.WEAKENED_MTLS} == other.changes - {Change.WEAKENED_MTLS}
        assert len(one.settings) == len(other.settings)


@many
@given(pairs)
def test_pieces_are_the_region(pair: tuple[ir.Mesh, ir.Mesh]) -> None:
    """Whatever is said between what is wanted and what is optional is the region, no more and no less."""
    old, new = (sides_of(mesh) for mesh in pair)
    for key, side in new.items():
        if side.port == old[key].port:
            continue
        try:
            space = Space.of((side, old[key]))
        except TooComplexError:
            continue
        region = space.allowed(side) - space.allowed(old[key])
        heard = space.feasible - (_lost(space, side) & _lost(space, old[key]))
        pieces = pieces_of(region, heard, space.preferred)
        for least in (True, False):
            cells = [tuple(one.cells if least else one.allowed for one in piece.wanted) for piece in pieces]
            said = any_region(space.forest, (as_region(space.forest, cell) for cell in cells))
            assert said & heard == region & heard
        if pieces:
            assert any_region(space.forest, (piece.inside for piece in pieces)) == region


def _lost(space: Space, side) -> Diagram[bool]:
    return space.outcomes(side).where(lambda found: found is Outcome.NO_CONNECTION)


@settings(parent=many, max_examples=25)
@given(pairs)
def test_everything_can_be_printed(pair: tuple[ir.Mesh, ir.Mesh]) -> None:
    found = compare(*pair)
    for render in (render_text, render_json, render_markdown, render_html, render_sarif):
        assert render(found)
