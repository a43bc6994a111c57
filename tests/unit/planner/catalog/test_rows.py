"""The GPU catalogue: every row is sourced and plausible, and is found by the names that users and nodes give."""

from __future__ import annotations

import pytest

from medley_planner.catalog import Gpu, UnknownGpu, gpu, known_gpus

ROWS = [gpu(name) for name in known_gpus()]


def test_the_promised_types_are_known() -> None:
    assert {"L4", "A10G", "L40S", "A100-40", "A100-80", "H100", "H200", "B200", "MI300X"} <= set(known_gpus())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_names_its_source_and_is_plausible(row: Gpu) -> None:
    assert "data sheet" in row.source
    assert "aiconfigurator" in row.source or row.note, "an efficiency is either measured or marked as a guess"
    assert all(0.3 <= share <= 0.95 for share in (row.gemm_bf16, row.gemm_fp8, row.memory, row.kv))
    assert 0.9 < row.usable_gib * 2**30 / (row.memory_gb * 1e9) < 1.1
    assert row.fp8_tflops is None or 1.9 < row.fp8_tflops / row.bf16_tflops < 2.1


def test_no_name_stands_for_two_types() -> None:
    names = [name.casefold() for row in ROWS for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("l4", "L4"),
        ("NVIDIA-L4", "L4"),
        ("NVIDIA-A10G", "A10G"),
        ("NVIDIA-L40S", "L40S"),
        ("a100-40gb", "A100-40"),
        ("NVIDIA-A100-SXM4-40GB", "A100-40"),
        ("A100-80GB", "A100-80"),
        ("NVIDIA-A100-SXM4-80GB", "A100-80"),
        ("H100-SXM", "H100"),
        ("NVIDIA-H100-80GB-HBM3", "H100"),
        (" nvidia-h200 ", "H200"),
        ("NVIDIA-B200", "B200"),
        ("mi300x", "MI300X"),
    ],
)
def test_lookup_by_alias_in_any_case(name: str, found: str) -> None:
    assert gpu(name).name == found


def test_unknown_gpu_names_the_value_and_what_is_known() -> None:
    with pytest.raises(UnknownGpu, match=r'"V100".*L4, .*MI300X') as caught:
        gpu("V100")
    assert (caught.value.field, caught.value.value) == ("GPU", "V100")
