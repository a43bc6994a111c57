"""The table of architectures: each name once, each row with its source, and a row is all that a further one takes."""

from __future__ import annotations

from collections import Counter

import pytest

from medley_planner.shapes.families import ARCHITECTURES, BY_TYPE
from medley_planner.shapes.families.row import Architecture, gated_dense, moe_flags, plain_attention, stack
from medley_planner.shapes.layer import grouped
from medley_planner.shapes.reader import BadConfig, Reader

NAMED = (
    "llama qwen2 qwen3 qwen3_moe qwen3_next qwen3_5 qwen3_vl llama4 deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 "
    "kimi_k2 kimi_linear kimi_k3 glm4_moe glm_moe_dsa minimax_m1 minimax_m2 minimax_m3 gpt_oss gemma2 gemma3 gemma4 "
    "mistral mixtral ministral phi3 phimoe nemotron nemotron_h granite granitemoe granitemoehybrid jamba falcon_h1 "
    "lfm2 ernie4_5_moe hunyuan_v1_moe mimo mimo_v2_flash cohere cohere2 olmo2 olmo3 starcoder2 bamba"
)


def test_no_name_stands_for_two_rows_and_each_says_its_source() -> None:
    types = [name for row in ARCHITECTURES for name in row.types]
    for names in (types, [name for row in ARCHITECTURES for name in row.classes]):
        assert [name for name, count in Counter(names).items() if count > 1] == []
    assert all(row.source for row in ARCHITECTURES)


@pytest.mark.parametrize("kind", NAMED.split())
def test_a_current_family_is_in_the_table(kind: str) -> None:
    assert kind in BY_TYPE


def test_a_row_needs_no_more_than_its_layers() -> None:
    row = Architecture(
        ("acme",), "made up", lambda reader: stack([plain_attention(reader)] * reader.layers, [gated_dense(reader)] * 2)
    )
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    (kind,) = grouped(row.layers(Reader("acme", sizes)))
    assert (kind.count, kind.layer.every_token) == (2, 4 * 64 * 64 + 3 * 64 * 128)


@pytest.mark.parametrize(
    ("keys", "flags"),
    [
        ({}, [True] * 4),
        ({"first_k_dense_replace": 3}, [False, False, False, True]),
        ({"moe_layer_freq": [0, 1, 1, 0]}, [False, True, True, False]),
        ({"mlp_layer_types": ["dense", "sparse", "sparse", "sparse"]}, [False, True, True, True]),
    ],
)
def test_which_layers_have_experts(keys: dict[str, object], flags: list[bool]) -> None:
    assert moe_flags(Reader("m", {"num_hidden_layers": 4, **keys})) == flags


def test_a_list_that_is_too_short_is_refused() -> None:
    with pytest.raises(BadConfig, match="each of the 4 layers"):
        moe_flags(Reader("m", {"num_hidden_layers": 4, "moe_layer_freq": [0, 1]}))
