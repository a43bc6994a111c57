"""Reads a model's shape from its Hugging Face config.json by the table of known architectures.

What the table lacks is refused rather than planned wrongly, and so are models that generate no text. Touches the file
that it is given, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medley_planner.shapes.families import BY_CLASS, BY_TYPE, Architecture
from medley_planner.shapes.families.mixture import EXPERTS
from medley_planner.shapes.layer import grouped
from medley_planner.shapes.quantization import checkpoint_of
from medley_planner.shapes.reader import Reader, bad_key, unusable
from medley_planner.shapes.refused import why_refused
from medley_planner.shapes.shape import ModelShape

_STRETCHING_ROPE = frozenset({"linear", "dynamic", "yarn"})
_MOST_ROPE_FACTOR = 2.0**20
MOST_DEPTH = 16
"""Objects and lists within each other; real configs have three or four."""
_WAY_OUT = (
    "if its layers are those of a known architecture, give its config.json with the model_type of that one (llama for "
    "grouped-query attention with gated feed-forward layers, mixtral with experts, deepseek_v3 with latent attention); "
    "else give the model's sizes in spec.model.capacity, as medley model import writes them from the checkpoint's files"
)
_STATE_KEYS = ("linear_num_value_heads", "mamba_d_state", "ssm_state_size", "state_size", "linear_attn_config")
_UNNAMED = "llama"
"""The type that a config is read as that names neither model_type nor architectures."""
_LANGUAGE_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")


def shape_from_config(config: Mapping[str, Any] | Path | str, *, name: str | None = None) -> ModelShape:
    """The shape that `config` describes: a parsed config.json, its text, or its path. Raises BadConfig.

    `name` is the model's name in messages and in the shape; absent, the config's own `_name_or_path`.
    """
    outer = _loaded(config, name)
    label = name or str(outer.get("_name_or_path") or outer.get("model_type") or "model")
    if _is_deep(outer):
        raise unusable(
            label, f"it nests more than {MOST_DEPTH} objects or lists; paste the model's config.json as it is"
        )
    text = _text_config(label, outer)
    row = _architecture(label, outer, text)
    reader = Reader(label, {**row.defaults, **text})
    layers = row.layers(reader)
    whole = Reader(label, outer)
    shape = ModelShape(
        name=label,
        hidden=reader.hidden,
        vocab=reader.size("vocab_size"),
        kinds=grouped(layers),
        tied_embeddings=_tied(reader, row),
        max_position=_max_position(reader, row),
        more_parameters=row.more(reader) + row.tower(whole, reader.hidden),
        draft_parameters=row.draft(reader, layers) if row.draft is not None and layers else 0,
        checkpoint=checkpoint_of(reader, layers),
    )
    _check_told(reader, shape)
    return shape


def _tied(reader: Reader, row: Architecture) -> bool:
    key = "tie_embedding" if reader.has("tie_embedding") else "tie_word_embeddings"
    return reader.flag(key, default=row.tied)


def _architecture(label: str, outer: Mapping[str, Any], text: Mapping[str, Any]) -> Architecture:
    classes = outer.get("architectures")
    if classes is not None and not isinstance(classes, list):
        raise bad_key(label, "architectures", classes, "give a list of names, or remove it")
    named = [str(name) for name in classes or ()]
    types = [str(each.get("model_type") or "") for each in (text, outer)]
    pair = bool(text.get("is_encoder_decoder") or outer.get("is_encoder_decoder"))
    why = why_refused(label, types[1], named, encoder_decoder=pair)
    if why:
        way_out = f"{why}; use a decoder-only model that generates text"
        if pair:
            raise bad_key(label, "is_encoder_decoder", True, way_out)
        raise bad_key(label, *_named_by(types, classes), way_out)
    # The whole model's type first: it has the tower's row.
    for kind in (types[1], types[0]):
        if kind in BY_TYPE:
            return BY_TYPE[kind]
    inner = text.get("architectures")
    for kind in (*named, *([str(name) for name in inner] if isinstance(inner, list) else ())):
        if kind in BY_CLASS:
            return BY_CLASS[kind]
    if not any(types) and not named:
        return BY_TYPE[_UNNAMED]
    known = ", ".join(sorted(BY_TYPE))
    raise bad_key(label, *_named_by(types, classes), f"this architecture is not known; {_WAY_OUT}. Known are {known}")


def _named_by(types: list[str], classes: object) -> tuple[str, object]:
    """The key that says what the model is, and its value."""
    return ("architectures", classes) if classes else ("model_type", types[1] or types[0])


def _check_told(reader: Reader, shape: ModelShape) -> None:
    """Refuses a config that speaks of what its architecture does not have: it is of another one."""
    states = shape.state_bytes_per_sequence() > 0
    spans = any(span for span, _ in shape.read_bytes())
    parts = [part.name for kind in shape.kinds for part in kind.layer.parts]
    latent = any("kv_b_proj" in name for name in parts)
    told = (
        *((key, "experts", bool(shape.experts)) for key in EXPERTS),
        ("kv_lora_rank", "latent attention", latent),
        ("index_topk", "sparse attention", spans),
        *((key, "linear or state-space layers", states) for key in _STATE_KEYS),
    )
    for key, what, has in told:
        value = reader.config.get(key)
        if value and not has:
            raise reader.bad(key, value, f"it means {what}, which {_kind(reader)} does not have; {_WAY_OUT}")


def _kind(reader: Reader) -> str:
    return (
        f"model_type {kind}" if (kind := str(reader.config.get("model_type") or "")) else "a config without model_type"
    )


def _loaded(config: Mapping[str, Any] | Path | str, name: str | None) -> Mapping[str, Any]:
    if isinstance(config, Mapping):
        return config
    inline = isinstance(config, str) and config.lstrip().startswith("{")
    label = name or ("inline" if inline else str(config))
    try:
        parsed = json.loads(str(config) if inline else Path(config).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unusable(label, f"{config} cannot be read ({error.strerror}); give its path") from None
    except (ValueError, RecursionError) as error:
        raise unusable(label, f"the text is not JSON ({error}); paste the model's config.json as it is") from None
    if not isinstance(parsed, Mapping):
        raise unusable(label, "the text is not a JSON object; paste the model's config.json as it is")
    return parsed


def _is_deep(config: Mapping[str, Any]) -> bool:
    """Level by level, since a text that nests deeply must not end in a deep recursion here."""
    level: list[Any] = [config]
    for _ in range(MOST_DEPTH):
        held = [value for each in level for value in (each.values() if isinstance(each, Mapping) else each)]
        level = [value for value in held if isinstance(value, Mapping | list)]
    return bool(level)


def _text_config(label: str, outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of the language model, which models of several media keep apart."""
    for key in _LANGUAGE_CONFIGS:
        nested = outer.get(key)
        if nested is None:
            continue
        if not isinstance(nested, Mapping):
            raise bad_key(label, key, nested, "give an object with the keys of the language model, or remove it")
        return {**outer, **nested}
    return outer


def _max_position(reader: Reader, row: Architecture) -> int | None:
    """Longest sequence, stretched as vLLM stretches it for linear, dynamic and YaRN position scaling."""
    positions = reader.size("max_position_embeddings", "model_max_length", default=0)
    key = "rope_scaling" if reader.config.get("rope_scaling") else "rope_parameters"
    rope = reader.config.get(key)
    if not rope:
        return positions or None
    if not isinstance(rope, Mapping):
        raise reader.bad(key, rope, "give an object, or null where positions are not scaled")
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor")
    if not positions or row.stretched or not isinstance(kind, str) or kind not in _STRETCHING_ROPE or factor is None:
        return positions or None
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1.0 <= factor <= _MOST_ROPE_FACTOR:
        raise reader.bad(f"{key}.factor", factor, f"give a number from 1 to {_MOST_ROPE_FACTOR:.0f}")
    base = rope.get("original_max_position_embeddings")
    stretched = positions if base is None else reader.whole("original_max_position_embeddings", base)
    return int(stretched * factor)
