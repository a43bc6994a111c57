"""Figures of stock, and the packing of replicas whose node is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import (
    Holder,
    Ledger,
    NodeStock,
    PlacedPod,
    PoolRoom,
    PoolStock,
    Workload,
    packed,
)


@pytest.mark.parametrize(
    ("nodes", "taken", "free"),
    [
        ((8, 8), {}, (8, 8)),
        # the largest first, each where it fits most tightly, so that a whole node stays whole
        ((8, 8), {1: 4, 4: 1}, (0, 8)),
        ((4, 2, 8), {2: 1, 4: 1}, (0, 0, 8)),
        ((8, 8), {8: 1, 1: 1}, (0, 7)),
        # no node holds four any more, yet they run somewhere: they come off the fullest nodes
        ((3, 3), {4: 1}, (0, 2)),
        # more than there is
        ((2, 2), {2: 5}, (0, 0)),
        # by far: answered without counting them one by one
        ((2, 2), {2: 10**15}, (0, 0)),
        # pods without a GPU take none
        ((2, 2), {0: 10**15, 1: 1}, (1, 2)),
        ((), {1: 1}, ()),
    ],
)
def test_what_others_leave_on_each_node(nodes: tuple[int, ...], taken: dict[int, int], free: tuple[int, ...]) -> None:
    assert packed(nodes, taken).free == free
    assert sum(free) == max(sum(nodes) - sum(size * count for size, count in taken.items()), 0)


def test_pods_that_end_leave_room_and_a_pod_beyond_the_plan_keeps_its_own() -> None:
    """In a rolling update on a pool with one free GPU, whether there is room does not change with each pod."""
    two = (PlacedPod(LLAMA, 1),) * 2
    before = _pool(NodeStock("a", 3, open=True, running=two))
    assert before.room == PoolRoom(3, 1)
    assert before.room.beyond(2, 1, has_one=False)
    surging = _pool(NodeStock("a", 3, open=True, running=(*two, PlacedPod(LLAMA, 1))))
    assert surging.room.beyond(2, 1, has_one=True)
    assert not surging.room.beyond(2, 1, has_one=False)
    ending = _pool(NodeStock("a", 3, open=True, running=two, ending_gpus=1))
    assert ending.free_gpus == 0
    assert ending.room.beyond(2, 1, has_one=False)


def test_the_sum_alone_is_no_room() -> None:
    scattered = _pool(NodeStock("a", 1, open=True), NodeStock("b", 1, open=True), NodeStock("c", 9, open=False))
    assert scattered.room == PoolRoom(2, 1)
    assert not scattered.room.beyond(0, 2, has_one=False)
    assert _pool(unlimited=True).room.beyond(10**9, 64, has_one=False)


def test_those_in_the_way_stand_where_room_would_be_if_they_went() -> None:
    other, small = Holder(LLAMA.service, "other"), Holder(LLAMA.service, "small")
    stock = _pool(
        NodeStock("a", 4, open=True, running=(PlacedPod(LLAMA, 2), PlacedPod(other, 2))),
        NodeStock("b", 4, open=True, running=(PlacedPod(small, 1), PlacedPod(other, 3))),
        NodeStock("c", 4, open=False, running=(PlacedPod(small, 4),)),
    )
    ledger = Ledger({"l4": stock}, pods_known=True)
    surplus = {LLAMA: 2, small: 5}
    assert ledger.in_the_way("l4", 2, surplus) == {LLAMA: 2}
    assert ledger.in_the_way("l4", 1, surplus) == {LLAMA: 1, small: 1}
    assert ledger.in_the_way("l4", 3, surplus) == {}
    # Two services make the room together.
    assert ledger.in_the_way("l4", 4, {LLAMA: 2, other: 2}) == {LLAMA: 2, other: 2}
    assert ledger.in_the_way("unknown", 1, surplus) == {}


def test_a_place_is_free_for_one_more_beside_all_that_waits_for_one() -> None:
    stock = _pool(NodeStock("a", 4, open=True, running=(PlacedPod(LLAMA, 2),)), NodeStock("b", 9, open=False))
    placed = Workload(LLAMA, "llama-l4", "l4", 2, replicas=1, ready=1, placed=1)
    ledger = Ledger({"l4": stock}, (placed,), pods_known=True)
    assert ledger.free_for("l4", 2)
    assert not ledger.free_for("l4", 3)
    waiting = replace(ledger, workloads=(replace(placed, replicas=2),))
    assert not waiting.free_for("l4", 2)
    assert not ledger.free_for("unknown", 1)
    assert Ledger({"l4": _pool(unlimited=True)}, pods_known=True).free_for("l4", 8)


LLAMA = Holder(ServiceKey("demo", "llama"), "l4")


def _pool(*nodes: NodeStock, unlimited: bool = False) -> PoolStock:
    free = tuple(node.free_gpus for node in nodes)
    return PoolStock(nodes, unlimited=unlimited, pods_known=True, free_by_node=free)
