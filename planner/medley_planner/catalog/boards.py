"""The GPU catalogue as data: boards with a chip of `measured`, with other clocks, memory or links.

Efficiencies are those of that chip, as shares of the board's own peaks. Where a board takes NVLink bridges there are
two rows: without, as product names say nothing of bridges, and with, between as many GPUs as a bridge joins.
"""

from __future__ import annotations

from dataclasses import replace

from medley_planner.catalog.gpu import Gpu
from medley_planner.catalog.measured import MEASURED

_OF = {row.name: row for row in MEASURED}
_PCIE_4, _PCIE_5 = 32.0, 64.0
"""GB per second, one way, of 16 lanes."""


def bridged(row: Gpu, *, link_gb_per_second: float, gpus: int) -> Gpu:
    """The board with an NVLink bridge, which joins so many of a node's GPUs."""
    return replace(
        row,
        name=f"{row.name}-NVLINK",
        aliases=(),
        link_gb_per_second=link_gb_per_second,
        linked_gpus=gpus,
        pcie_gb_per_second=row.link_gb_per_second,
        source=f"{row.source}, with NVLink bridges",
    )


_A100_40_PCIE = replace(
    _OF["A100-40"],
    name="A100-40-PCIE",
    aliases=("A100-PCIE-40GB", "A100-PCIE-40", "NVIDIA-A100-PCIE-40GB"),
    watts=250,
    link_gb_per_second=_PCIE_4,
    source="NVIDIA A100 data sheet (PCIe 4.0 x16)",
    note="efficiencies are those of the A100-80 SXM (same chip)",
)
_A100_80_PCIE = replace(
    _OF["A100-80"],
    name="A100-80-PCIE",
    aliases=("A100-PCIE-80GB", "A100-PCIE-80", "NVIDIA-A100-80GB-PCIe", "NVIDIA-A100-PCIE-80GB"),
    memory_gb_per_second=1935,
    watts=300,
    link_gb_per_second=_PCIE_4,
    source="NVIDIA A100 80GB PCIe data sheet (PCIe 4.0 x16)",
    note="efficiencies are those of the A100-80 SXM (same chip)",
)
_H100_PCIE = replace(
    _OF["H100"],
    name="H100-PCIE",
    aliases=("H100-PCIE-80GB", "NVIDIA-H100-PCIe", "NVIDIA-H100-PCIe-80GB"),
    bf16_tflops=756,
    fp8_tflops=1513,
    memory_gb_per_second=2000,
    watts=350,
    link_gb_per_second=_PCIE_5,
    source="NVIDIA H100 data sheet (PCIe 5.0 x16)",
    note="efficiencies are those of the H100 SXM (same chip)",
)
_H100_NVL = replace(
    _OF["H100"],
    name="H100-NVL",
    aliases=("H100-94GB", "NVIDIA-H100-NVL"),
    bf16_tflops=835,
    fp8_tflops=1671,
    memory_gb=94,
    usable_gib=93.1,
    memory_gb_per_second=3938,
    watts=400,
    link_gb_per_second=_PCIE_5,
    source="NVIDIA H100 NVL data sheet (PCIe 5.0 x16)",
    note="efficiencies are those of the H100 SXM (same chip)",
)
_H200_NVL = replace(
    _OF["H200"],
    name="H200-NVL",
    aliases=("NVIDIA-H200-NVL",),
    bf16_tflops=835,
    fp8_tflops=1671,
    watts=600,
    link_gb_per_second=_PCIE_5,
    source="NVIDIA H200 NVL data sheet (PCIe 5.0 x16)",
    note="efficiencies are those of the H200 SXM (same chip)",
)
_H20 = replace(
    _OF["H200"],
    name="H20",
    aliases=("H20-96GB", "NVIDIA-H20"),
    bf16_tflops=148,
    fp8_tflops=296,
    memory_gb=96,
    usable_gib=95.1,
    memory_gb_per_second=4000,
    watts=500,
    source="NVIDIA H20 data sheet (SXM, NVLink 4), as server makers publish it",
    note="efficiencies are those of the H200 (same generation); its compute is small beside its memory, so that the "
    "real share of the peak is likely larger",
)
_GH200 = replace(
    _OF["H200"],
    name="GH200-96",
    aliases=("GH200", "GH200-480GB", "NVIDIA-GH200-480GB", "NVIDIA-GH200-96GB-HBM3"),
    memory_gb=96,
    usable_gib=94.5,
    memory_gb_per_second=4000,
    watts=900,
    source="NVIDIA GH200 Grace Hopper data sheet (96 GB HBM3, NVLink 4)",
    note="efficiencies are those of the H200 (same chip); memory of the CPU is not counted; watts are the module's",
)
_L40 = replace(
    _OF["L40S"],
    name="L40",
    aliases=("NVIDIA-L40",),
    bf16_tflops=181,
    fp8_tflops=362,
    watts=300,
    source="NVIDIA L40 data sheet; PCIe 4.0 x16",
    note="efficiencies are those of the L40S (same chip)",
)
_RTX_6000_ADA = replace(
    _OF["L40S"],
    name="RTX-6000-ADA",
    aliases=("NVIDIA-RTX-6000-Ada-Generation", "RTX-6000-Ada-Generation"),
    bf16_tflops=364,
    fp8_tflops=729,
    usable_gib=47.5,
    memory_gb_per_second=960,
    watts=300,
    source="NVIDIA RTX 6000 Ada Generation data sheet; PCIe 4.0 x16",
    note="efficiencies are those of the L40S (same chip); memory without ECC",
)
_RTX_4090 = replace(
    _OF["L40S"],
    name="RTX-4090",
    aliases=("RTX4090", "GeForce-RTX-4090", "NVIDIA-GeForce-RTX-4090"),
    bf16_tflops=165,
    fp8_tflops=330,
    memory_gb=24,
    usable_gib=23.6,
    memory_gb_per_second=1008,
    watts=450,
    source="NVIDIA Ada GPU architecture data sheet, peaks with FP32 accumulation; PCIe 4.0 x16",
    note="efficiencies are those of the L40S (same generation); none was measured on an RTX 4090",
)
_WORKSTATION = replace(
    _OF["RTX-PRO-6000"],
    name="RTX-PRO-6000-WS",
    aliases=("RTX-PRO-6000-WORKSTATION", "NVIDIA-RTX-PRO-6000-Blackwell-Workstation-Edition"),
    source="NVIDIA RTX PRO 6000 Blackwell Workstation Edition data sheet; PCIe 5.0 x16",
    note="peaks and efficiencies are those of the Server Edition (same chip)",
)
_MAX_Q = replace(
    _OF["RTX-PRO-6000"],
    name="RTX-PRO-6000-MAX-Q",
    aliases=("NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition",),
    bf16_tflops=439,
    fp8_tflops=878,
    watts=300,
    source="NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition data sheet; PCIe 5.0 x16",
    note="efficiencies are those of the Server Edition (same chip)",
)
_RTX_5090 = replace(
    _OF["RTX-PRO-6000"],
    name="RTX-5090",
    aliases=("RTX5090", "GeForce-RTX-5090", "NVIDIA-GeForce-RTX-5090"),
    bf16_tflops=210,
    fp8_tflops=419,
    memory_gb=32,
    usable_gib=31.36,
    watts=575,
    mig_slices=0,
    source="NVIDIA RTX Blackwell GPU architecture data sheet, peaks with FP32 accumulation; PCIe 5.0 x16",
    note="efficiencies are those of the RTX PRO 6000 (same generation); none was measured on an RTX 5090",
)

BOARDS: tuple[Gpu, ...] = (
    _A100_40_PCIE,
    bridged(_A100_40_PCIE, link_gb_per_second=300, gpus=2),
    _A100_80_PCIE,
    bridged(_A100_80_PCIE, link_gb_per_second=300, gpus=2),
    _H100_PCIE,
    bridged(_H100_PCIE, link_gb_per_second=300, gpus=2),
    _H100_NVL,
    bridged(_H100_NVL, link_gb_per_second=300, gpus=2),
    _H20,
    replace(
        _H20,
        name="H20-141",
        aliases=("H20-3e", "NVIDIA-H20-3e", "H20-141GB"),
        memory_gb=141,
        usable_gib=139.72,
        memory_gb_per_second=4800,
    ),
    _H200_NVL,
    bridged(_H200_NVL, link_gb_per_second=450, gpus=4),
    _GH200,
    replace(
        _GH200,
        name="GH200-144",
        aliases=("GH200-144GB", "NVIDIA-GH200-144G-HBM3e"),
        memory_gb=144,
        usable_gib=142.5,
        memory_gb_per_second=4900,
        source="NVIDIA GH200 Grace Hopper data sheet (144 GB HBM3e, NVLink 4)",
        note=f"{_GH200.note}; usable memory is a guess",
    ),
    _L40,
    _RTX_6000_ADA,
    _RTX_4090,
    _WORKSTATION,
    _MAX_Q,
    _RTX_5090,
)
