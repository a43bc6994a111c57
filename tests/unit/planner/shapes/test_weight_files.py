"""Headers of safetensors files: packed weights, scales, drafts, and files that are not what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medley_planner.shapes import BadWeights, files_of_index, header_bytes, tensors_of, weights_of


def header(**tensors: tuple[str, list[int]]) -> bytes:
    listed: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, (dtype, shape) in tensors.items():
        listed[name.replace("__", ".")] = {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
    return json.dumps(listed).encode()


def test_bytes_and_parameters_are_summed_by_dtype() -> None:
    found = weights_of(
        tensors_of(
            "f", header(a__weight=("BF16", [10, 4]), b__weight=("F8_E4M3", [8]), b__weight_scale_inv=("F32", [2]))
        ),
        layers=2,
        bits=None,
    )
    assert (found.parameters, found.loaded_bytes) == (48, 80 + 8 + 8)
    assert dict(found.bytes_by_dtype) == {"BF16": 80, "F8_E4M3": 8, "F32": 8}


@pytest.mark.parametrize(
    ("name", "dtype", "bits", "parameters"),
    [
        ("l.qweight", "I32", 4, 800),
        ("l.qweight", "I32", 8, 400),
        ("l.weight_packed", "I32", None, 800),
        ("mlp.experts.gate_up_proj_blocks", "U8", None, 200),
        ("l.weight_packed", "U8", None, 200),
        ("l.qzeros", "I32", 4, 0),
        ("l.scales", "F16", 4, 0),
        ("mlp.experts.gate_up_proj_scales", "U8", None, 0),
        ("l.weight", "F8_E4M3", None, 100),
    ],
)
def test_packed_weights_count_as_what_they_hold(name: str, dtype: str, bits: int | None, parameters: int) -> None:
    found = weights_of(tensors_of("f", header(**{name.replace(".", "__"): (dtype, [100])})), layers=None, bits=bits)
    assert found.parameters == parameters


@pytest.mark.parametrize("name", ["model.layers.61.mlp.w", "mtp.fc.weight", "model.language_model.layers.61.x"])
def test_drafts_are_counted_apart(name: str) -> None:
    listed = {name: {"dtype": "BF16", "shape": [5]}, "model.layers.60.w": {"dtype": "BF16", "shape": [7]}}
    found = weights_of(tensors_of("f", json.dumps(listed).encode()), layers=61, bits=None)
    assert (found.draft_bytes, found.loaded_bytes, found.parameters) == (10, 14, 7)


def test_a_tower_with_more_layers_than_the_model_is_no_draft() -> None:
    listed = {"vision_tower.layers.61.w": {"dtype": "BF16", "shape": [5]}}
    assert weights_of(tensors_of("f", json.dumps(listed).encode()), layers=2, bits=None).draft_bytes == 0


@pytest.mark.parametrize(
    "text",
    [
        b"no json", b"[]", b'{"a": 1}', b'{"a": {"dtype": "X", "shape": [1]}}', b'{"a": {"dtype": "BF16"}}',
        b'{"a": {"dtype": "BF16", "shape": [-1]}}', b'{"a": {"dtype": "BF16", "shape": [true]}}', b"\xff\xfe",
        b'{"a": {"dtype": "BF16", "shape": "12"}}', b'{"a": {"dtype": ["BF16"], "shape": [1]}}',
    ],
)  # fmt: skip
def test_a_header_that_is_not_one_is_refused_by_its_file(text: bytes) -> None:
    with pytest.raises(BadWeights, match="part-1"):
        tensors_of("part-1", text)


@pytest.mark.parametrize("beginning", [b"", b"1234567", (1).to_bytes(8, "little"), b"\xff" * 8])
def test_a_length_that_no_header_has_is_refused(beginning: bytes) -> None:
    with pytest.raises(BadWeights, match="safetensors"):
        header_bytes("part-1", beginning)


def test_an_index_names_files_once_and_only_beside_it() -> None:
    text = json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}})
    assert files_of_index("index", text) == ("1.safetensors", "2.safetensors")
    for bad in ('{"weight_map": {"a": "../1.safetensors"}}', '{"weight_map": {"a": "x.bin"}}', "{}", "[]", "{"):
        with pytest.raises(BadWeights, match="index"):
            files_of_index("index", bad)
