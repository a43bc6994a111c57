"""Reads a model's shape from its Hugging Face config.json.

Key names and defaults are those of the transformers library. What the capacity model does not cover (sparse attention,
state-space layers, encoders) is refused with the key and the way out rather than planned wrongly. Touches the file that
it is given, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.shapes.shape import LatentAttention, ModelShape

_WAY_OUT = "give the capacity of this model by hand, or use a decoder-only model with grouped-query or latent attention"
_UNCOVERED: Mapping[str, str] = {
    "index_topk": "sparse attention",
    "linear_num_value_heads": "linear-attention layers",
    "layers_block_type": "hybrid layers",
    "hybrid_override_pattern": "hybrid layers",
    "ssm_cfg": "state-space layers",
    "state_size": "state-space layers",
    "interleave_moe_layer_step": "interleaved expert layers",
    "num_kv_shared_layers": "KV caches shared between layers",
}
_DECODERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_UNGATED_MLP = frozenset({"phi", "gpt_neox", "starcoder2", "nemotron", "opt"})
_STRETCHING_ROPE = frozenset({"linear", "dynamic", "yarn"})
_MOST_SIZE = 2**24
"""No size of a model is above it, but for those of `_MOST`: the largest open models stay below a tenth of each."""
_MOST: Mapping[str, int] = {
    "num_hidden_layers": 2**12,
    "num_attention_heads": 2**14,
    "hidden_size": 2**18,
    "head_dim": 2**14,
    "num_local_experts": 2**14,
    "num_experts": 2**14,
    "n_routed_experts": 2**14,
    "n_shared_experts": 2**10,
    "max_position_embeddings": 2**31,
    "original_max_position_embeddings": 2**31,
    "sliding_window": 2**31,
}
_MOST_ROPE_FACTOR = 2.0**20
MOST_DEPTH = 16
"""Objects and lists within each other; real configs have three or four."""


class BadConfig(BadInput):
    """A config.json that gives no shape. `field` is the key at fault, empty where the whole text is."""


def shape_from_config(config: Mapping[str, Any] | Path | str, *, name: str | None = None) -> ModelShape:
    """The shape that `config` describes: a parsed config.json, its text, or its path. Raises BadConfig.

    `name` is the model's name in messages and in the shape; absent, the config's own `_name_or_path`.
    """
    outer = _loaded(config, name)
    label = name or str(outer.get("_name_or_path") or outer.get("model_type") or "model")
    if _is_deep(outer):
        raise _unusable(
            label, f"it nests more than {MOST_DEPTH} objects or lists; paste the model's config.json as it is"
        )
    text = _text_config(label, outer)
    _refuse_uncovered(label, outer, text)
    reader = _Reader(label, text)

    hidden = reader.size("hidden_size")
    layers = reader.size("num_hidden_layers")
    heads = reader.size("num_attention_heads")
    if text.get("head_dim") is None and hidden < heads:
        raise _bad(label, "hidden_size", hidden, f"give at least num_attention_heads, {heads}, or add head_dim")
    experts = reader.size("num_local_experts", "num_experts", "n_routed_experts", default=0)
    expert_size = reader.size("moe_intermediate_size", "intermediate_size") if experts else 0
    return ModelShape(
        name=label,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_kv_heads(reader, heads),
        head_size=reader.size("head_dim", default=hidden // heads),
        intermediate=reader.size("intermediate_size"),
        vocab=reader.size("vocab_size"),
        tied_embeddings=reader.flag("tie_word_embeddings", default=_family(text).startswith("gemma")),
        experts=experts,
        experts_per_token=reader.size("num_experts_per_tok", most=experts) if experts else 0,
        expert_intermediate=expert_size,
        shared_intermediate=_shared_size(reader, expert_size) if experts else 0,
        dense_layers=reader.size("first_k_dense_replace", default=0, most=layers) if experts else 0,
        mlp_matrices=2 if _family(text) in _UNGATED_MLP else 3,
        max_position=_max_position(reader),
        latent=_latent(reader),
        sliding_layers=_sliding_layers(reader),
        sliding_window=reader.size("sliding_window", default=0) if _sliding_layers(reader) else 0,
    )


class _Reader:
    """Typed access to the keys of one config."""

    def __init__(self, label: str, config: Mapping[str, Any]) -> None:
        self.label = label
        self.config = config

    def size(self, *keys: str, default: int | None = None, most: int | None = None) -> int:
        """The first of `keys` that is there and not null: a whole number from 1 (0 where that is the default) to
        `most`, by default that of the key."""
        for key in keys:
            value = self.config.get(key)
            if value is None:
                continue
            return _whole(self.label, key, value, least=0 if default == 0 else 1, most=most)
        if default is None:
            raise _bad(self.label, keys[0], MISSING, f"add it, or {_WAY_OUT}")
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise _bad(self.label, key, value, "give true or false")
        return value


def _loaded(config: Mapping[str, Any] | Path | str, name: str | None) -> Mapping[str, Any]:
    if isinstance(config, Mapping):
        return config
    inline = isinstance(config, str) and config.lstrip().startswith("{")
    label = name or ("inline" if inline else str(config))
    try:
        parsed = json.loads(str(config) if inline else Path(config).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _unusable(label, f"{config} cannot be read ({error.strerror}); give its path") from None
    except (ValueError, RecursionError) as error:
        raise _unusable(label, f"the text is not JSON ({error}); paste the model's config.json as it is") from None
    if not isinstance(parsed, Mapping):
        raise _unusable(label, "the text is not a JSON object; paste the model's config.json as it is")
    return parsed


def _whole(label: str, key: str, value: object, *, least: int = 1, most: int | None = None) -> int:
    limit = _MOST.get(key, _MOST_SIZE) if most is None else most
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= limit:
        raise _bad(label, key, value, f"give a whole number from {least} to {limit}")
    return value


def _is_deep(config: Mapping[str, Any]) -> bool:
    """Level by level, since a text that nests deeply must not end in a deep recursion here."""
    level: list[Any] = [config]
    for _ in range(MOST_DEPTH):
        held = [value for each in level for value in (each.values() if isinstance(each, Mapping) else each)]
        level = [value for value in held if isinstance(value, Mapping | list)]
    return bool(level)


def _text_config(label: str, outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of the language model, which models of several media keep apart."""
    nested = outer.get("text_config")
    if nested is None:
        return outer
    if not isinstance(nested, Mapping):
        raise _bad(label, "text_config", nested, "give an object with the keys of the language model, or remove it")
    return {**outer, **nested}


def _bad(label: str, key: str, value: object, way_out: str) -> BadConfig:
    return BadConfig(f'config.json of "{label}"', key, value, way_out)


def _unusable(label: str, way_out: str) -> BadConfig:
    return BadConfig.whole(f'config.json of "{label}"', way_out)


def _family(text: Mapping[str, Any]) -> str:
    return str(text.get("model_type") or "")


def _refuse_uncovered(label: str, outer: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    for key, meaning in _UNCOVERED.items():
        if text.get(key) is not None:
            raise _bad(
                label, key, text[key], f"it means {meaning}, which the capacity model does not support; {_WAY_OUT}"
            )
    if text.get("is_encoder_decoder") or outer.get("is_encoder_decoder"):
        raise _bad(label, "is_encoder_decoder", True, _WAY_OUT)
    architectures = outer.get("architectures")
    if architectures is not None and not isinstance(architectures, list):
        raise _bad(label, "architectures", architectures, "give a list of names, or remove it")
    if architectures and not str(architectures[0]).endswith(_DECODERS):
        raise _bad(label, "architectures", architectures, f"it is not a decoder; {_WAY_OUT}")


def _kv_heads(reader: _Reader, heads: int) -> int:
    """Each head of keys and values serves an equal number of heads of queries."""
    kv_heads = reader.size("num_key_value_heads", default=heads, most=heads)
    if heads % kv_heads:
        raise _bad(
            reader.label, "num_key_value_heads", kv_heads, f"give a divisor of num_attention_heads, which is {heads}"
        )
    return kv_heads


def _latent(reader: _Reader) -> LatentAttention | None:
    rank = reader.size("kv_lora_rank", default=0)
    if not rank:
        return None
    return LatentAttention(
        kv_rank=rank,
        query_rank=reader.size("q_lora_rank", default=0),
        nope_size=reader.size("qk_nope_head_dim"),
        rope_size=reader.size("qk_rope_head_dim"),
        value_size=reader.size("v_head_dim"),
    )


def _sliding_layers(reader: _Reader) -> int:
    """Layers that the config lists as windowed; a window without such a list is left out (all layers attend to all)."""
    kinds = reader.config.get("layer_types")
    if kinds is None or not reader.config.get("sliding_window"):
        return 0
    if not isinstance(kinds, list):
        raise _bad(reader.label, "layer_types", kinds, "give a list with the kind of each layer, or remove it")
    return sum(kind == "sliding_attention" for kind in kinds[: reader.size("num_hidden_layers")])


def _shared_size(reader: _Reader, expert_size: int) -> int:
    shared = reader.size("shared_expert_intermediate_size", default=0)
    return shared or reader.size("n_shared_experts", default=0) * expert_size


def _max_position(reader: _Reader) -> int | None:
    """Longest sequence, stretched as vLLM stretches it for linear, dynamic and YaRN position scaling."""
    positions = reader.size("max_position_embeddings", default=0)
    key = "rope_scaling" if reader.config.get("rope_scaling") else "rope_parameters"
    rope = reader.config.get(key)
    if not rope:
        return positions or None
    if not isinstance(rope, Mapping):
        raise _bad(reader.label, key, rope, "give an object, or null where positions are not scaled")
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor")
    if not positions or not isinstance(kind, str) or kind not in _STRETCHING_ROPE or factor is None:
        return positions or None
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1.0 <= factor <= _MOST_ROPE_FACTOR:
        raise _bad(reader.label, f"{key}.factor", factor, f"give a number from 1 to {_MOST_ROPE_FACTOR:.0f}")
    base = rope.get("original_max_position_embeddings")
    stretched = positions if base is None else _whole(reader.label, "original_max_position_embeddings", base)
    return int(stretched * factor)
