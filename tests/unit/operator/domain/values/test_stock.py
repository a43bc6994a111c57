"""Figures of stock, and the packing of replicas whose node is not known."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.stock import packed


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
