"""The short answer: the mix, its cost and proof first, one line for all that is not used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.cli.answer import ServiceAnswer, node_line, proof, service_lines, wrapped
from medley_planner.explain import UnmetDemand
from medley_planner.model import SingleType, UnservedReason
from medley_planner.omitted import OmittedReason

_ANSWER = ServiceAnswer(
    service="demo/chat",
    status="Optimal",
    mix={"l4": 2, "h100-tp2": 1, "a100": 0},
    cost_per_hour=15.37,
    gap=0.0,
    rate_rps=25.0,
    load="25 req/s of 600 + 180 tokens",
    routing="HTTPRoute",
    best_single=SingleType("h200", 2, 20.0),
    unmet=(),
    omitted=[OmittedReason.DEARER] * 7 + [OmittedReason.DOES_NOT_FIT] + [OmittedReason.TOO_LARGE] * 3,
)


def test_the_answer_stands_first_and_what_is_not_used_is_counted() -> None:
    assert service_lines(_ANSWER, why=False) == [
        "demo/chat: 2 x l4 + 1 x h100-tp2, $15.37/h, gap 0.00 % (Optimal)",
        "  load: 25 req/s of 600 + 180 tokens, routing HTTPRoute",
        "  savings: 23.2 % against the best single GPU type, 2 x h200 at $20.00/h",
        "  not used: 11 variants (7 dearer, 3 too large, 1 does not fit); --why shows each",
    ]
    assert service_lines(_ANSWER, why=True)[-1] == "  not used: 11 variants (7 dearer, 3 too large, 1 does not fit)"


def test_demand_that_is_left_out_stands_on_the_second_line() -> None:
    unmet = (
        UnmetDemand(UnservedReason.STOCK, 0.5, ("l4",)),
        UnmetDemand(UnservedReason.STOCK, 1.0, ("l4", "h100")),
        UnmetDemand(UnservedReason.BUDGET, 0.25, ()),
    )
    lines = service_lines(replace(_ANSWER, status="Partial", unmet=unmet), why=False)
    assert lines[1] == "  NOT SERVED: 1.75 of 25 req/s (1.5 Stock of l4, h100; 0.25 Budget)"


@pytest.mark.parametrize(
    ("mix", "single", "words"),
    [
        ({"a": 2}, SingleType("a", 2, 4.0), "none: a single GPU type is the cheapest here"),
        ({"b": 1}, SingleType("a", 2, 4.0), "none against the best single GPU type, 2 x a at $4.00/h"),
        ({}, SingleType("a", 0, 0.0), "none against the best single GPU type, 0 x a at $0.00/h"),
        ({"a": 2}, None, "not known, as no single GPU type serves what the plan serves"),
    ],
)
def test_savings_that_are_none(mix: dict[str, int], single: SingleType | None, words: str) -> None:
    cost = 4.0 if mix else 0.0
    lines = service_lines(replace(_ANSWER, mix=mix, best_single=single, cost_per_hour=cost), why=False)
    assert lines[2] == f"  savings: {words}"


def test_no_replicas_are_said() -> None:
    assert service_lines(replace(_ANSWER, mix={}, cost_per_hour=0.0), why=False)[0].startswith(
        "demo/chat: no replicas,"
    )


def test_the_bound_is_said_with_the_charge_that_it_holds() -> None:
    charged = proof(cost_per_hour=1.61, switching_cost_per_hour=0.54, lower_bound_per_hour=2.15, gap=0.0)
    assert charged == (
        "$1.61/h. Comparing plans also charges $0.54/h for new replicas (never billed); the proven bound with it is "
        "$2.15/h (gap 0.00 %)"
    )
    free = proof(cost_per_hour=1.61, switching_cost_per_hour=0.0, lower_bound_per_hour=1.6, gap=0.0062)
    assert free == "$1.61/h; the proven bound is $1.60/h (gap 0.62 %)"


def test_idle_nodes_are_the_fleets() -> None:
    line = node_line(pool="h100", nodes=1, cost_per_hour=55.04, idle_cost_per_hour=41.28)
    assert line == "pool h100: 1 whole node, $55.04/h, of which $41.28/h is idle"


@pytest.mark.parametrize("width", [24, 40, 80])
def test_lines_fit_a_narrow_terminal_and_names_stay_whole(width: int) -> None:
    lines = wrapped(service_lines(_ANSWER, why=False), width=width)
    assert max(map(len, lines)) <= width
    assert any("h100-tp2" in line for line in lines)
    assert not any(line.strip().startswith("%") for line in lines)


@pytest.mark.parametrize("reason", OmittedReason)
def test_each_reason_can_be_counted(reason: OmittedReason) -> None:
    assert reason.counted(1).startswith("1 ")
    assert reason.counted(2).startswith("2 ")
