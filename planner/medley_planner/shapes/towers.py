"""Parameters of the towers for images and audio that stand beside a language model, from their own part of the config.

An engine keeps them in BF16 on the GPU; what they make of an image counts as prompt tokens. Sizes and formulas follow
the modelling code of transformers 5.24 (Qwen-VL, SigLIP, Pixtral, Llama 4, MoonViT, Gemma 4). A tower of another kind
is counted as a plain transformer with a projection to the language model. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_planner.shapes.reader import Reader

_SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "patch_size": 14}
_LLAMA4 = {"hidden_size": 1408, "intermediate_size": 5632, "num_hidden_layers": 34, "patch_size": 14}
_QWEN2_VL = {"depth": 32, "embed_dim": 1280, "patch_size": 14, "temporal_patch_size": 2}
_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gemma3": {**_SIGLIP, "image_size": 896},
    "llama4": {**_LLAMA4, "vision_output_dim": 4096, "projector_input_dim": 4096, "projector_output_dim": 4096},
    "qwen2_vl": _QWEN2_VL,
}
_GATED = frozenset({"pixtral", "gemma4_vision", "qwen2_5_vl"})
_COLOURS = 3


def no_tower(_: Reader, __: int) -> int:
    return 0


def tower(outer: Reader, hidden: int) -> int:
    """Parameters of all towers of the whole config `outer`; `hidden`: size of the language model."""
    vision = outer.inner("vision_config")
    audio = outer.inner("audio_config")
    model = outer.text("model_type")
    if vision is None and model in _DEFAULTS and outer.has("text_config"):
        vision = Reader(outer.label, {})  # left out because all is as usual
    total = 0 if vision is None else _vision(vision, model, hidden)
    return total + (0 if audio is None else _audio(audio, hidden))


def _vision(given: Reader, model: str, hidden: int) -> int:
    own = given.text("model_type")
    reader = Reader(given.label, {**_DEFAULTS.get(model, {}), **given.config})
    depth = reader.size("depth", "vt_num_hidden_layers", "num_hidden_layers", "layers")
    width = (
        reader.size("embed_dim") if reader.has("embed_dim") else reader.size("hidden_size", "vt_hidden_size", "width")
    )
    inner = reader.size("intermediate_size", "vt_intermediate_size", default=4 * width)
    merge = reader.size("spatial_merge_size", default=0)
    attention = 4 * width * reader.size("qkv_hidden_size", default=width)
    layers = depth * (attention + (3 if own in _GATED or model in _GATED else 2) * width * inner)
    layers += depth * (8 * width + inner)  # biases and norms
    patch = _square(reader, "patch_size") * _COLOURS * reader.size("temporal_patch_size", default=1) * width
    return layers + patch + _positions(reader, width) + _projection(reader, own or model, width, merge, hidden)


def _positions(reader: Reader, width: int) -> int:
    """Embeddings of positions, where the tower learns them."""
    if reader.has("num_position_embeddings"):
        return reader.size("num_position_embeddings") * width
    if reader.has("position_embedding_size"):
        return 2 * reader.size("position_embedding_size") * width
    if reader.has("init_pos_emb_height"):
        return reader.size("init_pos_emb_height") * reader.size("init_pos_emb_width") * width
    if isinstance(reader.config.get("image_size"), int) and reader.text("model_type") != "pixtral":
        return _square(reader, "image_size") // max(_square(reader, "patch_size"), 1) * width
    return 0


def _projection(reader: Reader, kind: str, width: int, merge: int, hidden: int) -> int:
    """The layers that lead from the tower to the language model."""
    if reader.has("vt_hidden_size") or kind.startswith("qwen"):
        merged = width * (merge or 2) ** 2
        deep = reader.items("deepstack_visual_indexes") or ()
        # Qwen2-VL calls the output's size hidden_size, beside embed_dim.
        out = reader.size("out_hidden_size", default=hidden)
        return (1 + len(deep)) * (merged * merged + merged * out + 2 * merged + out)
    if kind.startswith("llama4"):
        between = reader.size("projector_input_dim")
        last = reader.size("projector_output_dim")
        return reader.size("intermediate_size") * between + last * last + reader.size("vision_output_dim") * hidden
    if kind == "pixtral":
        merged = width * (merge or 2) ** 2
        return merged * width + width * hidden + hidden * hidden
    return width * hidden


def _audio(reader: Reader, hidden: int) -> int:
    """An audio encoder: Whisper's kind by `d_model`, Gemma 4's conformer by `hidden_size`."""
    if reader.has("d_model"):
        width = reader.size("d_model")
        inner = reader.size("encoder_ffn_dim", default=4 * width)
        depth = reader.size("encoder_layers", "num_hidden_layers")
        return depth * (4 * width * width + 2 * width * inner) + width * hidden
    width = reader.size("hidden_size")
    depth = reader.size("num_hidden_layers", "conf_num_hidden_layers")
    # A conformer layer: two feed-forward parts of factor 4, attention with relative keys, a light convolution.
    return depth * width * width * (16 + 5 + 3) + width * reader.size("output_proj_dims", default=hidden)


def _square(reader: Reader, key: str) -> int:
    size = reader.size(key, default=0)
    return size * size
