"""Laws of the meaning, over random meshes and near-miss requests."""

import random
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.explaining.as_json import explanation_to_json
from meshc.explaining.model import Remedies
from meshc.explaining.text import COLOURED, render_explanation
from meshc.request import Request
from meshc.semantics import Evaluator, decide
from meshc.semantics.explain import explain
from meshc_strategies import meshes, near_misses, requests, rules
from meshc_strategies.naive import naive_decide

many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

many_requests = st.lists(requests(), min_size=4, max_size=8)


def all_near(asked) -> Iterator[Request]:
    for one in asked:
        yield from near_misses(one)


def with_access(mesh: ir.Mesh, change) -> ir.Mesh:
    """The mesh with the stages of every port changed."""

    def changed(ports):
        return tuple(replace(port, access=change(port.access)) for port in ports)

    return replace(
        mesh,
        workloads=tuple(replace(one, ports=changed(one.ports)) for one in mesh.workloads),
        externals=tuple(replace(one, ports=changed(one.ports)) for one in mesh.externals),
    )


@many
@given(meshes(), many_requests)
def test_decide_is_the_naive_evaluator(mesh: ir.Mesh, asked) -> None:
    evaluator = Evaluator(mesh)
    for one in all_near(asked):
        decision = evaluator.decide(one)
        assert (decision.allowed, decision.status, decision.redirect) == naive_decide(mesh, one), one


@many
@given(meshes(), many_requests, rules())
def test_adding_a_deny_never_widens(mesh: ir.Mesh, asked, rule: ir.Rule) -> None:
    stage = ir.Stage(effect=ir.Effect.DENY, rules=(rule,), span=rule.span)
    before, after = Evaluator(mesh), Evaluator(with_access(mesh, lambda access: (stage, *access)))
    for one in all_near(asked):
        assert after.decide(one).allowed in {before.decide(one).allowed, False}


@many
@given(meshes(), many_requests, rules())
def test_deny_beats_allow(mesh: ir.Mesh, asked, rule: ir.Rule) -> None:
    """allow R and deny R == deny R, for what R matches."""
    both = (
        ir.Stage(effect=ir.Effect.DENY, rules=(rule,), span=rule.span),
        ir.Stage(effect=ir.Effect.ALLOW, rules=(rule,), span=rule.span),
    )
    evaluator = Evaluator(with_access(mesh, lambda _: both))
    for one in all_near(asked):
        assert evaluator.decide(one).allowed is not True


@many
@given(meshes(), many_requests, st.randoms(use_true_random=False))
def test_order_of_rules_and_stages_has_no_effect(mesh: ir.Mesh, asked, shuffler: random.Random) -> None:
    def shuffled(access):
        stages = [replace(one, rules=tuple(shuffler.sample(one.rules, len(one.rules)))) for one in access]
        return tuple(shuffler.sample(stages, len(stages)))

    before, after = Evaluator(mesh), Evaluator(with_access(mesh, shuffled))
    for one in all_near(asked):
        left, right = before.decide(one), after.decide(one)
        assert (left.allowed, left.status) == (right.allowed, right.status)


@many
@given(meshes(), many_requests)
def test_shadow_stages_have_no_effect(mesh: ir.Mesh, asked) -> None:
    plain = with_access(mesh, lambda access: tuple(one for one in access if not one.shadow))
    before, after = Evaluator(mesh), Evaluator(plain)
    for one in all_near(asked):
        left, right = before.decide(one), after.decide(one)
        assert (left.allowed, left.status, left.rule) == (right.allowed, right.status, right.rule)
        assert right.shadow == ()


@many
@given(meshes(), many_requests)
def test_explain_agrees_with_decide(mesh: ir.Mesh, asked) -> None:
    """explain(r).decision == decide(r), and the rule marked as the decider is the decision's."""
    evaluator = Evaluator(mesh)
    for one in asked:
        explanation = explain(evaluator, one)
        assert explanation.decision == decide(mesh, one)
        check_destinations(explanation)
        assert render_explanation(explanation)
        assert "\x1b" in render_explanation(explanation, style=COLOURED) or explanation.decision.allowed is None
        assert explanation_to_json(explanation, Remedies(), mesh)


def check_destinations(explanation) -> None:
    for finding in explanation.destinations:
        deciders = [stage for stage in finding.stages if stage.decided]
        rules_ = [rule for stage in finding.stages for rule in stage.rules if rule.decided]
        if not finding.stages:
            continue
        if not deciders:
            assert finding.decision.reason == "default access allow"
        elif rules_:
            assert [rule.rule.span for rule in rules_] == [finding.decision.rule]
            assert rules_[0].matched
        else:
            assert deciders[0].span == finding.decision.rule
            assert not any(rule.matched for rule in deciders[0].rules)
        for stage in finding.stages:
            if stage.shadow:
                assert {rule.rule.span for rule in stage.rules if rule.matched} <= set(finding.decision.shadow)
        assert all(rule.misses for rule in finding.nearest)
        counts = [len(rule.misses) for rule in finding.nearest]
        assert counts == sorted(counts)
    if explanation.decision.allowed is not None and explanation.destinations:
        assert explanation.decision.allowed is all(one.decision.allowed for one in explanation.destinations)
