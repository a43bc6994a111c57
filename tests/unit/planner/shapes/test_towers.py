"""Parameters of vision and audio towers."""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.shapes import shape_from_config
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import no_tower, tower


def counted(config: dict[str, Any], hidden: int) -> int:
    return tower(Reader("m", config), hidden)


@pytest.mark.parametrize(
    ("config", "hidden", "millions"),
    [
        # google/gemma-3-4b-it and 27b-it: SigLIP of 417 million with a projection.
        ({"model_type": "gemma3", "vision_config": {}}, 2560, 420),
        ({"model_type": "gemma3", "text_config": {}}, 5376, 423),
        ({"model_type": "llama4", "text_config": {}}, 5120, 872),
        (
            {
                "model_type": "qwen2_audio",
                "audio_config": {"d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120},
            },
            4096,
            634,
        ),
    ],
)
def test_published_towers(config: dict[str, Any], hidden: int, millions: float) -> None:
    assert counted(config, hidden) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_text_only_config_has_none() -> None:
    assert counted({"model_type": "gemma3_text"}, 1152) == counted({"model_type": "llama"}, 4096) == 0
    assert no_tower(Reader("m", {"vision_config": {}}), 1) == 0


def test_published_gemma_3_with_what_it_leaves_out() -> None:
    # google/gemma-3-4b-it's text_config leaves out heads, vocabulary and window pattern.
    config = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {},
    }
    shape = shape_from_config(config, name="google/gemma-3-4b-it")
    assert shape.parameters() == pytest.approx(4_300_079_472, rel=6e-4)
    assert (shape.kv_bytes_per_token(), shape.windows()) == (5 * 4096, (1024,))
    assert shape.max_position == 131_072, "the positions are already scaled"
