"""Requests on their way: split by weights, kept to the pods of their range, or lost."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from medley_operator.domain.routing.inference_pool import PICKER_CONFIGURATION
from medley_operator.replay.traffic import NOBODY, Backend, PromptPool, Route, Traffic
from medley_planner.capacity import StepTime
from medley_planner.catalog import gpu
from medley_planner.engine import EngineSpec, StepTable, Trace
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

STEP = StepTime(bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), Layout(gpu("H100")))
SPEC = EngineSpec(STEP, token_budget=2048, max_sequences=64, kv_tokens=100_000, max_model_len=8192)
TABLE = StepTable.of(STEP, token_budget=2048, max_sequences=64)


def traffic(engines: int, *, prompts: list[int] | None = None, count: int = 4000) -> Traffic:
    sizes = prompts or [200] * count
    made = Traffic(Trace.of([0.1 * at for at in range(len(sizes))], sizes, [20] * len(sizes)), seed=1)
    for _ in range(engines):
        made.begin(SPEC, TABLE)
    return made


def test_weights_split_requests_and_engines_share_theirs() -> None:
    made = traffic(3)
    made.route = Route(backends=(Backend(300.0, (0, 1)), Backend(100.0, (2,))))
    made.advance(1e9)
    shares = np.bincount(made.engine_of, minlength=3) / 4000
    assert shares == pytest.approx([0.375, 0.375, 0.25], abs=0.03)


def test_requests_of_a_backend_without_engines_are_lost() -> None:
    made = traffic(1)
    made.route = Route(backends=(Backend(1.0, (0,)), Backend(1.0, ())))
    made.advance(1e9)
    assert (made.engine_of == NOBODY).mean() == pytest.approx(0.5, abs=0.03)


def test_without_a_route_all_are_lost() -> None:
    made = traffic(1)
    made.advance(1e9)
    assert (made.engine_of == NOBODY).all()


def test_a_picker_keeps_prompts_to_the_pods_of_their_range() -> None:
    made = traffic(3, prompts=[100, 5000] * 200)
    made.route = Route(pools=(PromptPool(0, 1000, (0,)), PromptPool(1001, 8192, (1, 2))))
    made.advance(1e9)
    assert set(made.engine_of[::2].tolist()) == {0}
    assert set(made.engine_of[1::2].tolist()) == {1, 2}


def test_prompts_of_no_range_go_to_any_pod() -> None:
    made = traffic(2, prompts=[5000] * 100)
    made.route = Route(pools=(PromptPool(0, 10, (0,)), PromptPool(11, 1000, (1,))))
    made.advance(1e9)
    assert set(made.engine_of.tolist()) == {0, 1}


def test_a_picker_scores_as_the_one_that_the_operator_configures() -> None:
    (profile,) = yaml.safe_load(PICKER_CONFIGURATION)["schedulingProfiles"]
    weights = {plugin["pluginRef"]: plugin["weight"] for plugin in profile["plugins"]}
    assert weights["queue-scorer"] == weights["kv-cache-utilization-scorer"]


def test_a_route_counts_from_when_it_is_set() -> None:
    made = traffic(2, count=200)
    made.route = Route(backends=(Backend(1.0, (0,)),))
    made.advance(10.0)
    made.route = Route(backends=(Backend(1.0, (1,)),))
    made.advance(1e9)
    assert made.engine_of.tolist() == [0] * 100 + [1] * 100
