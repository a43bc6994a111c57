"""The report of a fleet says all that its plan holds; the shares of routers follow from the plan's shares."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from medley_planner.bad_input import BadInput
from medley_planner.cli.fleet_reader import FleetInput, RefusedService
from medley_planner.cli.fleet_report import summarise_fleet
from medley_planner.cli.fleet_table import print_fleet
from medley_planner.cli.router_shares import PromptClass, PromptSpan, prompt_classes, prompt_ranges, variant_weights
from medley_planner.model import (
    Bucket,
    CheaperFleet,
    Demand,
    LimitKind,
    LimitUse,
    NodeCount,
    NodePrice,
    Plan,
    PlanStatus,
    Pool,
    Priority,
    PriorityShortage,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    ServicePlan,
    SingleType,
    SizeSource,
    Unserved,
    UnservedReason,
    Variant,
    VariantPlan,
)
from medley_planner.omitted import Omitted, OmittedReason

_BUCKETS = tuple(Bucket(prompt, generation) for prompt in (1000.0, 100.0, 4000.0) for generation in (50.0, 500.0))
_DEMAND = Demand(10.0, _BUCKETS, (0.1, 0.3, 0.2, 0.2, 0.1, 0.1), SizeSource.STATIC)
_VARIANTS = (
    Variant("small", "s", "L4", 1, 1.0, (5.0,) * 6, Provenance.GIVEN),
    Variant("large", "l", "H100", 4, 16.0, (50.0,) * 6, Provenance.GIVEN),
    Variant("idle", "s", "L4", 1, 2.0, (5.0,) * 6, Provenance.GIVEN),
)
_SERVICE = Service("chat", _DEMAND, _VARIANTS, RoutingMode.INFERENCE_POOL)


def _planned(*bucket_shares: tuple[float, ...], routing: RoutingMode = RoutingMode.INFERENCE_POOL) -> ServicePlan:
    parts = tuple(
        VariantPlan(
            variant=variant.name,
            pool=variant.pool,
            replicas=1 if any(shares) else 0,
            cost_per_hour=variant.cost_per_hour if any(shares) else 0.0,
            share=sum(share * whole for share, whole in zip(shares, _DEMAND.shares, strict=True)),
            bucket_shares=shares,
            load=0.5,
        )
        for variant, shares in zip(_VARIANTS, bucket_shares, strict=True)
    )
    return ServicePlan(
        service="chat",
        status=PlanStatus.OPTIMAL,
        routing=routing,
        variants=parts,
        cost_per_hour=sum(part.cost_per_hour for part in parts),
        unserved=(),
        best_single=None,
        unused=(),
    )


_NONE = (0.0,) * 6
_BY_PROMPT = _planned((0.25, 0.25, 1.0, 1.0, 0.0, 0.0), (0.75, 0.75, 0.0, 0.0, 1.0, 1.0), _NONE)


def test_shares_by_prompt_class_in_rising_order() -> None:
    assert prompt_classes(_SERVICE, _BY_PROMPT) == (
        PromptClass(100.0, {"small": 1.0, "large": 0.0, "idle": 0.0}),
        PromptClass(1000.0, {"small": 0.25, "large": 0.75, "idle": 0.0}),
        PromptClass(4000.0, {"small": 0.0, "large": 1.0, "idle": 0.0}),
    )


def test_what_is_unserved_does_not_shift_the_shares_of_the_rest() -> None:
    # The long answers to 1000-token prompts (3 of 4 requests/s) are not served; the router splits what remains.
    classes = prompt_classes(_SERVICE, _planned((0.25, 0.0, 1.0, 1.0, 0, 0), (0.75, 0.0, 0, 0, 0, 0), _NONE))
    assert [(one.prompt_tokens, one.shares["small"], one.shares["large"]) for one in classes] == [
        (100.0, 1.0, 0.0),
        (1000.0, pytest.approx(0.25), pytest.approx(0.75)),
    ]


def test_classes_without_requests_are_left_out() -> None:
    demand = replace(_DEMAND, shares=(0.0, 0.0, 0.5, 0.5, 0.0, 0.0))
    assert [one.prompt_tokens for one in prompt_classes(replace(_SERVICE, demand=demand), _BY_PROMPT)] == [100.0]


def test_a_range_is_a_run_of_neighbouring_classes() -> None:
    classes = prompt_classes(_SERVICE, _BY_PROMPT)
    assert prompt_ranges(classes) == {
        "small": (PromptSpan(100.0, 1000.0),),
        "large": (PromptSpan(1000.0, 4000.0),),
    }
    split = prompt_classes(_SERVICE, _planned((0, 0, 1, 1, 1, 1), (1, 1, 0, 0, 0, 0), _NONE))
    assert prompt_ranges(split) == {
        "small": (PromptSpan(100.0, 100.0), PromptSpan(4000.0, 4000.0)),
        "large": (PromptSpan(1000.0, 1000.0),),
    }
    assert prompt_ranges(()) == {}


def test_weights_are_parts_of_what_is_served_without_the_solvers_dust() -> None:
    half_served = _planned((0.1,) * 6, (0.3,) * 6, (1e-12,) * 6, routing=RoutingMode.HTTP_ROUTE)
    assert variant_weights(half_served) == pytest.approx({"small": 0.25, "large": 0.75, "idle": 0.0})
    assert variant_weights(_planned(_NONE, _NONE, _NONE)) == {}


def _report(planned: ServicePlan) -> dict[str, Any]:
    planned = replace(
        planned,
        status=PlanStatus.PARTIAL,
        best_single=SingleType("large", 1, 16.0),
        unserved=(Unserved(4, 1.0, UnservedReason.POWER, ("rack", "hall")),),
        unused=(Omitted("idle", "s", OmittedReason.DEARER, "small costs half"),),
        switching_cost_per_hour=0.5,
        cheaper=CheaperFleet((0, 2, 1), 1.5, 0.25),
    )
    problem = Problem((_SERVICE,), (Pool("s", 8), Pool("l", node_price=NodePrice(8, 32.0))))
    plan = Plan(
        status=PlanStatus.PARTIAL,
        services=(planned,),
        cost_per_hour=0.1 + 0.2,
        lower_bound_per_hour=0.25,
        gap=0.1,
        solve_seconds=0.5,
        shortages=(PriorityShortage(Priority.LOW, 1.0, 0.1 + 0.2),),
        switching_cost_per_hour=0.5,
        nodes=(NodeCount("l", 1, 32.0, 16.0),),
        limits=(
            LimitUse(LimitKind.STOCK, "s", 1, 8, 8, 0.25),
            LimitUse(LimitKind.SLOTS, "l", 4, 1, 2),
        ),
    )
    bad = RefusedService(0, "batch", BadInput("", "demand.rate_rps", float("nan"), "give a finite number, 0 or more"))
    return summarise_fleet(FleetInput(problem, (1,), (bad,)), plan)


def test_the_report_holds_nodes_limits_unserved_and_the_router() -> None:
    report = _report(_BY_PROMPT)
    batch, chat = report.pop("services")
    assert report == {
        "status": "Partial",
        "cost_per_hour": 0.3,
        "switching_cost_per_hour": 0.5,
        "lower_bound_per_hour": 0.25,
        "gap": 0.1,
        "solve_seconds": 0.5,
        "shortages": [{"priority": "Low", "unserved_rps": 1.0, "least_rps": 0.3}],
        "nodes": [{"pool": "l", "nodes": 1, "cost_per_hour": 32.0, "idle_cost_per_hour": 16.0}],
        "limits": [
            {"kind": "Stock", "name": "s", "size": 1, "used": 8, "limit": 8, "shadow_price_per_hour": 0.25},
            {"kind": "Slots", "name": "l", "size": 4, "used": 1, "limit": 2, "shadow_price_per_hour": None},
        ],
    }
    message = "give a finite number, 0 or more"
    error = {"field": "demand.rate_rps", "value": "NaN", "message": message}
    assert batch == {"service": "batch", "status": "Rejected", "error": error}
    assert chat["router"] == {
        "prompt_classes": [
            {"prompt_tokens": 100.0, "shares": {"small": 1.0}},
            {"prompt_tokens": 1000.0, "shares": {"small": 0.25, "large": 0.75}},
            {"prompt_tokens": 4000.0, "shares": {"large": 1.0}},
        ],
        "prompt_ranges": {
            "small": [{"from_tokens": 100.0, "to_tokens": 1000.0}],
            "large": [{"from_tokens": 1000.0, "to_tokens": 4000.0}],
        },
    }
    assert [part["variant"] for part in chat["mix"]] == ["small", "large"]
    assert chat["unserved"] == [
        {
            "prompt_tokens": 4000.0,
            "generation_tokens": 50.0,
            "rate_rps": 1.0,
            "reason": "Power",
            "limits": ["rack", "hall"],
        }
    ]
    assert chat["best_single"] == {"variant": "large", "replicas": 1, "cost_per_hour": 16.0}
    assert chat["unused"] == [{"variant": "idle", "pool": "s", "reason": "Dearer", "message": "small costs half"}]
    assert chat["switching_cost_per_hour"] == 0.5
    cheaper = {"replicas": {"large": 2, "idle": 1}, "saving_per_hour": 1.5, "leaving_cost": 0.25}
    assert chat["cheaper"] == cheaper


@pytest.mark.parametrize("mode", [RoutingMode.SERVICE, RoutingMode.PER_BUCKET])
def test_a_router_that_takes_no_weights_is_told_nothing(mode: RoutingMode) -> None:
    assert _report(replace(_BY_PROMPT, routing=mode))["services"][1]["router"] is None


def test_the_table_shows_each_part() -> None:
    written = io.StringIO()
    print_fleet(_report(_BY_PROMPT), Console(file=written, markup=False, highlight=False, width=140))
    lines = written.getvalue().splitlines()
    text = "\n".join(" ".join(line.replace("│", " ").split()) for line in lines)
    for words in (
        "Partial: $0.30/h. Comparing plans also charges $0.50/h for new replicas (never billed); the proven bound "
        "with it is $0.25/h (gap 10.00 %), solved in 0.50 s",
        "chat Partial InferencePool 10 17.00 1 large 16.00",
        "chat small s 1 50.0% 50.0% 1.00",
        "chat large 1000 to 4000",
        "l 1 32.00 16.00",
        "Stock s 1 8 8 0.25",
        "Slots l 4 1 2 -",
        "chat 4000 50 1 Power rack, hall",
        "rejected batch: demand.rate_rps: give a finite number, 0 or more",
    ):
        assert words in text
