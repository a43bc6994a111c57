"""What a plan of a dense checkpoint in BF16 rests on beside step times did not change as formats came to be read.

A plan follows from the memory fit, the engine's flags and the step time. The tokens below are those of the planner
before it read shapes layer by layer and formats from checkpoints (commit 8ba90bb7); flags are compared by
`test_deployments`, whose files of dense models have the flags of that commit.
"""

from __future__ import annotations

import pytest

from medley_planner.capacity import memory_fit
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

MAX_MODEL_LEN = 4096
DEGREES = (1, 2, 4, 8)

# Tokens of the KV cache at each degree of tensor parallelism, by model and GPU.
KV_TOKENS = {
    ("meta-llama/Llama-3.1-8B-Instruct", "L4"): (30_416, 183_392, 489_312, 1_101_152),
    ("meta-llama/Llama-3.1-8B-Instruct", "L40S"): (190_400, 503_360, 1_129_248, 2_381_024),
    ("meta-llama/Llama-3.1-8B-Instruct", "A100-80"): (440_192, 1_002_912, 2_128_368, 4_379_296),
    ("meta-llama/Llama-3.1-8B-Instruct", "H100"): (439_888, 1_002_320, 2_127_200, 4_376_928),
    ("meta-llama/Llama-3.1-8B-Instruct", "H200"): (886_752, 1_896_064, 3_914_656, 7_951_856),
    ("meta-llama/Llama-3.1-70B-Instruct", "L4"): (0, 0, 0, 58_848),
    ("meta-llama/Llama-3.1-70B-Instruct", "L40S"): (0, 0, 70_080, 570_800),
    ("meta-llama/Llama-3.1-70B-Instruct", "A100-80"): (0, 19_552, 469_728, 1_370_096),
    ("meta-llama/Llama-3.1-70B-Instruct", "H100"): (0, 19_312, 469_264, 1_369_152),
    ("meta-llama/Llama-3.1-70B-Instruct", "H200"): (0, 376_800, 1_184_240, 2_799_120),
    ("Qwen/Qwen2.5-7B-Instruct", "L4"): (84_016, 433_648, 1_132_896, 1_265_696),
    ("Qwen/Qwen2.5-7B-Instruct", "L40S"): (449_696, 1_164_992, 2_595_600, 2_728_416),
    ("Qwen/Qwen2.5-7B-Instruct", "A100-80"): (1_020_624, 2_306_864, 4_879_328, 5_012_144),
    ("Qwen/Qwen2.5-7B-Instruct", "H100"): (1_019_952, 2_305_504, 4_876_640, 5_009_440),
    ("Qwen/Qwen2.5-7B-Instruct", "H200"): (2_041_360, 4_348_320, 8_962_272, 9_095_072),
    ("Qwen/Qwen2.5-32B-Instruct", "L4"): (0, 0, 55_952, 361_872),
    ("Qwen/Qwen2.5-32B-Instruct", "L40S"): (0, 62_976, 375_920, 1_001_808),
    ("Qwen/Qwen2.5-32B-Instruct", "A100-80"): (31_392, 312_752, 875_488, 2_000_944),
    ("Qwen/Qwen2.5-32B-Instruct", "H100"): (31_248, 312_464, 874_896, 1_999_760),
    ("Qwen/Qwen2.5-32B-Instruct", "H200"): (254_672, 759_328, 1_768_624, 3_787_232),
    ("Qwen/Qwen3-8B", "L4"): (24_864, 160_832, 432_768, 976_624),
    ("Qwen/Qwen3-8B", "L40S"): (167_072, 445_248, 1_001_600, 2_114_288),
    ("Qwen/Qwen3-8B", "A100-80"): (389_104, 889_312, 1_889_712, 3_890_528),
    ("Qwen/Qwen3-8B", "H100"): (388_832, 888_784, 1_888_656, 3_888_432),
    ("Qwen/Qwen3-8B", "H200"): (786_048, 1_683_216, 3_477_520, 7_066_144),
    ("Qwen/Qwen3-32B", "L4"): (0, 0, 55_968, 361_888),
    ("Qwen/Qwen3-32B", "L40S"): (0, 62_976, 375_936, 1_001_824),
    ("Qwen/Qwen3-32B", "A100-80"): (31_408, 312_768, 875_488, 2_000_960),
    ("Qwen/Qwen3-32B", "H100"): (31_248, 312_464, 874_912, 1_999_776),
    ("Qwen/Qwen3-32B", "H200"): (254_688, 759_344, 1_768_640, 3_787_232),
    ("mistralai/Mistral-7B-Instruct-v0.3", "L4"): (42_352, 195_328, 501_248, 1_113_088),
    ("mistralai/Mistral-7B-Instruct-v0.3", "L40S"): (202_336, 515_296, 1_141_184, 2_392_960),
    ("mistralai/Mistral-7B-Instruct-v0.3", "A100-80"): (452_128, 1_014_848, 2_140_304, 4_391_232),
    ("mistralai/Mistral-7B-Instruct-v0.3", "H100"): (451_824, 1_014_256, 2_139_136, 4_388_864),
    ("mistralai/Mistral-7B-Instruct-v0.3", "H200"): (898_688, 1_908_000, 3_926_592, 7_963_792),
    ("mistralai/Mistral-Small-24B-Instruct-2501", "L4"): (0, 0, 201_728, 691_200),
    ("mistralai/Mistral-Small-24B-Instruct-2501", "L40S"): (0, 212_960, 713_664, 1_715_104),
    ("mistralai/Mistral-Small-24B-Instruct-2501", "A100-80"): (162_432, 612_608, 1_512_976, 3_313_712),
    ("mistralai/Mistral-Small-24B-Instruct-2501", "H100"): (162_192, 612_144, 1_512_032, 3_311_824),
    ("mistralai/Mistral-Small-24B-Instruct-2501", "H200"): (519_680, 1_327_120, 2_942_000, 6_171_760),
}


@pytest.mark.parametrize(("model", "card"), KV_TOKENS)
def test_memory_of_dense_checkpoints_in_bf16_did_not_change(model: str, card: str) -> None:
    shape = bundled_shape(model)
    fits = [memory_fit(shape, Layout(gpu(card), degree), max_model_len=MAX_MODEL_LEN) for degree in DEGREES]
    assert tuple(fit.kv_tokens for fit in fits) == KV_TOKENS[model, card]
    assert [fit.weights_gb * 1e9 for fit in fits] == pytest.approx([2.0 * shape.parameters()] * len(fits))
