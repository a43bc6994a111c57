"""Who is capped first: by priority, then by watts for throughput lost; and what caps alone shed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import Priority
from medley_planner.power import PRESETS, CappedGpu, order_victims, shed
from tests.unit.planner.power.small import A100, GPUS, domain, tree_of

LADDER = PRESETS["ladder5"]


def test_priority_comes_first_then_watts_per_throughput_lost() -> None:
    gpus = [
        CappedGpu("high", A100, Priority.HIGH, clock_sensitivity=0.1),
        CappedGpu("prefill", A100, Priority.LOW, clock_sensitivity=0.9),
        CappedGpu("decode", A100, Priority.LOW, clock_sensitivity=0.2),
        CappedGpu("idle", A100, Priority.LOW, watts=90.0),
        CappedGpu("normal", A100, Priority.NORMAL),
    ]
    assert [gpu.uuid for gpu in order_victims(gpus, LADDER, 2)] == ["decode", "prefill", "idle", "normal", "high"]


def test_the_less_sensitive_to_its_clock_is_capped_first() -> None:
    gpus = [CappedGpu(f"GPU-{index}", A100, Priority.LOW, clock_sensitivity=0.01 * index) for index in range(1, 40)]
    assert order_victims(gpus[::-1], LADDER, 3) == gpus


def test_equals_have_an_order_that_does_not_depend_on_how_they_are_given() -> None:
    gpus = [CappedGpu(f"GPU-{index}", A100, Priority.LOW) for index in range(50)]
    assert order_victims(gpus, LADDER, 1) == order_victims(gpus[::-1], LADDER, 1)
    assert order_victims(gpus, LADDER, 1) != gpus


def test_a_small_need_takes_few_victims_at_the_first_level() -> None:
    row = domain()
    found = shed(tree_of(row), row, 50.0)
    one = 400.0 - A100.watts_at(0.904)
    assert found.shed_watts == pytest.approx(2 * one)
    assert len(found.settings) == 2
    assert all("low" in uuid for uuid in found.settings)
    assert found.shortfall_watts == 0.0


def test_a_larger_need_goes_deeper_before_it_takes_what_the_level_spares() -> None:
    row = domain(preset="lp-deep")
    found = shed(tree_of(row), row, 400.0)
    assert {setting.clock_fraction for setting in found.settings.values()} == {0.713}
    assert all("low" in uuid for uuid in found.settings)


def test_what_caps_cannot_shed_is_the_shortfall() -> None:
    row = domain()
    most = GPUS * (400.0 - A100.watts_at(0.50)) + GPUS * (400.0 - A100.watts_at(0.787))
    found = shed(tree_of(row), row, 2000.0)
    assert found.shed_watts == pytest.approx(most)
    assert found.shortfall_watts == pytest.approx(2000.0 - most)
    assert len(found.settings) == 2 * GPUS


def test_nothing_is_shed_where_nothing_is_needed() -> None:
    row = replace(domain(), budget_watts=7500.0)
    assert shed(tree_of(row), row, -10.0).settings == {}
