"""Sizes that are planned for: where they grow steadily, those of the end of the lead time; else those measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.sizes import sizes_ahead
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.workload import SizeTrend, mean_generation_tokens, mean_prompt_tokens
from tests.unit.operator import factories as make
from tests.unit.operator.domain.load.test_planned_rate import LIVE

LEAD_SECONDS = 270.0
"""With 30 s to notice and half of the window of 5 min: one and a half windows ahead."""
OFF: dict[str, Any] = {**LIVE, "scaling": {"forecast": {"mode": "Off"}}}


def ahead(spec: dict[str, Any], prompts: list[float], **facts: Any) -> tuple[Observation, SizeTrend]:
    """What the last of the prompts gives, seen a window apart."""
    service, trend, told = make.service(spec=spec), SizeTrend(), make.lost()
    for place, prompt in enumerate(prompts):
        seen = replace(make.found(4.0, prompt=prompt), **facts)
        told, trend = sizes_ahead(
            service, seen, trend, lead_seconds=LEAD_SECONDS, at_seconds=300.0 * place, ready_replicas=3
        )
    return told, trend


GROWING = [1000.0 + 300.0 * place for place in range(6)]


def test_growing_prompts_are_planned_for_where_they_will_be() -> None:
    told, _ = ahead(LIVE, GROWING)
    assert told.demand is not None
    assert mean_prompt_tokens(told.demand) == pytest.approx(2950.0)
    assert mean_generation_tokens(told.demand) == pytest.approx(150.0)
    assert told.demand.rate_rps == 4.0


def test_falling_and_level_prompts_are_planned_for_as_they_are() -> None:
    for prompts in (GROWING[::-1], [1000.0, 1050.0, 960.0, 1020.0, 980.0, 1030.0]):
        told, _ = ahead(LIVE, prompts)
        assert told.demand is not None
        assert mean_prompt_tokens(told.demand) == pytest.approx(prompts[-1])


def test_mode_off_plans_the_sizes_measured_and_still_learns() -> None:
    told, trend = ahead(OFF, GROWING)
    assert told.demand is not None
    assert mean_prompt_tokens(told.demand) == pytest.approx(GROWING[-1])
    assert len(trend.rows) == len(GROWING)


def test_a_part_of_the_pods_shows_no_trend() -> None:
    told, trend = ahead(LIVE, GROWING, pods=2)
    assert told.demand is not None
    assert mean_prompt_tokens(told.demand) == pytest.approx(GROWING[-1])
    assert trend == SizeTrend()


def test_what_shows_no_sizes_changes_nothing() -> None:
    service, trend = make.service(spec=LIVE), SizeTrend(((0.0, 1000.0, 200.0),))
    for seen in (make.lost(), Observation(reason=MetricsReason.FOUND, message="no request in the last 300 s")):
        told = sizes_ahead(service, seen, trend, lead_seconds=60.0, at_seconds=300.0, ready_replicas=1)
        assert told == (seen, trend)


def test_a_service_plans_for_grown_prompts_and_remembers_their_means() -> None:
    service = make.service(spec=LIVE)
    memory = ServiceMemory(uid=service.metadata.uid)
    for place, prompt in enumerate(GROWING):
        choice = choose_demand(
            service,
            make.found(40.0, prompt=prompt),
            memory=memory,
            has_plan=True,
            at_seconds=300.0 * place,
            lead_seconds=LEAD_SECONDS,
        )
        memory = replace(memory, demand=choice.demand, had_metrics=True, sizes=choice.sizes)
    assert [row[1] for row in choice.sizes.rows] == pytest.approx(GROWING)
    assert mean_prompt_tokens(choice.demand) == pytest.approx(2950.0)
