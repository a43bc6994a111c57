"""The rest of nodes, stock and watts that the other services leave for one that is examined alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from medley_planner.explain.others import OneService, blocks_left
from medley_planner.model import Pool, PowerBudget, Problem
from tests.unit.planner.explain.small import planned, problem, service, variant

SIZES = (1, 2, 4, 8)


def _packs(nodes: tuple[int, ...], replicas: Counter[int]) -> bool:
    """The condition of the planner's contract, for sizes that divide each other."""
    return all(
        sum(count * (other // size) for other, count in replicas.items() if other >= size)
        <= sum(gpus // size for gpus in nodes)
        for size in SIZES
    )


_COUNTS = st.dictionaries(st.sampled_from(SIZES), st.integers(0, 5)).map(Counter)


@given(st.lists(st.integers(0, 16), max_size=5).map(tuple), _COUNTS, _COUNTS)
def test_blocks_hold_just_what_the_nodes_have_left(
    nodes: tuple[int, ...], taken: Counter[int], more: Counter[int]
) -> None:
    if not _packs(nodes, taken):
        return
    assert _packs(blocks_left(nodes, taken, set(SIZES)), more) == _packs(nodes, taken + more)


def test_what_does_not_pack_leaves_nothing() -> None:
    assert blocks_left((4, 4), {8: 1}, set(SIZES)) == ()


def test_stock_is_what_the_others_leave() -> None:
    mine = service(variant("a", 1.0, 1.0, pool="p"), rate=2.0, name="mine")
    other = service(variant("a", 1.0, 1.0, pool="p", gpus=2), rate=3.0, name="other")
    asked = problem(mine, other, p=10)
    alone = OneService(asked, planned(asked)).problem("mine")
    assert (alone.services, alone.pools) == ((mine,), (Pool("p", 4),))


def test_nodes_and_watts_are_what_the_others_leave() -> None:
    mine = service(variant("a", 1.0, 1.0, pool="p", gpus=4), rate=1.0, name="mine")
    other = service(replace(variant("a", 1.0, 1.0, pool="p"), watts=100.0), rate=3.0, name="other")
    domains = (PowerBudget("site", 900.0), PowerBudget("hall", 800.0, parent="site"), PowerBudget("far", 50.0))
    asked = Problem((mine, other), (Pool("p", node_gpus=(8, 4), power_domain="hall"),), domains)
    alone = OneService(asked, planned(asked)).problem("mine")
    # Three single GPUs break one block of 4 and leave two blocks of 4 and one GPU.
    assert alone.pools[0].node_gpus == (4, 4, 1)
    assert [domain.budget_watts for domain in alone.power_domains] == [600.0, 500.0, 50.0]
