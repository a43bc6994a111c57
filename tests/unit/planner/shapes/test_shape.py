"""What follows from the layers: sequences with windows cut, states, what a step reads, draft layers and towers."""

from __future__ import annotations

import pytest

from medley_planner.shapes import bundled_shape

GEMMA = bundled_shape("google/gemma-3-27b-it")
GRANITE = bundled_shape("ibm-granite/granite-4.0-h-small")


def test_one_sequence_is_the_sum_of_its_layers_with_windows_cut() -> None:
    # 10 full layers, and 52 that hold a window of 1024 and a chunk of 2048 while the prompt is computed.
    assert GEMMA.sequence_bytes(131_072, chunk=2048) == 10 * 8192 * 131_072 + 52 * 8192 * 3072
    assert GEMMA.sequence_bytes(131_072) == 10 * 8192 * 131_072 + 52 * 8192 * 1024
    assert GEMMA.sequence_bytes(512) == 62 * 8192 * 512


def test_a_state_is_kept_whatever_the_length() -> None:
    # 36 Mamba-2 layers: 128 heads of 64 with 128 numbers each, and three inputs of the convolution.
    state = 36 * 2 * (128 * 64 * 128 + 3 * (128 * 64 + 2 * 128))
    assert GRANITE.state_bytes_per_sequence() == state
    assert GRANITE.sequence_bytes(1000) == state + 1000 * 16_384


def test_a_config_may_ask_for_states_in_fp32() -> None:
    shape = bundled_shape("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16")
    assert shape.state_bytes_per_sequence() == 23 * (64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2)


def test_a_step_reads_a_window_or_the_selected_tokens() -> None:
    assert GEMMA.read_bytes() == ((0, 10 * 8192), (1024, 52 * 8192))
    sparse = bundled_shape("deepseek-ai/DeepSeek-V3.2")
    assert sparse.read_bytes() == ((0, 61 * 132), (2048, 61 * 1152)), "all keys of the indexer, 2048 selected tokens"
    assert sparse.kv_bytes_per_token() == 61 * 1284, "all are kept"
    assert [span for span, _ in sparse.attention_flops()] == [2048]


def test_layers_of_one_part_each_count_as_layers_of_two() -> None:
    shape = bundled_shape("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16")
    assert sum(kind.count for kind in shape.kinds) == 52
    assert (shape.layers, shape.moe_layers) == (29, 23)


def test_draft_layers_are_not_loaded() -> None:
    shape = bundled_shape("deepseek-ai/DeepSeek-V3")
    assert shape.parameters() / 1e9 == pytest.approx(671, rel=1e-3)
    # The card: 14B of multi-token prediction, 1.85B of them copies of embedding and head.
    assert shape.draft_parameters / 1e9 == pytest.approx(14 - 2 * 129_280 * 7168 / 1e9, rel=0.06)


def test_a_vision_tower_is_on_the_gpu_and_not_in_what_a_token_uses() -> None:
    shape = bundled_shape("Qwen/Qwen3-VL-8B-Instruct")
    text = bundled_shape("Qwen/Qwen3-8B")
    assert shape.parameters() - text.parameters() == shape.more_parameters
    assert shape.more_parameters / 1e9 == pytest.approx(0.576, abs=0.001)
    assert shape.active_parameters() == text.active_parameters()


def test_each_kind_of_mixer_says_what_tensor_parallelism_divides() -> None:
    assert bundled_shape("XiaomiMiMo/MiMo-V2-Flash").splits == ((64, 4), (64, 8))
    assert bundled_shape("deepseek-ai/DeepSeek-V3").splits == ((128, 0),)
