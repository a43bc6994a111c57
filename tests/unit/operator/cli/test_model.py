"""`medley model`: the figures of a checkpoint, the YAML that plans it, and the way out for an unknown architecture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.cli.main import main
from medley_planner.catalog import CATALOGUE
from tests.unit.operator.checkpoint.checkpoints import LLAMA, UNKNOWN, llama_tensors, safetensors

KEYS = {
    "architecture", "parameters", "weight_bytes", "kv_bytes_per_token", "state_bytes_per_sequence", "precision",
    "layers", "bytes_by_format", "fits",
}  # fmt: skip
POOL = {
    "apiVersion": "medley.dev/v1alpha1",
    "kind": "GPUPool",
    "metadata": {"name": "h100"},
    "spec": {
        "gpu": "H100",
        "nodeSelector": {"gpu": "h100"},
        "capacity": {"type": "Elastic", "nodes": 4, "gpusPerNode": 8},
        "cost": {"perHour": "2.5"},
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "medley.dev/v1alpha1",
    "kind": "LLMService",
    "metadata": {"name": "svc", "namespace": "demo"},
    "spec": {
        "slo": {"ttft": "2s", "tpot": "60ms"},
        "workload": {
            "source": "Static",
            "static": {"requestsPerSecond": "1", "promptTokens": 1000, "generationTokens": 300},
        },
    },
}


def checkpoint(folder: Path, config: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors(llama_tensors()))
    return folder


def test_show_prints_what_the_files_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", str(checkpoint(tmp_path, LLAMA)), "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() >= KEYS
    assert shown["architecture"] == "LlamaForCausalLM"
    assert shown["weight_bytes"] == 2 * shown["parameters"]
    assert shown["kv_bytes_per_token"] == 2 * 2 * 2 * 64 * 2
    assert (shown["state_bytes_per_sequence"], shown["precision"]) == (0, "BF16")
    too_old = {name for name in CATALOGUE.names() if (CATALOGUE.gpu(name).compute_capability or 9.0) < 7.5}
    refused = {fit["gpu"]: fit["reason"] for fit in shown["fits"] if fit["gpus"] != 1}
    assert refused.keys() == too_old
    assert too_old
    # Not that 8 GPUs do not divide its heads: no other degree runs either.
    assert all("compute capability" in reason for reason in refused.values())


def test_show_prints_tables_and_yaml_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(checkpoint(tmp_path, LLAMA))
    assert main(["model", "show", folder]) == 0
    assert "bytes per token" in capsys.readouterr().out
    assert main(["model", "show", folder, "-o", "yaml", "--max-model-len", "100"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["max_model_len"] == 100


@pytest.mark.parametrize(("config", "status"), [(LLAMA, 0), (UNKNOWN, 3)])
def test_what_import_writes_is_planned(
    config: dict[str, Any], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of an architecture that nobody knows: the way out that its refusal names is there."""
    assert main(["model", "import", str(checkpoint(tmp_path, config)), "--uri", "hf://my/model"]) == status
    written = yaml.safe_load(capsys.readouterr().out)["spec"]["model"]
    assert written["weightBytes"] > 0
    assert ("capacity" in written) == (status == 3)
    service = {**SERVICE, "spec": {**SERVICE["spec"], "model": {**written, "maxModelLen": 2048}}}
    manifest = tmp_path / "fleet.yaml"
    manifest.write_text(yaml.safe_dump_all([POOL, service]))
    assert main(["plan", "-f", str(manifest), "-o", "json"]) == 0
    (planned,) = json.loads(capsys.readouterr().out)["services"]
    assert sum(variant["replicas"] for variant in planned["mix"]) >= 1


def test_the_refusal_of_an_unknown_architecture_names_the_field_that_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"uri": "hf://my/model", "configJson": json.dumps(UNKNOWN)}
    manifest = tmp_path / "fleet.yaml"
    manifest.write_text(yaml.safe_dump_all([POOL, {**SERVICE, "spec": {**SERVICE["spec"], "model": model}}]))
    assert main(["plan", "-f", str(manifest)]) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert "spec.model.capacity" in told
    assert "medley model import" in told


def test_weight_bytes_far_from_the_model_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "weightBytes": 160_000_000_000}
    manifest = tmp_path / "fleet.yaml"
    manifest.write_text(yaml.safe_dump_all([POOL, {**SERVICE, "spec": {**SERVICE["spec"], "model": model}}]))
    assert main(["plan", "-f", str(manifest)]) == 2
    assert "spec.model.weightBytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "/nowhere/at/all"], "no such file"),
        (["show", "hf://broken"], "hf://organisation/model"),
        (["show", "hf://org/model", "--token-env", "MEDLEY_NO_SUCH_VARIABLE"], "--token-env"),
        (["import", "{folder}", "--uri", "nonsense"], "hf://organisation/model"),
    ],
)
def test_bad_input_ends_in_a_sentence(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(checkpoint(tmp_path, LLAMA))
    assert main(["model", *(each.format(folder=folder) for each in arguments)]) == 2
    assert told in capsys.readouterr().err
