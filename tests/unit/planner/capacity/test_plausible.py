"""Figures that beat what the hardware can do are recognised."""

from __future__ import annotations

from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape


def test_cached_prompts_are_recognised_by_the_physical_limit() -> None:
    def reason(*, ttft: float = 0.5, tpot: float = 0.02, concurrency: float = 4.0) -> str:
        return beats_the_limit(
            bundled_shape("meta-llama/Llama-3.1-70B"),
            Layout(gpu("H100"), tensor_parallel=2, precision=Precision.FP8),
            prompt_tokens=8192,
            generation_tokens=128,
            concurrency=concurrency,
            ttft_seconds=ttft,
            tpot_seconds=tpot,
        )

    assert reason() == ""
    assert "prompt's matrix products" in reason(ttft=0.1)
    assert "reading the weights" in reason(tpot=0.005)
    assert "all prompts" in reason(concurrency=64.0)
