"""Memory fit against engine logs, and the reasons it gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import MemoryFit, memory_fit
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
