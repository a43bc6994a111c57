"""The nodes that count as a pool's stock, and the rest that other pods leave of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.pools import free_gpus, pool_state
from tests.unit.operator import factories as make


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
    assert free_gpus(nodes, taken) == free
    assert sum(free) == max(sum(nodes) - sum(size * count for size, count in taken.items()), 0)


@pytest.mark.parametrize("change", [{"ready": False}, {"cordoned": True}, {"leaving": True}])
def test_nodes_that_take_no_pod_are_no_stock(change: dict[str, Any]) -> None:
    there = make.node("a", pool_name="l4")
    away = replace(make.node("b", pool_name="l4"), **change)
    state = pool_state(make.pool(nodes=None), [there, away])
    assert (state.ready_nodes, state.stock_gpus) == (1, 4)
