"""Explanations of what the whole program knows: nodes, watts, budgets, spot shares, zones, routing by prompt class."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.explain import (
    Relaxation,
    RelaxationKind,
    RelaxationResult,
    explain,
    routing_saving,
    routing_savings,
)
from medley_planner.model import Bucket, LimitKind, NodePrice, Pool, PowerBudget, Problem, RoutingMode, Service, Variant
from tests.unit.planner.explain.small import about, planned, problem, service, unpriced, variant


def _relaxed(asked: Problem) -> dict[tuple[RelaxationKind, str], Relaxation]:
    made = planned(asked)
    assert any(one.unserved for one in made.services)
    return {(entry.kind, entry.name): entry for entry in explain(asked, made, seconds=60).relaxations}


def _serves_all(asked: Problem) -> bool:
    return not any(one.unserved for one in planned(asked).services)


def test_the_smallest_budget_that_serves_all() -> None:
    one = replace(service(variant("a", 1.5, 1.0), variant("b", 4.0, 2.0), rate=7.0), max_cost_per_hour=4.0)
    found = _relaxed(problem(one))[RelaxationKind.BUDGET, "chat"]
    # Seven of a for $10.50.
    assert (found.outcome, found.now, found.needed, found.smallest) == (RelaxationResult.SERVES_ALL, 4.0, 10.5, True)
    assert _serves_all(problem(replace(one, max_cost_per_hour=10.5)))
    assert not _serves_all(problem(replace(one, max_cost_per_hour=10.49)))


def _powered(budget: float) -> Problem:
    hungry = replace(variant("hungry", 1.0, 1.0), watts=300.0)
    frugal = replace(variant("frugal", 2.0, 1.0), watts=200.0)
    pools = (Pool("hungry", power_domain="hall"), Pool("frugal", power_domain="hall"))
    domains = (PowerBudget("site", budget), PowerBudget("hall", 9000.0, parent="site"))
    return Problem((service(hungry, frugal, rate=7.0),), pools, domains)


def test_the_smallest_power_budget_that_serves_all() -> None:
    found = _relaxed(_powered(1250.0))
    # The cheapest fleet draws 2100 W, the most frugal one 1400 W.
    site = found[RelaxationKind.POWER, "site"]
    assert (site.outcome, site.now, site.needed, site.smallest) == (RelaxationResult.SERVES_ALL, 1250.0, 1400.0, True)
    assert site.cost_per_hour == about(14.0)


def test_the_price_of_watts_is_the_true_saving_of_one_more_replica() -> None:
    asked = _powered(1600.0)
    made = planned(asked)
    # Two of the hungry and five of the frugal: $12.
    assert made.cost_per_hour == about(12.0)
    limits = {limit.name: limit for limit in explain(asked, unpriced(made)).limits}
    site = limits["site"]
    assert (site.kind, site.used, site.limit, site.binding, site.step) == (LimitKind.POWER, 1600.0, 1600.0, True, 200.0)
    # 200 W more swap two frugal ones for hungry ones.
    assert site.step_saving_per_hour == about(2.0)
    assert not limits["hall"].binding


@pytest.mark.parametrize(("nodes", "needed"), [((8,), 4), ((6,), 7), ((8, 6), 4)])
def test_the_fewest_nodes_that_serve_all(nodes: tuple[int, ...], needed: int) -> None:
    one = service(variant("a", 4.0, 1.0, gpus=4), rate=7.0)
    # A node of 8 takes two, a node of 6 one: from one node of 8 to four, from 8 + 6 with three of 8 more to five.
    asked = Problem((one,), (Pool("a", sum(nodes), node_gpus=nodes),))
    found = _relaxed(asked)[RelaxationKind.NODES, "a"]
    assert (found.outcome, found.now, found.smallest) == (RelaxationResult.SERVES_ALL, len(nodes), True)
    assert found.needed == (needed if len(nodes) == 1 else 4)
    assert found.cost_per_hour == about(28.0)


def test_nodes_to_buy() -> None:
    one = service(variant("a", 4.0, 1.0, gpus=4), rate=7.0)
    asked = Problem((one,), (Pool("a", node_price=NodePrice(gpus=8, cost_per_hour=8.0, max_nodes=1)),))
    found = _relaxed(asked)[RelaxationKind.NODES, "a"]
    assert (found.now, found.needed, found.smallest) == (1, 4, True)
    # Four whole nodes for seven replicas.
    assert found.cost_per_hour == about(32.0)


def test_idle_parts_of_nodes_are_told() -> None:
    one = service(variant("a", 4.0, 1.0, gpus=4), rate=3.0)
    asked = Problem((one,), (Pool("a", node_price=NodePrice(gpus=8, cost_per_hour=8.0)),))
    told = explain(asked, planned(asked))
    assert (told.cost_per_hour, told.idle_cost_per_hour) == (about(16.0), about(4.0))
    assert [(node.pool, node.nodes) for node in told.nodes] == [("a", 2)]
    assert told.services[0].cost_per_hour == about(12.0)


def _spot(**rules: float) -> Problem:
    steady, spot = variant("steady", 2.0, 1.0), variant("spot", 1.0, 1.0)
    one = replace(service(steady, spot, rate=6.0), **rules)  # type: ignore[arg-type]
    return Problem((one,), (Pool("steady", 2), Pool("spot", spot=True)))


def test_the_smallest_spot_share_that_serves_all() -> None:
    found = _relaxed(_spot(spot_max_share=0.5))
    # Two that are not spot allow two that are; four of six are wanted.
    share = found.get((RelaxationKind.SPOT_SHARE, "chat"))
    stock = found.get((RelaxationKind.STOCK, "steady"))
    assert share is not None or stock is not None
    if share is not None:
        assert (share.outcome, share.needed, share.smallest) == (RelaxationResult.SERVES_ALL, 0.67, True)
    if stock is not None:
        assert (stock.outcome, stock.needed, stock.smallest) == (RelaxationResult.SERVES_ALL, 3.0, True)


def test_a_wish_for_two_zones() -> None:
    one = replace(service(variant("a", 1.0, 1.0), rate=3.0), zone_spread=True)
    asked = Problem((one,), (Pool("a", zones=("z1",)),))
    found = _relaxed(asked)[RelaxationKind.ZONE_SPREAD, "chat"]
    assert (found.outcome, found.needed) == (RelaxationResult.SERVES_ALL, None)
    assert found.cost_per_hour == about(3.0)


def test_a_better_router_for_what_no_variant_may_serve() -> None:
    short, long = variant("short", 1.0, 1.0, 0.0), variant("long", 1.0, 0.0, 1.0)
    found = _relaxed(problem(service(short, long, rate=4.0, shares=(0.75, 0.25))))
    by_class = found[RelaxationKind.ROUTING, "chat InferencePool"]
    assert (by_class.outcome, by_class.cost_per_hour) == (RelaxationResult.SERVES_ALL, about(4.0))
    assert (RelaxationKind.LATENCY_TARGET, "chat") not in found


def _one_class(*variants: Variant, routing: RoutingMode, name: str = "chat") -> Service:
    """2 requests/s of each of two generation sizes behind equal prompts."""
    one = service(*variants, rate=4.0, shares=(0.5, 0.5), routing=routing, name=name)
    return replace(one, demand=replace(one.demand, buckets=(Bucket(100, 50), Bucket(100, 200))))


SHORT = variant("short", 1.0, 2.0, 0.5)
BOTH = variant("both", 1.5, 2.0, 2.0)


def test_what_seeing_the_generation_size_would_save() -> None:
    asked = problem(_one_class(SHORT, BOTH, routing=RoutingMode.INFERENCE_POOL))
    made = planned(asked)
    # Blind to it two of `both` ($3); seeing it one of each ($2.50).
    assert made.cost_per_hour == about(3.0)
    saving = routing_saving(asked, made, "chat", seconds=10.0)
    assert saving is not None
    assert (saving.next_mode, saving.saving_per_hour) == (RoutingMode.PER_BUCKET, about(0.5))


def test_by_prompt_class_saves_nothing_where_prompts_are_equal() -> None:
    asked = problem(_one_class(SHORT, BOTH, routing=RoutingMode.HTTP_ROUTE))
    saving = routing_saving(asked, planned(asked), "chat", seconds=10.0)
    assert saving is not None
    assert (saving.next_mode, saving.saving_per_hour) == (RoutingMode.INFERENCE_POOL, 0.0)


def test_savings_on_nodes_that_are_shared() -> None:
    # Nodes of 2 GPUs for $3. `other` fills one GPU; by size `chat` would need one of `both` and one of `short`.
    pool = {"pool": "nodes"}
    both = replace(BOTH, **pool)  # type: ignore[arg-type]
    chat = _one_class(SHORT, both, routing=RoutingMode.INFERENCE_POOL)
    other = service(replace(variant("a", 1.5, 1.0), **pool), rate=1.0, name="other")  # type: ignore[arg-type]
    pools = (Pool("short"), Pool("nodes", node_price=NodePrice(gpus=2, cost_per_hour=3.0)))
    asked = Problem((chat, other), pools)
    made = planned(asked)
    # Three replicas on two nodes ($6) now; with sizes seen two on one node and a `short` ($4).
    assert made.cost_per_hour == about(6.0)
    saving = routing_savings(asked, made, seconds=10.0)["chat"]
    assert saving is not None
    assert saving.saving_per_hour == about(2.0)
