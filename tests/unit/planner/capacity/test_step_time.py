"""Step time: sane limits, rising in every argument, and close to what vLLM was measured to do."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.capacity import StepTime
from medley_planner.capacity.closed_form import Cell, SteadyState
from medley_planner.catalog import gpu, known_gpus
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape

SHARED = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[5] / "shared" / "data"))
MEASURED = SHARED / "vllm_measured_ttft_tpot.csv"
MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "meta-llama/Llama-3.2-1B-Instruct",
    "openai/gpt-oss-20b",
    "deepseek-ai/DeepSeek-V3",
)


def decode_seconds(step: StepTime, sequences: float, context: float) -> float:
    return step.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=sequences, kv_tokens=sequences * context)


def test_one_sequence_reads_the_weights_once() -> None:
    step = StepTime(bundled_shape(MODELS[0]), Layout(gpu("H100")))
    weights_seconds = 2 * 7.5e9 / (3350e9 * 0.94)
    assert decode_seconds(step, 1, 500) == pytest.approx(weights_seconds + 1.15e-3 + 32 * 38e-6, rel=0.02)


def test_the_faster_the_memory_the_more_a_graph_gains_on_single_kernels() -> None:
    def share(name: str) -> float:
        card = gpu(name)
        read = StepTime(bundled_shape(MODELS[0]), Layout(card)).constants["_read_base"]
        return 2 * bundled_shape(MODELS[0]).dense_parameters() / (read * card.memory_gb_per_second * 1e9)

    assert share("H100") == pytest.approx(0.94, abs=0.005)
    assert share("H200") == pytest.approx(0.92, abs=0.005)
    assert share("B200") == pytest.approx(0.94, abs=0.005)
    assert share("L40S") == pytest.approx(0.80, abs=0.005), "GDDR: its kernels last long enough"


@pytest.mark.parametrize(
    ("model", "card", "precision", "microseconds"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", "H100", Precision.BF16, 38),
        ("meta-llama/Llama-3.1-8B-Instruct", "H100", Precision.BF16, 38),
        ("meta-llama/Llama-3.1-70B-Instruct", "H100", Precision.FP8, 50),
        ("meta-llama/Llama-3.1-70B-Instruct", "A100-80", Precision.FP8, 38),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "H100", Precision.BF16, 38),
        ("openai/gpt-oss-20b", "H100", Precision.FP4, 39.5),
        ("Qwen/Qwen3-30B-A3B", "H100", Precision.BF16, 41),
        ("Qwen/Qwen3-30B-A3B", "H100", Precision.FP8, 79),
        ("deepseek-ai/DeepSeek-V3", "H200", Precision.FP8, 93),
        ("openai/gpt-oss-120b", "B200", Precision.FP4, 41),
    ],
)
def test_the_fixed_cost_of_a_layer_is_that_of_its_kernels(
    model: str, card: str, precision: Precision, microseconds: float
) -> None:
    """Quantized activations, latent attention, routing to many experts and experts in several kernels add to it."""
    shape = bundled_shape(model)
    constant = StepTime(shape, Layout(gpu(card), precision=precision)).constants["_constant"]
    assert (constant - 1.15e-3) / shape.layers * 1e6 == pytest.approx(microseconds)


def test_unfused_kernels_of_experts_read_no_faster_on_faster_memory() -> None:
    def expert_bytes_per_second(card: str, precision: Precision) -> float:
        shape = bundled_shape("moonshotai/Kimi-K2-Instruct")
        step = StepTime(shape, Layout(gpu(card), tensor_parallel=8, precision=precision))
        weight_bytes = shape.moe_layers * shape.expert_parameters * shape.expert_weight_bytes(precision)
        return weight_bytes / step.constants["_read_expert"] / 8

    assert expert_bytes_per_second("H200", Precision.INT4) == pytest.approx(3.0e12)
    assert expert_bytes_per_second("B200", Precision.INT4) == pytest.approx(3.0e12)
    assert expert_bytes_per_second("B200", Precision.FP4) > 7e12


def test_beyond_the_captured_graphs_a_step_takes_at_least_what_the_cpu_takes_to_launch_it() -> None:
    def prompt(model: str, card: str, degree: int, tokens: float, groups: int = 1) -> float:
        shape = bundled_shape(model)
        layout = Layout(gpu(card), degree, shape.precision, attention_data_parallel=groups)
        step = StepTime(shape, layout)
        return step.seconds(prefill_tokens=tokens, prefill_attended=0, decode_sequences=0, kv_tokens=0)

    launch = StepTime(bundled_shape("openai/gpt-oss-120b"), Layout(gpu("B200"))).constants["_launch"]
    captured, launched = (prompt("openai/gpt-oss-120b", "B200", 8, tokens) for tokens in (512.0, 513.0))
    assert captured < launch < launched < launch + 0.001, "many GPUs wait for the CPU"
    half, whole = (prompt("openai/gpt-oss-120b", "H200", 1, tokens) for tokens in (4096.0, 8192.0))
    assert whole == pytest.approx(2.0 * half, rel=0.02), "long prompts keep one GPU busy"
    within, beyond = (prompt("openai/gpt-oss-120b", "B200", 8, tokens, groups=4) for tokens in (2048.0, 2049.0))
    assert within < launch < beyond, "each group has graphs of its own"


def test_groups_of_data_parallel_attention_plan_and_sample_at_once() -> None:
    def sequence(groups: int) -> float:
        layout = Layout(gpu("H200"), 8, Precision.FP8, attention_data_parallel=groups)
        return StepTime(bundled_shape("deepseek-ai/DeepSeek-V3"), layout).constants["_sequence"]

    assert [sequence(groups) for groups in (1, 4, 8)] == pytest.approx([8e-6, 2e-6, 1e-6])


def test_before_0_14_steps_read_all_experts_in_fp8() -> None:
    def decode(version: str) -> float:
        layout = Layout(gpu("H200"), tensor_parallel=4, precision=Precision.FP8, engine_version=version)
        return decode_seconds(StepTime(bundled_shape("Qwen/Qwen3-235B-A22B"), layout), 4, 1000)

    assert decode("0.12.0") > 2 * decode("0.14.0") == 2 * decode("")


def test_before_0_8_gpus_wait_between_steps() -> None:
    def fixed(version: str) -> float:
        layout = Layout(gpu("H100"), tensor_parallel=8, precision=Precision.FP8, engine_version=version)
        return StepTime(bundled_shape("meta-llama/Llama-3.1-405B-FP8"), layout).constants["_constant"]

    assert fixed("0.6") - fixed("0.8.0") == pytest.approx(6.5e-3)
    assert fixed("0.8.5") == fixed("")


@pytest.mark.parametrize(("card", "gb_per_second"), [("L40S", 8), ("A100-80", 210), ("H100", 315), ("B200", 340)])
def test_all_reduces_reach_what_the_gpu_copies(card: str, gb_per_second: float) -> None:
    shape = bundled_shape(MODELS[0])
    token = [StepTime(shape, Layout(gpu(card), tensor_parallel=degree)).constants["_token"] for degree in (1, 2)]
    moved = 2 * shape.layers * shape.hidden * 2.0
    assert moved / (token[1] - token[0]) / 1e9 == pytest.approx(gb_per_second)


OPEN_LOOP = SHARED / "truth" / "open_loop_vllm_0.15.csv"
HITS = 0.97
"""At most 45 prompts repeat in these runs: nearly all of a prompt is a prefix hit."""


def open_loop_itl_ms(row: dict[str, str]) -> float:
    """The steady state's mean step at the row's rate."""
    step = StepTime(bundled_shape(row["model_path"]), Layout(gpu("H100"), tensor_parallel=int(row["tp_size"])))
    decode_steps = float(row["generation_tokens"]) - 1.0
    budget = float(row["max_num_batched_tokens"])
    cell = Cell(
        prompt=float(row["prompt_tokens"]),
        generation=float(row["generation_tokens"]),
        ttft=math.inf,
        tpot=math.inf,
        percentile=0.5,
        z=0.0,
        budget=budget,
        max_sequences=math.inf,
        kv_tokens=math.inf,
        prefill_share=1.0 - HITS,
    )
    low, high = 0.0, float(row["max_num_seqs"]) / decode_steps
    for _ in range(50):
        starts = (low + high) / 2.0
        decoding = starts * decode_steps
        mean = SteadyState(step, cell, starts, decoding, budget - decoding).moments()[0]
        low, high = (starts, high) if starts / mean < float(row["rate_rps"]) else (low, starts)
    return mean * 1e3


@pytest.mark.skipif(not OPEN_LOOP.exists(), reason="no shared data")
@pytest.mark.parametrize(("mixture", "bound"), [(False, 0.05), (True, 0.05)])
def test_mean_inter_token_latency_of_open_loops(mixture: bool, bound: float) -> None:
    with OPEN_LOOP.open() as file:
        rows = [row for row in csv.DictReader(file) if ("Mixtral" in row["model_path"]) is mixture]
    errors = [abs(open_loop_itl_ms(row) / float(row["itl_mean_ms"]) - 1.0) for row in rows]
    assert len(errors) > 15
    assert sum(errors) / len(errors) <= bound


def test_fp8_helps_where_the_gpu_has_it_and_saves_reads_where_it_has_not() -> None:
    for name in ("H100", "A100-80"):
        bf16, fp8 = (
            StepTime(bundled_shape(MODELS[0]), Layout(gpu(name), precision=precision))
            for precision in (Precision.BF16, Precision.FP8)
        )
        assert decode_seconds(fp8, 8, 1000) < decode_seconds(bf16, 8, 1000)
    prefill = {"prefill_tokens": 8192.0, "prefill_attended": 0.0, "decode_sequences": 0.0, "kv_tokens": 0.0}
    assert fp8.seconds(**prefill) == pytest.approx(bf16.seconds(**prefill), rel=0.05)


def test_a_mixture_reads_few_experts_for_one_sequence_and_all_for_many() -> None:
    step = StepTime(bundled_shape("Qwen/Qwen3-30B-A3B"), Layout(gpu("H100")))
    one, many = decode_seconds(step, 1, 1), decode_seconds(step, 200, 1)
    assert one < 8e-3
    assert many == pytest.approx(61e9 / 3.0e12 + 4.2e-3, rel=0.15)


def test_sparse_attention_reads_what_it_selects() -> None:
    sparse = StepTime(bundled_shape("deepseek-ai/DeepSeek-V3.2"), Layout(gpu("H200"), tensor_parallel=8))
    whole = StepTime(bundled_shape("deepseek-ai/DeepSeek-V3"), Layout(gpu("H200"), tensor_parallel=8))
    grown = [decode_seconds(step, 32, 64_000) - decode_seconds(step, 32, 4_000) for step in (sparse, whole)]
    # 60,000 more tokens are read of the indexer alone: 132 bytes of a layer instead of 1,152.
    assert grown[0] == pytest.approx(grown[1] * 132 / 1152, rel=0.01)


def test_a_state_is_read_and_written_in_each_step() -> None:
    step = StepTime(bundled_shape("ibm-granite/granite-4.0-h-small"), Layout(gpu("H100")))
    many, few = decode_seconds(step, 65, 0) - decode_seconds(step, 64, 0), 8e-6
    assert many > few + 2 * 77.3e6 / (3350e9 * 0.76)


loads = st.tuples(
    st.floats(0, 8192), st.floats(0, 1e7), st.floats(0, 256), st.floats(0, 1e6), st.integers(0, 3), st.floats(1, 1000)
)


@given(loads, st.sampled_from(MODELS), st.sampled_from(known_gpus()), st.sampled_from([1, 2, 4]))
def test_more_work_never_takes_less_time(
    load: tuple[float, float, float, float, int, float], model: str, name: str, tensor_parallel: int
) -> None:
    step = StepTime(bundled_shape(model), Layout(gpu(name), tensor_parallel=tensor_parallel))
    prefill, attended, sequences, kv, argument, more = load
    base = [prefill, attended, sequences, kv]
    raised = list(base)
    raised[argument] += more

    def seconds(values: list[float]) -> float:
        return step.seconds(
            prefill_tokens=values[0], prefill_attended=values[1], decode_sequences=values[2], kv_tokens=values[3]
        )

    assert seconds(raised) >= seconds(base) > 0


@pytest.mark.skipif(not MEASURED.exists(), reason=f"no measured data at {MEASURED}")
@pytest.mark.parametrize(("system", "name", "limit"), [("h100_sxm", "H100", 0.07), ("b200_sxm", "B200", 0.13)])
def test_decoding_of_a_70b_model_against_measured_vllm(system: str, name: str, limit: float) -> None:
    """Fixed concurrency: each step decodes B sequences and prefills the B prompts of a cycle spread over its steps."""
    errors: dict[int, list[float]] = defaultdict(list)
    shape = bundled_shape("meta-llama/Llama-3.1-70B-Instruct")
    with MEASURED.open() as file:
        for row in csv.DictReader(file):
            if (row["model_path"], row["system"], row["precision"]) != ("meta-llama/Llama-3.1-70B", system, "fp8"):
                continue
            tensor_parallel, batch = int(row["tp_size"]), int(row["batch_size"])
            prompt, generation = int(row["isl"]), int(row["osl"])
            step = StepTime(shape, Layout(gpu(name), tensor_parallel=tensor_parallel, precision=Precision.FP8))
            prefill = prompt * batch / generation
            predicted = step.seconds(
                prefill_tokens=prefill,
                prefill_attended=prefill * prompt / 2,
                decode_sequences=batch,
                kv_tokens=batch * (prompt + generation / 2),
            )
            errors[tensor_parallel].append(predicted / (float(row["silicon_tpot_ms"]) / 1e3) - 1)
    everything = [error for some in errors.values() for error in some]
    for tensor_parallel, some in sorted(errors.items()):
        print(f"{name} TP{tensor_parallel}: {sum(map(abs, some)) / len(some):.1%} of {len(some)} rows")
    assert len(everything) >= 45
    assert sum(map(abs, everything)) / len(everything) < limit
