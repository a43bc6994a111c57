"""A service claims what its replicas hold and what is free, and nothing that replicas of others stand on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.in_place import InPlace, held_rps
from medley_operator.domain.planner_input import planner_service
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, Ledger, NodeStock, PlacedPod, PoolStock, Workload
from medley_planner.model import Service
from tests.unit.operator import factories as make
from tests.unit.operator.placing import on
from tests.unit.operator.rounds.play import changed, follow, run, settle

MINE, OTHERS = (Holder(ServiceKey(make.NAMESPACE, name), "l4") for name in ("llama", "other"))


def candidate(**spec: Any) -> ServiceCandidate:
    return run(make.snapshot(make.service(spec=spec))).candidate()


def ledger(
    *, own: int = 0, free: int = 0, ending: int = 0, asked: int = 0, others: int = 0, known: bool = True
) -> Ledger:
    """Replicas on one node of one GPU each: those of the service, of another, and what is free."""
    running = tuple(PlacedPod(MINE, 1) for _ in range(own)) + tuple(PlacedPod(OTHERS, 1) for _ in range(others))
    node = NodeStock("l4-0", own + others + free + ending, open=True, running=running, ending_gpus=ending)
    pools = {"l4": PoolStock((node,), free_by_node=(free,)), "h100": PoolStock((), free_by_node=())}
    workload = Workload(MINE, "llama-l4", "l4", gpus=1, replicas=asked, ready=own, placed=own)
    bound = {MINE: own, OTHERS: others}
    return Ledger(pools, (workload,), pods_known=known, bound=bound, ending={MINE: ending})


def claimed(found: Ledger, **spec: Any) -> Service:
    given = candidate(**spec)
    return InPlace.of(found)(planner_service(given), given)


def minima(service: Service) -> dict[str, int]:
    return {each.name: each.min_replicas for each in service.variants if each.min_replicas}


@pytest.mark.parametrize(("own", "free", "least"), [(0, 0, 0), (2, 0, 2), (2, 1, 3), (4, 3, 4)])
def test_a_minimum_is_no_more_than_what_it_has_and_what_is_free(own: int, free: int, least: int) -> None:
    found = ledger(own=own, free=free, others=4)
    assert claimed(found, scaling={"minReplicas": 4}, variants=[on("l4")]).min_replicas == least
    assert minima(claimed(found, variants=[on("l4", minReplicas=4)])).get("l4", 0) == least


def test_a_free_gpu_counts_for_one_variant() -> None:
    two = [on("l4", minReplicas=2), on("l4", name="second", minReplicas=2)]
    assert sum(minima(claimed(ledger(free=3), variants=two)).values()) == 3
    # Of a replica of two GPUs there is no half.
    assert minima(claimed(ledger(free=3), variants=[on("l4", 2, minReplicas=2)])) == {"l4-tp2": 1}
    unpacked = claimed(ledger(free=1), scaling={"minReplicas": 4}, variants=[on("l4"), on("l4", name="second")])
    assert unpacked.min_replicas == 1


def test_gpus_of_a_variant_that_is_replaced_are_for_the_one_that_replaces_it() -> None:
    assert minima(claimed(ledger(own=4), variants=[on("l4", name="second", minReplicas=4)])) == {"second": 4}


def test_a_pod_that_ends_and_is_made_again_keeps_its_gpus() -> None:
    assert claimed(ledger(own=1, ending=3, asked=4), scaling={"minReplicas": 4}).min_replicas == 4
    assert claimed(ledger(own=1, ending=3, asked=1), scaling={"minReplicas": 4}).min_replicas == 1


def test_nodes_that_are_made_as_asked_have_room_for_all() -> None:
    found = ledger()
    found = replace(found, pools={**found.pools, "l4": PoolStock(unlimited=True)})
    service = claimed(found, scaling={"minReplicas": 4}, variants=[on("l4", minReplicas=2)])
    assert (service.min_replicas, minima(service)) == (4, {"l4": 2})


def test_where_pods_cannot_be_seen_nothing_is_taken_off() -> None:
    found = ledger(known=False)
    assert claimed(found, scaling={"minReplicas": 4}).min_replicas == 4
    assert minima(claimed(found, variants=[on("l4", minReplicas=4)])) == {"l4": 4}


def test_a_plan_that_waits_holds_nothing_yet() -> None:
    """A service goes before others with what it is served, and not with what it was only promised."""
    steady = settle(make.snapshot(make.service()))
    before = held_rps(steady.candidate())
    assert before == pytest.approx(4.0)
    static = {**make.STATIC, "requestsPerSecond": "400"}
    asks = make.service(spec={"scaling": {"mode": "Approve"}, "workload": {"source": "Static", "static": static}})
    waits = run(changed(steady.snapshot, asks), steady.memory)
    assert waits.condition("PlanReady").reason == "AwaitingApproval"
    after = follow(waits).candidate()
    capacity = sum(row.desired * row.replica_rps for row in after.service.status.variants)
    assert before < capacity < 400.0
    assert held_rps(after) == pytest.approx(capacity)
