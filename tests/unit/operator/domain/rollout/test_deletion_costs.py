"""Which Ready pods go first where a Deployment shrinks, and how its controller is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.leaving import LeavingNodes
from medley_operator.domain.rollout.deletion_costs import (
    FIRST,
    MOST_NOTES,
    PATIENCE_SECONDS,
    cost_notes,
    first_to_go,
    gpus_by_node,
    ordered,
)
from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink
from medley_operator.domain.values import labels
from medley_operator.domain.values.labels import DELETION_COST
from medley_operator.domain.values.views import PodView
from tests.unit.operator import factories as make
from tests.unit.operator.domain.rollout.test_removals import variant

NOBODY = LeavingNodes({}, {})
GPU = "nvidia.com/gpu"


def pod(name: str, node: str, **fields: Any) -> PodView:
    given: dict[str, Any] = {
        "namespace": "demo",
        "name": name,
        "uid": f"uid-{name}",
        "gpus": {GPU: 1},
        "node": node,
        "controller": ("ReplicaSet", "rs"),
        "labels": {labels.VARIANT: "a", labels.LAYOUT: "abc", labels.POOL: "l4"},
        "ready": True,
        **fields,
    }
    return PodView(**given)


def first(pods: Sequence[PodView], count: int, *others: PodView, leaving: LeavingNodes = NOBODY) -> list[str]:
    found = first_to_go(pods, count, leaving=leaving, held=gpus_by_node([*pods, *others]))
    return [each.name for each in found]


def cordoned(*names: str) -> LeavingNodes:
    nodes = [replace(make.node(name, pool_name="l4"), cordoned=True) for name in names]
    return LeavingNodes.of(make.snapshot(pools=[make.pool()], nodes=nodes))


def test_those_on_nodes_that_are_going_go_first() -> None:
    pods = [pod("a", "n1"), pod("b", "n2"), pod("c", "n3")]
    assert first(pods, 1, leaving=cordoned("n2")) == ["b"]
    assert first(pods, 2, leaving=cordoned("n2", "n3")) == ["b", "c"]


def test_those_whose_end_frees_a_whole_node_go_before_others() -> None:
    """Two pods on each of two nodes, of which one has a notebook too."""
    pods = [pod("a", "n1"), pod("b", "n1"), pod("c", "n2"), pod("d", "n2")]
    notebook = pod("notebook", "n1", labels={}, namespace="lab")
    assert first(pods, 2, notebook) == ["c", "d"]
    # Node by node, though all nodes are alike: the controller itself would take one of each.
    assert first(pods, 2) == ["a", "b"]
    assert first([*pods, pod("e", "n3")], 1) == ["e"]


def test_the_idlest_go_before_what_packing_would_choose() -> None:
    pods = [pod("a", "n1"), pod("b", "n2"), pod("c", "n2"), pod("d", "n2")]
    assert idlest(pods, 1, a=9.0, b=9.0, c=0.0, d=9.0) == ["c"]
    assert idlest(pods, 2, a=9.0, b=1.0, c=0.0, d=9.0) == ["c", "b"]
    # What is within a third of the busiest is as busy: the one whose end frees a node goes.
    assert idlest(pods, 1, a=9.0, b=7.0, c=8.0, d=7.0) == ["a"]
    # Who is not seen may have any number of requests.
    assert idlest(pods, 1, a=9.0, b=2.0, d=9.0) == ["b"]
    assert first_to_go(pods[1:], 1, leaving=NOBODY, held={}, busy={"b": 0.0, "c": 0.0, "d": 0.0}) == ()
    on_going = first_to_go(pods, 1, leaving=cordoned("n1"), held=gpus_by_node(pods), busy={"a": 9.0, "c": 0.0})
    assert [each.name for each in on_going] == ["a"]


def idlest(pods: Sequence[PodView], count: int, **busy: float) -> list[str]:
    found = first_to_go(pods, count, leaving=NOBODY, held=gpus_by_node(pods), busy=busy)
    return [each.name for each in found]


def test_of_pods_of_one_node_the_newest_goes_first() -> None:
    pods = [pod("a", "n1", created_at=10.0), pod("b", "n1", created_at=20.0), pod("c", "n2"), pod("d", "n2")]
    assert first(pods, 1) == ["b"]


@pytest.mark.parametrize("count", [0, 3, 5])
def test_where_none_or_all_go_nothing_is_told(count: int) -> None:
    pods = [pod("a", "n1"), pod("b", "n2"), pod("c", "n3")]
    assert first(pods, count, leaving=cordoned("n2")) == []


def test_where_no_pod_stands_out_the_controllers_own_order_is_as_good() -> None:
    assert first([pod("a", "n1"), pod("b", "n2"), pod("c", "n3")], 1) == []
    assert first([pod("a", "n1"), pod("b", "n1"), pod("c", "n1")], 1) == []


def test_a_cost_that_others_set_ranks_before_all_else() -> None:
    pods = [pod("a", "n1", deletion_cost=5), pod("b", "n2"), pod("c", "n3")]
    assert first(pods, 2, leaving=cordoned("n1")) == ["b", "c"]
    assert cost_notes(pods, pods[1:]) == ()
    low = [pod("a", "n1"), pod("b", "n2", deletion_cost=-5), pod("c", "n3")]
    assert first(low, 1, leaving=cordoned("n1")) == ["b"]


def told(pods: Sequence[PodView], going: Sequence[PodView]) -> dict[str, str | None]:
    return {note.key.name: note.annotations[DELETION_COST] for note in cost_notes(pods, going)}


def test_a_cost_is_set_where_it_is_not_seen_and_taken_from_who_stays() -> None:
    pods = [pod("a", "n1"), pod("b", "n2", deletion_cost=FIRST), pod("c", "n3")]
    assert told(pods, pods[:1]) == {"a": str(FIRST), "b": None}
    assert told(pods, pods[1:2]) == {}
    assert told(pods, []) == {}


def step(count: int, steps: ServiceSteps | None = None) -> Shrink:
    return Shrink({"a": count}, None, steps or ServiceSteps(shrunk_at={"a": 100.0}))


def ran(pods: Sequence[PodView], given: Shrink, at: float = 100.0, leaving: LeavingNodes | None = None) -> Shrink:
    running = {"a": variant("a", len(pods), len(pods))}
    return ordered(given, running, pods, pods, leaving or cordoned("n1"), busy={}, at_seconds=at)


PODS = [pod("a", "n1"), pod("b", "n2"), pod("c", "n3")]


def test_a_shrink_waits_until_the_costs_are_seen() -> None:
    asked = ran(PODS, step(2))
    assert (asked.replicas, asked.wait_seconds) == ({"a": 3}, PATIENCE_SECONDS)
    assert [note.key.name for note in asked.notes] == ["a"]
    assert asked.steps.shrunk_at == {}, "nothing went yet"
    seen = [replace(PODS[0], deletion_cost=FIRST), *PODS[1:]]
    done = ran(seen, step(2, asked.steps), 101.0)
    assert (done.replicas, done.notes, dict(done.steps.marking)) == ({"a": 2}, (), {})


def test_a_cost_that_is_refused_or_taken_back_holds_no_shrink_up_for_long() -> None:
    """Each pod is asked once; then the Deployment shrinks without."""
    asked = ran(PODS, step(2))
    again = ran(PODS, step(2, asked.steps), 102.0)
    assert (again.replicas, again.notes, again.wait_seconds) == ({"a": 3}, (), PATIENCE_SECONDS - 2.0)
    assert ran(PODS, step(2, again.steps), 100.0 + PATIENCE_SECONDS).replicas == {"a": 2}


def test_a_pass_sets_a_bounded_number_of_costs() -> None:
    pods = [pod(f"p{number:03}", f"n{number % 9}") for number in range(90)]
    asked = ran(pods, step(45))
    assert len(asked.notes) == MOST_NOTES
    rest = ran(pods, step(45, asked.steps), 100.5)
    assert len(rest.notes) == MOST_NOTES
    assert not {note.uid for note in rest.notes} & {note.uid for note in asked.notes}


def test_pods_that_are_not_ready_go_untold_and_growth_says_nothing() -> None:
    running = {"a": variant("a", 3, 2)}
    pods = [*PODS[:2], replace(PODS[2], ready=False)]
    for count in (2, 3, 4):
        assert ordered(step(count), running, pods, pods, cordoned("n1"), busy={}, at_seconds=100.0).notes == ()


def test_a_shrink_that_is_not_due_any_more_is_forgotten() -> None:
    asked = ran(PODS, step(2))
    assert dict(ran(PODS, step(3, asked.steps), 101.0).steps.marking) == {}


def test_pods_that_only_look_like_ours_are_left_alone() -> None:
    decoy = replace(PODS[0], name="decoy", uid="uid-decoy", controller=("Job", "j"))
    running = {"a": variant("a", 3, 3)}
    found = ordered(step(2), running, [decoy, *PODS[1:]], PODS, cordoned("n1"), busy={}, at_seconds=100.0)
    assert found.notes == ()
