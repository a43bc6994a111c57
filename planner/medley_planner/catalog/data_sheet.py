"""Makes a GPU type of what its owner writes: the `spec` of a `GPUType`, as the API and files have it. Pure.

What is left out takes values that promise little: the shares of the peak are those of chips that nobody measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.catalog.gpu import Gpu, Vendor

GEMM_PERCENT, GEMM_LOW_PERCENT, MEMORY_PERCENT, KV_PERCENT = 55, 40, 65, 55
"""Shares of the peaks that engines reach, where the data sheet gives none: of compute in BF16 and in fewer bits, of
bandwidth when weights and when the KV cache are read."""
_USABLE = 0.97
"""Share of the name-plate memory that drivers report to a process, of the catalogue's GPUs about the least."""
_MOST = 1e7
_GUESS = "efficiencies are guesses of its owner or of Medley; none was measured"


class BadDataSheet(BadInput):
    """A GPU type from which nothing can be computed; `field` is the one of its spec."""


def gpu_of_sheet(name: str, sheet: Mapping[str, Any]) -> Gpu:
    """The GPU type of that name. Raises BadDataSheet. Fields are those of `GPUType.spec`; numbers may be text."""
    unknown = sorted(set(sheet) - set(_FIELDS))
    if unknown:
        raise BadDataSheet("", unknown[0], sheet[unknown[0]], f"there is no such field; known are {', '.join(_FIELDS)}")
    memory_gb = _number(sheet, "memoryGb")
    usable = _number(sheet, "usableGib", default=memory_gb * 1e9 / 2**30 * _USABLE)
    if usable * 2**30 > memory_gb * 1e9 * 1.1:
        raise BadDataSheet(
            "", "usableGib", usable, f"it is more than memoryGb {memory_gb:g} holds; correct one of them"
        )
    vendor = _vendor(sheet)
    fp8, fp4 = (None if key not in sheet else _number(sheet, key) for key in ("fp8Tflops", "fp4Tflops"))
    linked = _whole(sheet, "linkedGpus")
    if linked and "pcieGbPerSecond" not in sheet:
        raise BadDataSheet(
            "", "pcieGbPerSecond", MISSING, "linkedGpus needs it: it counts between more GPUs than those"
        )
    capability = None if "computeCapability" not in sheet else _number(sheet, "computeCapability")
    if vendor is Vendor.NVIDIA and capability is None:
        raise BadDataSheet("", "computeCapability", MISSING, 'an NVIDIA GPU needs it, such as "9.0"')
    return Gpu(
        name=name,
        aliases=tuple(_texts(sheet, "productNames")),
        bf16_tflops=_number(sheet, "bf16Tflops"),
        fp8_tflops=fp8,
        fp4_tflops=fp4,
        memory_gb=memory_gb,
        usable_gib=usable,
        memory_gb_per_second=_number(sheet, "memoryGbPerSecond"),
        watts=_number(sheet, "watts"),
        link_gb_per_second=_number(sheet, "linkGbPerSecond"),
        linked_gpus=linked,
        pcie_gb_per_second=_number(sheet, "pcieGbPerSecond", default=0.0),
        gemm_bf16=_share(sheet, "gemmBf16Percent", GEMM_PERCENT),
        gemm_fp8=_share(sheet, "gemmFp8Percent", GEMM_LOW_PERCENT),
        gemm_fp4=_share(sheet, "gemmFp4Percent", GEMM_LOW_PERCENT),
        memory=_share(sheet, "memoryPercent", MEMORY_PERCENT),
        kv=_share(sheet, "kvPercent", KV_PERCENT),
        compute_capability=capability,
        vendor=vendor,
        part=_flag(sheet, "partOfGpu"),
        source=str(sheet.get("source") or "its owner's data sheet"),
        note=_GUESS,
    )


_FIELDS = (
    *("vendor", "productNames", "memoryGb", "usableGib", "memoryGbPerSecond", "bf16Tflops", "fp8Tflops", "fp4Tflops"),
    *("watts", "linkGbPerSecond", "linkedGpus", "pcieGbPerSecond", "computeCapability", "gemmBf16Percent"),
    *("gemmFp8Percent", "gemmFp4Percent", "memoryPercent", "kvPercent", "partOfGpu", "source"),
)


def _number(sheet: Mapping[str, Any], key: str, *, default: float | None = None) -> float:
    value = sheet.get(key)
    if value is None:
        if default is None:
            raise BadDataSheet("", key, MISSING, "add it from the GPU's data sheet")
        return default
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number <= _MOST:
        raise BadDataSheet("", key, value, f"give a number above 0 and at most {_MOST:g}")
    return number


def _whole(sheet: Mapping[str, Any], key: str) -> int:
    value = sheet.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 64:
        raise BadDataSheet("", key, value, "give a whole number from 0 to 64")
    return value


def _share(sheet: Mapping[str, Any], key: str, percent: int) -> float:
    value = sheet.get(key, percent)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise BadDataSheet("", key, value, "give a whole number of percent from 1 to 100")
    return value / 100.0


def _flag(sheet: Mapping[str, Any], key: str) -> bool:
    value = sheet.get(key, False)
    if not isinstance(value, bool):
        raise BadDataSheet("", key, value, "give true or false")
    return value


def _vendor(sheet: Mapping[str, Any]) -> Vendor:
    value = sheet.get("vendor", Vendor.NVIDIA)
    try:
        return Vendor(value)
    except ValueError:
        raise BadDataSheet("", "vendor", value, f"give one of {', '.join(Vendor)}") from None


def _texts(sheet: Mapping[str, Any], key: str) -> list[str]:
    value = sheet.get(key, [])
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise BadDataSheet("", key, value, "give a list of names")
    return list(value)
