"""The places of a pool that a plan may use."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.cluster.places import planner_places
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, NodeStock, PlacedPod, PoolStock
from medley_planner.catalog import gpu
from tests.unit.operator import factories as make

A, B = ServiceKey("demo", "a"), ServiceKey("demo", "b")
SMALL, LARGE = Holder(A, "tp1"), Holder(B, "tp4")


def places(
    *nodes: NodeStock, offered: dict[Holder, int] | None = None, planned: tuple[ServiceKey, ...] = (A, B), **given: Any
) -> tuple[int, ...]:
    state = PoolState(make.pool(), gpu("L4"), PoolStock(nodes=nodes))
    reserved = given.pop("reserved", {})
    found = planner_places(state, offered or {}, planned=planned, reserved=reserved, **given)
    assert found is not None
    return found.gpus


def node(*running: Holder, gpus: int = 4, open_: bool = True, **fields: int) -> NodeStock:
    pods = tuple(PlacedPod(holder, int(holder.variant.removeprefix("tp"))) for holder in running)
    return NodeStock("n", gpus, open=open_, running=pods, **fields)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ({SMALL: 1}, (4,)),
        ({SMALL: 1, Holder(A, "tp4"): 4}, (4,)),
        ({SMALL: 1, LARGE: 4}, (2, 1, 1)),
        # It goes for certain.
        ({LARGE: 4}, (4,)),
    ],
    ids=["alone", "larger ones of the same service", "larger ones of another", "no longer offered"],
)
def test_a_small_pod_keeps_larger_ones_of_others_out(offered: dict[Holder, int], expected: tuple[int, ...]) -> None:
    assert places(node(SMALL, SMALL), offered=offered) == expected


def test_large_pods_leave_their_place_whole() -> None:
    assert places(node(LARGE), offered={SMALL: 1, LARGE: 4}) == (4,)


def test_pods_of_services_that_are_not_planned_are_no_place() -> None:
    assert places(node(SMALL, LARGE, gpus=8), planned=(A,)) == (4,)
    assert places(node(SMALL, foreign_gpus=2)) == (2,)


def test_where_no_new_pod_may_start_each_that_runs_has_its_own_place() -> None:
    assert places(node(SMALL, SMALL, open_=False), node()) == (1, 1, 4)


def test_reserved_replicas_are_packed_onto_what_is_free() -> None:
    assert places(node(SMALL), node(), reserved={2: 1}) == (2, 4)
    assert places(node(SMALL), node(), reserved={2: 10**9}) == (1, 0)


def test_gpus_of_pods_that_end_are_for_what_waits_already() -> None:
    assert places(node(ending_gpus=2)) == (2,)
    assert places(node(ending_gpus=2), waiting_gpus=1) == (3,)
    assert places(node(ending_gpus=2), waiting_gpus=9) == (4,)
    assert places(node(ending_gpus=2), reserved={1: 2}) == (2,)
    assert places(node(SMALL, ending_gpus=4), waiting_gpus=9) == (4,)
    assert places(node(ending_gpus=2, open_=False), waiting_gpus=2) == ()


def test_whole_nodes_are_paid_where_all_their_gpus_are_there() -> None:
    state = PoolState(
        make.pool(cost={"perNodeHour": "3"}), gpu("L4"), PoolStock(nodes=(node(), node(gpus=3), node(SMALL, gpus=3)))
    )
    found = planner_places(state, {}, planned=(A,), reserved={})
    assert found is not None
    assert (sum(found.gpus), found.nodes) == (5, 2)


def test_without_a_limit_there_are_no_places() -> None:
    state = PoolState(make.pool(), gpu("L4"), PoolStock(unlimited=True))
    assert planner_places(state, {}, planned=(), reserved={}) is None
