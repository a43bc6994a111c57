"""Configs of models are read as transformers reads them, or refused by the key at fault."""

from __future__ import annotations

import contextlib
import json
import math
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from medley_planner.shapes import BadConfig, Precision, bundled_shape, shape_from_config
from medley_planner.shapes.config import MOST_DEPTH

ENTRIES: list[dict[str, Any]] = json.loads(files("medley_planner.shapes").joinpath("models.json").read_text())
LLAMA_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
}


def test_config_is_read_from_dict_text_and_path(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_8B))
    shape = shape_from_config(LLAMA_8B, name="m")
    assert shape == shape_from_config(json.dumps(LLAMA_8B), name="m") == shape_from_config(path, name="m")
    assert shape.parameters() == 8_030_261_248
    assert shape.max_position == 131072


def test_defaults_are_those_of_transformers() -> None:
    config = {k: v for k, v in LLAMA_8B.items() if k != "num_key_value_heads"}
    shape = shape_from_config(config)
    assert (shape.splits, shape.kv_bytes_per_token(), shape.tied_embeddings) == (((32, 32),), 32 * 32 * 512, False)
    gemma = shape_from_config({**config, "model_type": "gemma2", "architectures": None})
    assert gemma.tied_embeddings
    assert gemma.windows() == (4096,)
    assert shape_from_config({**config, "head_dim": 64}).kv_bytes_per_token() == 32 * 32 * 256


def test_nested_text_config_and_yarn() -> None:
    text = {**LLAMA_8B, "max_position_embeddings": 32768, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    outer = {"architectures": ["Llava5ForConditionalGeneration"], "model_type": "llava", "text_config": text}
    shape = shape_from_config(outer)
    assert shape.layers == 32
    assert shape.max_position == 131072


def test_experts_with_shared_part_and_dense_first_layers() -> None:
    moe = {
        **LLAMA_8B,
        "model_type": "glm4_moe",
        "n_routed_experts": 64,
        "num_experts_per_tok": 6,
        "moe_intermediate_size": 1408,
        "n_shared_experts": 2,
        "first_k_dense_replace": 1,
    }
    shape = shape_from_config(moe)
    assert (shape.experts, shape.experts_per_token, shape.moe_layers) == (64, 6, 31)
    per_layer = 3 * 4096 * 1408
    assert shape.parameters() - shape.active_parameters() == 31 * 58 * per_layer
    shared, dense, router = 31 * 2 * per_layer, 3 * 4096 * 14336, 31 * 4096 * 64
    assert shape.dense_parameters() == shared + dense + router + 32 * 4096 * 128 * (2 * 32 + 2 * 8)


GLM = {"model_type": "glm4_moe", "num_experts": 8, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"num_attention_heads": True}, "num_attention_heads"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"index_topk": 2048}, "index_topk"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder"),
        ({"architectures": ["BertModel"], "model_type": "unheard-of"}, "architectures"),
        ({"kv_lora_rank": 512}, "kv_lora_rank"),
        ({"num_experts": 8, "num_experts_per_tok": 2}, "num_experts"),
        ({"linear_num_value_heads": 32}, "linear_num_value_heads"),
        ({"ssm_state_size": 128}, "ssm_state_size"),
        ({"model_type": "deepseek_v3", "kv_lora_rank": 512}, "qk_nope_head_dim"),
        ({"model_type": "mixtral", "num_experts": 8}, "num_experts_per_tok"),
        ({"model_type": "mixtral", "num_experts": 8, "num_experts_per_tok": 9}, "num_experts_per_tok"),
        ({**GLM, "first_k_dense_replace": 33}, "first_k_dense_replace"),
        ({**GLM, "n_shared_experts": -1}, "n_shared_experts"),
        ({**GLM, "mlp_layer_types": ["dense"]}, "mlp_layer_types"),
        ({"hidden_size": 16}, "hidden_size"),
        ({"hidden_size": -4096}, "hidden_size"),
        ({"hidden_size": 10**400}, "hidden_size"),
        ({"hidden_size": 4096.0}, "hidden_size"),
        ({"num_hidden_layers": 320_000}, "num_hidden_layers"),
        ({"intermediate_size": float("nan")}, "intermediate_size"),
        ({"vocab_size": float("inf")}, "vocab_size"),
        ({"vocab_size": [128256]}, "vocab_size"),
        ({"num_key_value_heads": 64}, "num_key_value_heads"),
        ({"num_key_value_heads": 5}, "num_key_value_heads"),
        ({"layer_types": "sliding_attention", "sliding_window": 4096}, "layer_types"),
        ({"layer_types": ["sliding_attention"], "sliding_window": -1}, "sliding_window"),
        ({"layer_types": ["sliding_attention"], "sliding_window": 2**40}, "sliding_window"),
        ({"max_position_embeddings": 2**60}, "max_position_embeddings"),
        ({"rope_scaling": "yarn"}, "rope_scaling"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": "4"}}, "rope_scaling.factor"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": float("nan")}}, "rope_scaling.factor"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 1e999}}, "rope_scaling.factor"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 10**400}}, "rope_scaling.factor"),
        ({"rope_scaling": {"rope_type": "linear", "factor": -2}}, "rope_scaling.factor"),
        ({"rope_scaling": {"rope_type": "linear", "factor": True}}, "rope_scaling.factor"),
        ({"rope_parameters": {"type": "linear", "factor": 0}, "rope_scaling": None}, "rope_parameters.factor"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": -1}},
            "original_max_position_embeddings",
        ),
        ({"text_config": [1]}, "text_config"),
        ({"architectures": "LlamaForCausalLM"}, "architectures"),
        ({"architectures": [{"a": 1}], "model_type": "unheard-of"}, "architectures"),
    ],
)
def test_what_cannot_be_read_is_refused_by_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(BadConfig, match=f'"acme/m".*{key}') as caught:
        shape_from_config({**LLAMA_8B, **change}, name="acme/m")
    assert caught.value.field == key


@pytest.mark.parametrize("text", ["{not json", '{"a": 1}', "/no/such/file.json"])
def test_unreadable_text_or_path(text: str) -> None:
    with pytest.raises(BadConfig):
        shape_from_config(text)


@pytest.mark.parametrize("rope_type", [["yarn"], {"a": 1}, 4, None])
def test_a_scaling_of_positions_of_no_known_type_stretches_nothing(rope_type: object) -> None:
    config = {**LLAMA_8B, "rope_scaling": {"rope_type": rope_type, "factor": 4.0}}
    assert shape_from_config(config).max_position == 131072


def test_a_config_that_nests_deeply_is_refused() -> None:
    nested: object = 1
    for _ in range(MOST_DEPTH):
        nested = [nested]
    with pytest.raises(BadConfig, match=f"nests more than {MOST_DEPTH}"):
        shape_from_config({**LLAMA_8B, "quantization_config": nested})


def test_latent_attention_caches_one_vector_on_each_gpu() -> None:
    shape = bundled_shape("deepseek-ai/DeepSeek-R1")
    assert shape.kv_bytes_per_token() == 61 * (512 + 64) * 2
    assert shape.kv_bytes_per_token(8, element_bytes=1.0) == 8 * 61 * (512 + 64)
    assert shape.attention_flops() == ((0, 2 * 61 * 128 * (128 + 64 + 128)),)


def test_four_bit_mixtures_keep_what_is_no_expert_in_bf16() -> None:
    shape = bundled_shape("openai/gpt-oss-120b")
    assert shape.weight_bytes(Precision.INT4) / 1e9 == pytest.approx(68.8, rel=0.02)  # in another checkpoint's format
    dense = bundled_shape("meta-llama/Llama-3.1-70B")
    assert dense.dense_weight_bytes(Precision.FP4) == 0.5625


def test_an_unknown_architecture_names_ways_out_that_work() -> None:
    unknown = {**LLAMA_8B, "model_type": "zonk", "architectures": ["ZonkForCausalLM"]}
    with pytest.raises(BadConfig, match=r"model_type of that one \(llama") as caught:
        shape_from_config(unknown, name="acme/zonk")
    assert (caught.value.field, caught.value.value) == ("architectures", ["ZonkForCausalLM"])
    assert shape_from_config({**unknown, "model_type": "llama"}) == shape_from_config(
        {**LLAMA_8B, "model_type": "llama"}, name="llama"
    )


@pytest.mark.parametrize("name", [None, "acme/own"])
def test_a_class_tells_what_an_own_type_does_not(name: str | None) -> None:
    own = {**LLAMA_8B, "model_type": "acme"}
    assert shape_from_config(own, name=name).parameters() == 8_030_261_248


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**400,
    0.5,
    math.nan,
    math.inf,
    "x",
    "",
    [],
    [None],
    [{}],
    [-1],
    {},
    {"a": [1]},
    ["x"] * 200,
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["models"][0])
def test_nonsense_in_any_key_of_a_real_config_is_refused_or_read(entry: dict[str, Any]) -> None:
    rng = random.Random(entry["models"][0])  # noqa: S311 - not for secrets
    for _ in range(30):
        config = json.loads(json.dumps(entry["config"]))
        inner = config.get("text_config", config)
        for holder in (config, inner):
            holder[rng.choice([*holder, "layer_types", "mlp_only_layers", "moe_layers"])] = rng.choice(HOSTILE)
        with contextlib.suppress(BadConfig):
            shape = shape_from_config(config, name="a/b")
            assert math.isfinite(shape.parameters())
            assert math.isfinite(shape.sequence_bytes(4096))
