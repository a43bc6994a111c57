"""The GPU catalogue as data: chips on which no kernel was measured. Peaks are data-sheet values, efficiencies guesses.

Chips of the Ampere generation that is on workstations take the shares of the A10G, older ones and those of other
vendors shares that promise less. Usable memory is what drivers report where that is known.
"""

from __future__ import annotations

from dataclasses import replace

from medley_planner.catalog.boards import bridged
from medley_planner.catalog.gpu import Gpu, Vendor
from medley_planner.catalog.measured import MEASURED

_A10G = next(row for row in MEASURED if row.name == "A10G")
_GUESS = "all efficiencies are guesses; none was measured"
_AMPERE = "efficiencies are those assumed of the A10G (same generation); none was measured"

_A40 = replace(
    _A10G,
    name="A40",
    aliases=("NVIDIA-A40",),
    bf16_tflops=149.7,
    memory_gb=48,
    usable_gib=44.34,
    memory_gb_per_second=696,
    source="NVIDIA A40 data sheet; PCIe 4.0 x16",
    note=_AMPERE,
)
_A6000 = replace(
    _A40,
    name="RTX-A6000",
    aliases=("A6000", "NVIDIA-RTX-A6000"),
    bf16_tflops=154.8,
    usable_gib=47.54,
    memory_gb_per_second=768,
    source="NVIDIA RTX A6000 data sheet; PCIe 4.0 x16",
    note=f"{_AMPERE}; memory without ECC",
)
_A30 = replace(
    next(row for row in MEASURED if row.name == "A100-40"),
    name="A30",
    aliases=("NVIDIA-A30",),
    bf16_tflops=165,
    memory_gb=24,
    usable_gib=23.5,
    memory_gb_per_second=933,
    watts=165,
    link_gb_per_second=32,
    mig_slices=4,
    source="NVIDIA A30 data sheet; PCIe 4.0 x16",
    note="efficiencies are those of the A100-80 (same generation); none was measured",
)
_V100_16 = Gpu(
    name="V100-16",
    aliases=("V100", "V100-SXM2-16GB", "Tesla-V100-SXM2-16GB", "NVIDIA-V100-SXM2-16GB"),
    bf16_tflops=125,
    fp8_tflops=None,
    memory_gb=16,
    usable_gib=15.77,
    memory_gb_per_second=900,
    watts=300,
    link_gb_per_second=150,
    gemm_bf16=0.60,
    gemm_fp8=0.60,
    memory=0.70,
    kv=0.60,
    source="NVIDIA V100 data sheet (SXM2, NVLink 2); the peak is that of FP16",
    note=_GUESS,
    compute_capability=7.0,
)
_V100_32 = replace(
    _V100_16,
    name="V100-32",
    aliases=(
        "V100-SXM2-32GB",
        "Tesla-V100-SXM2-32GB",
        "NVIDIA-V100-SXM2-32GB",
        "Tesla-V100-SXM3-32GB",
        "Tesla-V100-SXM2-32GB-LS",
        "Tesla-V100-DGXS-32GB",
    ),
    memory_gb=32,
    usable_gib=31.74,
)


def _v100_pcie(row: Gpu, name: str, *aliases: str) -> Gpu:
    return replace(
        row,
        name=name,
        aliases=aliases,
        bf16_tflops=112,
        watts=250,
        link_gb_per_second=16,
        source="NVIDIA V100 data sheet (PCIe 3.0 x16); the peak is that of FP16",
    )


_MI300X = next(row for row in MEASURED if row.name == "MI300X")

GUESSED: tuple[Gpu, ...] = (
    Gpu(
        name="T4",
        aliases=("Tesla-T4", "NVIDIA-T4", "NVIDIA-Tesla-T4"),
        bf16_tflops=65,
        fp8_tflops=None,
        memory_gb=16,
        usable_gib=14.56,
        memory_gb_per_second=320,
        watts=70,
        link_gb_per_second=16,
        gemm_bf16=0.45,
        gemm_fp8=0.45,
        memory=0.70,
        kv=0.55,
        source="NVIDIA T4 data sheet; PCIe 3.0 x16; the peak is that of FP16",
        note=f"{_GUESS}; at 70 W it holds less of its peak than others",
        compute_capability=7.5,
    ),
    _V100_16,
    _V100_32,
    _v100_pcie(_V100_16, "V100-16-PCIE", "V100-PCIE-16GB", "Tesla-V100-PCIE-16GB"),
    _v100_pcie(_V100_32, "V100-32-PCIE", "V100-PCIE-32GB", "Tesla-V100-PCIE-32GB", "Tesla-V100S-PCIE-32GB"),
    replace(
        _A10G,
        name="A10",
        aliases=("NVIDIA-A10",),
        bf16_tflops=125,
        watts=150,
        source="NVIDIA A10 data sheet; PCIe 4.0 x16",
        note=_AMPERE,
    ),
    replace(
        _A10G,
        name="A16",
        aliases=("NVIDIA-A16",),
        bf16_tflops=17.9,
        memory_gb=16,
        usable_gib=14.6,
        memory_gb_per_second=200,
        watts=62.5,
        source="NVIDIA A16 data sheet, one of the board's four GPUs; PCIe 4.0 x16",
        note=f"{_AMPERE}; usable memory is a guess",
    ),
    _A30,
    bridged(_A30, link_gb_per_second=100, gpus=2),
    _A40,
    bridged(_A40, link_gb_per_second=56.25, gpus=2),
    _A6000,
    bridged(_A6000, link_gb_per_second=56.25, gpus=2),
    replace(
        _MI300X,
        name="MI250X",
        aliases=("AMD-MI250X", "AMD-Instinct-MI250X", "AMD-Instinct-MI250X-OAM"),
        bf16_tflops=191.5,
        fp8_tflops=None,
        memory_gb=64,
        usable_gib=63.98,
        memory_gb_per_second=1638,
        watts=280,
        link_gb_per_second=100,
        source="AMD Instinct MI250X data sheet, one of the board's two dies, which are a device each",
    ),
    replace(
        _MI300X,
        name="MI325X",
        aliases=("AMD-MI325X", "AMD-Instinct-MI325X", "AMD-Instinct-MI325-OAM", "AMD-Instinct-MI325X-OAM"),
        memory_gb=256,
        usable_gib=255.5,
        memory_gb_per_second=6000,
        watts=1000,
        source="AMD Instinct MI325X data sheet (Infinity Fabric, 7 links)",
    ),
    replace(
        _MI300X,
        name="MI355X",
        aliases=("AMD-MI355X", "AMD-Instinct-MI355X", "AMD-Instinct-MI355-OAM", "AMD-Instinct-MI355X-OAM"),
        bf16_tflops=2517,
        fp8_tflops=5033,
        fp4_tflops=10066,
        gemm_fp4=0.50,
        memory_gb=288,
        usable_gib=287.5,
        memory_gb_per_second=8000,
        watts=1400,
        link_gb_per_second=537,
        source="AMD Instinct MI355X data sheet (Infinity Fabric, 7 links)",
    ),
    replace(
        _MI300X,
        name="GAUDI-3",
        aliases=("GAUDI3", "Intel-Gaudi-3", "HL-325L", "HL-325", "Gaudi-3-AI-Accelerator"),
        bf16_tflops=1678,
        fp8_tflops=1678 * 2,
        memory_gb=128,
        usable_gib=126.0,
        memory_gb_per_second=3700,
        watts=900,
        link_gb_per_second=525,
        vendor=Vendor.INTEL,
        source="Intel Gaudi 3 data sheet (HL-325L; 21 ports of 200 Gb/s within a server)",
        note=_GUESS,
    ),
)
