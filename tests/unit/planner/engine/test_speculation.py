"""Speculative decoding in the simulator: fewer steps for a token, in the form that step tables need."""

from __future__ import annotations

import pytest

from medley_planner.capacity import StepTime
from medley_planner.catalog import gpu
from medley_planner.engine import EngineSpec, SpeculativeStep, StepTable, simulate
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape
from tests.unit.planner.engine.test_simulate import ALONE, fleet, uniform_trace

STEPS = (
    StepTime(bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), Layout(gpu("H100"))),
    StepTime(bundled_shape("openai/gpt-oss-20b"), Layout(gpu("H100"), precision=Precision.FP4)),
)


def test_a_step_yields_its_own_token_and_the_guesses_up_to_the_first_wrong_one() -> None:
    assert SpeculativeStep(STEPS[0], 3, 0.5, 0.0).tokens_per_step == pytest.approx(1 + 0.5 + 0.25 + 0.125)
    assert SpeculativeStep(STEPS[0], 3, 1.0, 0.0).tokens_per_step == 4.0
    assert SpeculativeStep(STEPS[0], 3, 0.0, 0.0).tokens_per_step == 1.0


@pytest.mark.parametrize("step", STEPS)
def test_it_has_the_form_that_step_tables_need(step: StepTime) -> None:
    table = StepTable.of(SpeculativeStep(step, 2, 0.7, 0.03), token_budget=2048, max_sequences=64)
    plain = StepTable.of(step, token_budget=2048, max_sequences=64)
    assert table.decode[1] < 0.6 * plain.decode[1], "2.19 tokens for a step that is not much longer"
    assert table.kv_token == pytest.approx(plain.kv_token / 2.19, rel=1e-3)
    assert table.tokens[2048] == pytest.approx(plain.tokens[2048]), "a prompt alone guesses nothing"


def test_guesses_that_are_never_right_only_cost() -> None:
    spec = EngineSpec(STEPS[0], token_budget=2048, max_sequences=64, kv_tokens=100_000, max_model_len=8192)
    load = uniform_trace(20, gap=0.05, prompt=200, generation=100)
    tpot = [
        simulate(load, fleet(1, spec=spec_of), ALONE, seed=0).tpot().mean
        for spec_of in (
            spec,
            EngineSpec(SpeculativeStep(STEPS[0], 2, 0.8, 1 / 32), 2048, 64, 100_000, 8192),
            EngineSpec(SpeculativeStep(STEPS[0], 2, 0.0, 1 / 32), 2048, 64, 100_000, 8192),
        )
    ]
    assert tpot[1] < 0.6 * tpot[0]
    assert tpot[2] > tpot[0]


@pytest.mark.parametrize(
    ("drafts", "acceptance", "share", "told"),
    [(0, 0.5, 0.0, "drafts is 0"), (1, 1.5, 0.0, "acceptance is 1.5"), (1, 0.5, float("nan"), "draft_share is nan")],
)
def test_figures_out_of_range_are_refused(drafts: int, acceptance: float, share: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SpeculativeStep(STEPS[0], drafts, acceptance, share)
