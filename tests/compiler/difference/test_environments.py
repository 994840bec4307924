"""Several environments: what differs alike is said once, and where."""

from dataclasses import replace

from meshc.difference.environments import merge
from meshc.difference.model import Difference, Presence
from meshc_harness.differences import NOTHING, ONE, PORT, REGION, SETTING


def test_what_is_alike_everywhere_is_said_once() -> None:
    found = merge([(None, ONE), ("prod", ONE), ("staging", ONE)])
    assert [one.environments for one in found.subjects] == [(None, "prod", "staging")]
    assert found.subjects[0].regions == PORT.regions
    assert found.environments == (None, "prod", "staging")
    assert found.compared == 7


def test_each_finding_has_its_environments() -> None:
    more = Difference(subjects=(replace(PORT, settings=(SETTING, replace(SETTING, name="retry"))),), compared=7)
    found = merge([(None, ONE), ("prod", more), ("staging", NOTHING)])
    assert [(one.environments, len(one.regions), [each.name for each in one.settings]) for one in found.subjects] == [
        ((None, "prod"), 1, ["timeout"]),
        (("prod",), 0, ["retry"]),
    ]


def test_another_example_is_the_same_finding() -> None:
    other = replace(REGION, witness=replace(REGION.witness, caller="shop.cart"))
    found = merge([(None, ONE), ("prod", Difference(subjects=(replace(PORT, regions=(other,)),), compared=7))])
    assert [one.environments for one in found.subjects] == [(None, "prod")]


def test_added_here_and_changed_there() -> None:
    added = Difference(subjects=(replace(PORT, presence=Presence.ADDED),), compared=7)
    found = merge([(None, ONE), ("prod", added)])
    assert [(one.presence, one.environments) for one in found.subjects] == [
        (Presence.BOTH, (None,)),
        (Presence.ADDED, ("prod",)),
    ]


def test_a_subject_without_findings() -> None:
    gone = Difference(subjects=(replace(PORT, presence=Presence.REMOVED, regions=(), settings=()),), compared=7)
    found = merge([(None, gone), ("prod", gone)])
    assert [one.environments for one in found.subjects] == [(None, "prod")]


def test_environments_of_one_side_are_a_difference() -> None:
    assert merge([(None, NOTHING)]).is_empty
    assert not merge([(None, NOTHING)], added=["prod"]).is_empty
