"""`--gpu-file`: commands know the GPUs that it describes, and refuse what they cannot read by its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.cli.main import main
from medley_planner.bad_input import BadInput
from medley_planner.catalog import gpu
from medley_planner.cli.gpu_file import catalogue_of
from tests.unit.planner.catalog.test_data_sheet import SHEET

ESTIMATE = [
    "estimate",
    "--model",
    "meta-llama/Llama-3.1-8B-Instruct",
    "--input",
    "512",
    "--output",
    "128",
    "--rate",
    "1",
]


def gpu_file(folder: Path, *documents: Any) -> Path:
    path = folder / "gpus.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def gpu_type(name: Any = "mine", **changes: Any) -> dict[str, Any]:
    return {"kind": "GPUType", "metadata": {"name": name}, "spec": {**SHEET, **changes}}


def test_a_described_gpu_is_estimated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gpu_file(tmp_path, {"kind": "ConfigMap"}, gpu_type(productNames=["NVIDIA-Mine"]))
    assert main([*ESTIMATE, "--gpu", "nvidia-mine", "--gpu-file", str(path), "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["gpu"] == "mine"
    assert shown["error_band"]["tpot"] == 0.4


def test_without_a_file_the_catalogue_is_the_built_in_one() -> None:
    assert catalogue_of(None).gpu("H100") == gpu("H100")


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        ([], "holds no GPUType"),
        (["text"], "holds no GPUType"),
        ([{"kind": "GPUType"}], "metadata.name"),
        ([{"kind": "GPUType", "metadata": {"name": "a"}}], "spec is missing"),
        ([{"kind": "GPUType", "metadata": {"name": "a"}, "spec": []}], "GPUType a: spec"),
        ([gpu_type(watts="no")], "GPUType mine: watts"),
        ([gpu_type("h100")], "name of H100"),
        ([gpu_type(), gpu_type("other", productNames=["Mine"])], "name of mine"),
        ([gpu_type(7)], "metadata.name is 7"),
    ],
)
def test_a_file_that_cannot_be_used_names_its_place(documents: list[Any], told: str, tmp_path: Path) -> None:
    path = gpu_file(tmp_path, *documents)
    with pytest.raises(BadInput) as refused:
        catalogue_of(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


def test_a_file_that_is_not_there_or_no_yaml_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    for name in ("bad.yaml", "none.yaml"):
        assert main([*ESTIMATE, "--gpu", "mine", "--gpu-file", str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err
