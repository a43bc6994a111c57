"""The form of a row of the table of architectures, and the helpers that most rows are made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medley_planner.shapes.feed_forwards import dense as dense_part
from medley_planner.shapes.layer import FeedForward, Mixer, ModelLayer
from medley_planner.shapes.mixers import attention
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import no_tower

FULL, SLIDING = "full_attention", "sliding_attention"


def no_more(_: Reader) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture, or several with the same keys.

    `types`: values of model_type; `classes`: of architectures, where the class alone says it. `layers` reads them, one
    entry each. `source` says where keys, defaults and formulas are from. `defaults`: what the keys mean that a config
    leaves out. `tower`: parameters of towers for images and audio, from the whole config. `more`: parameters beside
    layers, embeddings and norms. `draft`: parameters of multi-token prediction layers. `stretched`:
    max_position_embeddings already counts what position scaling adds.
    """

    types: tuple[str, ...]
    source: str
    layers: Callable[[Reader], list[ModelLayer]]
    classes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tied: bool = False
    tower: Callable[[Reader, int], int] = no_tower
    more: Callable[[Reader], int] = no_more
    draft: Callable[[Reader, Sequence[ModelLayer]], int] | None = None
    stretched: bool = False


def plain_attention(reader: Reader, **changes: Any) -> Mixer:
    """Grouped-query attention by the usual keys."""
    sizes: dict[str, Any] = {
        "hidden": reader.hidden,
        "heads": reader.heads,
        "kv_heads": reader.kv_heads,
        "size": reader.head_size,
    }
    return attention(**{**sizes, **changes})


def gated_dense(reader: Reader, **changes: Any) -> FeedForward:
    """A gated feed-forward part by the usual keys."""
    sizes: dict[str, Any] = {"hidden": reader.hidden, "size": changes.pop("size", None)}
    if sizes["size"] is None:
        sizes["size"] = reader.size("intermediate_size")
    return dense_part(**{**sizes, **changes})


def stack(mixers: Sequence[Mixer], parts: Sequence[FeedForward]) -> list[ModelLayer]:
    return [ModelLayer(mixer, part) for mixer, part in zip(mixers, parts, strict=True)]


def layer_kinds(reader: Reader, otherwise: Callable[[int], str]) -> list[str]:
    """`layer_types`, else what `otherwise` says of each layer's index."""
    count = reader.layers
    given = reader.items("layer_types", count=count)
    return [otherwise(index) for index in range(count)] if given is None else [str(kind) for kind in given]


def windowed_mixers(reader: Reader, kinds: Sequence[str], window: int) -> list[Mixer]:
    """Plain attention, with the window where the layer's kind is not full attention."""
    full = plain_attention(reader)
    cut = plain_attention(reader, window=window) if window else full
    return [full if kind == FULL else cut for kind in kinds]


def every(count: int, last_is_full: int) -> str:
    """Full attention in every `last_is_full`-th layer, counted from 1, a window in the others."""
    return FULL if (count + 1) % last_is_full == 0 else SLIDING


def moe_flags(reader: Reader, *, dense_first: int = 0) -> list[bool]:
    """Whether each layer has experts, by the keys that say so: mlp_layer_types, moe_layer_freq as a list, else the
    layers after the first dense ones."""
    count = reader.layers
    named = reader.items("mlp_layer_types", count=count)
    if named is not None:
        return [kind != "dense" for kind in named]
    if isinstance(reader.config.get("moe_layer_freq"), list):
        listed = reader.items("moe_layer_freq", count=count)
        return [bool(flag) for flag in listed or ()]
    first = reader.size("first_k_dense_replace", default=dense_first, most=count)
    return [index >= first for index in range(count)]


def draft_layers(reader: Reader, layers: Sequence[ModelLayer]) -> int:
    """Multi-token prediction: layers like the last one, each with a projection of two hidden states to one."""
    count = reader.size("num_nextn_predict_layers", default=0)
    last = layers[-1]
    return count * (last.every_token + last.in_experts + 2 * reader.hidden**2)
