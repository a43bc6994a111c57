"""Models, checkpoints and GPUs that were once misread: each plan or figure is the one that its public source gives.

The cases of the shared folder are read where it is there; those below them are further ones of each kind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.cli.main import main
from medley_planner.capacity import memory_fit
from medley_planner.catalog import gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.shapes import ModelShape, Precision, bundled_shape, shape_from_config

_CASES = Path(os.environ.get("MEDLEY_SHARED_CASES", Path(__file__).resolve().parents[2].parent / "shared" / "cases"))
shared = pytest.mark.skipif(
    not (_CASES / "12-gpu-types").exists(), reason=f"{_CASES} is not there; set MEDLEY_SHARED_CASES to its folder"
)


def plan(capsys: pytest.CaptureFixture[str], *files: Path) -> dict[str, Any]:
    """What `medley plan` says of the one service."""
    main(["plan", *(word for file in files for word in ("-f", str(file))), "-o", "json"])
    (found,) = json.loads(capsys.readouterr().out)["services"]
    return dict(found)


def mix(found: Mapping[str, Any]) -> dict[str, int]:
    return {one["variant"].removesuffix("-b512"): one["replicas"] for one in found.get("mix", [])}


@shared
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("02-gpt-oss-120b-mxfp4/fleet.yaml", {"h100": 1}),
        ("03-qwen3-235b-fp8-tp8/default/fleet.yaml", {"h100-tp4": 1}),
        ("03-qwen3-235b-fp8-tp8/fleet.yaml", {"h100-tp4": 1}),
        ("12-gpu-types/only/fleet.yaml", {"nvidia-h100-nvl": 1}),
        ("12-gpu-types/two/fleet.yaml", {"h20": 1}),
        ("15-quantized-checkpoints/plan-gptoss20b/fleet.yaml", {"l4": 1}),
        ("15-quantized-checkpoints/plan-r1/fleet.yaml", {"h200-tp8": 1}),
        ("19-fp8-kv/fleet.yaml", {"h100": 1}),
        ("23-unsupported-way-out/fleet.yaml", {"h100": 1}),
    ],
)
def test_a_case_is_planned_on_what_holds_it(
    case: str, expected: Mapping[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mix(plan(capsys, _CASES / case)) == expected


@shared
@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("02-gpt-oss-120b-mxfp4/fleet-fp8.yaml", "FP4 (mxfp4)"),
        ("03-qwen3-235b-fp8-tp8/l40s/fleet.yaml", "192 of 1536"),
        ("16-vision-tower/fleet.yaml", "17040 tokens"),
    ],
)
def test_a_case_that_cannot_run_says_why(case: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, _CASES / case)
    assert not mix(found)
    assert told in found["message"]


@shared
def test_a_cut_of_a_block_is_never_a_variant(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, _CASES / "03-qwen3-235b-fp8-tp8" / "default" / "fleet.yaml")
    reasons = {one["variant"]: one["reason"] for one in found["unused"]}
    assert reasons["h100-tp8"] == "DoesNotFit"


@shared
@pytest.mark.parametrize(
    ("case", "billions", "kv_bytes"),
    [
        ("04-mamba-hybrids/granite-4.0-h-small.json", 32.2, 16_384),
        ("04-mamba-hybrids/jamba-1.5-mini.json", 51.6, 16_384),
        ("04-mamba-hybrids/lfm2-8b-a1b.json", 8.3, 12_288),
        ("04-mamba-hybrids/kimi-linear-48b.json", 49.1, 8_064),
        ("05-ernie-moe/ernie-4.5-21b-a3b.json", 21.8, 57_344),
        ("13-gemma/gemma-3-12b-it.json", 12.2, 65_536),
        ("13-gemma/gemma-4-26b-a4b.json", 25.8, 20_480),
        ("13-gemma/llama-4-scout.json", 109, 49_152),
        ("15-quantized-checkpoints/qwen2.5-72b-awq.json", 72.7, 327_680),
        ("16-vision-tower/config.json", 8.77, 147_456),
    ],
)
def test_a_config_has_its_published_sizes(case: str, billions: float, kv_bytes: int) -> None:
    shape = shape_from_config(_CASES / case)
    assert shape.parameters() / 1e9 == pytest.approx(billions, rel=0.012)
    assert shape.kv_bytes_per_token() == kv_bytes


@shared
def test_a_measured_profile_of_a_model_with_states_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    folder = _CASES / "23-unsupported-way-out"
    found = plan(capsys, folder / "fleet.yaml", folder / "measured.yaml")
    assert {one["provenance"] for one in found["mix"]} == {"measured"}


@shared
def test_fp8_on_ampere_is_planned_as_it_is_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, _CASES / "18-fp8-on-ampere" / "fleet.yaml")
    assert mix(found) == {"a100-80-tp4": 1}
    words = ["estimate", "--model", "meta-llama/Llama-3.1-70B-Instruct", "--gpu", "A100-80", "--precision", "FP8"]
    assert main([*words, "--tp=4", "--input=1000", "--output=300", "--rate=0.5", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"]["weights_gb"] == pytest.approx(72.7, abs=0.5)


def holds(shape: ModelShape, name: str, degree: int, length: int, **layout: Any) -> bool:
    on = Layout(gpu(name), tensor_parallel=degree, precision=shape.precision, **layout)
    return memory_fit(shape, on, max_model_len=length).fits


@pytest.mark.parametrize(
    ("model", "name", "degree", "length", "fits"),
    [
        ("deepseek-ai/DeepSeek-R1", "H200", 8, 16_384, True),
        ("deepseek-ai/DeepSeek-R1", "H200", 4, 16_384, False),
        ("openai/gpt-oss-120b", "H100", 1, 96_000, True),
        ("openai/gpt-oss-20b", "L4", 1, 16_384, True),
        ("google/gemma-3-27b-it", "H100", 1, 131_072, True),
        ("google/gemma-3-27b-it", "A100-40", 1, 16_384, False),
        ("Qwen/Qwen3-235B-A22B-FP8", "H100", 4, 16_384, True),
        ("Qwen/Qwen3-235B-A22B-FP8", "H200", 8, 16_384, False),
        ("Qwen/Qwen3-235B-A22B-FP8", "MI300X", 8, 16_384, False),
        ("meta-llama/Llama-3.1-70B-Instruct", "H100-NVL", 2, 16_384, True),
        ("meta-llama/Llama-3.1-8B-Instruct", "T4", 2, 8_192, True),
        ("meta-llama/Llama-3.1-8B-Instruct", "T4", 1, 8_192, False),
        ("meta-llama/Llama-3.1-8B-Instruct", "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", 1, 16_384, True),
        ("meta-llama/Llama-3.1-8B-Instruct", "NVIDIA-A100-SXM4-40GB-MIG-2g.10gb", 1, 4_096, False),
    ],
)
def test_a_model_fits_where_it_is_known_to_run(model: str, name: str, degree: int, length: int, *, fits: bool) -> None:
    assert holds(bundled_shape(model), name, degree, length) is fits


def test_deepseek_r1_takes_the_bytes_of_its_files() -> None:
    shape = bundled_shape("deepseek-ai/DeepSeek-R1")
    assert shape.precision is Precision.FP8
    assert shape.weight_bytes(Precision.FP8) == pytest.approx(671e9, rel=0.03)


def awq(size: int) -> ModelShape:
    """Qwen2.5-72B in AWQ; its maker pads the inner size to 29,696, so that groups of 128 divide by 8."""
    return shape_from_config(
        {
            "model_type": "qwen2", "hidden_size": 8192, "intermediate_size": size, "num_attention_heads": 64,
            "num_hidden_layers": 80, "num_key_value_heads": 8, "vocab_size": 152064, "max_position_embeddings": 32768,
            "quantization_config": {"bits": 4, "group_size": 128, "quant_method": "awq", "zero_point": True},
        },
        name="Qwen/Qwen2.5-72B-Instruct-AWQ",
    )  # fmt: skip


def test_awq_holds_on_one_gpu_and_is_cut_only_between_groups() -> None:
    assert awq(29568).weight_bytes(Precision.INT4) == pytest.approx(41.6e9, rel=0.02)
    assert holds(awq(29568), "A100-80", 1, 16_384)
    assert not holds(awq(29568), "A100-80", 2, 16_384)
    assert holds(awq(29696), "A100-80", 2, 16_384)


def test_an_fp8_cache_holds_twice_the_tokens() -> None:
    shape = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
    plain, half = (
        memory_fit(shape, Layout(gpu("L40S"), kv_format=form), max_model_len=4096).kv_tokens
        for form in (KvFormat.BF16, KvFormat.FP8)
    )
    assert half == pytest.approx(2 * plain, rel=0.001)
    assert not holds(shape, "T4", 2, 4096, kv_format=KvFormat.FP8)


def test_a_pool_of_amd_gpus_is_planned_with_its_own_image_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An MI300X pool got the CUDA image."""

    def fleet(images: list[dict[str, str]]) -> Path:
        kinds: list[tuple[str, str, dict[str, Any]]] = [
            ("GPUPool", "mi300x", {
                "gpu": "AMD_Instinct_MI300X_OAM", "nodeSelector": {"gpu": "a"}, "resourceName": "amd.com/gpu",
                "capacity": {"type": "Elastic", "gpusPerNode": 8}, "cost": {"perHour": "2"},
            }),
            ("RuntimeProfile", "vllm", {"image": "vllm/vllm-openai:v0.32.0", "version": "0.32.0", "images": images}),
            ("LLMService", "svc", {
                "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"},
                "workload": {"source": "Static", "static": {
                    "requestsPerSecond": "1", "promptTokens": 500, "generationTokens": 150,
                }},
            }),
        ]  # fmt: skip
        path = tmp_path / "fleet.yaml"
        path.write_text(
            yaml.safe_dump_all(
                [
                    {"apiVersion": "medley.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
                    for kind, name, spec in kinds
                ]
            )
        )
        return path

    refused = plan(capsys, fleet([]))
    assert (refused["reason"], mix(refused)) == ("NoImage", {})
    assert mix(plan(capsys, fleet([{"vendor": "AMD", "image": "rocm/vllm:v0.32.0"}]))) == {"mi300x": 1}
