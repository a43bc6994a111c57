"""A model by hand is planned as one whose config says the same, and sizes that contradict are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_planner.capacity import StepTime, memory_fit
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import BadSizes, DeclaredModel, Precision, bundled_shape, declared_shape

_LLAMA = DeclaredModel(
    weight_bytes=141_107_412_992,
    parameters=70_553_706_496,
    layers=80,
    hidden=8192,
    kv_bytes_per_token=327_680,
    heads=64,
    kv_heads=8,
)


def test_memory_and_step_time_are_those_of_the_same_model_by_its_config() -> None:
    known, declared = bundled_shape("meta-llama/Llama-3.1-70B-Instruct"), declared_shape("mine", _LLAMA)
    layout = Layout(gpu("H100"), tensor_parallel=4)
    by_hand, by_config = (memory_fit(shape, layout, max_model_len=16384) for shape in (declared, known))
    assert by_hand.fits
    assert by_hand.weights_gb == pytest.approx(by_config.weights_gb, rel=1e-4)
    assert by_hand.kv_tokens == pytest.approx(by_config.kv_tokens, rel=1e-3)
    load = {"prefill_tokens": 500, "prefill_attended": 500_000, "decode_sequences": 32, "kv_tokens": 64_000}
    steps = [StepTime(shape, layout).seconds(**load) for shape in (declared, known)]
    assert steps[0] == pytest.approx(steps[1], rel=0.03)


def test_experts_are_counted_and_only_those_in_use_are_active() -> None:
    shape = declared_shape(
        "moe",
        DeclaredModel(
            weight_bytes=237_000_000_000,
            parameters=235_000_000_000,
            active_parameters=22_000_000_000,
            layers=94,
            hidden=4096,
            kv_bytes_per_token=192_512,
            experts=128,
            experts_per_token=8,
            precision=Precision.FP8,
        ),
    )
    assert shape.parameters() == pytest.approx(235e9, rel=1e-3)
    assert shape.active_parameters() == pytest.approx(22e9, rel=1e-3)
    assert shape.weight_bytes(Precision.FP8) == 237_000_000_000
    assert shape.precision is Precision.FP8


def test_without_heads_each_gpu_keeps_the_whole_cache() -> None:
    shape = declared_shape("mine", replace(_LLAMA, heads=None, kv_heads=None))
    assert shape.kv_bytes_per_token(4) == 4 * 327_680
    assert declared_shape("mine", _LLAMA).kv_bytes_per_token(4) == 327_680


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"weight_bytes": 1_000_000_000}, "weightBytes"),
        ({"weight_bytes": 10**13}, "weightBytes"),
        ({"active_parameters": 10**12}, "activeParameters"),
        ({"experts": 8, "experts_per_token": 2}, "activeParameters"),
        ({"experts": 8, "experts_per_token": 9, "active_parameters": 10**10}, "expertsPerToken"),
        ({"experts": 8, "experts_per_token": 0, "active_parameters": 10**10}, "expertsPerToken"),
    ],
)
def test_sizes_that_contradict_name_the_one_to_correct(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadSizes) as refused:
        declared_shape("mine", replace(_LLAMA, **changes))
    assert refused.value.field == field


def test_a_model_of_states_alone_has_no_cache() -> None:
    shape = declared_shape("mine", replace(_LLAMA, kv_bytes_per_token=0, state_bytes_per_sequence=80_000_000))
    assert shape.kv_bytes_per_token() == 0.0
    assert shape.state_bytes_per_sequence() == pytest.approx(80_000_000)
