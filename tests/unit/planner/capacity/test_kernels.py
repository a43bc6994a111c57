"""What kernels reach: tiles of experts, and the rest as it enters a step (`test_step_time`)."""

from __future__ import annotations

import pytest

from medley_planner.capacity.kernels import in_whole_tiles
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape


@pytest.mark.parametrize(
    ("model", "degree", "groups", "more"),
    [
        ("MiniMaxAI/MiniMax-M2.5", 1, 1, 1.0),
        ("MiniMaxAI/MiniMax-M2.5", 2, 1, 1.0),
        ("MiniMaxAI/MiniMax-M2.5", 4, 1, 512 / 384),
        ("MiniMaxAI/MiniMax-M2.5", 8, 1, 256 / 192),
        ("MiniMaxAI/MiniMax-M2.5", 8, 8, 1.0),
        ("openai/gpt-oss-120b", 1, 1, 3072 / 2880),
        ("openai/gpt-oss-120b", 8, 1, 512 / 360),
        ("moonshotai/Kimi-K2.5", 8, 1, 1.0),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 4, 1, 1.0),
        ("meta-llama/Llama-3.1-8B-Instruct", 8, 1, 1.0),
    ],
)
def test_a_gpus_share_of_an_expert_is_computed_in_whole_tiles(
    model: str, degree: int, groups: int, more: float
) -> None:
    layout = Layout(gpu("H200"), tensor_parallel=degree, attention_data_parallel=groups)
    assert in_whole_tiles(bundled_shape(model), layout) == pytest.approx(more)
