"""The YAML of `spec.model` that `medley model import` writes. Pure but for standard output.

Of an architecture that is not known, the files still say the bytes of all weights; the other sizes are read from the
keys that most configs have, as if all layers had full attention, so that a plan promises less rather than more.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import ModelSpec
from medley_operator.checkpoint.read import ReadCheckpoint
from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import BadOption
from medley_planner.schema_faults import faults_of
from medley_planner.shapes import BadConfig, WeightFiles

_URI = "hf://organisation/model"
_MOST_CONFIG = 32768
"""Characters of spec.model.configJson."""
_UNREAD = ("id2label", "label2id", "task_specific_params", "auto_map")
"""Keys of long texts that no plan rests on."""
_USUAL_LAYERS, _USUAL_HIDDEN, _USUAL_HEAD = 64, 8192, 128
"""Sizes of models of some 70 billion parameters, for a config that does not say them in a known way."""
_BYTES_OF = {1.5: "BF16", 0.75: "FP8"}
"""The format by the least bytes of a weight, with scales."""


class _Text(str):
    """Printed as a block, so that a config stays readable."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Blocks for `_Text`."""


_Dumper.add_representer(
    _Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def print_known(read: ReadCheckpoint, *, uri: str) -> None:
    """Raises BadInput where the config is longer than the field holds even without what no plan reads."""
    model: dict[str, Any] = {"uri": uri or _URI, "configJson": _Text(_config_text(read.config))}
    if read.weights is not None:
        model["weightBytes"] = read.weights.loaded_bytes
    _print(model, uri)


def print_unknown(read: ReadCheckpoint, weights: WeightFiles, *, uri: str, why: BadConfig) -> None:
    capacity = _sizes(read.config, weights)
    print(f"# {why.fault.partition(';')[0]}")
    print("# Check each size of capacity: they are read as if all layers had full attention.")
    _print({"uri": uri or _URI, "weightBytes": weights.loaded_bytes, "capacity": capacity}, uri)


def _print(model: dict[str, Any], uri: str) -> None:
    if not uri:
        print("# Set uri to the address that the engine loads.")
    try:
        # What is written is what the API takes.
        ModelSpec.model_validate({name: str(each) if isinstance(each, _Text) else each for name, each in model.items()})
    except ValidationError as error:
        fault = faults_of(error)[0]
        raise BadOption("spec.model", fault.field, fault.value, fault.way_out) from None
    print(yaml.dump({"spec": {"model": model}}, Dumper=_Dumper, sort_keys=False, width=120), end="")


def _config_text(config: dict[str, Any]) -> str:
    for kept in (config, {key: value for key, value in config.items() if key not in _UNREAD}):
        for indent in (1, None):
            text = json.dumps(kept, indent=indent)
            if len(text) <= _MOST_CONFIG:
                return text
    way_out = "shorten its lists of modules, with * in names"
    raise BadInput.whole("config.json", f"has more than {_MOST_CONFIG} characters; {way_out}")


def _sizes(config: dict[str, Any], weights: WeightFiles) -> dict[str, Any]:
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    keys = {**config, **(text or {})}

    def size(*names: str, otherwise: int) -> int:
        found = (keys.get(name) for name in names)
        return next((n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 0), otherwise)

    layers = size("num_hidden_layers", "n_layer", "num_layers", otherwise=_USUAL_LAYERS)
    hidden = size("hidden_size", "d_model", "n_embd", otherwise=_USUAL_HIDDEN)
    heads = size("num_attention_heads", "n_head", otherwise=max(hidden // _USUAL_HEAD, 1))
    kv_heads = size("num_key_value_heads", "num_kv_heads", otherwise=heads)
    head_dim = size("head_dim", otherwise=max(hidden // heads, 1))
    each = weights.loaded_bytes / max(weights.parameters, 1)
    return {
        "parameters": weights.parameters,
        "layers": layers,
        "hiddenSize": hidden,
        "kvBytesPerToken": layers * kv_heads * head_dim * 4,
        "attentionHeads": heads,
        "keyValueHeads": kv_heads,
        "precision": next((name for least, name in _BYTES_OF.items() if each >= least), "INT4"),
    }
