"""Memory fit against engine logs, and the reasons it gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import MemoryFit, memory_fit
from medley_planner.capacity.memory import WHOLE
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape

LLAMA_8B = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
LLAMA_70B = bundled_shape("meta-llama/Llama-3.1-70B-Instruct")


def fit(model: str, gpu_name: str, tensor_parallel: int = 1, max_model_len: int = 8192) -> MemoryFit:
    return memory_fit(
        bundled_shape(model),
        Layout(gpu(gpu_name), tensor_parallel=tensor_parallel),
        max_model_len=max_model_len,
    )


def test_kv_tokens_of_a_measured_engine() -> None:
    # vLLM 0.19 on an RTX 4090 (23.5 GiB usable), Llama-3.1-8B BF16, utilisation 0.9: 41,408 tokens in its log.
    rtx_4090 = replace(gpu("L4"), name="RTX 4090", usable_gib=23.52)
    result = memory_fit(LLAMA_8B, Layout(rtx_4090), max_model_len=16384)
    assert result.fits
    assert result.kv_tokens == pytest.approx(41408, rel=0.01)
    assert result.kv_tokens % 16 == 0


def test_70b_needs_four_a100_40_or_two_h100_in_fp8() -> None:
    assert not fit("meta-llama/Llama-3.1-70B-Instruct", "A100-40", 2).fits
    assert fit("meta-llama/Llama-3.1-70B-Instruct", "A100-40", 4).fits
    assert not fit("meta-llama/Llama-3.1-70B-Instruct", "H100", 1).fits
    eight_bit = memory_fit(
        LLAMA_70B, Layout(gpu("H100"), tensor_parallel=2, precision=Precision.FP8), max_model_len=8192
    )
    assert eight_bit.fits
    assert eight_bit.weights_gb == pytest.approx(72.7, abs=0.1)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (fit("meta-llama/Llama-3.1-70B-Instruct", "L4"), "141.1 GB of weights, but 1 x L4"),
        (fit("meta-llama/Llama-3.1-8B-Instruct", "L4", 1, 65536), "spec.model.maxModelLen to at most 30416"),
        (fit("google/gemma-2-9b-it", "H100", 1, 16384), "more than the 8192 positions of google/gemma-2-9b-it"),
        (fit("meta-llama/Llama-3.1-8B-Instruct", "H100", 3), "tensorParallel 3 does not divide"),
    ],
)
def test_what_does_not_fit_says_why(result: MemoryFit, words: str) -> None:
    assert not result.fits
    assert words in result.reason


def test_more_gpus_never_hold_less() -> None:
    tokens = [fit("Qwen/Qwen2.5-32B-Instruct", "A100-80", tp).kv_tokens for tp in (1, 2, 4, 8)]
    assert tokens == sorted(tokens)
    assert tokens[0] > 8192


def test_a_window_is_cut_and_held_with_one_chunk() -> None:
    # google/gemma-3-27b-it on one H100: 12.0 GB for a sequence of 131,072 tokens, of 19.7 GB that are free.
    shape = bundled_shape("google/gemma-3-27b-it")
    long = fit("google/gemma-3-27b-it", "H100", 1, 131_072)
    assert long.fits
    free = long.kv_tokens * shape.sequence_bytes(131_072) / 131_072
    assert free / 1e9 == pytest.approx(18.8, abs=0.1)
    assert long.cost.tokens(131_072) == pytest.approx(131_072)
    assert long.cost.tokens(512) == pytest.approx(512 * 62 / 10 * long.cost.token)
    refused = memory_fit(shape, Layout(gpu("H100")), max_model_len=131_072, token_budget=32_768)
    assert not refused.fits, "a chunk of 32,768 prompt tokens stands in all 52 layers with a window"
    assert "maxModelLen to at most" in refused.reason


def test_what_is_told_to_fit_fits() -> None:
    shape = bundled_shape("google/gemma-3-27b-it")
    refused = memory_fit(shape, Layout(gpu("H100")), max_model_len=131_072, token_budget=24_576)
    most = int(refused.reason.split("at most ")[1].split(",")[0])
    assert memory_fit(shape, Layout(gpu("H100")), max_model_len=most, token_budget=24_576).fits
    assert not memory_fit(shape, Layout(gpu("H100")), max_model_len=most + 64, token_budget=24_576).fits


def test_a_state_costs_as_many_tokens_as_its_bytes() -> None:
    granite = fit("ibm-granite/granite-4.0-h-small", "H100", 1, 131_072)
    assert granite.fits
    assert granite.cost.fixed == pytest.approx(77.37e6 / 16_384 * granite.cost.token, rel=1e-3)
    assert granite.cost.tokens(131_072) == pytest.approx(131_072)


def test_a_vision_tower_takes_its_share() -> None:
    # Qwen/Qwen3-VL-8B-Instruct on an L4: vLLM has room for 17,070 tokens, and refuses to start with 22,000.
    result = fit("Qwen/Qwen3-VL-8B-Instruct", "L4", 1, 22_000)
    assert not result.fits
    assert result.kv_tokens == pytest.approx(17_070, rel=0.01)


@pytest.mark.parametrize(
    ("model", "gigabytes", "gpu_name"),
    [("baidu/ERNIE-4.5-21B-A3B-PT", 43.7, "L4"), ("baidu/ERNIE-4.5-300B-A47B-PT", 599, "H200")],
)
def test_all_experts_are_counted(model: str, gigabytes: float, gpu_name: str) -> None:
    result = fit(model, gpu_name)
    assert result.weights_gb == pytest.approx(gigabytes, rel=0.005)
    assert not result.fits


def test_heads_of_every_kind_of_layer_are_divided() -> None:
    assert "does not divide the 64 attention heads and 4 KV heads" in fit("XiaomiMiMo/MiMo-V2-Flash", "H200", 3).reason
    assert "the 128 attention heads of deepseek-ai/DeepSeek-V3" in fit("deepseek-ai/DeepSeek-V3", "H200", 3).reason


def test_an_engine_s_cache_of_a_uniform_model_is_as_it_was() -> None:
    assert fit("meta-llama/Llama-3.1-8B-Instruct", "L4").cost == WHOLE
    assert WHOLE.tokens(777.0) == 777.0
    assert WHOLE.engine_cache(4096) == (4096, 0)


@pytest.mark.parametrize("model", ["ibm-granite/granite-4.0-h-small", "google/gemma-3-27b-it"])
@pytest.mark.parametrize("longest", [4096, 4101, 131_072])
def test_a_cache_that_holds_the_longest_sequence_does_so_in_blocks(model: str, longest: int) -> None:
    fitted = fit(model, "H200", 1, longest)
    held = -(-longest // 16) * 16
    tokens, own = fitted.cost.engine_cache(held)
    assert (tokens // 16 - own) * 16 >= longest
