"""A checkpoint in a folder: its sizes are those of its files, and what is broken is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medley_operator.checkpoint.files import LocalFiles
from medley_operator.checkpoint.read import read_checkpoint
from medley_planner.bad_input import BadInput
from medley_planner.shapes import BadConfig, ModelShape, Precision
from tests.unit.operator.checkpoint.checkpoints import LLAMA, UNKNOWN, in_two_files, llama_tensors, safetensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    return tmp_path


def test_an_index_and_a_single_file_say_the_same(folder: Path) -> None:
    for name, content in in_two_files(llama_tensors()).items():
        (folder / name).write_bytes(content)
    two = read_checkpoint(LocalFiles(folder))
    for file in ("a.safetensors", "b.safetensors", "model.safetensors.index.json"):
        (folder / file).unlink()
    (folder / "model.safetensors").write_bytes(safetensors(llama_tensors()))
    one = read_checkpoint(LocalFiles(folder))
    alone = read_checkpoint(LocalFiles(folder / "model.safetensors"))
    assert two.weights == one.weights == alone.weights
    assert one.weights is not None
    assert isinstance(one.shape, ModelShape)
    assert one.shape.parameters() == one.weights.parameters
    assert one.shape.weight_bytes(Precision.BF16) == one.weights.loaded_bytes == 2 * one.weights.parameters


def test_a_config_alone_is_read_too(folder: Path) -> None:
    found = read_checkpoint(LocalFiles(folder / "config.json"))
    assert found.weights is None
    assert isinstance(found.shape, ModelShape)


def test_an_unknown_architecture_still_has_its_bytes(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(UNKNOWN))
    (folder / "model.safetensors").write_bytes(safetensors(llama_tensors()))
    found = read_checkpoint(LocalFiles(folder))
    assert isinstance(found.shape, BadConfig)
    assert found.weights is not None
    assert found.weights.loaded_bytes > 0


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.json", b"{", "is not JSON"),
        ("config.json", b"[1]", "is not a JSON object"),
        ("config.json", b"\xff\xfe\x00", "is not UTF-8"),
        ("model.safetensors", b"abc", "does not begin as"),
        ("model.safetensors", (500).to_bytes(8, "little") + b"{}", "ends within its header"),
        ("model.safetensors", safetensors({"model.embed_tokens.weight": [10, 10]}), "the sizes in config.json make"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "z.safetensors"}}', "is not there"),
    ],
)
def test_what_is_broken_is_named(folder: Path, file: str, content: bytes, told: str) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(BadInput, match=told) as refused:
        read_checkpoint(LocalFiles(folder))
    assert str(folder) in str(refused.value)


def test_a_folder_without_a_config_and_a_path_without_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has no config\.json"):
        read_checkpoint(LocalFiles(tmp_path))
    with pytest.raises(BadInput, match="no such file"):
        LocalFiles(tmp_path / "nothing")
