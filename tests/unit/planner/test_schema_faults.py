"""The operator, `medley plan` and `medley solve` explain the same fault in the same words: field, value, way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import API_VERSION, GPUPool, LLMService
from medley_operator.cli.main import main
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.parse import rejection_message

READ_AS = "YAML and JSON read it as "
OBJECT = "give an object, which is fields with their values"


POOL = f"""\
apiVersion: {API_VERSION}
kind: GPUPool
metadata: {{name: l4}}
spec:
  gpu: L4
  nodeSelector: {{gpu: l4}}
  cost: {{perHour: "0.8"}}
  capacity: {{type: Fixed, nodes: 1, gpusPerNode: 1}}
"""


def by_operator(manifest: dict[str, Any]) -> str:
    model = {"GPUPool": GPUPool, "LLMService": LLMService}[manifest["kind"]]
    metadata = {"namespace": "", "uid": "u", "generation": 1, **manifest["metadata"]}
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"metadata": metadata, "spec": manifest["spec"]})
    return rejection_message(ObjectKey(manifest["kind"], metadata["namespace"], metadata["name"]), caught.value)


def by_plan(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = folder / "objects.yaml"
    file.write_text(text)
    assert main(["plan", "-f", str(file)]) == 2
    return capsys.readouterr().err


def by_solve(document: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = folder / "fleet.json"
    file.write_text(json.dumps(document))
    assert main(["solve", str(file)]) == 2
    return capsys.readouterr().err


def test_an_unquoted_number_is_explained_in_one_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = 'is 0.8: YAML and JSON read it as a number; write it in quotes, such as "0.8"'
    unquoted = POOL.replace('"0.8"', "0.8")
    assert f"spec.cost.perHour {said}" in by_operator(yaml.safe_load(unquoted))
    assert f"objects.yaml: GPUPool l4: spec.cost.perHour {said}\n" in by_plan(unquoted, tmp_path, capsys)
    fleet = {"pools": [{"name": 0.8}], "services": [{}]}
    assert f"fleet.json: pools[0].name {said}\n" in by_solve(fleet, tmp_path, capsys)


AS_BOOLEAN = f"{READ_AS}true or false, as yes, no, on and off"
DECIMAL = "write a decimal number in quotes"
FAMILY = [
    ('perHour: "0.8"', "perHour: yes", f"is true: {AS_BOOLEAN}; {DECIMAL}"),
    ('perHour: "0.8"', "perHour: 2", f'is 2: {READ_AS}a number; write it in quotes, such as "2"'),
    ('perHour: "0.8"', "perHour: -0.5", f"is -0.5: {READ_AS}a number; {DECIMAL}"),
    ('perHour: "0.8"', "perHour: 2026-11-29", f'is "2026-11-29": {READ_AS}a date; {DECIMAL}'),
    ('perHour: "0.8"', "perHour: a lot", f'is "a lot": {DECIMAL}, such as "0.805"'),
    ('perHour: "0.8"', 'perHour: "1", perNodeHour: "2"', "spec.cost: give either perHour (of one GPU) or perNodeHour"),
    ("gpu: L4", "gpu: null", "spec.gpu is null: give text"),
    ('perHour: "0.8"', "perHour: [1]", f"is [1]: {DECIMAL}"),
    ('{perHour: "0.8"}', "[0.8]", f"spec.cost is [0.8]: {OBJECT}"),
    ('{perHour: "0.8"}', "null", f"spec.cost is null: {OBJECT}"),
    ("  gpu: L4\n", "", "spec.gpu is missing: add it"),
    ("nodeSelector: {gpu: l4}", "nodeSelector: [gpu]", f'spec.nodeSelector is ["gpu"]: {OBJECT}'),
    (
        "nodeSelector: {gpu: l4}",
        "nodeSelector: {gpu: no}",
        f"spec.nodeSelector.gpu is false: {AS_BOOLEAN}; write it in",
    ),
    ("nodes: 1", "nodes: few", 'spec.capacity.nodes is "few": give a whole number'),
    ("nodes: 1", "nodos: 1", "spec.capacity.nodos is 1: there is no such field; correct its name or remove it"),
]


@pytest.mark.parametrize(("written", "instead", "words"), FAMILY, ids=[instead for _, instead, _ in FAMILY])
def test_operator_and_plan_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, instead: str, words: str
) -> None:
    assert written in POOL
    text = POOL.replace(written, instead)
    assert words in by_plan(text, tmp_path, capsys)
    assert words in by_operator(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("ttft", "words"),
    [
        (5, f'spec.slo.ttft is 5: {READ_AS}a number; write a duration with its unit, such as "250ms", "5s" or "10m"'),
        (True, f"spec.slo.ttft is true: {READ_AS}true or false, as yes, no, on and off; write a duration"),
        (None, "spec.slo.ttft is null: write a duration with its unit"),
        ("5", 'spec.slo.ttft is "5": write a duration with its unit'),
    ],
)
def test_a_duration_needs_its_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ttft: object, words: str
) -> None:
    spec = {
        "model": {"uri": "hf://Qwen/Qwen3-8B"},
        "slo": {"ttft": ttft, "tpot": "50ms"},
        "profileRef": {"name": "vllm"},
    }
    metadata = {"name": "chat", "namespace": "demo"}
    manifest = {"apiVersion": API_VERSION, "kind": "LLMService", "metadata": metadata, "spec": spec}
    assert words in by_operator(manifest)
    assert words in by_plan(yaml.safe_dump(manifest), tmp_path, capsys)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("stock_gpus", "4", 'pools[0].stock_gpus is "4": give a whole number without quotes: 4'),
        ("spot", "yes", 'pools[0].spot is "yes": give true or false'),
        ("zones", {"a": 1}, 'pools[0].zones is {"a": 1}: give a list'),
        ("gpu", None, None),
        ("gpu", True, f"pools[0].gpu is true: {READ_AS}true or false"),
        ("node_price", [1], f"pools[0].node_price is [1]: {OBJECT}"),
    ],
)
def test_solve_has_the_same_family(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: object, words: str | None
) -> None:
    said = by_solve({"pools": [{"name": "l", field: value}], "services": [{}]}, tmp_path, capsys)
    assert (words in said) if words is not None else ("pools[0]" not in said)


def test_a_bare_off_that_yaml_takes_for_false_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        f"apiVersion: {API_VERSION}\nkind: LLMService\nmetadata: {{name: chat, namespace: demo}}\n"
        "spec: {model: {uri: hf://Qwen/Qwen3-8B}, scaling: {forecast: {mode: Off}}}\n"
    )
    words = f'spec.scaling.forecast.mode is false: {AS_BOOLEAN}; write "Off" in quotes, or another of Auto, Off'
    assert words in by_plan(text, tmp_path, capsys)
    assert words in by_operator(yaml.safe_load(text))
    assert "mode is true: give one of Auto, Off" in by_plan(text.replace("Off", "On"), tmp_path, capsys)
