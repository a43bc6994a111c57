"""A GPU of one's own: what its data sheet must say, and what is assumed where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.catalog import BadDataSheet, Vendor, gpu_of_sheet

SHEET: dict[str, Any] = {
    "computeCapability": "8.9", "memoryGb": "48", "memoryGbPerSecond": 864, "bf16Tflops": "181.05", "watts": "300",
    "linkGbPerSecond": "32",
}  # fmt: skip


def test_numbers_may_be_text_and_the_rest_promises_little() -> None:
    found = gpu_of_sheet("mine", SHEET)
    assert (found.name, found.bf16_tflops, found.memory_gb_per_second) == ("mine", 181.05, 864.0)
    assert (found.vendor, found.fp8_tflops, found.compute_capability) == (Vendor.NVIDIA, None, 8.9)
    assert 0.9 < found.usable_gib * 2**30 / 48e9 < 1.0
    assert "guess" in found.note
    assert found.link_between(8) == 32


def test_what_is_said_counts() -> None:
    given = {
        **SHEET, "usableGib": "44.4", "fp8Tflops": "362", "fp4Tflops": "724", "linkedGpus": 2, "pcieGbPerSecond": "16",
        "gemmBf16Percent": 64, "kvPercent": 76, "partOfGpu": True, "productNames": ["A", "B"], "vendor": "AMD",
    }  # fmt: skip
    found = gpu_of_sheet("mine", given)
    assert (found.usable_gib, found.fp8_tflops, found.fp4_tflops) == (44.4, 362, 724)
    assert (found.link_between(2), found.link_between(4)) == (32, 16)
    assert (found.gemm_bf16, found.kv, found.part, found.aliases, found.vendor) == (0.64, 0.76, True, ("A", "B"), "AMD")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"memoryGb": None}, "memoryGb"),
        ({"memoryGb": "0"}, "memoryGb"),
        ({"memoryGb": True}, "memoryGb"),
        ({"watts": "many"}, "watts"),
        ({"watts": "nan"}, "watts"),
        ({"watts": [1]}, "watts"),
        ({"usableGib": "80"}, "usableGib"),
        ({"computeCapability": None}, "computeCapability"),
        ({"linkedGpus": 2}, "pcieGbPerSecond"),
        ({"linkedGpus": 2.5}, "linkedGpus"),
        ({"gemmBf16Percent": 101}, "gemmBf16Percent"),
        ({"vendor": "Apple"}, "vendor"),
        ({"productNames": "A"}, "productNames"),
        ({"partOfGpu": "yes"}, "partOfGpu"),
        ({"tflops": 1}, "tflops"),
    ],
)
def test_a_sheet_from_which_nothing_can_be_computed_names_its_field(changes: dict[str, Any], field: str) -> None:
    given = {name: value for name, value in {**SHEET, **changes}.items() if value is not None}
    with pytest.raises(BadDataSheet) as refused:
        gpu_of_sheet("mine", given)
    assert refused.value.field == field
