"""The cost of a service's plan per token, the cost of each variant alone, and by how much unused ones are more
expensive."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.explain import explain
from medley_planner.model import Bucket, Pool, Problem, RoutingMode, UnservedReason
from medley_planner.omitted import Omitted, OmittedReason
from tests.unit.planner.explain.small import about, planned, problem, service, variant


def test_cost_per_million_tokens() -> None:
    asked = problem(service(variant("a", 3.0, 1.0), rate=2.0))
    (one,) = explain(asked, planned(asked)).services
    # 2 requests/s of 100 + 50 tokens are 0.72 + 0.36 million tokens an hour, for $6.
    assert one.cost_per_hour == about(6.0)
    assert one.prompt_tokens_per_hour == about(720_000)
    assert one.generated_tokens_per_hour == about(360_000)
    assert one.cost_per_million_tokens == about(6 / 1.08)
    assert one.cost_per_million_generated_tokens == about(6 / 0.36)


def test_tokens_that_are_not_served_do_not_make_it_cheaper() -> None:
    asked = problem(service(variant("a", 3.0, 1.0), rate=4.0), a=2)
    (one,) = explain(asked, planned(asked)).services
    assert (one.rate_rps, one.served_rps) == (4.0, about(2.0))
    assert one.cost_per_million_tokens == about(6 / 1.08)
    ((reason, rate),) = ((entry.reason, entry.rate_rps) for entry in one.unmet)
    assert (reason, rate) == (UnservedReason.STOCK, about(2.0))


def test_cost_per_token_is_not_told_where_sizes_are_not_known() -> None:
    bare = service(variant("a", 3.0, 1.0), rate=2.0)
    asked = problem(replace(bare, demand=replace(bare.demand, buckets=(Bucket(0, 0),))))
    (one,) = explain(asked, planned(asked)).services
    assert one.cost_per_million_tokens is None
    assert one.cost_per_million_generated_tokens is None


def test_each_variant_alone() -> None:
    fast, slow = variant("fast", 3.0, 4.0), variant("slow", 1.0, 1.0)
    half = variant("half", 0.5, 1.0, 0.0)
    short = variant("short", 0.9, 1.0)
    asked = problem(service(fast, slow, short, rate=5.0), short=2)
    plan = planned(asked)
    (one,) = explain(asked, plan).services
    # One fast and one short: $3.90.
    assert plan.cost_per_hour == about(3.9)
    fleets = {fleet.variant: fleet for fleet in one.singles}
    assert (fleets["fast"].replicas, fleets["fast"].cost_per_hour) == (2, about(6.0))
    assert fleets["fast"].ratio == about(6 / 3.9)
    assert (fleets["slow"].replicas, fleets["slow"].cost_per_hour) == (5, about(5.0))
    assert fleets["short"].replicas is None
    assert fleets["short"].why == "its pool holds too few GPUs"
    both = problem(service(replace(fast, capacity_rps=(4.0, 4.0)), half, rate=4.0, shares=(0.75, 0.25)))
    alone = {fleet.variant: fleet.why for fleet in explain(both, planned(both)).services[0].singles}
    assert alone["fast"] == ""
    assert alone["half"] == (
        "it cannot serve requests of 1000 prompt + 200 generated tokens (25.00% of the requests) within the targets"
    )


def test_a_single_fleet_has_what_the_other_services_leave() -> None:
    mine = service(variant("a", 1.0, 1.0, pool="p"), variant("b", 2.0, 1.0, pool="q"), rate=2.0, name="mine")
    other = service(variant("a", 1.0, 1.0, pool="p"), rate=2.0, name="other")
    asked = problem(mine, other, p=3)
    plan = planned(asked)
    assert plan.services[0].replicas() == {"a": 1, "b": 1}
    fleets = {fleet.variant: fleet.replicas for fleet in explain(asked, plan).services[0].singles}
    assert fleets == {"a": None, "b": 2}
    roomy = replace(asked, pools=(Pool("p", 4), Pool("q")))
    fleets = {fleet.variant: fleet.replicas for fleet in explain(roomy, planned(roomy)).services[0].singles}
    assert fleets == {"a": 2, "b": 2}


def test_single_fleets_without_time_say_so() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), rate=2.0))
    (fleet,) = explain(asked, planned(asked), seconds=0).services[0].singles
    assert (fleet.replicas, fleet.why) == (None, "not determined within the time limit")


def test_the_figures_of_an_unused_variant() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), variant("b", 3.0, 2.0), variant("c", 3.0, 1.0), rate=4.0))
    unused = {entry.omitted.variant: entry for entry in explain(asked, planned(asked)).services[0].unused}
    # b: $1.50 per request/s against $1.00; level at $2.00. c is worse than a in everything.
    assert unused["b"].price_ratio == about(1.5)
    assert unused["b"].enters_below_per_hour == about(2.0)
    assert unused["b"].dominated_by is None
    assert unused["c"].price_ratio == about(3.0)
    assert unused["c"].dominated_by == "a"
    # A price a little below the level brings it in.
    cheaper = problem(service(variant("a", 1.0, 1.0), variant("b", 1.99, 2.0), rate=4.0))
    assert planned(cheaper).services[0].replicas() == {"a": 0, "b": 2}


def test_a_router_that_sees_sizes_compares_only_what_the_variant_can_serve() -> None:
    big, small = variant("big", 4.0, 2.0, 2.0), variant("small", 3.0, 1.0, 0.0)
    asked = problem(service(big, small, rate=4.0, shares=(0.5, 0.5), routing=RoutingMode.PER_BUCKET))
    (unused,) = explain(asked, planned(asked)).services[0].unused
    assert (unused.omitted.variant, unused.price_ratio) == ("small", about(1.5))
    blind = problem(service(big, small, rate=4.0, shares=(0.5, 0.5)))
    (unused,) = explain(blind, planned(blind)).services[0].unused
    assert (unused.omitted.reason, unused.price_ratio) == ("CannotServeAll", None)


def test_limits_of_its_own_that_bind() -> None:
    one = replace(service(variant("a", 1.0, 1.0, most=2), variant("b", 3.0, 1.0), rate=4.0), max_replicas=4)
    asked = problem(one)
    limits = explain(asked, planned(asked)).services[0].own_limits
    assert [(limit.field, limit.used, limit.limit) for limit in limits] == [
        ("max_replicas", 4, 4),
        ("variant a max_replicas", 2, 2),
    ]


def test_what_the_caller_ruled_out_is_handed_on() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), rate=2.0))
    ruled_out = (Omitted("l4", "l4", OmittedReason.DOES_NOT_FIT, "the weights take 140 GB"),)
    assert explain(asked, planned(asked), excluded={"chat": ruled_out}).services[0].excluded == ruled_out


def test_the_fleet_as_a_whole() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), rate=2.0), service(variant("a", 1.0, 1.0), rate=3.0, name="other"))
    plan = planned(asked)
    told = explain(asked, plan)
    assert (told.cost_per_hour, told.lower_bound_per_hour, told.gap) == (
        plan.cost_per_hour,
        about(5.0),
        plan.gap,
    )
    assert told.limits == ()
    assert [one.cost_per_hour for one in told.services] == [about(2.0), about(3.0)]


def test_no_services_and_no_demand() -> None:
    nothing = Problem((), ())
    assert explain(nothing, planned(nothing)).services == ()
    idle = problem(service(variant("a", 1.0, 1.0), rate=0.0))
    (one,) = explain(idle, planned(idle)).services
    assert (one.cost_per_hour, one.cost_per_million_tokens) == (0.0, None)
