"""Dense models with full attention in all layers."""

from __future__ import annotations

from medley_planner.shapes.families.row import Architecture, draft_layers, gated_dense, plain_attention, stack
from medley_planner.shapes.layer import Mixer, ModelLayer
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower

_MODELLING = "keys and formulas: transformers 5.24, modelling code of"


def uniform_mixers(reader: Reader) -> list[Mixer]:
    """The same attention in all layers; with a window where the config has one that is not switched off and shorter
    than the longest sequence, as vLLM reads it."""
    count = reader.layers
    full = plain_attention(reader)
    window = reader.size("sliding_window", default=0) if reader.flag("use_sliding_window", default=True) else 0
    if not window or window >= reader.size("max_position_embeddings", default=0):
        return [full] * count
    cut = plain_attention(reader, window=window)
    kinds = reader.items("layer_types", count=count)
    if kinds is not None:
        return [cut if kind == "sliding_attention" else full for kind in kinds]
    first = reader.size("max_window_layers", default=0)
    return [cut if index >= first else full for index in range(count)]


def _gated(reader: Reader) -> list[ModelLayer]:
    return stack(uniform_mixers(reader), [gated_dense(reader)] * reader.layers)


def _plain(reader: Reader) -> list[ModelLayer]:
    return stack(uniform_mixers(reader), [gated_dense(reader, matrices=2)] * reader.layers)


ROWS: tuple[Architecture, ...] = (
    Architecture(
        (
            "llama",
            "mistral",
            "granite",
            "olmo",
            "olmo2",
            "seed_oss",
            "glm",
            "glm4",
            "internlm2",
            "internlm3",
            "hunyuan_v1_dense",
            "ernie4_5",
            "stablelm",
            "exaone",
            "phi3",
            "helium",
            "aquila",
            "cwm",
        ),
        f"{_MODELLING} each",
        _gated,
        classes=("LlamaForCausalLM", "MistralForCausalLM", "Phi3ForCausalLM"),
    ),
    Architecture(
        ("qwen2", "qwen3"),
        f"{_MODELLING} qwen2, qwen3",
        _gated,
        classes=("Qwen2ForCausalLM", "Qwen3ForCausalLM"),
        defaults={"use_sliding_window": False},
    ),
    Architecture(
        ("cohere", "gemma", "smollm3"), f"{_MODELLING} each", _gated, tied=True, defaults={"use_sliding_window": False}
    ),
    Architecture(
        ("mimo",),
        "keys: config.json of MiMo-7B; formulas: transformers 5.24, qwen2",
        _gated,
        draft=draft_layers,
        classes=("MiMoForCausalLM",),
        defaults={"use_sliding_window": False},
    ),
    Architecture(("starcoder2",), f"{_MODELLING} starcoder2", _plain, tied=True),
    Architecture(("nemotron", "apertus", "phi", "gpt_neox", "persimmon"), f"{_MODELLING} each", _plain),
    Architecture(
        ("ministral3", "mistral3", "pixtral", "llava", "llava_next", "idefics3", "smolvlm", "aya_vision"),
        f"{_MODELLING} mistral3, ministral3, llava, pixtral",
        _gated,
        tower=tower,
        defaults={"use_sliding_window": False},
    ),
    Architecture(
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text", "qwen2_audio"),
        f"{_MODELLING} each",
        _gated,
        tower=tower,
        defaults={"use_sliding_window": False},
    ),
)
