"""What services share, at its edge: what just keeps a limit passes, one step further is named by its rule."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.model import LimitKind, NodeCount, NodePrice, Pool, PowerBudget, Problem
from medley_planner.optimize import Rule, verify
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant
from tests.unit.planner.optimize.verify.cases import CHEAP, DEAR, broken, problem_of


def test_power_counts_in_the_domain_above_too() -> None:
    hot, cool = replace(CHEAP, watts=1000.0), replace(DEAR, watts=200.0)
    pools = (Pool("cheap", power_domain="row"), Pool("dear", power_domain="hall"))
    domains = (PowerBudget("hall", 2400.0), PowerBudget("row", 9000.0, "hall"))
    problem = Problem((service(4.0, hot, cool),), pools, domains)
    assert broken(problem, (2, 2)) == []
    assert broken(problem, (3, 1)) == [Rule.POWER]
    assert [violation.service for violation in verify(problem, plan_of(problem, [(3, 1)]))] == [""]


def test_replicas_are_placed_on_nodes() -> None:
    pair = replace(CHEAP, gpus_per_replica=2)
    single = variant("single", 1.0, 1.0, pool="cheap")
    nodes = problem_of(service(4.0, pair, single), cheap=Pool("cheap", 8, (3, 3, 1)))
    assert broken(nodes, (2, 3)) == []
    assert broken(nodes, (3, 1)) == [Rule.PACKING], "seven GPUs, but only two pairs of them"
    assert broken(nodes, (2, 4)) == [Rule.PACKING]


def test_whole_nodes() -> None:
    four, one = variant("four", 4.0, 4.0, pool="p", gpus_per_replica=4), variant("one", 1.0, 1.0, pool="p")
    pool = Pool("p", node_price=NodePrice(8, 8.0, max_nodes=2))
    problem = problem_of(service(9.0, four, one), p=pool)
    good = plan_of(problem, [(2, 1)])
    assert good.nodes == (NodeCount("p", 2, 16.0, 7.0),)
    assert good.cost_per_hour == 16.0
    assert verify(problem, good) == ()
    assert broken(problem, (4, 1)) == [Rule.NODES], "a third node"
    alien = NodeCount("q", 1, 8.0, 0.0)
    assert Rule.NODES in {violation.rule for violation in verify(problem, replace(good, nodes=(*good.nodes, alien)))}


def test_a_replica_larger_than_a_node_has_no_place() -> None:
    sixteen = variant("v", 4.0, 16.0, pool="p", gpus_per_replica=16)
    problem = problem_of(service(4.0, sixteen), p=Pool("p", node_price=NodePrice(8, 8.0)))
    assert Rule.PACKING in broken(problem, (1,))


def test_use_of_limits_is_the_true_one() -> None:
    pair = replace(CHEAP, gpus_per_replica=2)
    problem = problem_of(service(2.0, pair), cheap=Pool("cheap", 8, (3, 3, 3)))
    good = plan_of(problem, [(2,)])
    told = {(entry.kind, entry.size): (entry.used, entry.limit) for entry in good.limits}
    assert told == {(LimitKind.STOCK, 1): (4.0, 8.0), (LimitKind.SLOTS, 2): (2.0, 3.0)}
    assert verify(problem, good) == ()
