"""The GPU catalogue: every row is sourced and plausible, and is found by the names that users and nodes give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import memory_fit
from medley_planner.capacity.step_time import StepTime
from medley_planner.catalog import Catalogue, Gpu, UnknownGpu, Vendor, gpu, is_shared, known_gpus
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

ROWS = [gpu(name) for name in known_gpus()]


def test_the_promised_types_are_known() -> None:
    assert {
        *("T4", "V100-16", "V100-32", "A10", "A10G", "A16", "A30", "A40", "RTX-A6000", "L4", "L40", "L40S", "RTX-4090"),
        *("RTX-5090", "RTX-6000-ADA", "RTX-PRO-6000", "RTX-PRO-6000-WS", "A100-40", "A100-80", "A100-40-PCIE"),
        *("A100-80-PCIE", "H100", "H100-PCIE", "H100-NVL", "H20", "H200", "H200-NVL", "GH200-96", "GH200-144", "B200"),
        *("B300", "GB200", "GB300", "MI250X", "MI300X", "MI325X", "MI355X", "GAUDI-3"),
    } <= set(known_gpus())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_names_its_source_and_is_plausible(row: Gpu) -> None:
    assert "data sheet" in row.source
    assert "aiconfigurator" in row.source or row.note, "an efficiency is either measured or marked as a guess"
    assert row.linked_gpus == 0 or row.pcie_gb_per_second > 0
    assert (row.compute_capability is None) == (row.vendor is not Vendor.NVIDIA)
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
        ("Tesla-T4", "T4"),
        ("Tesla-V100-SXM2-32GB", "V100-32"),
        ("NVIDIA-A10", "A10"),
        ("NVIDIA-A100-80GB-PCIe", "A100-80-PCIE"),
        ("NVIDIA-A100-PCIE-40GB", "A100-40-PCIE"),
        ("NVIDIA-H100-NVL", "H100-NVL"),
        ("NVIDIA-H100-PCIe", "H100-PCIE"),
        ("NVIDIA-H20", "H20"),
        ("NVIDIA-H200-NVL", "H200-NVL"),
        ("NVIDIA-GH200-480GB", "GH200-96"),
        ("NVIDIA-GH200-144G-HBM3e", "GH200-144"),
        ("NVIDIA-GeForce-RTX-4090", "RTX-4090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-ADA"),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Workstation-Edition", "RTX-PRO-6000-WS"),
        ("AMD_Instinct_MI325X_OAM", "MI325X"),
        ("NVIDIA-L4-SHARED", "L4"),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "A100-40-MIG-1g.5gb"),
        ("NVIDIA-A100-80GB-PCIe-MIG-3g.40gb-SHARED", "A100-80-PCIE-MIG-3g.40gb"),
        ("A100-40-MIG-1g.5gb", "A100-40-MIG-1g.5gb"),
        ("NVIDIA-H200-MIG-1g.18gb.me", "H200-MIG-1g.18gb"),
    ],
)
def test_lookup_by_alias_in_any_case(name: str, found: str) -> None:
    assert gpu(name).name == found


@pytest.mark.parametrize(
    "name", ["TPU-v5e", "", "NVIDIA-L4-MIG-1g.3gb", "A100-40-MIG-8g.40gb", "A100-40-MIG-1g.7gb", "A100-40-MIG-3g.80gb"]
)
def test_unknown_gpu_names_the_value_and_what_is_known(name: str) -> None:
    with pytest.raises(UnknownGpu, match=r"GPUType, .*L4, .*MI300X") as caught:
        gpu(name)
    assert (caught.value.field, caught.value.value) == ("GPU", name)


@pytest.mark.parametrize(
    ("profile", "whole", "compute", "memory"),
    [
        ("NVIDIA-A100-SXM4-40GB-MIG-3g.20gb", "A100-40", 3 / 7, 4 / 8),
        ("NVIDIA-A100-SXM4-80GB-MIG-1g.20gb", "A100-80", 1 / 7, 2 / 8),
        ("NVIDIA-H100-80GB-HBM3-MIG-7g.80gb", "H100", 1, 1),
        ("NVIDIA-H100-NVL-MIG-3g.47gb", "H100-NVL", 3 / 7, 4 / 8),
        ("NVIDIA-H200-MIG-1g.35gb", "H200", 1 / 7, 2 / 8),
        ("NVIDIA-B200-MIG-1g.23gb", "B200", 1 / 7, 1 / 8),
        ("NVIDIA-A30-MIG-2g.12gb", "A30", 2 / 4, 2 / 4),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition-MIG-1g.24gb", "RTX-PRO-6000", 1 / 4, 1 / 4),
    ],
)
def test_a_mig_profile_is_a_part_of_its_gpu(profile: str, whole: str, compute: float, memory: float) -> None:
    part, all_of_it = gpu(profile), gpu(whole)
    assert part.bf16_tflops == pytest.approx(all_of_it.bf16_tflops * compute)
    assert part.memory_gb_per_second == pytest.approx(all_of_it.memory_gb_per_second * memory)
    assert 0.9 * memory < part.usable_gib / all_of_it.usable_gib < memory
    assert part.part


def test_parts_are_not_joined_and_hold_what_fits_them() -> None:
    shape = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
    part = gpu("NVIDIA-A100-SXM4-80GB-MIG-2g.20gb")
    assert memory_fit(shape, Layout(part), max_model_len=4096).fits
    refused = memory_fit(shape, Layout(part, tensor_parallel=2), max_model_len=4096)
    assert "part of a GPU" in refused.reason


def test_a_bridge_joins_as_many_gpus_as_it_has_and_no_more() -> None:
    plain, bridge = gpu("H100-NVL"), gpu("H100-NVL-NVLINK")
    assert (bridge.link_between(2), bridge.link_between(4)) == (300, 64)
    assert plain.link_between(2) == 64
    shape = bundled_shape("meta-llama/Llama-3.1-70B-Instruct")
    load = {"prefill_tokens": 2048, "prefill_attended": 1e6, "decode_sequences": 0, "kv_tokens": 0}
    step = {
        (card.name, degree): StepTime(shape, Layout(card, tensor_parallel=degree)).seconds(**load)
        for card in (plain, bridge)
        for degree in (2, 4)
    }
    assert step["H100-NVL-NVLINK", 2] < step["H100-NVL", 2]
    assert step["H100-NVL-NVLINK", 4] == step["H100-NVL", 4]


def test_a_cluster_adds_types_and_takes_no_name_of_the_catalogue() -> None:
    mine = replace(gpu("L4"), name="mine", aliases=("NVIDIA-Custom-48GB", "H100"), memory_gb=48)
    catalogue = Catalogue((mine,))
    assert catalogue.gpu("nvidia custom 48gb") is mine
    assert catalogue.gpu("H100").name == "H100"
    assert catalogue.names()[-1] == "mine"
    with pytest.raises(UnknownGpu, match="mine"):
        catalogue.gpu("nothing")


def test_a_shared_product_name_says_so() -> None:
    assert is_shared("NVIDIA-L4-SHARED")
    assert not is_shared("NVIDIA-L4")
