"""Latent attention and what follows it: DeepSeek V2 to V4, Kimi K2, GLM 4.7 Flash and 5."""

from __future__ import annotations

from typing import Any

from medley_planner.shapes.families.mixture import routed, shared_size, some_experts
from medley_planner.shapes.families.row import Architecture, draft_layers, gated_dense, moe_flags, stack
from medley_planner.shapes.layer import Mixer, ModelLayer
from medley_planner.shapes.mixers import compressed, latent
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower

_MODELLING = "keys and formulas: transformers 5.24, modelling code of"


def latent_mixer(reader: Reader, **changes: Any) -> Mixer:
    """Latent attention by the usual keys."""
    sizes: dict[str, Any] = {
        "hidden": reader.hidden,
        "heads": reader.heads,
        "kv_rank": reader.size("kv_lora_rank"),
        "query_rank": reader.size("q_lora_rank", default=0),
        "nope_size": reader.size("qk_nope_head_dim"),
        "rope_size": reader.size("qk_rope_head_dim"),
        "value_size": reader.size("v_head_dim"),
    }
    return latent(**{**sizes, **changes})


def _experts(reader: Reader) -> list[Any]:
    if not any(reader.has(key) for key in ("n_routed_experts", "num_experts", "num_local_experts")):
        return [gated_dense(reader)] * reader.layers
    return some_experts(reader, moe_flags(reader))


def _latent(reader: Reader) -> list[ModelLayer]:
    return stack([latent_mixer(reader)] * reader.layers, _experts(reader))


def _sparse(reader: Reader) -> list[ModelLayer]:
    """DeepSeek Sparse Attention: an indexer in each layer, or in those that `indexer_types` call full (GLM-5.2)."""
    count, selected = reader.layers, reader.size("index_topk")
    own = latent_mixer(reader, index=(reader.size("index_n_heads"), reader.size("index_head_dim")), selected=selected)
    borrowed = latent_mixer(reader, selected=selected)
    kinds = reader.items("indexer_types", count=count) or ["full"] * count
    return stack([borrowed if kind == "shared" else own for kind in kinds], _experts(reader))


def _v4(reader: Reader) -> list[ModelLayer]:
    """Windows in all layers, beside keys compressed 4 (selected by an indexer) or 128 times (all read)."""
    count = reader.layers
    ratios = reader.numbers("compress_ratios", count=count) or [0, 0, *[4, 128] * count][:count]
    index = (reader.size("index_n_heads"), reader.size("index_head_dim"))
    least = min((ratio for ratio in ratios if ratio), default=0)

    def mixer(ratio: int) -> Mixer:
        indexed = bool(ratio) and ratio == least
        return compressed(
            hidden=reader.hidden,
            heads=reader.heads,
            size=reader.head_size,
            query_rank=reader.size("q_lora_rank"),
            groups=reader.size("o_groups"),
            group_rank=reader.size("o_lora_rank"),
            window=reader.size("sliding_window"),
            ratio=ratio,
            index=index if indexed else (0, 0),
            selected=reader.size("index_topk") if indexed else 0,
            name="attn",
        )

    return stack([mixer(ratio) for ratio in ratios], [routed(reader, shared=shared_size(reader), name="ffn")] * count)


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("deepseek_v2", "deepseek_v3", "kimi_k2", "glm4_moe_lite", "kimi_k25", "kimi_vl", "deepseek_vl_v2"),
        f"{_MODELLING} deepseek_v2, deepseek_v3, glm4_moe_lite, kimi_k25",
        _latent,
        classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"),
        tower=tower,
        draft=draft_layers,
    ),
    Architecture(
        ("deepseek_v32", "glm_moe_dsa"),
        f"{_MODELLING} deepseek_v32, glm_moe_dsa",
        _sparse,
        classes=("DeepseekV32ForCausalLM", "GlmMoeDsaForCausalLM"),
        draft=draft_layers,
    ),
    Architecture(
        ("deepseek_v4",),
        f"{_MODELLING} deepseek_v4; compress_ratios: the published config.json",
        _v4,
        classes=("DeepseekV4ForCausalLM",),
        draft=draft_layers,
    ),
)
