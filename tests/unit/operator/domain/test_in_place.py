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


def on_nodes(*nodes: NodeStock, pool: str = "l4") -> Ledger:
    pools = {name: PoolStock() for name in ("l4", "h100")}
    pools[pool] = PoolStock(nodes, free_by_node=tuple(node.free_gpus for node in nodes))
    return Ledger(pools, pods_known=True)


def running(holder: Holder, *sizes: int) -> tuple[PlacedPod, ...]:
    return tuple(PlacedPod(holder, gpus) for gpus in sizes)


def test_replicas_in_a_pool_that_it_has_no_variant_in_hold_no_minimum() -> None:
    """Pods of a copy that a tenant made on H100 counted for its minimum on L4, which took a Ready replica of another
    tenant."""
    copies = NodeStock("h100-0", 8, open=True, running=running(Holder(MINE.service, "h100"), 1, 1, 1))
    found = claimed(on_nodes(copies, pool="h100"), scaling={"minReplicas": 3}, variants=[on("l4")])
    assert found.min_replicas == 0


def test_a_variant_that_changed_its_pool_or_its_size_has_none_of_its_replicas_in_place() -> None:
    """Four of one GPU are not four of two, and those on L4 are none on H100."""
    old = NodeStock("l4-0", 4, open=True, running=running(Holder(MINE.service, "main"), 1, 1, 1, 1))
    larger = claimed(on_nodes(old), scaling={"minReplicas": 4}, variants=[on("l4", 2, name="main", minReplicas=4)])
    assert (larger.min_replicas, minima(larger), larger.variants[0].placed_replicas) == (2, {"main": 2}, 0)
    moved = claimed(on_nodes(old), scaling={"minReplicas": 4}, variants=[on("h100", name="main")])
    assert (moved.min_replicas, moved.variants[0].placed_replicas) == (0, 0)


def test_free_gpus_of_two_nodes_are_no_room_for_one_replica() -> None:
    """Two nodes with a free GPU each held a minimum of a replica of two, which took both from somebody else."""
    nodes = (NodeStock(f"l4-{n}", 4, open=True, running=running(OTHERS, 3)) for n in range(2))
    found = claimed(on_nodes(*nodes), scaling={"minReplicas": 1}, variants=[on("l4", 2, minReplicas=1)])
    assert (found.min_replicas, minima(found)) == (0, {})


def test_replicas_on_a_node_that_takes_no_new_pods_hold_their_own_minimum_alone() -> None:
    cordoned = NodeStock("l4-0", 4, open=False, running=running(MINE, 1, 1))
    same = claimed(on_nodes(cordoned), scaling={"minReplicas": 4}, variants=[on("l4", minReplicas=4)])
    assert (same.min_replicas, minima(same)) == (2, {"l4": 2})
    other = claimed(on_nodes(cordoned), scaling={"minReplicas": 4}, variants=[on("l4", name="second", minReplicas=4)])
    assert (other.min_replicas, minima(other)) == (0, {})


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
