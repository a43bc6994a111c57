"""Typed access to the keys of a model's config.json, and the refusal of what cannot be read. Touches no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medley_planner.bad_input import MISSING, BadInput

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


class BadConfig(BadInput):
    """A config.json that gives no shape. `field` is the key at fault, empty where the whole text is."""


def bad_key(label: str, key: str, value: object, way_out: str) -> BadConfig:
    return BadConfig(f'config.json of "{label}"', key, value, way_out)


def unusable(label: str, way_out: str) -> BadConfig:
    return BadConfig.whole(f'config.json of "{label}"', way_out)


@dataclass(frozen=True, slots=True)
class Reader:
    """The keys of one config: those of the language model in `config`. `label` is the model's name in messages."""

    label: str
    config: Mapping[str, Any]

    def bad(self, key: str, value: object, way_out: str) -> BadConfig:
        return bad_key(self.label, key, value, way_out)

    def has(self, key: str) -> bool:
        return self.config.get(key) is not None

    def size(self, *keys: str, default: int | None = None, most: int | None = None) -> int:
        """The first of `keys` that is there and not null: a whole number from 1 (0 where that is the default) to
        `most`, by default that of the key. Raises BadConfig."""
        for key in keys:
            value = self.config.get(key)
            if value is not None:
                return self.whole(key, value, least=0 if default == 0 else 1, most=most)
        if default is None:
            raise self.bad(keys[0], MISSING, "add it as the model's own config.json has it")
        return default

    def whole(self, key: str, value: object, *, least: int = 1, most: int | None = None) -> int:
        limit = _MOST.get(key, _MOST_SIZE) if most is None else most
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= limit:
            raise self.bad(key, value, f"give a whole number from {least} to {limit}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(key, value, "give true or false")
        return value

    def text(self, key: str, *, default: str = "") -> str:
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.bad(key, value, "give a text")
        return value

    def items(self, key: str, *, count: int | None = None) -> Sequence[Any] | None:
        """A list, None where there is none; at least `count` long where that is given, and cut to it."""
        value = self.config.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.bad(key, value, "give a list with an entry for each layer, or remove it")
        if count is not None and len(value) < count:
            raise self.bad(key, value, f"give an entry for each of the {count} layers, or remove it")
        return value if count is None else value[:count]

    def numbers(self, key: str, *, count: int | None = None) -> list[int]:
        """The whole numbers, 0 or more, of a list as in `items`; empty where there is none."""
        return [self.whole(key, value, least=0) for value in self.items(key, count=count) or ()]

    def inner(self, key: str) -> Reader | None:
        """The object of that key with its own keys, None where there is none."""
        value = self.config.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.bad(key, value, "give an object, or remove it")
        return Reader(self.label, value)

    @property
    def hidden(self) -> int:
        return self.size("hidden_size")

    @property
    def layers(self) -> int:
        return self.size("num_hidden_layers")

    @property
    def heads(self) -> int:
        return self.size("num_attention_heads")

    @property
    def kv_heads(self) -> int:
        """Each head of keys and values serves an equal number of heads of queries."""
        heads = self.heads
        kv_heads = self.size("num_key_value_heads", default=heads, most=heads)
        if heads % kv_heads:
            raise self.bad("num_key_value_heads", kv_heads, f"give a divisor of num_attention_heads, which is {heads}")
        return kv_heads

    @property
    def head_size(self) -> int:
        hidden, heads = self.hidden, self.heads
        if not self.has("head_dim") and hidden < heads:
            raise self.bad("hidden_size", hidden, f"give at least num_attention_heads, {heads}, or add head_dim")
        return self.size("head_dim", "attention_head_dim", default=hidden // heads)
