"""Sums up the headers of safetensors files: parameters, bytes by format, draft layers. Pure.

A file begins with the length of its header (8 bytes, little endian) and the header, an object of JSON with dtype,
shape and byte range of each tensor (https://github.com/huggingface/safetensors, Format). Packed weights hold several
numbers in one element; scales and zero points count as bytes only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medley_planner.bad_input import BadInput
from medley_planner.documents import BadText, json_value

LENGTH_BYTES = 8
"""Bytes before the header, which say how long it is."""
MOST_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_MOST_TENSORS = 2_000_000
_MOST_DIMENSIONS, _MOST_SIZE = 16, 2**40
_ENTRY_BITS: Mapping[str, float] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_SCALES = (
    "scale", "scales", "scale_inv", "qzeros", "g_idx", "zero_point", "weight_shape", "absmax", "quant_map",
    "quant_state", "weight_scale_2", "input_scale", "k_scale", "v_scale", "nested_absmax", "nested_quant_map", "SCB",
    "inv_freq", "input_max", "e_score_correction_bias",
)  # fmt: skip
_DRAFTS = ("mtp.", "model.mtp.", "language_model.mtp.", "mtp_layers.")
_LAYERS = "layers."


class BadWeights(BadInput):
    """A file of weights, or its index, that cannot be read; `where` is the file."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """`dtype` as safetensors names it, such as BF16; `entries` of it, which take `stored_bytes`."""

    name: str
    dtype: str
    entries: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The sums of all files. `loaded_bytes`: without the multi-token prediction layers, which an engine loads for
    speculative decoding only; `draft_bytes`: those. `bytes_by_dtype` is of what is loaded."""

    parameters: int
    loaded_bytes: int
    draft_bytes: int
    bytes_by_dtype: tuple[tuple[str, int], ...]


def header_bytes(file: str, beginning: bytes) -> int:
    """The header's length, from the first 8 bytes of a file. Raises BadWeights."""
    length = int.from_bytes(beginning[:LENGTH_BYTES], "little")
    if len(beginning) < LENGTH_BYTES or not 2 <= length <= MOST_HEADER_BYTES:
        raise BadWeights.whole(file, "it does not begin as a safetensors file does; download it again")
    return length


def tensors_of(file: str, header: bytes) -> tuple[Tensor, ...]:
    """The tensors that a header lists. Raises BadWeights."""
    try:
        listed = json_value(header.decode("utf-8"))
    except (UnicodeDecodeError, BadText) as error:
        raise BadWeights.whole(file, f"its header is not JSON ({error}); download it again") from None
    if not isinstance(listed, Mapping) or len(listed) > _MOST_TENSORS:
        raise BadWeights.whole(file, "its header does not list tensors; download it again")
    return tuple(_tensor(file, name, told) for name, told in listed.items() if name != "__metadata__")


def files_of_index(file: str, text: str) -> tuple[str, ...]:
    """The files that model.safetensors.index.json names, each once. Raises BadWeights."""
    try:
        index = json_value(text)
    except BadText as error:
        raise BadWeights.whole(file, str(error)) from None
    placed = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(placed, Mapping) or not placed:
        raise BadWeights.whole(file, "it has no weight_map; give the index that belongs to the checkpoint")
    names = dict.fromkeys(str(name) for name in placed.values())
    bad = next((name for name in names if "/" in name or "\\" in name or not name.endswith(".safetensors")), None)
    if bad is not None:
        raise BadWeights(file, "weight_map", bad, "give names of safetensors files that lie beside it")
    return tuple(names)


def weights_of(tensors: Iterable[Tensor], *, layers: int | None, bits: int | None) -> WeightFiles:
    """Their sums. `layers`: those of the model, beyond which they are drafts; None: not known. `bits`: of a packed
    weight, where the checkpoint's format says it."""
    parameters = draft = 0
    by_dtype: dict[str, int] = {}
    for tensor in tensors:
        if _is_draft(tensor.name, layers):
            draft += tensor.stored_bytes
            continue
        by_dtype[tensor.dtype] = by_dtype.get(tensor.dtype, 0) + tensor.stored_bytes
        parameters += _parameters(tensor, bits)
    ordered = tuple(sorted(by_dtype.items(), key=lambda item: -item[1]))
    return WeightFiles(parameters, sum(by_dtype.values()), draft, ordered)


def _tensor(file: str, name: str, told: Any) -> Tensor:
    dtype = told.get("dtype") if isinstance(told, Mapping) else None
    shape = told.get("shape") if isinstance(told, Mapping) else None
    if not isinstance(dtype, str) or dtype not in _ENTRY_BITS:
        raise BadWeights(file, f"dtype of {name}", dtype, "it is not one of safetensors'; download the file again")
    entries = _entries(shape)
    if entries is None:
        raise BadWeights(file, f"shape of {name}", shape, "it is not a list of sizes; download the file again")
    return Tensor(name, dtype, entries, math.ceil(entries * _ENTRY_BITS[dtype] / 8))


def _entries(shape: Any) -> int | None:
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        return None
    sizes = [size for size in shape if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _MOST_SIZE]
    return math.prod(sizes) if len(sizes) == len(shape) else None


def _is_draft(name: str, layers: int | None) -> bool:
    if name.startswith(_DRAFTS):
        return True
    before, found, rest = name.partition(_LAYERS)
    number = rest.partition(".")[0]
    # Towers number their layers too.
    own = before in ("", "model.", "model.language_model.", "language_model.model.")
    return bool(layers and found and own and number.isdecimal() and int(number) >= layers)


def _parameters(tensor: Tensor, bits: int | None) -> int:
    last = tensor.name.rpartition(".")[2]
    if last in _SCALES or last.endswith(("_scale", "_scales", "_scale_inv", "_zero_point", "_shape")):
        return 0
    packed = last in ("qweight", "weight_packed") or last.endswith("_packed")
    if tensor.dtype in ("I32", "U32") and packed:
        return tensor.entries * 32 // (bits or 4)
    if tensor.dtype == "U8" and (packed or last.endswith("_blocks") or bits == 4):
        return tensor.entries * 2
    return 0 if tensor.dtype in ("I64", "I32") else tensor.entries
