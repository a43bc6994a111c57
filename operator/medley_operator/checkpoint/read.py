"""Reads a checkpoint through its files: the content of config.json, its shape, and what the headers of weights say.

Apart: folder and hub differ only in how bytes are got; what is read of them is the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from medley_operator.checkpoint.files import CONFIG, INDEX, MOST_FILES, SINGLE, CheckpointFiles
from medley_planner.bad_input import BadInput
from medley_planner.shapes import (
    BYTES_APART,
    LENGTH_BYTES,
    BadConfig,
    BadWeights,
    ModelShape,
    Tensor,
    WeightFiles,
    files_of_index,
    header_bytes,
    shape_from_config,
    tensors_of,
    weights_of,
)

_FIRST_BYTES = 1 << 20
"""Most headers are shorter: one request reads length and header."""


@dataclass(frozen=True, slots=True)
class ReadCheckpoint:
    """`config`: the parsed config.json. `shape`: with the files' own bytes; or why there is none. `weights`: None where
    there are no safetensors files."""

    label: str
    config: dict[str, Any]
    shape: ModelShape | BadConfig
    weights: WeightFiles | None


def read_checkpoint(files: CheckpointFiles, *, name: str | None = None) -> ReadCheckpoint:
    """`name`: what the model is called; None: as the config says. Raises BadInput where config.json or a header cannot
    be read; an architecture that is not known is a value, since files say something of it too."""
    text = files.text(CONFIG)
    if text is None:
        raise BadInput.whole(files.label, f"has no {CONFIG}; give a folder with the files of one model")
    config = _config(f"{files.label}: {CONFIG}", text)
    try:
        shape: ModelShape | BadConfig = shape_from_config(config, name=name)
    except BadConfig as error:
        shape = error
    tensors = _tensors(files)
    if not tensors:
        return ReadCheckpoint(files.label, config, shape, None)
    weights = weights_of(tensors, layers=_layers(config), bits=_bits(config))
    if isinstance(shape, ModelShape):
        counted = shape.counted_weight_bytes(shape.precision)
        if not counted / BYTES_APART <= weights.loaded_bytes <= counted * BYTES_APART:
            raise BadWeights.whole(
                files.label,
                f"its weight files have {weights.loaded_bytes} bytes, but the sizes in {CONFIG} make {counted:.0f}; "
                "give a folder with all files of one model",
            )
        shape = replace(shape, stated_weight_bytes=weights.loaded_bytes)
    return ReadCheckpoint(files.label, config, shape, weights)


def _config(file: str, text: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput.whole(file, f"is not JSON ({error}); give the file as the model's page has it") from None
    if not isinstance(config, dict):
        raise BadInput.whole(file, "is not a JSON object; give the file as the model's page has it")
    return config


def _tensors(files: CheckpointFiles) -> tuple[Tensor, ...]:
    names = files.weight_files()
    if names is None:
        index = files.text(INDEX)
        names = (SINGLE,) if index is None else files_of_index(f"{files.label}: {INDEX}", index)
        if index is None and files.beginning(SINGLE, LENGTH_BYTES) is None:
            return ()
    if len(names) > MOST_FILES:
        raise BadWeights.whole(files.label, f"has more than {MOST_FILES} weight files; give the folder of one model")
    found = {tensor.name: tensor for name in names for tensor in _header(files, name)}
    return tuple(found.values())


def _header(files: CheckpointFiles, name: str) -> tuple[Tensor, ...]:
    where = f"{files.label}: {name}"
    read = files.beginning(name, _FIRST_BYTES)
    if read is None:
        raise BadWeights.whole(where, "is named by the index and is not there; download it")
    length = header_bytes(where, read)
    rest = LENGTH_BYTES + length - len(read)
    if rest > 0:
        read += files.beginning(name, rest, start=len(read)) or b""
    if len(read) < LENGTH_BYTES + length:
        raise BadWeights.whole(where, "ends within its header; download it again")
    return tensors_of(where, read[LENGTH_BYTES : LENGTH_BYTES + length])


def _layers(config: dict[str, Any]) -> int | None:
    text = config.get("text_config")
    for part in (text if isinstance(text, dict) else {}, config):
        layers = part.get("num_hidden_layers")
        if isinstance(layers, int) and not isinstance(layers, bool) and layers > 0:
            return layers
    return None


def _bits(config: dict[str, Any]) -> int | None:
    form = config.get("quantization_config")
    bits = form.get("bits", form.get("w_bit")) if isinstance(form, dict) else None
    return bits if isinstance(bits, int) and not isinstance(bits, bool) and 1 <= bits <= 8 else None
