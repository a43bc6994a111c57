"""Which replicas go and when, over whole rounds: off nodes that are going, and after what replaces them has proved
itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from medley_operator.domain.rollout.deletion_costs import FIRST
from medley_operator.domain.rollout.removals import PROVEN_SECONDS
from medley_operator.domain.values.labels import DELETION_COST
from medley_operator.domain.values.leadtime import Component, Start, unix_seconds
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.views import Autoscaler, PodView, Taint
from tests.unit.operator import factories as make
from tests.unit.operator.placing import (
    applied,
    follow_placed,
    foreign,
    nodes,
    on,
    service,
    settled_placed,
    with_nodes,
)
from tests.unit.operator.rounds.play import Round, is_quiet, run

GOING: dict[str, dict[str, Any]] = {
    "cordoned": {"cordoned": True},
    "being deleted": {"leaving": True},
    "disrupted by Karpenter": {"taints": (Taint("karpenter.sh/disrupted", "", "NoSchedule"),)},
    "drained by the autoscaler": {"taints": (Taint("ToBeDeletedByClusterAutoscaler", "1", "NoSchedule"),)},
    "NoExecute": {"taints": (Taint("maintenance", "", "NoExecute"),)},
}


def fixed(name: str = "llama", count: int = 4) -> Any:
    return service(name, rate="1", variants=[on("l4", minReplicas=count, maxReplicas=count)])


def four(*more: Any, count: int = 3, pods: tuple[PodView, ...] = ()) -> Round:
    """Four replicas on the first of three nodes of four GPUs."""
    pool = make.pool(nodes=None)
    steady = settled_placed(make.snapshot(fixed(), *more, pools=[pool], nodes=nodes("l4", count), pods=pods))
    assert {pod.node for pod in ours(steady)} == {"l4-0"}
    return steady


def ours(done: Round, name: str = "llama") -> list[PodView]:
    return [pod for pod in done.snapshot.pods if pod.name.startswith(f"{name}-") and not pod.terminating]


def going(snapshot: Snapshot, **fields: Any) -> Snapshot:
    return with_nodes(snapshot, ["l4-0"], **(fields or {"cordoned": True}))


def rounds(steady: Round, change: Callable[[Snapshot], Snapshot], count: int) -> list[Round]:
    done = [follow_placed(steady, change)]
    for _ in range(count - 1):
        done.append(follow_placed(done[-1]))
    return done


@pytest.mark.parametrize("fields", GOING.values(), ids=GOING)
def test_replicas_move_off_a_node_that_is_going_one_at_a_time(fields: dict[str, Any]) -> None:
    """No Ready replica is lost, no more than one is added, and once all have moved nothing is written."""
    done = rounds(four(), lambda snapshot: going(snapshot, **fields), 14)
    asked = [applied(each)["llama-l4"] for each in done]
    assert set(asked) == {4, 5}
    assert all(sum(pod.ready for pod in ours(each)) >= 4 for each in done)
    assert {pod.node for pod in ours(done[-1])} <= {"l4-1", "l4-2"}
    assert is_quiet(done[-1].decision)
    left = [sum(pod.node == "l4-0" for pod in ours(each)) for each in done]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    told = [note for each in done for note in each.decision.pod_notes]
    assert [note.annotations for note in told] == [{DELETION_COST: str(FIRST)}] * 4


def test_a_node_that_is_going_for_a_moment_moves_nothing() -> None:
    blink = follow_placed(four(), going)
    back = follow_placed(blink, lambda snapshot: going(snapshot, cordoned=False))
    assert not blink.decision.applies
    assert not back.decision.applies


def test_where_no_other_node_has_room_they_stay_and_it_is_told() -> None:
    """All other nodes are cordoned or taken: the pool has nowhere to put one more."""
    taken = (foreign("notebook", "l4-1", gpus=4),)
    steady = four(count=2, pods=taken)
    done = rounds(steady, going, 4)
    assert all(applied(each) == {"llama-l4": 4} for each in done)
    condition = done[-1].condition("CapacityAvailable")
    assert (condition.status, condition.reason) == ("False", "NodeLeaving")
    assert "llama-l4" in condition.message
    assert "on l4-0" in condition.message
    assert [each.reasons().count("NodeLeaving") for each in done] == [0, 1, 0, 0]
    freed = follow_placed(done[-1], lambda snapshot: replace(snapshot, pods=tuple(ours(done[-1]))))
    assert applied(freed) == {"llama-l4": 5}
    assert freed.condition("CapacityAvailable").reason == "Sufficient"


def test_a_cordon_that_stays_and_costs_that_are_refused_make_no_endless_row_of_starts() -> None:
    """The controller then takes the newest, which is the one that was to replace another."""
    current = follow_placed(four(), going)
    asked = [applied(current)["llama-l4"]]
    for _ in range(20):
        refused = replace(current, decision=replace(current.decision, pod_notes=()))
        current = follow_placed(refused)
        asked.append(applied(current)["llama-l4"])
    begun = sum(1 for before, after in pairwise(asked) if after > before)
    assert begun == 1
    assert all(pod.node == "l4-0" for pod in ours(current))


def test_services_move_in_turn_where_one_place_is_free() -> None:
    """Two services on the node that goes, and one free GPU elsewhere: what was freed for one is the next one's."""
    other = fixed("other", 1)
    taken = (foreign("notebook", "l4-1", gpus=3),)
    pool = make.pool(nodes=None)
    first = make.snapshot(fixed(count=2), other, pools=[pool], nodes=nodes("l4", 2), pods=taken)
    steady = settled_placed(first)
    crowded = [pod for pod in steady.snapshot.pods if pod.node == "l4-0"]
    done = rounds(steady, going, 8)
    assert len(crowded) in (2, 3)
    for each in done:
        more = sum(applied(each).values()) - 3
        assert more in (0, 1)
    assert done[-1].condition("CapacityAvailable").reason in ("NodeLeaving", "Sufficient")


def test_a_deployment_that_an_autoscaler_scales_is_not_moved() -> None:
    steady = four()
    key, _ = steady.child("Deployment", "l4")

    def scaled(snapshot: Snapshot) -> Snapshot:
        return replace(going(snapshot), autoscalers={key: Autoscaler(replicas="HorizontalPodAutoscaler demo/mine")})

    assert all(not each.decision.applies for each in rounds(steady, scaled, 3))


def test_where_a_plan_shrinks_pods_on_a_node_that_is_going_go_first() -> None:
    """Load falls while a node is drained: the plan's shrink takes what would be moved otherwise."""
    spec = service(rate="1", variants=[on("l4", minReplicas=4, maxReplicas=4)])
    pool = make.pool(nodes=None, gpus_per_node=2)
    steady = settled_placed(make.snapshot(spec, pools=[pool], nodes=nodes("l4", 2, gpus=2)))
    fewer = service(rate="1", variants=[on("l4", minReplicas=2, maxReplicas=2)])

    def change(snapshot: Snapshot) -> Snapshot:
        less = fewer.model_copy(update={"status": snapshot.services[0].status})
        return going(replace(snapshot, services=(less,)))

    done = follow_placed(steady, change)
    assert applied(done) == {"llama-l4": 2}
    on_it = {pod.uid for pod in ours(steady) if pod.node == "l4-0"}
    assert {note.uid for note in done.decision.pod_notes} == on_it
    assert {pod.node for pod in ours(follow_placed(done))} == {"l4-1"}


def test_the_idlest_pod_goes_first() -> None:
    """As Prometheus showed it in the planner's look: the actuator asks nobody."""
    live = {"source": "Prometheus"}

    def wanting(count: int) -> Any:
        return service(rate="1", workload=live, variants=[on("l4", minReplicas=count, maxReplicas=count)])

    pool = make.pool(nodes=None, gpus_per_node=1)
    seen = {"llama": make.found(1.0)}
    first = make.snapshot(wanting(2), pools=[pool], nodes=nodes("l4", 2, gpus=1), observations=seen)
    steady = settled_placed(first)
    busy, idle = ours(steady)
    less = wanting(1).model_copy(update={"status": steady.snapshot.services[0].status})

    def change(snapshot: Snapshot) -> Snapshot:
        told = {
            key: replace(each, pod_requests={busy.name: 9.0, idle.name: 0.0})
            for key, each in snapshot.observations.items()
        }
        return replace(snapshot, services=(less,), observations=told)

    done = follow_placed(steady, change)
    assert applied(done) == {"llama-l4": 1}
    assert [note.uid for note in done.decision.pod_notes] == [idle.uid]


def test_a_shrink_where_all_pods_are_alike_writes_no_pod() -> None:
    spec = service(rate="1", variants=[on("l4", minReplicas=2, maxReplicas=2)])
    pool = make.pool(nodes=None, gpus_per_node=1)
    steady = settled_placed(make.snapshot(spec, pools=[pool], nodes=nodes("l4", 2, gpus=1)))
    fewer = service(rate="1", variants=[on("l4", minReplicas=1, maxReplicas=1)])
    less = fewer.model_copy(update={"status": steady.snapshot.services[0].status})
    done = follow_placed(steady, lambda snapshot: replace(snapshot, services=(less,)))
    assert applied(done) == {"llama-l4": 1}
    assert done.decision.pod_notes == ()


def test_an_old_replica_stays_until_the_new_one_has_stayed_ready() -> None:
    """The new variant's pod ended with its first requests, a second after it was Ready and the old one was gone."""
    pools = [make.pool(nodes=None), make.pool("h100", gpu="H100", price="6.88", nodes=None)]
    everything = [*nodes("l4", 1), *nodes("h100", 1)]
    spec = service(rate="1", variants=[on("l4", minReplicas=1, maxReplicas=1)])
    steady = settled_placed(make.snapshot(spec, pools=pools, nodes=everything))
    moved = service(rate="1", variants=[on("h100", minReplicas=1, maxReplicas=1)])
    moved = moved.model_copy(update={"status": steady.snapshot.services[0].status})
    grown = follow_placed(steady, lambda snapshot: replace(snapshot, services=(moved,)))
    assert applied(grown) == {"llama-l4": 1, "llama-h100": 1}
    now = unix_seconds(make.NOW)
    assert now is not None

    def ready_since(snapshot: Snapshot, seconds: float) -> Snapshot:
        start = Start("uid", now - seconds, {Component.TOTAL: 60.0})
        return replace(
            snapshot, pods=tuple(replace(pod, start=start) if "h100" in pod.name else pod for pod in snapshot.pods)
        )

    fresh = follow_placed(grown)
    fresh_snapshot = ready_since(fresh.snapshot, 1.0)
    done = run(fresh_snapshot, fresh.memory, steps=grown.steps, at_seconds=fresh.at_seconds)
    assert applied(done) == {"llama-l4": 1, "llama-h100": 1}
    assert done.decision.wait_seconds == PROVEN_SECONDS - 1.0
    proven = ready_since(fresh.snapshot, PROVEN_SECONDS)
    done = run(proven, fresh.memory, steps=grown.steps, at_seconds=fresh.at_seconds)
    assert "llama-l4" not in applied(done) or applied(done)["llama-l4"] == 0
