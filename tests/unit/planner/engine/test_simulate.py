"""Engine simulator: known limits of queueing, how requests are routed, what bad input says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from medley_planner.capacity import StepTime
from medley_planner.capacity.step_time import NO_WINDOW, WindowCost
from medley_planner.catalog import gpu
from medley_planner.engine import (
    Balance,
    EngineSpec,
    PromptRange,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    StepTable,
    Trace,
    gamma_arrivals,
    poisson_arrivals,
    simulate,
)
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape

STEP = StepTime(bundled_shape("Qwen/Qwen3-30B-A3B"), Layout(gpu("H100"), tensor_parallel=2))
SPEC = EngineSpec(STEP, token_budget=2048, max_sequences=64, kv_tokens=160_000, max_model_len=8192)
ALONE = Routing(Balance.ROUND_ROBIN)


@dataclass(frozen=True)
class Plain:
    """Seconds by tokens alone; `bend` breaks the form that tables need."""

    per_token: float = 0.0
    constant: float = 0.01
    bend: float = 0.0
    window_cost: WindowCost = NO_WINDOW

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        return self.constant + self.per_token * (prefill_tokens + decode_sequences) + self.bend * kv_tokens**2


def fleet(*counts: int, spec: EngineSpec = SPEC) -> SimulatedFleet:
    return SimulatedFleet(tuple(ReplicaGroup(f"g{index}", spec, count) for index, count in enumerate(counts)))


def uniform_trace(count: int, *, gap: float, prompt: int = 100, generation: int = 10) -> Trace:
    return Trace.of([gap * index for index in range(count)], [prompt] * count, [generation] * count)


def test_a_lone_request_takes_its_prefill_and_its_decode_steps() -> None:
    outcome = simulate(uniform_trace(1, gap=0.0, prompt=300, generation=3), fleet(1), ALONE, seed=0)
    prefill = STEP.seconds(prefill_tokens=300, prefill_attended=300 * 301 / 2, decode_sequences=0, kv_tokens=0)
    decode = [STEP.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=kv) for kv in (300, 301)]
    assert outcome.ttft_seconds[0] == pytest.approx(
        prefill + SPEC.api_seconds + 300 * SPEC.prompt_token_seconds, rel=1e-12
    )
    assert outcome.tpot_seconds[0] == pytest.approx(sum(decode) / 2, rel=1e-12)
    assert outcome.usage[0].busy_seconds == pytest.approx(prefill + sum(decode), rel=1e-12)
    assert outcome.usage[0].steps == 3


def test_single_token_requests_one_at_a_time_wait_as_in_m_d_1() -> None:
    spec = EngineSpec(Plain(), 1000, 1, 2000, 1000, api_seconds=0.0, prompt_token_seconds=0.0)
    count, load = 200_000, 0.6
    trace = Trace.of(poisson_arrivals(load / 0.01, count=count, seed=3), [10] * count, [1] * count)
    outcome = simulate(trace, fleet(1, spec=spec), ALONE, seed=0)
    assert outcome.ttft().mean == pytest.approx(0.01 * (1 + load / (2 * (1 - load))), rel=0.02)
    assert math.isnan(outcome.tpot().mean)
    assert outcome.attainment(ttft_seconds=10.0, tpot_seconds=1e-9) == 1.0


def test_prefix_hits_save_prefill() -> None:
    trace = uniform_trace(50, gap=0.05, prompt=6000, generation=20)
    cold, warm = (
        simulate(trace, fleet(1, spec=replace(SPEC, prefix_hit_rate=share)), ALONE, seed=0) for share in (0.0, 0.9)
    )
    assert warm.ttft().mean < 0.5 * cold.ttft().mean


def test_sizes_beyond_the_longest_sequence_are_cut() -> None:
    trace = Trace.of([0.0, 0.0], [100_000, 8000], [5, 5000])
    outcome = simulate(trace, fleet(1), ALONE, seed=0)
    assert np.isfinite(outcome.e2e_seconds).all()
    assert math.isnan(outcome.tpot_seconds[0]), "a prompt that fills the model's length leaves one token"


def test_round_robin_takes_turns_and_least_loaded_avoids_the_slow() -> None:
    trace = uniform_trace(400, gap=0.02, prompt=500, generation=100)
    slow = EngineSpec(Plain(constant=0.2), 2048, 64, 160_000, 8192)
    both = SimulatedFleet((ReplicaGroup("fast", SPEC, 1), ReplicaGroup("slow", slow, 1)))
    turns = simulate(trace, both, ALONE, seed=0)
    assert turns.replica.tolist() == [0, 1] * 200
    watched = simulate(trace, both, Routing(Balance.LEAST_LOADED), seed=0)
    assert watched.usage[0].requests > 2 * watched.usage[1].requests
    assert watched.e2e().mean < turns.e2e().mean


def test_weights_and_prompt_ranges_choose_the_group() -> None:
    count = 20_000
    arrivals = np.arange(count, dtype=np.float64)
    trace = Trace.of(arrivals, np.tile([100, 1000], count // 2), np.ones(count, dtype=np.int64))
    weighted = simulate(trace, fleet(1, 2, 0), Routing.weighted((1.0, 3.0, 0.0)), seed=4)
    assert np.bincount(weighted.group, minlength=3)[2] == 0
    assert (weighted.group == 1).mean() == pytest.approx(0.75, abs=0.02)
    by_prompt = Routing(Balance.RANDOM, (PromptRange(100, (1.0, 0.0)), PromptRange(math.inf, (0.0, 1.0))))
    ranged = simulate(trace, fleet(1, 2), by_prompt, seed=4)
    assert ranged.group.tolist() == [0, 1] * (count // 2)
    assert {usage.group for usage in ranged.usage} == {0, 1}


def test_equal_seeds_give_equal_outcomes_and_others_do_not() -> None:
    trace = uniform_trace(500, gap=0.01)
    one, same, other = (simulate(trace, fleet(4), Routing(Balance.RANDOM), seed=seed) for seed in (1, 1, 2))
    assert one.e2e_seconds.tolist() == same.e2e_seconds.tolist()
    assert one.replica.tolist() != other.replica.tolist()


@pytest.mark.parametrize("balance", Balance)
def test_progress_counts_every_request_and_changes_nothing(balance: Balance) -> None:
    trace, told = uniform_trace(2500, gap=0.02), list[int]()
    outcome = simulate(trace, fleet(1, 2), Routing(balance), seed=3, progress=told.append)
    assert sum(told) == 2500
    assert len(told) > 2
    assert outcome.e2e_seconds.tolist() == simulate(trace, fleet(1, 2), Routing(balance), seed=3).e2e_seconds.tolist()


def test_percentiles_and_parts_of_an_outcome() -> None:
    outcome = simulate(uniform_trace(300, gap=0.01), fleet(1, 1), ALONE, seed=0)
    part = outcome.only(outcome.group == 1)
    assert len(part.trace) == 150
    assert part.ttft().p50 == np.percentile(outcome.ttft_seconds[1::2], 50)
    assert outcome.attainment(ttft_seconds=outcome.ttft().p90, tpot_seconds=1.0) == pytest.approx(0.9, abs=0.005)
    assert outcome.span_seconds > 2.99


def test_an_empty_trace_has_no_figures() -> None:
    outcome = simulate(Trace.of([], [], []), fleet(2), Routing(Balance.LEAST_LOADED), seed=0)
    assert outcome.span_seconds == 0.0
    assert math.isnan(outcome.ttft().p99)


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gamma_arrivals_have_the_rate_and_the_spread(cv: float) -> None:
    gaps = np.diff(gamma_arrivals(8.0, cv=cv, count=100_000, seed=1))
    assert gaps.mean() == pytest.approx(1 / 8, rel=0.04)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.04)


@pytest.mark.parametrize("parallel", [1, 4])
def test_tables_equal_the_step_time_everywhere(parallel: int) -> None:
    for model, precision in (("Qwen/Qwen3-30B-A3B", Precision.BF16), ("meta-llama/Llama-3.1-8B", Precision.FP8)):
        step = StepTime(bundled_shape(model), Layout(gpu("H100"), tensor_parallel=parallel, precision=precision))
        table = StepTable.of(step, token_budget=512, max_sequences=128)
        rng = np.random.default_rng(0)
        for _ in range(300):
            sequences = int(rng.integers(0, 129))
            prefill = int(rng.integers(0, 513 - sequences))
            attended, kv = float(rng.integers(0, 10**7)), int(rng.integers(0, 10**6))
            assert table.seconds(
                prefill_tokens=prefill, attended=attended, sequences=sequences, kv_tokens=kv
            ) == pytest.approx(
                step.seconds(
                    prefill_tokens=prefill, prefill_attended=attended, decode_sequences=sequences, kv_tokens=kv
                ),
                rel=1e-12,
            )


@pytest.mark.parametrize("step", [Plain(bend=1e-12), Plain(constant=0.0), Plain(constant=math.nan)])
def test_a_step_time_that_tables_cannot_hold_is_refused(step: Plain) -> None:
    with pytest.raises(ValueError, match="step time of"):
        StepTable.of(step, token_budget=64, max_sequences=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_budget": 32}, "token_budget is 32 and max_sequences 64"),
        ({"max_model_len": 1}, "max_model_len is 1"),
        ({"kv_tokens": 8000}, "hold no sequence of max_model_len 8192.*at most 8000"),
        ({"prefix_hit_rate": 1.5}, r"prefix_hit_rate is 1\.5"),
        ({"api_seconds": math.nan}, "api_seconds is nan"),
    ],
)
def test_a_specification_that_no_engine_has_is_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **change)  # type: ignore[arg-type]


def test_bad_loads_and_routes_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="request 1 of the trace"):
        Trace.of([0.0, math.nan], [1, 1], [1, 1])
    with pytest.raises(ValueError, match="one length"):
        Trace.of([0.0], [1, 1], [1, 1])
    with pytest.raises(ValueError, match="rate_rps of the arrivals is 0"):
        poisson_arrivals(0.0, count=1, seed=0)
    with pytest.raises(ValueError, match="no replica"):
        fleet(0)
    with pytest.raises(ValueError, match='"g0" of the fleet has count -1'):
        fleet(-1)
    trace = uniform_trace(1, gap=0.0)
    for routing, message in (
        (Routing.weighted((1.0,)), "1 weights for 2 groups"),
        (Routing.weighted((0.0, 0.0)), "at least one above 0"),
        (Routing.weighted((1.0, 1.0)), '"g1", which has no replica'),
        (Routing(Balance.RANDOM, (PromptRange(100.0, (1.0, 0.0)),)), "end with infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            simulate(trace, fleet(1, 0), routing, seed=0)
