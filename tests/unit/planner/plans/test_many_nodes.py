"""Nodes that can be bought are counted, not listed: a billion of them plan and explain as quickly as ten."""

from __future__ import annotations

import pytest

from medley_planner.explain import explain
from medley_planner.model import LimitKind, NodePrice, PlanStatus, Pool, Problem
from medley_planner.optimize import plan, verify
from medley_planner.optimize.validate.ranges import MOST
from tests.unit.planner.optimize.small import service, variant


@pytest.mark.parametrize("most", [10, 10**9, MOST])
def test_the_number_of_nodes_does_not_matter(most: int) -> None:
    pool = Pool("l4", node_price=NodePrice(8, 3.2, max_nodes=most))
    asked = service(8.0, variant("l4", 2.0, 0.4), variant("pair", 4.0, 0.8, pool="l4", gpus_per_replica=2))
    problem = Problem((asked,), (pool,))
    found = plan(problem)
    assert verify(problem, found) == ()
    assert (found.status, found.cost_per_hour) == (PlanStatus.OPTIMAL, 3.2)
    limits = {(use.kind, use.size): use.limit for use in found.limits}
    assert limits == {(LimitKind.STOCK, 1): 8.0 * most}
    explained = {(use.kind, use.size): use.limit for use in explain(problem, found).limits}
    assert explained == limits | {(LimitKind.SLOTS, 1): 8.0 * most, (LimitKind.SLOTS, 2): 4.0 * most}


def test_odd_nodes_are_counted_in_places() -> None:
    pool = Pool("l4", node_price=NodePrice(7, 7.0, max_nodes=10**9))
    asked = service(8.0, variant("l4", 2.0, 1.0), variant("four", 4.0, 4.0, pool="l4", gpus_per_replica=4))
    problem = Problem((asked,), (pool,))
    found = plan(problem)
    assert verify(problem, found) == ()
    assert {(use.kind, use.size): use.limit for use in found.limits} == {
        (LimitKind.STOCK, 1): 7e9,
        (LimitKind.SLOTS, 4): 1e9,
    }
